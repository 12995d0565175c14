//! How identifiers and rows are laid out in PostgreSQL.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use spillway_model::{
    Attempt, AttemptClass, AttemptId, ConnectionId, Delivery, DeliveryId, DeliveryState, DestinationId, Event, EventId,
    EventSummary, HeaderBlock, SourceId, TraceContext,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Uuid;

use crate::{StoreError, StoreErrorKind};

/// An identifier as the driver takes it.
pub(super) fn uuid(bits: u128) -> Uuid {
    Uuid::from_u128(bits)
}

/// The bits of the identifier in a column.
pub(super) fn bits(row: &PgRow, column: usize) -> Result<u128, StoreError> {
    Ok(row.try_get::<Uuid, _>(column)?.as_u128())
}

pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Incompatible, format!("the database holds {what} that this version cannot read"))
}

/// Text that PostgreSQL can hold: it has no place for NUL characters, which become U+FFFD.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

pub(super) fn encode_trace(trace: TraceContext) -> [u8; 25] {
    let mut bytes = [0; 25];
    bytes[..16].copy_from_slice(&trace.trace_id.to_be_bytes());
    bytes[16..24].copy_from_slice(&trace.span_id.to_be_bytes());
    bytes[24] = trace.flags;
    bytes
}

fn decode_trace(bytes: &[u8]) -> Option<TraceContext> {
    let (trace_id, rest) = bytes.split_first_chunk::<16>()?;
    let (span_id, rest) = rest.split_first_chunk::<8>()?;
    let [flags] = *rest else { return None };
    Some(TraceContext { trace_id: u128::from_be_bytes(*trace_id), span_id: u64::from_be_bytes(*span_id), flags })
}

/// Columns: id, source_id, event_type, trace, headers, body, quarantine.
pub(super) fn event(row: &PgRow) -> Result<Event, StoreError> {
    Ok(Event {
        quarantine: row.try_get::<Option<&str>, _>(6)?.map(Into::into),
        id: EventId::from_u128(bits(row, 0)?),
        source: SourceId::from_u128(bits(row, 1)?),
        event_type: row.try_get::<Option<&str>, _>(2)?.map(Into::into),
        trace: row.try_get::<Option<&[u8]>, _>(3)?.and_then(decode_trace),
        headers: HeaderBlock::from_bytes(Bytes::copy_from_slice(row.try_get(4)?)),
        body: Bytes::copy_from_slice(row.try_get(5)?),
    })
}

/// Columns: id, source_id, event_type, size of the body, quarantine.
pub(super) fn event_summary(row: &PgRow) -> Result<EventSummary, StoreError> {
    Ok(EventSummary {
        quarantine: row.try_get::<Option<&str>, _>(4)?.map(Into::into),
        id: EventId::from_u128(bits(row, 0)?),
        source: SourceId::from_u128(bits(row, 1)?),
        event_type: row.try_get::<Option<&str>, _>(2)?.map(Into::into),
        body_bytes: u64::try_from(row.try_get::<i32, _>(3)?).unwrap_or_default(),
    })
}

/// Columns: id, destination_id, connection_id, at, generation, attempts, state.
pub(super) fn delivery(row: &PgRow) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: DeliveryId::from_u128(bits(row, 0)?),
        destination: DestinationId::from_u128(bits(row, 1)?),
        connection: ConnectionId::from_u128(bits(row, 2)?),
        at: row.try_get(3)?,
        generation: row.try_get::<i32, _>(4)?.cast_unsigned(),
        attempts: u16::try_from(row.try_get::<i32, _>(5)?).unwrap_or(u16::MAX),
        state: DeliveryState::from_code(row.try_get(6)?).ok_or_else(|| damaged("a delivery state"))?,
    })
}

/// Columns: id, started_at, duration_us, class, status, response, error.
pub(super) fn attempt(row: &PgRow) -> Result<Attempt, StoreError> {
    Ok(Attempt {
        id: AttemptId::from_u128(bits(row, 0)?),
        started_at: row.try_get(1)?,
        duration: Duration::from_micros(u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or_default()),
        class: AttemptClass::from_code(row.try_get(3)?).ok_or_else(|| damaged("an attempt class"))?,
        status: row.try_get::<Option<i32>, _>(4)?.and_then(|status| u16::try_from(status).ok()),
        response: Bytes::copy_from_slice(row.try_get(5)?),
        error: row.try_get::<Option<&str>, _>(6)?.map(Into::into),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_survives_and_damage_is_seen() {
        let trace = TraceContext { trace_id: 7 << 100, span_id: 9, flags: 1 };
        assert_eq!(decode_trace(&encode_trace(trace)), Some(trace));
        assert_eq!(decode_trace(&[0; 24]), None);
    }

    #[test]
    fn text_keeps_all_but_nul() {
        assert_eq!(text("push ä"), "push ä");
        assert_eq!(text("a\0b"), "a\u{fffd}b");
    }
}
