//! Compares what was acknowledged with what arrived and what is stored.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use super::TROUBLED;
use super::destination::Arrivals;
use super::report::Ran;
use super::schedule::{FaultKind, Schedule};
use super::sender::Acknowledged;
use super::stored::Stored;
use crate::report::quantile;

/// How long after a fault its effects may still show: outcomes that were waiting for the store are written, or their leases end.
const AFTERMATH: Duration = Duration::from_secs(2);
/// An attempt that succeeded is recorded so long after it, when nothing is in the way.
const RECORDED_WITHIN: Duration = Duration::from_secs(1);
/// Examples in a sentence about many events.
const EXAMPLES: usize = 5;

/// Everything to judge by.
pub(super) struct Evidence<'a> {
    pub(super) begun: Instant,
    pub(super) acknowledged: &'a [Acknowledged],
    /// By the destination's name.
    pub(super) arrivals: &'a [(&'static str, HashMap<String, Arrivals>)],
    pub(super) stored: &'a Stored,
    pub(super) ran: &'a [Ran],
    pub(super) logs: &'a Logs,
}

/// What stands in the gateway's logs.
#[derive(Debug, Default)]
pub(super) struct Logs {
    pub(super) panics: Vec<String>,
    /// Events of which a lease ended before the attempt was recorded.
    pub(super) ended_leases: HashSet<String>,
}

impl Logs {
    pub(super) fn read(files: &[&Path]) -> std::io::Result<Self> {
        let mut logs = Self::default();
        for file in files {
            let text = std::fs::read(file)?;
            for line in String::from_utf8_lossy(&text).lines() {
                logs.take(line);
            }
        }
        Ok(logs)
    }

    fn take(&mut self, line: &str) {
        if line.contains("panic") {
            self.panics.push(line.to_owned());
        }
        if line.contains("had ended before the attempt was recorded")
            && let Some((_, id)) = line.split_once("delivery.id=")
            && let Ok(id) = id.split_whitespace().next().unwrap_or_default().parse::<spillway_model::DeliveryId>()
        {
            self.ended_leases.insert(id.event().to_string());
        }
    }
}

