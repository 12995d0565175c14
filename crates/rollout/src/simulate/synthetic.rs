//! A made-up rollout, from its start to its end.

use std::time::Duration;

use spillway_model::UnixMillis;

use super::recording::Look;
use super::traffic::{SlotTraffic, Traffic};
use super::world::World;
use crate::decision::NoteKind;
use crate::observed::{CommandAction, Reading};
use crate::plan::Plan;
use crate::slot::{Slot, Slots};
use crate::spec::ThresholdMetric;
use crate::state::{Phase, State};

/// Windows of the live version before the rollout, which the judge learns from.
const LEARNS: u32 = 40;
/// A rollout that did not end by then is cut off.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);
const MOST_LOOKS: usize = 200_000;
/// The new version's name.
const CANDIDATE: &str = "v2";

/// What the two versions are like. [`Synthetic::run`] rolls the new one out by a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Synthetic {
    /// Requests per second to both versions together.
    pub requests_per_second: f64,
    /// Share of requests that fail on the live version.
    pub live_error_ratio: f64,
    /// Share of requests that fail on the new version.
    pub candidate_error_ratio: f64,
    /// Median latency of the live version, seconds.
    pub live_latency: f64,
    /// Median latency of the new version, seconds.
    pub candidate_latency: f64,
    /// How long the new version takes to become ready; `None` when it never does.
    pub ready_after: Option<Duration>,
    /// The new version crashes this long after the rollout began.
    pub crashes_after: Option<Duration>,
    /// What people do, by the time since the rollout began.
    pub commands: Vec<(Duration, CommandAction)>,
    /// The same seed gives the same rollout.
    pub seed: u64,
    /// When it begins.
    pub start: UnixMillis,
}

impl Default for Synthetic {
    /// Two equally good versions at 50 requests per second, of which 1 in 1000 fails.
    fn default() -> Self {
        Self {
            requests_per_second: 50.0,
            live_error_ratio: 0.001,
            candidate_error_ratio: 0.001,
            live_latency: 0.05,
            candidate_latency: 0.05,
            ready_after: Some(Duration::from_secs(5)),
            crashes_after: None,
            commands: Vec::new(),
            seed: 1,
            start: 1_700_000_000_000,
        }
    }
}

/// How a synthetic rollout went.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// When the new version was wanted.
    pub started_at: UnixMillis,
    /// What was decided, when and why; the last states of [`State::history`] are not enough for a long one.
    pub events: Vec<Event>,
    /// The state before the first look.
    pub before: State,
    /// Every look, to be recorded.
    pub looks: Vec<Look>,
    /// The state at the end.
    pub end: State,
    /// Whether it ended by itself; otherwise it waits for somebody, or was cut off.
    pub ended: bool,
}

/// Something that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: UnixMillis,
    /// What kind of thing.
    pub kind: NoteKind,
    /// One sentence.
    pub text: String,
    /// Where the rollout is after it.
    pub phase: Phase,
    /// Weight of the new version after it, percent.
    pub weight: u8,
}

impl Synthetic {
    /// Rolls the new version out until it ends, or waits for a person and nothing that is to come helps. Guards that read something from
    /// outside read that all is well.
    #[must_use]
    pub fn run(&self, plan: &Plan) -> Timeline {
        let mut play = Play::new(self, plan);
        for _ in 0..LEARNS {
            play.step(plan.analysis.interval);
        }
        play.world.want(CANDIDATE);
        play.timeline.started_at = play.world.now;
        let mut next = Duration::from_millis(1);
        while play.timeline.looks.len() < MOST_LOOKS && play.since_start() < LONGEST {
            next = play.step(next);
            if play.is_over() {
                play.timeline.ended = play.has_ended();
                break;
            }
        }
        play.timeline.end = play.world.state;
        play.timeline
    }
}

struct Play<'a> {
    synthetic: &'a Synthetic,
    plan: &'a Plan,
    world: World,
    traffic: Traffic,
    timeline: Timeline,
    given: usize,
    crashed: bool,
}

