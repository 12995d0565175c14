//! A meter, a gatekeeper and a notifier that do what a test says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use spillway_model::{SystemClock, UnixMillis};
use spillway_rollout::Plan;
use spillway_rollout::decision::{GateRequest, Note};
use spillway_rollout::observed::{Block, Counts, GateState};
use spillway_rollout::ports::{Gatekeeper, Measured, Meter, Notifier};
use spillway_rollout::state::State;
use spillway_rollout_drivers::kubernetes::Parts;

/// How the candidate does, and what happened so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    bad: Arc<AtomicBool>,
    samples: Arc<AtomicUsize>,
    told: Arc<AtomicUsize>,
}

impl World {
    /// From now on half of the candidate's requests fail.
    pub(crate) fn candidate_is_bad(&self) {
        self.bad.store(true, Ordering::SeqCst);
    }

    /// How often it was measured.
    pub(crate) fn samples(&self) -> usize {
        self.samples.load(Ordering::SeqCst)
    }

    /// How many notes people were told.
    pub(crate) fn told(&self) -> usize {
        self.told.load(Ordering::SeqCst)
    }

    pub(crate) fn parts(&self) -> Parts {
        let world = self.clone();
        let meter = move |_: &Plan| Box::new(FakeMeter { world: world.clone(), last: None }) as Box<dyn Meter>;
        Parts {
            meter: Arc::new(meter),
            gatekeeper: Arc::new(|_, _| Box::new(Passes)),
            console: Arc::new(|_| None),
            notifier: Arc::new(self.clone()),
            clock: Arc::new(SystemClock),
        }
    }
}

struct FakeMeter {
    world: World,
    last: Option<UnixMillis>,
}

#[async_trait]
impl Meter for FakeMeter {
    async fn sample(&mut self, _plan: &Plan, _state: &State, now: UnixMillis) -> Measured {
        self.world.samples.fetch_add(1, Ordering::SeqCst);
        let Some(last) = self.last.replace(now).filter(|last| *last < now) else { return Measured::default() };
        let counts = |requests, errors| Some(Counts { requests, errors, ..Counts::default() });
        let errors = if self.world.bad.load(Ordering::SeqCst) { 100 } else { 0 };
        let block = Block {
            at: now,
            window_ms: u64::try_from(now - last).expect("time goes on"),
            boundaries: Vec::new(),
            candidate: counts(200, errors),
            live: counts(1000, 1),
        };
        Measured { blocks: vec![block], ..Measured::default() }
    }
}

#[async_trait]
impl Notifier for World {
    async fn tell(&self, _plan: &Plan, _state: &State, notes: &[Note]) {
        self.told.fetch_add(notes.len(), Ordering::SeqCst);
    }
}

struct Passes;

#[async_trait]
impl Gatekeeper for Passes {
    async fn tend(&mut self, _plan: &Plan, requests: &[GateRequest]) -> BTreeMap<String, GateState> {
        let passed = || GateState::Passed { summary: "it answers".to_owned(), report: None };
        requests.iter().map(|request| (request.id.clone(), passed())).collect()
    }
}