impl Evidence<'_> {
    /// Acknowledged events that a destination neither accepted nor is going to be sent, as event and destination.
    pub(super) fn lost(&self) -> Vec<(&str, &'static str)> {
        let mut lost = Vec::new();
        for (name, arrivals) in self.arrivals {
            for event in self.acknowledged {
                let accepted = arrivals.get(&event.id).is_some_and(|arrivals| !arrivals.accepted.is_empty());
                let place = (event.id.clone(), (*name).to_owned());
                if !accepted && !self.stored.pending.contains_key(&place) {
                    lost.push((event.id.as_str(), *name));
                }
            }
        }
        lost
    }

    /// Deliveries beyond the first by what explains them, and those that nothing explains.
    pub(super) fn duplicates(&self) -> (BTreeMap<String, usize>, Vec<String>) {
        let (mut explained, mut unexplained) = (BTreeMap::new(), Vec::new());
        for (name, arrivals) in self.arrivals {
            for (id, arrivals) in arrivals {
                for pair in arrivals.accepted.windows(2) {
                    match self.explanation(name, id, pair[0], pair[1]) {
                        Some(reason) => *explained.entry(reason).or_default() += 1,
                        None => unexplained.push(format!("{id} at {name}, {:?} apart", pair[1] - pair[0])),
                    }
                }
            }
        }
        (explained, unexplained)
    }

    /// The latest fault that can have kept the first from being recorded, or an ended lease.
    fn explanation(&self, name: &str, id: &str, first: Instant, second: Instant) -> Option<String> {
        let cut_off = |ran: &&Ran| {
            // The status came and its body did not.
            ran.kind == FaultKind::EndlessBody && name == TROUBLED && (ran.begun..=ran.ended).contains(&first)
        };
        let not_recorded = |ran: &&Ran| {
            let begun_in_time = ran.begun <= second && ran.begun <= first + RECORDED_WITHIN;
            keeps_from_recording(ran.kind) && begun_in_time && ran.ended + AFTERMATH >= first
        };
        let latest = self.ran.iter().filter(not_recorded).max_by_key(|ran| ran.begun);
        let fault = latest.or_else(|| self.ran.iter().find(cut_off));
        match fault {
            Some(ran) => Some(ran.kind.name().to_owned()),
            None => self.logs.ended_leases.contains(id).then(|| "an ended lease".to_owned()),
        }
    }

    /// Numbers of the sender that arrived under more than one id: its repeated request was taken for another event.
    pub(super) fn doubled_keys(&self) -> Vec<u64> {
        let mut ids: HashMap<u64, HashSet<&str>> = HashMap::new();
        for event in self.acknowledged {
            ids.entry(event.key).or_default().insert(&event.id);
        }
        for (id, arrivals) in self.arrivals.iter().flat_map(|(_, arrivals)| arrivals) {
            ids.entry(arrivals.key).or_default().insert(id);
        }
        ids.into_iter().filter(|(_, ids)| ids.len() > 1).map(|(key, _)| key).collect()
    }

    /// Sent to received at the destination `name`, 95th percentile, without any fault and while the other one hangs.
    pub(super) fn isolation(&self, name: &str, schedule: &Schedule) -> (Duration, Duration) {
        let arrivals = self.arrivals.iter().find(|(candidate, _)| *candidate == name).map(|(_, arrivals)| arrivals);
        let p95 = |span: &std::ops::Range<Duration>| {
            let sent = self.acknowledged.iter().filter(|event| span.contains(&(event.sent_at - self.begun)));
            let latency = |event: &Acknowledged| {
                let first = arrivals?.get(&event.id)?.accepted.first()?;
                Some(first.duration_since(event.sent_at))
            };
            quantile(&mut sent.filter_map(latency).collect::<Vec<_>>(), 0.95)
        };
        (p95(&schedule.calm), p95(&schedule.hanging))
    }

    /// Longest time between two acknowledgements.
    pub(super) fn longest_outage(&self) -> Duration {
        let mut at: Vec<Instant> = self.acknowledged.iter().map(|event| event.at).collect();
        at.push(self.begun);
        at.sort_unstable();
        at.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

/// Whether a fault can keep an attempt that succeeded from being recorded, or let two workers make it.
const fn keeps_from_recording(kind: FaultKind) -> bool {
    match kind {
        FaultKind::KillGateway
        | FaultKind::KillWorker
        | FaultKind::KillRedis
        | FaultKind::KillPostgres
        | FaultKind::FullDisk
        | FaultKind::ClockStep => true,
        FaultKind::KillApi
        | FaultKind::FlushRedis
        | FaultKind::Hang
        | FaultKind::Reset
        | FaultKind::ServerError
        | FaultKind::EndlessBody
        | FaultKind::Redirect => false,
    }
}

/// "3 of this (a, b, c)".
pub(super) fn examples<T: std::fmt::Display>(what: &str, all: &[T]) -> String {
    let some: Vec<String> = all.iter().take(EXAMPLES).map(ToString::to_string).collect();
    let more = if all.len() > EXAMPLES { ", …" } else { "" };
    format!("{} {what}: {}{more}", all.len(), some.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run in which events 1 to 3 were acknowledged, and what then happened to them.
    struct Run {
        begun: Instant,
        acknowledged: Vec<Acknowledged>,
        arrivals: [(&'static str, HashMap<String, Arrivals>); 1],
        stored: Stored,
        ran: Vec<Ran>,
        logs: Logs,
    }

    impl Run {
        fn new() -> Self {
            let begun = Instant::now();
            let acknowledged =
                (1..=3).map(|key| Acknowledged { id: format!("evt_{key}"), key, sent_at: begun, at: begun });
            let acknowledged = acknowledged.collect();
            let arrivals = [("steady", HashMap::new())];
            let (stored, logs) = (Stored::default(), Logs::default());
            Self { begun, acknowledged, arrivals, stored, ran: Vec::new(), logs }
        }

        /// Event `key` is accepted so many milliseconds after the begin.
        fn accept(&mut self, id: &str, key: u64, at_ms: u64) {
            let arrivals = self.arrivals[0].1.entry(id.to_owned()).or_default();
            arrivals.key = key;
            arrivals.accepted.push(self.begun + Duration::from_millis(at_ms));
        }

        fn fault(&mut self, kind: FaultKind, at_ms: u64) {
            let begun = self.begun + Duration::from_millis(at_ms);
            self.ran.push(Ran { kind, begun, ended: begun + Duration::from_millis(100) });
        }

        fn evidence(&self) -> Evidence<'_> {
            Evidence {
                begun: self.begun,
                acknowledged: &self.acknowledged,
                arrivals: &self.arrivals,
                stored: &self.stored,
                ran: &self.ran,
                logs: &self.logs,
            }
        }
    }

    #[test]
    fn an_event_that_neither_arrived_nor_waits_is_lost() {
        let mut run = Run::new();
        run.accept("evt_1", 1, 5);
        run.stored.pending.insert(("evt_2".to_owned(), "steady".to_owned()), 0);
        assert_eq!(run.evidence().lost(), [("evt_3", "steady")]);
    }

    #[test]
    fn a_duplicate_needs_a_fault_that_can_cause_it_or_an_ended_lease() {
        let mut run = Run::new();
        for (id, key) in [("evt_1", 1), ("evt_2", 2), ("evt_3", 3)] {
            run.accept(id, key, key * 10_000);
            run.accept(id, key, key * 10_000 + 6_000);
        }
        run.fault(FaultKind::KillWorker, 10_500);
        run.fault(FaultKind::Hang, 20_500);
        run.fault(FaultKind::KillWorker, 24_000);
        run.logs.ended_leases.insert("evt_3".to_owned());
        let (explained, unexplained) = run.evidence().duplicates();
        let expected = [("kill worker".to_owned(), 1), ("an ended lease".to_owned(), 1)];
        assert_eq!(explained, BTreeMap::from(expected));
        assert_eq!(unexplained, ["evt_2 at steady, 6s apart"]);
    }

    #[test]
    fn a_key_that_made_two_events_is_found() {
        let mut run = Run::new();
        run.accept("evt_1", 1, 5);
        run.accept("evt_other", 1, 6);
        assert_eq!(run.evidence().doubled_keys(), [1]);
    }

    #[test]
    fn logs_tell_of_panics_and_ended_leases() {
        let ids = spillway_model::IdGenerator::random(std::sync::Arc::new(spillway_model::ManualClock::at(1)));
        let event = ids.event();
        let mut logs = Logs::default();
        logs.take("thread 'main' panicked at src/main.rs:1:1:");
        logs.take(&format!(
            "WARN spillway_worker::settler: the claim had ended before the attempt was recorded; the delivery is attempted \
             again delivery.id={}",
            event.delivery(0)
        ));
        assert_eq!((logs.panics.len(), logs.ended_leases.contains(&event.to_string())), (1, true));
    }
}
