//! A delivery with its payload as the bytes of one stream entry.
//!
//! Version 1, numbers big-endian:
//!
//! ```text
//! u8 version | u8 flags | 16 delivery | 16 destination | 16 connection | u32 generation | u16 attempts | i64 lease until
//! | 16 event | 16 source | [u16 length, event type] | [16 trace, u64 span, u8 trace flags] | [i64 order key]
//! | u32 length, headers | u32 length, body
//! ```
//!
//! Flag 1: there is an event type. Flag 2: there is a trace. Flag 4: there is an order key; intake hands over no such delivery, but one that
//! lost its key on the way would hold up those behind it for ever. Nothing may follow the body.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use spillway_model::{
    Claimed, ConnectionId, DeliveryId, DestinationId, Event, EventId, HeaderBlock, OrderKey, SourceId, TraceContext,
};

const VERSION: u8 = 1;
const HAS_TYPE: u8 = 1;
const HAS_TRACE: u8 = 2;
const HAS_ORDER: u8 = 4;
/// Everything but event type, headers and body.
const FIXED_BYTES: usize = 2 + 5 * 16 + 4 + 2 + 8 + 2 + 25 + 8 + 4 + 4;

/// An entry that is not a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MalformedEntry {
    /// Written by a later version of this program, or not by it.
    #[error("entry of the unknown version {0}")]
    Version(u8),
    /// Too short, too long, or a value that cannot be.
    #[error("damaged entry")]
    Damaged,
    /// Not one field with one value.
    #[error("entry without a payload")]
    Shape,
}

/// The entry for a delivery. An event type over 65 535 bytes is left out.
pub(super) fn encode(claimed: &Claimed) -> Vec<u8> {
    let event = &claimed.event;
    let event_type = event.event_type.as_deref().filter(|text| text.len() <= usize::from(u16::MAX));
    let headers = event.headers.as_bytes();
    let size = FIXED_BYTES + event_type.map_or(0, str::len) + headers.len() + event.body.len();
    let mut entry = Vec::with_capacity(size);
    entry.put_u8(VERSION);
    let has_order = claimed.order.map_or(0, |_| HAS_ORDER);
    entry.put_u8(event_type.map_or(0, |_| HAS_TYPE) | event.trace.map_or(0, |_| HAS_TRACE) | has_order);
    entry.put_u128(claimed.id.to_u128());
    entry.put_u128(claimed.destination.to_u128());
    entry.put_u128(claimed.connection.to_u128());
    entry.put_u32(claimed.generation);
    entry.put_u16(claimed.attempts);
    entry.put_i64(claimed.lease_until);
    entry.put_u128(event.id.to_u128());
    entry.put_u128(event.source.to_u128());
    if let Some(event_type) = event_type {
        entry.put_u16(event_type.len() as u16);
        entry.put_slice(event_type.as_bytes());
    }
    if let Some(trace) = event.trace {
        entry.put_u128(trace.trace_id);
        entry.put_u64(trace.span_id);
        entry.put_u8(trace.flags);
    }
    if let Some(OrderKey(key)) = claimed.order {
        entry.put_i64(key);
    }
    for part in [headers, &event.body] {
        entry.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
        entry.put_slice(part);
    }
    entry
}

/// The delivery in an entry; headers and body share its memory.
///
/// # Errors
/// When the bytes are not exactly one entry of a known version.
pub(super) fn decode(mut entry: Bytes) -> Result<Claimed, MalformedEntry> {
    match entry.first() {
        Some(&VERSION) => read(&mut entry).filter(|_| entry.is_empty()).ok_or(MalformedEntry::Damaged),
        Some(&version) => Err(MalformedEntry::Version(version)),
        None => Err(MalformedEntry::Damaged),
    }
}

fn read(entry: &mut Bytes) -> Option<Claimed> {
    entry.try_get_u8().ok()?;
    let flags = entry.try_get_u8().ok()?;
    if flags & !(HAS_TYPE | HAS_TRACE | HAS_ORDER) != 0 {
        return None;
    }
    let id = DeliveryId::from_u128(entry.try_get_u128().ok()?);
    let destination = DestinationId::from_u128(entry.try_get_u128().ok()?);
    let connection = ConnectionId::from_u128(entry.try_get_u128().ok()?);
    let generation = entry.try_get_u32().ok()?;
    let attempts = entry.try_get_u16().ok()?;
    let lease_until = entry.try_get_i64().ok()?;
    let event_id = EventId::from_u128(entry.try_get_u128().ok()?);
    let source = SourceId::from_u128(entry.try_get_u128().ok()?);
    let event_type = match flags & HAS_TYPE {
        0 => None,
        _ => {
            let length = usize::from(entry.try_get_u16().ok()?);
            Some(str::from_utf8(&take(entry, length)?).ok()?.into())
        }
    };
    let trace = match flags & HAS_TRACE {
        0 => None,
        _ => Some(read_trace(entry)?),
    };
    let order = match flags & HAS_ORDER {
        0 => None,
        _ => Some(OrderKey(entry.try_get_i64().ok()?)),
    };
    let headers_length = entry.try_get_u32().ok()?;
    let headers = HeaderBlock::from_bytes(take(entry, usize::try_from(headers_length).ok()?)?);
    let body_length = entry.try_get_u32().ok()?;
    let body = take(entry, usize::try_from(body_length).ok()?)?;
    let event = Arc::new(Event { quarantine: None, id: event_id, source, event_type, headers, body, trace });
    Some(Claimed { order, id, destination, connection, generation, attempts, lease_until, event, received: None })
}

