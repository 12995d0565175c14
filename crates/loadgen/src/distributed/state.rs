//! What the coordinator knows and decides. Nothing here waits or reads a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::CoordinationError;
use super::message::{Answer, Assignment, Join, PROTOCOL_VERSION, Ready, Report, WantedUsers, WindowValues, micros};
use super::timeline::MergedTimeline;
use crate::executor::Progress;
use crate::generator::Health;
use crate::metrics::{Shards, Values};

/// A shard that asks for the start so much later than it was has missed it.
const MOST_LATE: Duration = Duration::from_millis(250);

/// A run with all its shards.
#[derive(Debug)]
pub(super) struct Run {
    shards: u32,
    silence: Duration,
    job: serde_json::Value,
    setup: BTreeMap<String, String>,
    phase: Phase,
    members: BTreeMap<u32, Member>,
    stop: Option<Stop>,
    /// What was measured so far.
    pub(super) received: Shards,
    /// Second by second.
    pub(super) timeline: MergedTimeline,
    /// What the control asks for.
    pub(super) wanted: Option<WantedUsers>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Until each place is taken and `setup` has run.
    Gathering { closed: bool },
    /// The shards know their work.
    Preparing,
    /// The shards know the start.
    Started { at: Instant },
}

#[derive(Debug)]
struct Member {
    id: Uuid,
    heard: Instant,
    ready: bool,
    /// Knows that the run ends.
    told: bool,
    ended: Option<Instant>,
    failure: Option<String>,
    sequence: u64,
    elapsed: Duration,
    windows: Vec<Option<WindowValues>>,
    scenarios: BTreeMap<String, Progress>,
    cpu_percent: f64,
    health: Option<Health>,
    interrupted: bool,
    seconds: u64,
}

#[derive(Debug, Clone)]
struct Stop {
    reason: String,
    now: bool,
    failed: bool,
}

/// When a message is looked at. One that is held back is looked at again and again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// When it came.
    pub(super) arrived: Instant,
    /// Now.
    pub(super) now: Instant,
}

/// Why a message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error(
        "this shard speaks version {0} of the protocol and the coordinator version {PROTOCOL_VERSION}: run the same version of \
         the load generator everywhere"
    )]
    WrongVersion(u32),
    #[error("there is no shard {index}: the run has {shards} shards, counted from 0")]
    NoSuchPlace { index: u32, shards: u32 },
    #[error("another process is shard {0} already: give each process an index of its own")]
    Taken(u32),
    #[error("all {0} shards have joined already")]
    Full(u32),
    #[error("this process is no shard of the run: it did not join, or was not heard for too long")]
    Unknown,
    #[error("a report came before the start")]
    TooEarly,
    #[error("a last report without the generator's health")]
    Incomplete,
}

impl Run {
    pub(super) fn new(shards: u32, silence: Duration, job: serde_json::Value) -> Self {
        Self {
            shards,
            silence,
            job,
            setup: BTreeMap::new(),
            phase: Phase::Gathering { closed: false },
            members: BTreeMap::new(),
            stop: None,
            received: Shards::new(0..shards),
            timeline: MergedTimeline::new(shards),
            wanted: None,
        }
    }

    /// `None` when there is no answer yet.
    pub(super) fn join(&mut self, join: &Join, Moment { arrived, .. }: Moment) -> Result<Option<Answer>, Refused> {
        if join.version != PROTOCOL_VERSION {
            return Err(Refused::WrongVersion(join.version));
        }
        let index = match self.index_of(join.member) {
            Some(index) => index,
            None => self.admit(join, arrived)?,
        };
        if let Some(member) = self.members.get_mut(&index) {
            member.heard = arrived.max(member.heard);
        }
        if let Some(stop) = self.stopped(index) {
            return Ok(Some(stop));
        }
        if matches!(self.phase, Phase::Gathering { .. }) {
            return Ok(None);
        }
        let (execution_segment, execution_segment_sequence) = Assignment::segment(index, self.shards);
        Ok(Some(Answer::Assigned(Box::new(Assignment {
            index,
            shards: self.shards,
            execution_segment,
            execution_segment_sequence,
            job: self.job.clone(),
            setup: self.setup.clone(),
            silence_ms: u64::try_from(self.silence.as_millis()).unwrap_or(u64::MAX),
        }))))
    }

