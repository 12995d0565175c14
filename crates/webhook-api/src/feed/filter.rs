//! Which live events a client wants.

use std::str::FromStr;

use spillway_model::{EventSummary, SourceId};

/// Which live events a client wants. The default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedFilter {
    /// Only those of this source.
    pub source: Option<SourceId>,
    /// Only those of this kind.
    pub event_type: Option<TypePattern>,
    /// Only those that became this.
    pub status: Option<FeedStatus>,
}

/// The name of a kind of event, or its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypePattern {
    /// Exactly this name.
    Exactly(Box<str>),
    /// Every name that begins so.
    Beginning(Box<str>),
}

/// What became of an event when it was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedStatus {
    /// It goes to the connections of its source.
    Accepted,
    /// It was put into quarantine.
    Quarantined,
}

/// Text that is no [`FeedStatus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("status is accepted or quarantined")]
pub struct InvalidStatus;

impl FeedFilter {
    /// Whether the event is wanted.
    #[must_use]
    pub fn matches(&self, event: &EventSummary) -> bool {
        self.source.is_none_or(|source| source == event.source)
            && self.status.is_none_or(|status| (status == FeedStatus::Quarantined) == event.quarantine.is_some())
            && self.event_type.as_ref().is_none_or(|pattern| pattern.matches(event.event_type.as_deref()))
    }
}

impl TypePattern {
    fn matches(&self, event_type: Option<&str>) -> bool {
        match (self, event_type) {
            (Self::Exactly(wanted), Some(name)) => **wanted == *name,
            (Self::Beginning(wanted), Some(name)) => name.starts_with(&**wanted),
            (_, None) => false,
        }
    }
}

impl From<&str> for TypePattern {
    /// A name; with `*` at its end every name that begins so.
    fn from(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(beginning) => Self::Beginning(beginning.into()),
            None => Self::Exactly(text.into()),
        }
    }
}

impl FromStr for FeedStatus {
    type Err = InvalidStatus;

    fn from_str(text: &str) -> Result<Self, InvalidStatus> {
        match text {
            "accepted" => Ok(Self::Accepted),
            "quarantined" => Ok(Self::Quarantined),
            _ => Err(InvalidStatus),
        }
    }
}

#[cfg(test)]
mod tests {
    use spillway_model::EventId;

    use super::*;

    #[test]
    fn every_condition_must_hold() {
        let event = EventSummary {
            id: EventId::from_u128(1),
            source: SourceId::from_u128(7),
            event_type: Some("pull_request.opened".into()),
            body_bytes: 2,
            quarantine: None,
        };
        let filter = |source: Option<u128>, event_type: Option<&str>, status: Option<FeedStatus>| FeedFilter {
            source: source.map(SourceId::from_u128),
            event_type: event_type.map(TypePattern::from),
            status,
        };
        for (wanted, expected) in [
            (filter(None, None, None), true),
            (filter(Some(7), None, None), true),
            (filter(Some(8), None, None), false),
            (filter(None, Some("pull_request.opened"), None), true),
            (filter(None, Some("pull_request"), None), false),
            (filter(None, Some("pull_request*"), None), true),
            (filter(None, Some("*"), None), true),
            (filter(None, None, Some(FeedStatus::Accepted)), true),
            (filter(None, None, Some(FeedStatus::Quarantined)), false),
            (filter(Some(7), Some("push"), None), false),
        ] {
            assert_eq!(wanted.matches(&event), expected, "{wanted:?}");
        }
        let untyped = EventSummary { event_type: None, quarantine: Some("no JSON".into()), ..event };
        assert!(filter(None, None, Some(FeedStatus::Quarantined)).matches(&untyped));
        assert!(!filter(None, Some("*"), None).matches(&untyped), "an event without a type has none that matches");
    }
}