fn read_trace(entry: &mut Bytes) -> Option<TraceContext> {
    let trace_id = entry.try_get_u128().ok().filter(|id| *id != 0)?;
    let span_id = entry.try_get_u64().ok().filter(|id| *id != 0)?;
    Some(TraceContext { trace_id, span_id, flags: entry.try_get_u8().ok()? })
}

fn take(entry: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= entry.len()).then(|| entry.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    fn any_claimed() -> impl Strategy<Value = Claimed> {
        let trace = option::of((1u128.., 1u64.., any::<u8>()))
            .prop_map(|trace| trace.map(|(trace_id, span_id, flags)| TraceContext { trace_id, span_id, flags }));
        let numbers = (any::<[u128; 5]>(), any::<u32>(), any::<u16>(), any::<[i64; 2]>(), any::<bool>());
        let payload = (option::of("\\PC{0,40}"), vec(any::<u8>(), 0..300), vec(any::<u8>(), 0..3000), trace);
        (numbers, payload).prop_map(
            |((ids, generation, attempts, [lease_until, key], is_ordered), (event_type, headers, body, trace))| {
                Claimed {
                    order: is_ordered.then_some(OrderKey(key)),
                    id: DeliveryId::from_u128(ids[0]),
                    destination: DestinationId::from_u128(ids[1]),
                    connection: ConnectionId::from_u128(ids[2]),
                    generation,
                    attempts,
                    lease_until,
                    event: Arc::new(Event {
                        quarantine: None,
                        id: EventId::from_u128(ids[3]),
                        source: SourceId::from_u128(ids[4]),
                        event_type: event_type.map(Into::into),
                        headers: HeaderBlock::from_bytes(headers),
                        body: body.into(),
                        trace,
                    }),
                    received: None,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(claimed in any_claimed()) {
            let entry = encode(&claimed);
            let read = decode(entry.clone().into()).expect("a valid entry");
            prop_assert_eq!(&read.event, &claimed.event);
            prop_assert_eq!(
                (read.id, read.destination, read.connection, read.generation, read.attempts, read.lease_until),
                (claimed.id, claimed.destination, claimed.connection, claimed.generation, claimed.attempts, claimed.lease_until)
            );
            prop_assert_eq!(read.order, claimed.order);
            prop_assert_eq!(encode(&read), entry);
        }

        #[test]
        fn a_cut_or_longer_entry_is_refused(claimed in any_claimed(), cut: prop::sample::Index) {
            let mut entry = encode(&claimed);
            let shorter = Bytes::copy_from_slice(&entry[..cut.index(entry.len())]);
            prop_assert_eq!(decode(shorter).err(), Some(MalformedEntry::Damaged));
            entry.push(0);
            prop_assert_eq!(decode(entry.into()).err(), Some(MalformedEntry::Damaged));
        }

        /// Damage either shows or leads to a delivery whose entry has exactly these bytes; it never panics.
        #[test]
        fn a_changed_byte_never_panics(claimed in any_claimed(), at: prop::sample::Index, value: u8) {
            let mut entry = encode(&claimed);
            let at = at.index(entry.len());
            entry[at] = value;
            if let Ok(read) = decode(entry.clone().into()) {
                prop_assert_eq!(encode(&read), entry);
            }
        }

        #[test]
        fn any_bytes_never_panic(mut entry in vec(any::<u8>(), 0..400)) {
            let _ = decode(entry.clone().into());
            entry.insert(0, VERSION);
            let _ = decode(entry.into());
        }
    }

    #[test]
    fn another_version_is_named() {
        assert_eq!(decode(Bytes::from_static(&[2, 0, 0])).err(), Some(MalformedEntry::Version(2)));
        assert_eq!(decode(Bytes::new()).err(), Some(MalformedEntry::Damaged));
    }
}
