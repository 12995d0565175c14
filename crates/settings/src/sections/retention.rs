//! `[retention]`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::SettingsError;
use crate::section::Section;
use crate::units::{parse_duration, show_duration};
use crate::value::text_settings;

const SHORTEST: Duration = Duration::from_secs(60 * 60);
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);
const EXPECTED: &str = "a duration such as \"90d\", from 1h to 36500d, or \"forever\"";

/// How long something is kept, written as a duration or as `forever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptFor {
    /// For so long after its event was received.
    Time(Duration),
    /// As long as what it belongs to; an event until somebody removes it.
    Forever,
}

impl KeptFor {
    /// The time in milliseconds; `None` for ever.
    #[must_use]
    pub fn milliseconds(self) -> Option<u64> {
        match self {
            Self::Time(time) => Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            Self::Forever => None,
        }
    }
}

/// Text that is not a [`KeptFor`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a duration such as 90d, or forever, is expected")]
pub struct InvalidKeptFor;

impl FromStr for KeptFor {
    type Err = InvalidKeptFor;

    fn from_str(text: &str) -> Result<Self, InvalidKeptFor> {
        match text {
            "forever" => Ok(Self::Forever),
            _ => parse_duration(text).map(Self::Time).ok_or(InvalidKeptFor),
        }
    }
}

impl fmt::Display for KeptFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => f.write_str(&show_duration(*time)),
            Self::Forever => f.write_str("forever"),
        }
    }
}

text_settings! {
    KeptFor: "a duration such as \"90d\", or \"forever\"",
}

/// `[retention]`: how long things are kept after their event was received. A source may have rules of its own. An event with a delivery that
/// has not ended is kept whatever its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Events, with their deliveries. Default 90 days; from 1 h to 36,500 days, or `forever`. On PostgreSQL an event that is kept for a day
    /// or longer goes with the last of its day (UTC).
    pub events: KeptFor,
    /// Headers and bodies; the event then stays listed, and can no longer be sent again. Default `forever`, which is as long as the event.
    pub payloads: KeptFor,
    /// Attempts. Default `forever`, which is as long as the event.
    pub attempts: KeptFor,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        let events = KeptFor::Time(Duration::from_secs(90 * 86_400));
        Self { events, payloads: KeptFor::Forever, attempts: KeptFor::Forever }
    }
}

impl RetentionSettings {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let fits = |kept: &KeptFor| match kept {
            KeptFor::Time(time) => (SHORTEST..=LONGEST).contains(time),
            KeptFor::Forever => true,
        };
        let settings = Self {
            events: section.read_where("events", default.events, EXPECTED, fits),
            payloads: section.read_where("payloads", default.payloads, EXPECTED, fits),
            attempts: section.read_where("attempts", default.attempts, EXPECTED, fits),
        };
        for (keys, kept) in [
            ("retention.payloads and retention.events", settings.payloads),
            ("retention.attempts and retention.events", settings.attempts),
        ] {
            if kept != KeptFor::Forever && kept > settings.events {
                let reason =
                    format!("{kept} is longer than the event itself is kept ({}); write \"forever\"", settings.events);
                section.journal.problems.push(SettingsError::Conflict { keys, reason });
            }
        }
        settings
    }
}
