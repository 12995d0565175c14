//! Users that loop, as many as are wanted now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::{Runner, Scenario};
use crate::user::IterationError;

/// Places for users, in the order in which they begin; the last one leaves first.
pub(super) struct Pool {
    scenario: Arc<Scenario>,
    places: Vec<Place>,
    tasks: JoinSet<()>,
    wanted: usize,
    /// Time a leaving user has for the iteration it is in.
    grace: Duration,
}

struct Place {
    leave: Arc<AtomicBool>,
    task: AbortHandle,
    /// When a leaving user is cut off.
    until: Option<Instant>,
}

impl Pool {
    pub(super) fn new(scenario: &Arc<Scenario>, grace: Duration) -> Self {
        Self { scenario: scenario.clone(), places: Vec::new(), tasks: JoinSet::new(), wanted: 0, grace }
    }

    /// Starts users, or tells the newest ones to leave.
    pub(super) fn resize(&mut self, wanted: usize) -> Result<(), IterationError> {
        for place in self.places.iter_mut().skip(wanted).take(self.wanted.saturating_sub(wanted)) {
            place.leave.store(true, Ordering::Relaxed);
            place.until = Some(Instant::now() + self.grace);
        }
        for at in self.wanted..wanted {
            self.fill(at)?;
        }
        self.wanted = wanted;
        let active = u32::try_from(wanted).unwrap_or(u32::MAX);
        self.scenario.state.active.store(active, Ordering::Relaxed);
        Ok(())
    }

    fn fill(&mut self, at: usize) -> Result<(), IterationError> {
        if let Some(place) = self.places.get_mut(at) {
            // The user may still be in its last iteration: then it stays.
            place.leave.store(false, Ordering::Relaxed);
            place.until = None;
            if !place.task.is_finished() {
                return Ok(());
            }
        }
        let leave = Arc::new(AtomicBool::new(false));
        let (mut runner, flag) = (Runner::new(&self.scenario)?, leave.clone());
        let task = self.tasks.spawn(async move {
            while !flag.load(Ordering::Relaxed) {
                runner.iterate(None).await;
            }
            runner.user.leave().await;
        });
        let place = Place { leave, task, until: None };
        match self.places.get_mut(at) {
            Some(old) => *old = place,
            None => self.places.push(place),
        }
        Ok(())
    }

    /// When the next leaving user's grace is over.
    pub(super) fn next_cut(&self) -> Option<Instant> {
        let leaving = self.places.iter().skip(self.wanted);
        leaving.filter(|place| !place.task.is_finished()).filter_map(|place| place.until).min()
    }

    /// Cuts off the users whose grace is over.
    pub(super) fn cut(&mut self) {
        let now = Instant::now();
        for place in self.places.iter().skip(self.wanted) {
            if place.until.is_some_and(|until| until <= now) {
                place.task.abort();
            }
        }
    }

    /// Lets all users leave, with the scenario's own grace.
    pub(super) async fn end(mut self) {
        for place in &self.places {
            place.leave.store(true, Ordering::Relaxed);
        }
        self.scenario.wind_down(&mut self.tasks).await;
    }
}
