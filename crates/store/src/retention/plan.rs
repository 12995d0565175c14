//! Which events a rule is for, and how many of them one round takes. No engine's matter, so each engine asks here.

use std::sync::atomic::{AtomicUsize, Ordering};

use spillway_model::{EventId, Retention, SourceId, UnixMillis};

use super::{ExpireLimits, RetentionPolicy};

const DAY_MS: i64 = 86_400_000;
/// How long an event that was set aside is not looked at again.
pub(crate) const RELOOK_MS: i64 = 60 * 60_000;
/// Steps of a sweep that one round takes when there is nothing to do.
pub(crate) const STEPS_IN_A_ROUND: usize = 16;

/// What ages by a rule of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Aging {
    Events,
    Payloads,
    Attempts,
}

impl Aging {
    pub(crate) const ALL: [Self; 3] = [Self::Events, Self::Payloads, Self::Attempts];

    /// The number that stands for it in the store.
    pub(crate) const fn code(self) -> i16 {
        self as i16
    }

    const fn kept_ms(self, rule: Retention) -> Option<u64> {
        match self {
            Self::Events => rule.events_ms,
            Self::Payloads => rule.payloads_ms,
            Self::Attempts => rule.attempts_ms,
        }
    }
}

/// When events end on an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(all(feature = "postgres", feature = "sqlite")), allow(dead_code, reason = "each engine has its own"))]
pub(crate) enum Ends {
    /// At their time.
    Exactly,
    /// With the last of their day (UTC), if they are kept for a day or longer: the partition of the day then goes as a whole.
    WithTheirDay,
}

/// Events that one rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    /// What the rule is about.
    pub(crate) aging: Aging,
    /// The source with this rule; `None` stands for every source that is not in `excluded`.
    pub(crate) source: Option<SourceId>,
    /// Sources with a rule of their own, in the order of their ids.
    pub(crate) excluded: Vec<SourceId>,
    /// Events before this one are old enough.
    pub(crate) horizon: EventId,
}

impl Scope {
    /// The same for the same set of excluded sources, and hardly ever for another one.
    pub(crate) fn fingerprint(&self) -> u128 {
        self.excluded.iter().fold(0, |sum, source| sum ^ source.to_u128())
    }

    pub(crate) fn has(&self, source: SourceId) -> bool {
        match self.source {
            Some(own) => own == source,
            None => self.excluded.binary_search(&source).is_err(),
        }
    }
}

impl RetentionPolicy {
    /// Every rule there is, in an order that does not change with the time.
    pub(crate) fn scopes(&self, now: UnixMillis, ends: Ends) -> Vec<Scope> {
        let mut scopes = Vec::new();
        for aging in Aging::ALL {
            let mut own: Vec<(SourceId, u64)> =
                self.sources.iter().filter_map(|(source, rule)| Some((*source, aging.kept_ms(*rule)?))).collect();
            own.sort_unstable();
            if let Some(kept_ms) = aging.kept_ms(self.default) {
                let excluded = own.iter().map(|(source, _)| *source).collect();
                scopes.push(Scope { aging, source: None, excluded, horizon: horizon(aging, kept_ms, now, ends) });
            }
            scopes.extend(own.into_iter().map(|(source, kept_ms)| Scope {
                aging,
                source: Some(source),
                excluded: Vec::new(),
                horizon: horizon(aging, kept_ms, now, ends),
            }));
        }
        scopes
    }

    /// Which events of a source are old enough: those before this one. `None` when they are kept for ever.
    pub(crate) fn horizon(&self, aging: Aging, source: SourceId, now: UnixMillis, ends: Ends) -> Option<EventId> {
        let own = self.sources.get(&source).and_then(|rule| aging.kept_ms(*rule));
        Some(horizon(aging, own.or(aging.kept_ms(self.default))?, now, ends))
    }

    /// Before this event every source's events are old enough; `None` when some source's are kept for ever.
    #[cfg(feature = "postgres")]
    pub(crate) fn past_every_rule(&self, now: UnixMillis, ends: Ends) -> Option<EventId> {
        let longest = self.sources.values().filter_map(|rule| rule.events_ms).max();
        let kept_ms = self.default.events_ms?.max(longest.unwrap_or_default());
        Some(horizon(Aging::Events, kept_ms, now, ends))
    }
}

fn horizon(aging: Aging, kept_ms: u64, now: UnixMillis, ends: Ends) -> EventId {
    let kept = i64::try_from(kept_ms).unwrap_or(i64::MAX);
    let at = now.saturating_sub(kept).max(0);
    let by_days = ends == Ends::WithTheirDay && aging == Aging::Events && kept >= DAY_MS;
    EventId::first_of(if by_days { at - at % DAY_MS } else { at })
}

/// An event that is old enough, and what hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looked {
    pub(crate) id: EventId,
    pub(crate) source: SourceId,
    pub(crate) deliveries: u64,
    pub(crate) attempts: u64,
    /// Whether a delivery has not ended.
    pub(crate) is_open: bool,
}

impl Looked {
    /// Rows that go when its time has come.
    const fn rows(&self, aging: Aging) -> u64 {
        match aging {
            Aging::Events => 1 + self.deliveries + self.attempts,
            Aging::Payloads => 1,
            Aging::Attempts => self.attempts,
        }
    }
}