    fn admit(&mut self, join: &Join, now: Instant) -> Result<u32, Refused> {
        let index = match join.index {
            Some(index) if index >= self.shards => return Err(Refused::NoSuchPlace { index, shards: self.shards }),
            Some(index) if self.members.contains_key(&index) => return Err(Refused::Taken(index)),
            Some(index) => index,
            None => {
                let free = (0..self.shards).find(|index| !self.members.contains_key(index));
                free.ok_or(Refused::Full(self.shards))?
            }
        };
        if self.phase != (Phase::Gathering { closed: false }) {
            return Err(Refused::Full(self.shards));
        }
        self.members.insert(index, Member::new(join.member, now));
        Ok(index)
    }

    /// `None` when there is no answer yet.
    pub(super) fn ready(&mut self, ready: &Ready, Moment { arrived, now }: Moment) -> Result<Option<Answer>, Refused> {
        let (index, member) = self.heard(ready.member, arrived)?;
        if ready.failure.is_some() {
            member.failure.clone_from(&ready.failure);
        }
        member.ready |= ready.ready;
        if let Some(stop) = self.stopped(index) {
            return Ok(Some(stop));
        }
        Ok(match self.phase {
            _ if !ready.ready => Some(Answer::Wait),
            Phase::Started { at } => {
                if let Some(member) = self.members.get_mut(&index)
                    && now > at + MOST_LATE
                    && member.sequence == 0
                {
                    member.failure = Some("it missed the start".to_owned());
                }
                Some(Answer::Start { in_us: micros(at.saturating_duration_since(now)) })
            }
            _ => None,
        })
    }

    pub(super) fn report(&mut self, report: Report, now: Instant) -> Result<Answer, Refused> {
        let Phase::Started { .. } = self.phase else { return Err(Refused::TooEarly) };
        let Report { mut snapshot, .. } = report;
        if snapshot.last && report.health.is_none() && report.failure.is_none() {
            return Err(Refused::Incomplete);
        }
        let (index, member) = self.heard(report.member, now)?;
        if member.ended.is_none() && member.sequence < snapshot.sequence {
            member.sequence = snapshot.sequence;
            member.ended = snapshot.last.then_some(now);
            member.failure = member.failure.take().or(report.failure);
            member.elapsed = Duration::from_micros(report.elapsed_us);
            member.windows = report.windows;
            member.scenarios = report.scenarios;
            member.cpu_percent = report.cpu_percent;
            member.health = report.health;
            member.interrupted |= report.interrupted;
            snapshot.shard = Some(index);
            let seconds = self.timeline.receive(index, report.first_second, &report.seconds, snapshot.last);
            if let Some(member) = self.members.get_mut(&index) {
                member.seconds = seconds;
            }
            // It is one of the expected shards.
            let _ = self.received.receive(snapshot);
        }
        if let Some(stop) = self.stopped(index) {
            return Ok(stop);
        }
        let seconds = self.members.get(&index).map_or(0, |member| member.seconds);
        Ok(Answer::GoOn { seconds, wanted: self.wanted })
    }

    fn index_of(&self, id: Uuid) -> Option<u32> {
        self.members.iter().find(|(_, member)| member.id == id).map(|(index, _)| *index)
    }

    fn heard(&mut self, id: Uuid, now: Instant) -> Result<(u32, &mut Member), Refused> {
        let found = self.members.iter_mut().find(|(_, member)| member.id == id);
        let (index, member) = found.ok_or(Refused::Unknown)?;
        member.heard = now.max(member.heard);
        Ok((*index, member))
    }

    /// The answer to a shard when the run ends.
    fn stopped(&mut self, index: u32) -> Option<Answer> {
        let Stop { reason, now, failed } = self.stop.clone()?;
        let member = self.members.get_mut(&index)?;
        member.told = true;
        Some(Answer::Stop { reason, now, failed, seconds: member.seconds })
    }

    /// Looks for what makes the run a failure. Before the places are closed, whoever is not heard only loses its own.
    pub(super) fn check(&mut self, now: Instant) -> Result<(), CoordinationError> {
        let silence = self.silence;
        let is_silent =
            |member: &Member| member.ended.is_none() && now.saturating_duration_since(member.heard) > silence;
        if self.phase == (Phase::Gathering { closed: false }) {
            self.members.retain(|_, member| !is_silent(member));
        }
        for (shard, member) in &self.members {
            if let Some(message) = &member.failure {
                return Err(CoordinationError::Shard { shard: *shard, message: message.clone() });
            }
            if is_silent(member) {
                return Err(CoordinationError::Lost { shard: *shard, silence });
            }
        }
        Ok(())
    }