impl<'a> Play<'a> {
    fn new(synthetic: &'a Synthetic, plan: &'a Plan) -> Self {
        let mut world = World::with_live("v1", synthetic.start);
        world.ready_after_ms = synthetic.ready_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        let timeline = Timeline {
            started_at: synthetic.start,
            events: Vec::new(),
            before: State::default(),
            looks: Vec::new(),
            end: State::default(),
            ended: false,
        };
        let traffic = Traffic::new(synthetic.requests_per_second, synthetic.seed);
        Self { synthetic, plan, world, traffic, timeline, given: 0, crashed: false }
    }

    /// Lets time pass, measures, looks; and says when to look again.
    fn step(&mut self, by: Duration) -> Duration {
        let window_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX).max(1);
        self.world.pass(window_ms);
        self.measure(window_ms);
        self.read();
        self.give_commands();
        self.crash();
        self.timeline.looks.push(Look { now: self.world.now, observed: self.world.observed.clone() });
        let decision = self.world.look(self.plan);
        let weight = decision.state.rollout.as_ref().map_or(0, |progress| progress.weight);
        let phase = decision.state.phase;
        let event =
            |note: crate::decision::Note| Event { at: note.at, kind: note.kind, text: note.text, phase, weight };
        self.timeline.events.extend(decision.notes.into_iter().map(event));
        Duration::from_millis(decision.look_again_ms)
    }

    fn measure(&mut self, window_ms: u64) {
        let Some(router) = self.world.observed.router else { return };
        let versions = Slots::make(|slot| {
            let revision = self.world.observed.slots.get(slot).revision.as_deref()?;
            Some(if revision == CANDIDATE { self.candidate() } else { self.live() })
        });
        let live = self.world.state.candidate_slot().other();
        let block = self.traffic.block(self.world.now, window_ms, &router, live, &versions);
        self.world.measure(block);
    }

    fn live(&self) -> SlotTraffic {
        SlotTraffic { error_ratio: self.synthetic.live_error_ratio, latency: self.synthetic.live_latency }
    }

    fn candidate(&self) -> SlotTraffic {
        SlotTraffic { error_ratio: self.synthetic.candidate_error_ratio, latency: self.synthetic.candidate_latency }
    }

    fn read(&mut self) {
        let at = self.world.now;
        for guard in &self.plan.guards {
            let reading = if guard.alerts.is_some() {
                Reading::Alerts { firing: Vec::new(), at }
            } else if guard.budget.is_some() {
                Reading::Budget { reading: spillway_slo::budget::Reading { bad: 0.0, total: 1e9 }, at }
            } else if let Some(threshold) = &guard.threshold {
                match threshold.metric {
                    Some(ThresholdMetric::Restarts) => continue,
                    _ => Reading::Value { value: threshold.max.min(0.0), at },
                }
            } else {
                continue;
            };
            self.world.read(&guard.name, reading);
        }
    }

    fn give_commands(&mut self) {
        while let Some((after, action)) = self.synthetic.commands.get(self.given) {
            if self.world.observed.wanted_revision.as_deref() != Some(CANDIDATE) || self.since_start() < *after {
                return;
            }
            self.world.command("somebody", *action);
            self.given += 1;
        }
    }

    fn crash(&mut self) {
        let due = self.synthetic.crashes_after.is_some_and(|after| {
            self.world.observed.wanted_revision.as_deref() == Some(CANDIDATE) && self.since_start() >= after
        });
        for slot in Slot::BOTH {
            let observed = self.world.observed.slots.get_mut(slot);
            if due && !self.crashed && observed.revision.as_deref() == Some(CANDIDATE) {
                observed.restarts += 1;
                observed.ready_replicas = 0;
                self.crashed = true;
            }
        }
    }

    fn since_start(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.world.now.saturating_sub(self.timeline.started_at)).unwrap_or(0))
    }

    fn has_ended(&self) -> bool {
        matches!(self.world.state.phase, Phase::Succeeded | Phase::RolledBack | Phase::Aborted)
    }

    /// Nothing that is to come changes anything: it ended, or it waits for a person who does not come.
    fn is_over(&self) -> bool {
        let all_given = self.given >= self.synthetic.commands.len();
        let waits_for = self.world.state.held.is_some() && self.waited_long();
        all_given && (self.has_ended() || waits_for)
    }

    /// A day without anything new.
    fn waited_long(&self) -> bool {
        let last = self.timeline.events.last().map_or(self.timeline.started_at, |event| event.at);
        self.world.now.saturating_sub(last) > 86_400_000
    }
}