/// What a round does with the events that it looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Verdict {
    /// Their time has come.
    pub(crate) over: Vec<EventId>,
    /// They have a delivery that has not ended.
    pub(crate) left: Vec<(EventId, SourceId)>,
    /// The last event that was decided on, if not all were.
    pub(crate) stopped_at: Option<EventId>,
}

impl Verdict {
    /// As many of the events, in their order, as fit into a round: at least one.
    pub(crate) fn of(aging: Aging, looked: &[Looked], limits: ExpireLimits) -> Self {
        let mut verdict = Self::default();
        let mut room = limits.rows as u64;
        for (n, event) in looked.iter().enumerate() {
            if event.is_open {
                verdict.left.push((event.id, event.source));
                continue;
            }
            let rows = event.rows(aging);
            if rows > room && !verdict.over.is_empty() {
                verdict.stopped_at = Some(looked[n - 1].id);
                break;
            }
            room = room.saturating_sub(rows);
            verdict.over.push(event.id);
        }
        verdict
    }
}

/// Where this process goes on with the next round: at a step of the sweep, which are the scopes and what the engine has beside them.
#[derive(Debug, Default)]
pub(crate) struct Sweep(AtomicUsize);

impl Sweep {
    /// The step to take, of so many; it begins anew when there are fewer than before.
    pub(crate) fn step(&self, steps: usize) -> usize {
        let step = self.0.load(Ordering::Relaxed);
        if step < steps { step } else { 0 }
    }

    /// Goes on behind `step`. Whether there is another one.
    pub(crate) fn pass(&self, step: usize, steps: usize) -> bool {
        let next = if step + 1 < steps { step + 1 } else { 0 };
        self.0.store(next, Ordering::Relaxed);
        next > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;
    const NOW: i64 = 1_700_000_000_000;

    fn rule(events: Option<u64>, payloads: Option<u64>) -> Retention {
        Retention { events_ms: events, payloads_ms: payloads, attempts_ms: None }
    }

    fn source(n: u128) -> SourceId {
        SourceId::from_u128(n)
    }

    #[test]
    fn a_source_without_a_rule_of_its_own_has_the_default_one() {
        let sources = [(source(1), rule(Some(HOUR_MS), None)), (source(2), rule(None, Some(2 * HOUR_MS)))].into();
        let policy = RetentionPolicy { default: rule(Some(5 * HOUR_MS), None), sources };
        let before = |hours: i64| EventId::first_of(NOW - hours * 3_600_000);
        let scopes = policy.scopes(NOW, Ends::Exactly);
        let seen: Vec<_> = scopes.iter().map(|scope| (scope.aging, scope.source, scope.horizon)).collect();
        assert_eq!(
            seen,
            [
                (Aging::Events, None, before(5)),
                (Aging::Events, Some(source(1)), before(1)),
                (Aging::Payloads, Some(source(2)), before(2)),
            ]
        );
        assert!(scopes[0].has(source(2)) && scopes[0].has(source(9)) && !scopes[0].has(source(1)));
        assert_eq!(policy.horizon(Aging::Events, source(2), NOW, Ends::Exactly), Some(before(5)));
        assert_eq!(policy.horizon(Aging::Payloads, source(1), NOW, Ends::Exactly), None);
    }

    #[test]
    fn a_partition_may_go_when_the_longest_rule_is_over_and_never_while_something_is_kept_for_ever() {
        let mut policy = RetentionPolicy { default: rule(Some(30 * 24 * HOUR_MS), None), ..Default::default() };
        policy.sources.insert(source(1), rule(Some(60 * 24 * HOUR_MS), None));
        let past = policy.past_every_rule(NOW, Ends::WithTheirDay).map(EventId::timestamp);
        assert_eq!(past, Some((NOW - 60 * DAY_MS) / DAY_MS * DAY_MS), "the beginning of a day");
        policy.default.events_ms = None;
        assert_eq!(policy.past_every_rule(NOW, Ends::WithTheirDay), None);
    }

    #[test]
    fn a_round_takes_whole_events_up_to_its_limit_and_sets_open_ones_aside() {
        let event = |n: u128, is_open| Looked {
            id: EventId::from_u128(n),
            source: source(1),
            deliveries: 2,
            attempts: 3,
            is_open,
        };
        let looked = [event(1, false), event(2, true), event(3, false), event(4, false)];
        let of = |aging, rows| {
            let verdict = Verdict::of(aging, &looked, ExpireLimits { now: NOW, rows });
            let numbers = verdict.over.iter().map(|id| id.to_u128()).collect::<Vec<_>>();
            (numbers, verdict.left.len(), verdict.stopped_at.map(EventId::to_u128))
        };
        assert_eq!(of(Aging::Events, 12), (vec![1, 3], 1, Some(3)));
        assert_eq!(of(Aging::Events, 18), (vec![1, 3, 4], 1, None));
        assert_eq!(of(Aging::Events, 1), (vec![1], 1, Some(2)), "at least one");
        assert_eq!(of(Aging::Payloads, 2), (vec![1, 3], 1, Some(3)));
    }

    #[test]
    fn times_before_the_epoch_and_endless_rules_remove_nothing() {
        assert_eq!(horizon(Aging::Events, u64::MAX, NOW, Ends::WithTheirDay), EventId::first_of(0));
    }
}
