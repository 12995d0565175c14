//! What an event is searched by.

use serde_json::Value;
use spillway_model::{AttemptId, DeliveryId, Event, EventId};

use super::super::error::ApiError;

const MAX_BYTES: usize = 1_000;

/// What an event is searched by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Search {
    /// This event.
    Id(EventId),
    /// Events with this header, and this value of it.
    Header { name: String, value: Option<String> },
    /// Events whose body is JSON and has this place (RFC 6901), and this value there.
    Pointer { pointer: String, value: Option<String> },
    /// Events whose type has this text somewhere, in lower case.
    Type(String),
}

impl Search {
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(invalid(format!("q must have 1 to {MAX_BYTES} bytes")));
        }
        if let Some(id) = id(text) {
            return Ok(Self::Id(id));
        }
        let valued = |text: &str| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.to_owned(), None),
        };
        if let Some(header) = text.strip_prefix("header:") {
            let (name, value) = valued(header);
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(invalid("after header: comes a name, such as header:x-github-event=push".to_owned()));
            }
            return Ok(Self::Header { name, value });
        }
        if text.starts_with('/') {
            let (pointer, value) = valued(text);
            return Ok(Self::Pointer { pointer, value });
        }
        if ["evt_", "dlv_", "att_"].iter().any(|prefix| text.starts_with(prefix)) {
            return Err(invalid(
                "q begins like an id and is none: an id has 26 characters after its prefix".to_owned(),
            ));
        }
        Ok(Self::Type(text.to_lowercase()))
    }

    /// Whether headers or body decide.
    pub(super) fn needs_payload(&self) -> bool {
        matches!(self, Self::Header { .. } | Self::Pointer { .. })
    }

    /// Whether a type matches; only of a search for types.
    pub(super) fn matches_type(&self, event_type: Option<&str>) -> bool {
        match self {
            Self::Type(wanted) => event_type.is_some_and(|name| name.to_lowercase().contains(wanted.as_str())),
            _ => false,
        }
    }

    pub(super) fn matches(&self, event: &Event) -> bool {
        match self {
            Self::Id(id) => *id == event.id,
            Self::Type(_) => self.matches_type(event.event_type.as_deref()),
            Self::Header { name, value } => event.headers.iter().any(|(known, bytes)| {
                known.eq_ignore_ascii_case(name) && value.as_ref().is_none_or(|value| value.as_bytes() == bytes)
            }),
            Self::Pointer { pointer, value } => {
                let Ok(body) = serde_json::from_slice::<Value>(&event.body) else { return false };
                let Some(found) = body.pointer(pointer) else { return false };
                value.as_ref().is_none_or(|value| is_same(found, value))
            }
        }
    }
}

/// The event of an id of its own, of a delivery or of an attempt.
fn id(text: &str) -> Option<EventId> {
    let of_delivery = || Some(text.parse::<DeliveryId>().ok()?.event());
    let of_attempt = || Some(text.parse::<AttemptId>().ok()?.delivery().event());
    text.parse().ok().or_else(of_delivery).or_else(of_attempt)
}

/// Whether a value is this text, or what the text is as JSON.
fn is_same(found: &Value, wanted: &str) -> bool {
    found.as_str() == Some(wanted) || serde_json::from_str::<Value>(wanted).is_ok_and(|wanted| wanted == *found)
}

fn invalid(reason: String) -> ApiError {
    ApiError::Query { reason }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use spillway_model::{HeaderBlock, SourceId};

    use super::*;

    fn event(body: &'static str) -> Event {
        Event {
            id: EventId::from_u128(1 << 80),
            source: SourceId::from_u128(1),
            event_type: Some("Pull_Request.Opened".into()),
            headers: HeaderBlock::encode([("X-GitHub-Event", &b"pull_request"[..]), ("x-empty", b"")]),
            body: Bytes::from_static(body.as_bytes()),
            trace: None,
            quarantine: None,
        }
    }

    #[test]
    fn a_text_is_searched_where_its_form_says() {
        let json = r#"{"order":{"id":7,"paid":true,"note":"a=b","/x":null},"list":[10,20]}"#;
        for (text, body, expected) in [
            ("header:x-github-event=pull_request", json, true),
            ("header:X-GITHUB-EVENT", json, true),
            ("header:x-github-event=push", json, false),
            ("header:x-empty=", json, true),
            ("header:x-none", json, false),
            ("/order/id=7", json, true),
            ("/order/id=\"7\"", json, false),
            ("/order/paid=true", json, true),
            ("/order/note=a=b", json, true),
            ("/order/note=\"a=b\"", json, true),
            ("/order/~1x=null", json, true),
            ("/list/1=20", json, true),
            ("/list/2", json, false),
            ("/order", json, true),
            ("/order/id=7", "no JSON", false),
            ("request.open", json, true),
            ("push", json, false),
        ] {
            let search = Search::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(search.matches(&event(body)), expected, "{text}");
        }
    }

    #[test]
    fn ids_of_deliveries_and_attempts_lead_to_their_event() {
        let event = EventId::from_u128(5 << 80);
        for text in [event.to_string(), event.delivery(3).to_string(), event.delivery(3).attempt(2).to_string()] {
            assert!(matches!(Search::parse(&text), Ok(Search::Id(found)) if found == event), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_searched_is_refused() {
        for text in ["", "  ", "header:", "header:a b=c", "evt_short", &"x".repeat(1_001)] {
            assert!(Search::parse(text).is_err(), "{text}");
        }
    }
}
