//! How identifiers and rows are laid out in SQLite.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spillway_model::{
    Attempt, AttemptClass, ConnectionId, Delivery, DeliveryId, DeliveryState, DestinationId, Event, EventId,
    HeaderBlock, OrderKey, SourceId, TraceContext,
};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::{StoreError, StoreErrorKind};

/// Bits of an event id that are neither sequence nor process.
const FIXED: u128 = 0x7 << 76 | 0b10 << 62;

/// The event id made of its two stored halves; the inverse of [`EventId::sequence`] and [`process`].
pub(super) fn event_id(seq: i64, process: i64) -> EventId {
    let seq = u128::from(seq.cast_unsigned());
    let process = u128::from(process.cast_unsigned()) & ((1 << 30) - 1);
    EventId::from_u128(seq >> 12 << 80 | (seq & 0xfff) << 64 | FIXED | process << 32)
}

/// The half of an event id that tells its process.
pub(super) fn process(id: EventId) -> i64 {
    (id.to_u128() >> 32 & ((1 << 30) - 1)) as i64
}

pub(super) fn encode_trace(trace: TraceContext) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(25);
    bytes.extend_from_slice(&trace.trace_id.to_be_bytes());
    bytes.extend_from_slice(&trace.span_id.to_be_bytes());
    bytes.push(trace.flags);
    bytes
}

fn decode_trace(bytes: &[u8]) -> Option<TraceContext> {
    let (trace_id, rest) = bytes.split_first_chunk::<16>()?;
    let (span_id, rest) = rest.split_first_chunk::<8>()?;
    let [flags] = *rest else { return None };
    Some(TraceContext { trace_id: u128::from_be_bytes(*trace_id), span_id: u64::from_be_bytes(*span_id), flags })
}

pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Incompatible, format!("the database holds {what} that this version cannot read"))
}

/// Columns: seq, process, id of the source, type, headers, body, trace, quarantine.
pub(super) fn event(row: &SqliteRow) -> Result<Event, StoreError> {
    let id = event_id(row.try_get(0)?, row.try_get(1)?);
    Ok(Event {
        quarantine: row.try_get::<Option<String>, _>(7)?.map(Into::into),
        id,
        source: SourceId::from_slice(row.try_get(2)?).ok_or_else(|| damaged("a source id"))?,
        event_type: row.try_get::<Option<String>, _>(3)?.map(Into::into),
        headers: HeaderBlock::from_bytes(row.try_get::<Vec<u8>, _>(4)?),
        body: Bytes::from(row.try_get::<Vec<u8>, _>(5)?),
        trace: row.try_get::<Option<&[u8]>, _>(6)?.and_then(decode_trace),
    })
}

/// Columns: seq, process, ordinal, id of the destination, id of the connection, state, at, generation, attempts.
pub(super) fn delivery(row: &SqliteRow) -> Result<Delivery, StoreError> {
    let ordinal = u16::try_from(row.try_get::<i64, _>(2)?).map_err(|_| damaged("a delivery number"))?;
    Ok(Delivery {
        id: event_id(row.try_get(0)?, row.try_get(1)?).delivery(ordinal),
        destination: DestinationId::from_slice(row.try_get(3)?).ok_or_else(|| damaged("a destination id"))?,
        connection: ConnectionId::from_slice(row.try_get(4)?).ok_or_else(|| damaged("a connection id"))?,
        state: DeliveryState::from_code(row.try_get(5)?).ok_or_else(|| damaged("a delivery state"))?,
        at: row.try_get(6)?,
        generation: u32::try_from(row.try_get::<i64, _>(7)?).map_err(|_| damaged("a generation"))?,
        attempts: u16::try_from(row.try_get::<i64, _>(8)?).unwrap_or(u16::MAX),
    })
}

/// Columns: number, started_at, duration_us, class, status, response, error.
pub(super) fn attempt(delivery: DeliveryId, row: &SqliteRow) -> Result<Attempt, StoreError> {
    let number = u16::try_from(row.try_get::<i64, _>(0)?).map_err(|_| damaged("an attempt number"))?;
    Ok(Attempt {
        id: delivery.attempt(number),
        started_at: row.try_get(1)?,
        duration: Duration::from_micros(u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or_default()),
        class: AttemptClass::from_code(row.try_get(3)?).ok_or_else(|| damaged("an attempt class"))?,
        status: row.try_get::<Option<i64>, _>(4)?.and_then(|status| u16::try_from(status).ok()),
        response: Bytes::from(row.try_get::<Option<Vec<u8>>, _>(5)?.unwrap_or_default()),
        error: row.try_get::<Option<String>, _>(6)?.map(Into::into),
    })
}

/// A delivery that the writer claimed, before its payload is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) delivery: Delivery,
    pub(super) order: Option<OrderKey>,
}

/// Columns: those of [`delivery`], order_key.
pub(super) fn claim(row: &SqliteRow) -> Result<Claim, StoreError> {
    Ok(Claim { delivery: delivery(row)?, order: row.try_get::<Option<i64>, _>(9)?.map(OrderKey) })
}

/// Events by sequence, for claims that share one.
pub(super) type Payloads = std::collections::HashMap<EventId, Arc<Event>>;

#[cfg(test)]
mod tests {
    use super::*;
    use spillway_model::{IdGenerator, SystemClock};

    #[test]
    fn an_event_id_is_its_two_halves() {
        let ids = IdGenerator::random(Arc::new(SystemClock));
        for _ in 0..10_000 {
            let id = ids.event();
            assert_eq!(event_id(id.sequence(), process(id)), id);
        }
    }

    #[test]
    fn a_trace_survives_and_damage_is_seen() {
        let trace = TraceContext { trace_id: 7, span_id: 9, flags: 1 };
        assert_eq!(decode_trace(&encode_trace(trace)), Some(trace));
        assert_eq!(decode_trace(&[0; 24]), None);
    }
}
