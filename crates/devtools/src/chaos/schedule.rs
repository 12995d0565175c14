//! What goes wrong when. Decided by the seed alone.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use super::Engine;

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// SIGKILL of a process with both roles, and a start some time later.
    KillGateway,
    /// The same for an api node.
    KillApi,
    /// The same for a worker.
    KillWorker,
    /// SIGKILL of Redis, which comes back empty.
    KillRedis,
    /// FLUSHALL.
    FlushRedis,
    /// SIGKILL of every PostgreSQL process, and recovery.
    KillPostgres,
    /// No space is left where the database is.
    FullDisk,
    /// The wall clock of one process is wrong for some seconds, ahead or behind.
    ClockStep,
    /// The destination reads requests and never answers.
    Hang,
    /// The destination resets connections.
    Reset,
    /// The destination answers 500.
    ServerError,
    /// The destination answers 200 with a body that does not end.
    EndlessBody,
    /// The destination redirects to 169.254.169.254, and to a server that would notice.
    Redirect,
}

impl FaultKind {
    /// Faults of a destination; all others are of the gateway's own machines.
    const OF_DESTINATIONS: [Self; 5] = [Self::Hang, Self::Reset, Self::ServerError, Self::EndlessBody, Self::Redirect];

    /// The name that the summary uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KillGateway => "kill gateway",
            Self::KillApi => "kill api node",
            Self::KillWorker => "kill worker",
            Self::KillRedis => "kill redis",
            Self::FlushRedis => "flush redis",
            Self::KillPostgres => "kill postgres",
            Self::FullDisk => "full disk",
            Self::ClockStep => "clock step",
            Self::Hang => "destination hangs",
            Self::Reset => "destination resets",
            Self::ServerError => "destination answers 500",
            Self::EndlessBody => "destination's endless body",
            Self::Redirect => "destination redirects",
        }
    }

    /// How long one lasts, in milliseconds.
    const fn lasts(self) -> Range<u64> {
        match self {
            Self::KillGateway | Self::KillApi | Self::KillWorker | Self::KillRedis => 50..1_000,
            Self::KillPostgres => 100..1_200,
            Self::FlushRedis => 0..1,
            Self::FullDisk => 500..1_800,
            // A process notices within a second.
            Self::ClockStep => 2_000..3_500,
            Self::Hang | Self::Reset | Self::ServerError | Self::EndlessBody | Self::Redirect => 500..2_500,
        }
    }
}

/// What there is to break.
#[derive(Debug, Clone, Copy)]
pub(super) struct Topology {
    pub(super) engine: Engine,
    pub(super) redis: bool,
    /// Processes of each role; zero is one process with both.
    pub(super) nodes: usize,
}

impl Topology {
    fn faults(self) -> Vec<FaultKind> {
        let mut kinds = if self.nodes == 0 {
            vec![FaultKind::KillGateway]
        } else {
            vec![FaultKind::KillApi, FaultKind::KillWorker]
        };
        kinds.push(FaultKind::FullDisk);
        if self.engine == Engine::Postgres {
            kinds.push(FaultKind::KillPostgres);
        }
        if self.redis {
            kinds.extend([FaultKind::KillRedis, FaultKind::FlushRedis]);
        }
        kinds.push(FaultKind::ClockStep);
        kinds
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// From the begin of the run.
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    /// Which of several nodes: to be taken modulo their number.
    pub(super) node: usize,
    /// For a step of the clock: by how many seconds.
    pub(super) step_seconds: i64,
}

/// The whole run. It begins calm, then only one destination hangs, then faults of machines and of that destination run side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Without any fault, from zero on.
    pub(super) calm: Range<Duration>,
    /// With nothing but a hanging destination.
    pub(super) hanging: Range<Duration>,
    pub(super) machines: Vec<Fault>,
    pub(super) destinations: Vec<Fault>,
}

const LONGEST_PHASE: Duration = Duration::from_secs(8);
/// What was sent so early is not measured: connections are made, code is paged in.
const WARM_UP: Duration = Duration::from_millis(500);

impl Schedule {
    pub(super) fn draw(seed: u64, duration: Duration, topology: Topology) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let phase = (duration * 3 / 20).min(LONGEST_PHASE);
        let (calm, hanging) = (WARM_UP..phase, phase..phase * 2);
        let rest = phase * 2..duration;
        let machines = draw_track(&mut random, &topology.faults(), rest.clone());
        let hang = Fault { kind: FaultKind::Hang, at: hanging.start, lasts: phase, node: 0, step_seconds: 0 };
        let mut destinations = vec![hang];
        destinations.extend(draw_track(&mut random, &FaultKind::OF_DESTINATIONS, rest));
        Self { calm, hanging, machines, destinations }
    }
}

/// One fault after the other, with pauses; every kind once before any comes again.
fn draw_track(random: &mut StdRng, kinds: &[FaultKind], span: Range<Duration>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut bag = Vec::new();
    let mut at = span.start;
    loop {
        if bag.is_empty() {
            bag.extend_from_slice(kinds);
            bag.shuffle(random);
        }
        let Some(kind) = bag.pop() else { return faults };
        at += Duration::from_millis(random.random_range(200..800));
        let lasts = Duration::from_millis(random.random_range(kind.lasts()));
        if at + lasts > span.end {
            return faults;
        }
        let step = random.random_range(6..15);
        let step_seconds = if random.random_bool(0.5) { step } else { -step };
        faults.push(Fault { kind, at, lasts, node: random.random_range(0..1_000), step_seconds });
        at += lasts;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: Topology = Topology { engine: Engine::Postgres, redis: true, nodes: 2 };

    #[test]
    fn the_seed_alone_decides() {
        let minute = Duration::from_secs(60);
        assert_eq!(Schedule::draw(7, minute, NODES), Schedule::draw(7, minute, NODES));
        assert_ne!(Schedule::draw(7, minute, NODES), Schedule::draw(8, minute, NODES));
    }

    #[test]
    fn a_minute_has_every_fault_whatever_the_seed() {
        let embedded = Topology { engine: Engine::Sqlite, redis: false, nodes: 0 };
        for (topology, seed) in
            [NODES, embedded].into_iter().flat_map(|topology| (0..50).map(move |seed| (topology, seed)))
        {
            let schedule = Schedule::draw(seed, Duration::from_secs(60), topology);
            for kind in topology.faults() {
                assert!(
                    schedule.machines.iter().any(|fault| fault.kind == kind),
                    "{kind:?} is missing with seed {seed}"
                );
            }
            for kind in FaultKind::OF_DESTINATIONS {
                assert!(
                    schedule.destinations.iter().any(|fault| fault.kind == kind),
                    "{kind:?} is missing with seed {seed}"
                );
            }
        }
    }

    #[test]
    fn faults_of_one_track_do_not_overlap_and_end_with_the_run() {
        let duration = Duration::from_secs(20);
        for seed in 0..50 {
            let schedule = Schedule::draw(seed, duration, NODES);
            for track in [&schedule.machines, &schedule.destinations] {
                assert!(track.iter().all(|fault| fault.at + fault.lasts <= duration));
                assert!(track.windows(2).all(|pair| pair[0].at + pair[0].lasts <= pair[1].at));
            }
            assert!(schedule.machines.iter().all(|fault| fault.at >= schedule.hanging.end), "calm is calm");
        }
    }
}