    /// Places that nobody has taken.
    pub(super) fn not_joined(&self) -> Vec<u32> {
        (0..self.shards).filter(|index| !self.members.contains_key(index)).collect()
    }

    /// Nobody joins or is forgotten any more.
    pub(super) fn close(&mut self) {
        self.phase = Phase::Gathering { closed: true };
    }

    /// The shards learn their work.
    pub(super) fn prepare(&mut self, setup: BTreeMap<String, String>) {
        self.setup = setup;
        self.phase = Phase::Preparing;
    }

    /// Shards that are not ready.
    pub(super) fn not_ready(&self) -> Vec<u32> {
        self.members.iter().filter(|(_, member)| !member.ready).map(|(index, _)| *index).collect()
    }

    /// The shards learn the start.
    pub(super) fn start(&mut self, at: Instant) {
        self.phase = Phase::Started { at };
    }

    /// The shards learn that the run ends. What was said first is the reason; only the hurry may grow.
    pub(super) fn end(&mut self, reason: &str, now: bool) {
        let stop = self.stop.get_or_insert_with(|| Stop { reason: reason.to_owned(), now, failed: false });
        stop.now |= now;
    }

    /// The shards learn that the run has failed.
    pub(super) fn fail(&mut self, reason: &str) {
        self.stop = Some(Stop { reason: reason.to_owned(), now: true, failed: true });
    }

    /// Whether each shard has sent its last report.
    pub(super) fn is_over(&self) -> bool {
        self.members.values().all(|member| member.ended.is_some())
    }

    /// Whether each shard that lives knows that the run ends, and those that had begun have ended.
    pub(super) fn is_dissolved(&self, now: Instant) -> bool {
        let begun = matches!(self.phase, Phase::Started { .. });
        self.members.values().all(|member| {
            let lost = now.saturating_duration_since(member.heard) > self.silence;
            lost || member.ended.is_some() || member.failure.is_some() || (member.told && !begun)
        })
    }

    /// From the start, by the clock of the shard that is ahead.
    pub(super) fn elapsed(&self) -> Duration {
        self.members.values().map(|member| member.elapsed).max().unwrap_or_default()
    }

    /// Whether somebody stopped a shard itself.
    pub(super) fn is_interrupted(&self) -> bool {
        self.members.values().any(|member| member.interrupted)
    }

    /// How the scenarios stand.
    pub(super) fn progress(&self) -> BTreeMap<String, Progress> {
        super::merge::progress(self.members.values().map(|member| &member.scenarios))
    }

    /// The largest share of its processors that a running shard uses, in percent.
    pub(super) fn cpu_percent(&self) -> f64 {
        let running = self.members.values().filter(|member| member.ended.is_none());
        running.map(|member| member.cpu_percent).fold(0.0, f64::max)
    }

    /// How the generators fared; `None` unless one has ended.
    pub(super) fn health(&self) -> Option<Health> {
        super::merge::health(self.members.iter().filter_map(|(index, member)| Some((*index, member.health.as_ref()?))))
    }

    /// The window of the threshold at this place, over all shards, and how much of the run lies in it. A shard that has ended counts
    /// until its end has left the window.
    pub(super) fn window(&self, place: usize, length: Duration, now: Instant) -> Option<(Values, Duration)> {
        let mut sum: Option<(Values, Duration)> = None;
        for member in self.members.values() {
            let gone = member.ended.is_some_and(|ended| now.saturating_duration_since(ended) > length);
            let Some(Some(window)) = member.windows.get(place).filter(|_| !gone) else { continue };
            let covered = Duration::from_micros(window.covered_us);
            match &mut sum {
                Some((values, longest)) => {
                    values.merge(&window.values);
                    *longest = covered.max(*longest);
                }
                None => sum = Some((window.values.clone(), covered)),
            }
        }
        sum
    }
}

impl Member {
    fn new(id: Uuid, now: Instant) -> Self {
        Self {
            id,
            heard: now,
            ready: false,
            told: false,
            ended: None,
            failure: None,
            sequence: 0,
            elapsed: Duration::ZERO,
            windows: Vec::new(),
            scenarios: BTreeMap::new(),
            cpu_percent: 0.0,
            health: None,
            interrupted: false,
            seconds: 0,
        }
    }
}
