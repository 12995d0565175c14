//! Which deliveries never arrived: a pure decision.

use std::collections::HashMap;

use serde::Deserialize;

/// A delivery as GitHub lists it: one request that it made.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Delivery {
    pub(super) id: u64,
    /// The same for every request that was made for one event.
    pub(super) guid: String,
    /// RFC 3339.
    pub(super) delivered_at: String,
    /// The outcome in words, such as `OK` or `timed out`.
    #[serde(default)]
    pub(super) status: String,
    /// The status of the answer; 0 when there was none.
    #[serde(default)]
    pub(super) status_code: u16,
    #[serde(default)]
    pub(super) event: String,
    #[serde(default)]
    pub(super) action: Option<String>,
}

/// An event that no request brought over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    /// Its latest delivery, which is asked for again.
    pub(super) id: u64,
    pub(super) guid: String,
    /// Event and action, such as `issues.opened`.
    pub(super) event: String,
    /// What came of the latest request, such as `503 Service Unavailable`.
    pub(super) last: String,
    pub(super) delivered_at: String,
    /// How many requests were made.
    pub(super) attempts: usize,
}

impl Delivery {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

/// Those without a success, the oldest first. `deliveries` are the newest first.
pub(super) fn missing(deliveries: &[Delivery]) -> Vec<Missing> {
    let mut by_guid: HashMap<&str, (usize, usize, bool)> = HashMap::new();
    for (place, delivery) in deliveries.iter().enumerate() {
        let known = by_guid.entry(&delivery.guid).or_insert((place, 0, false));
        known.1 += 1;
        known.2 |= delivery.is_success();
    }
    let mut failed: Vec<_> = by_guid.into_values().filter(|(_, _, succeeded)| !succeeded).collect();
    failed.sort_unstable();
    failed.into_iter().rev().map(|(place, attempts, _)| describe(&deliveries[place], attempts)).collect()
}

fn describe(latest: &Delivery, attempts: usize) -> Missing {
    let event = match &latest.action {
        Some(action) => format!("{}.{action}", latest.event),
        None => latest.event.clone(),
    };
    let last = match latest.status_code {
        0 => latest.status.clone(),
        code => format!("{code} {}", latest.status),
    };
    Missing {
        id: latest.id,
        guid: latest.guid.clone(),
        event,
        last,
        delivered_at: latest.delivered_at.clone(),
        attempts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(id: u64, guid: &str, status_code: u16) -> Delivery {
        Delivery {
            id,
            guid: guid.to_owned(),
            delivered_at: format!("2026-01-01T00:00:{id:02}Z"),
            status: "status".to_owned(),
            status_code,
            event: "issues".to_owned(),
            action: Some("opened".to_owned()),
        }
    }

    #[test]
    fn only_what_never_succeeded_is_missing_and_its_latest_request_is_asked_for() {
        let newest_first = [
            delivery(9, "redelivered", 200),
            delivery(8, "twice", 0),
            delivery(7, "late", 500),
            delivery(6, "redelivered", 502),
            delivery(5, "arrived", 202),
            delivery(4, "twice", 503),
            delivery(3, "early", 404),
        ];
        let missing: Vec<_> = missing(&newest_first).into_iter().map(|one| (one.id, one.guid, one.attempts)).collect();
        let expected = [(3, "early", 1), (7, "late", 1), (8, "twice", 2)];
        assert_eq!(missing, expected.map(|(id, guid, attempts)| (id, guid.to_owned(), attempts)));
    }

    #[test]
    fn a_missing_event_says_what_came_of_it() {
        let newest_first = [Delivery { action: None, ..delivery(2, "b", 0) }, delivery(1, "a", 503)];
        let described: Vec<_> = missing(&newest_first).into_iter().map(|one| (one.event, one.last)).collect();
        assert_eq!(
            described,
            [("issues.opened", "503 status"), ("issues", "status")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }
}
