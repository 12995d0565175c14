//! Times for which the events of a source are kept, as people write them.

use serde::{Deserialize, Serialize};
use spillway_model::Retention;
use utoipa::ToSchema;

use crate::api::error::ApiError;

const UNITS: [(&str, u64); 4] = [("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SHORTEST_MS: u64 = 60_000;
const LONGEST_MS: u64 = 36_500 * 86_400_000;

/// How long things are kept after the event was received, as times such as `12h` or `30d`. What is absent follows the server's setting.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionView {
    /// Events, with their deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "90d")]
    events: Option<String>,
    /// Headers and bodies; the event is then still listed, and can no longer be replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "30d")]
    payloads: Option<String>,
    /// Attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "30d")]
    attempts: Option<String>,
}

impl From<Retention> for RetentionView {
    fn from(retention: Retention) -> Self {
        Self {
            events: retention.events_ms.map(show),
            payloads: retention.payloads_ms.map(show),
            attempts: retention.attempts_ms.map(show),
        }
    }
}

impl RetentionView {
    pub(super) fn parse(self) -> Result<Retention, ApiError> {
        let read = |field, text: Option<String>| text.map(|text| parse(field, &text)).transpose();
        Ok(Retention {
            events_ms: read("retention.events", self.events)?,
            payloads_ms: read("retention.payloads", self.payloads)?,
            attempts_ms: read("retention.attempts", self.attempts)?,
        })
    }
}

fn parse(field: &'static str, text: &str) -> Result<u64, ApiError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
    let time = scale.and_then(|scale| number.parse::<u64>().ok()?.checked_mul(scale));
    time.filter(|time| (SHORTEST_MS..=LONGEST_MS).contains(time))
        .ok_or_else(|| ApiError::invalid(field, "it must be a time such as 12h or 30d, from one minute to 36500 days"))
}

/// In the largest unit that divides it.
fn show(ms: u64) -> String {
    let unit = UNITS.iter().rev().find(|(_, scale)| ms.is_multiple_of(*scale) && ms >= *scale);
    unit.map_or_else(|| format!("{}s", ms.div_ceil(1_000)), |(unit, scale)| format!("{}{unit}", ms / scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_back() {
        for (text, ms) in [("1m", 60_000), ("90s", 90_000), ("12h", 43_200_000), ("30d", 2_592_000_000)] {
            assert_eq!(parse("retention.events", text).ok(), Some(ms), "{text}");
            assert_eq!(show(ms), text);
        }
        for text in ["", "30", "0d", "59s", "-1d", "1w", "1.5d", "36501d", "99999999999999999999d"] {
            assert!(parse("retention.events", text).is_err(), "{text}");
        }
    }
}
