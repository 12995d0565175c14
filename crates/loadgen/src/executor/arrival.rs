//! The open model: an iteration begins at its scheduled instant, whether or not earlier ones have ended.
//!
//! An iteration that finds no free user, and no place for another one, is dropped and counted. It never waits in a queue.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Runner, Scenario};
use crate::schedule;
use crate::user::IterationError;

/// Users that wait for work, until there will be none any more; the one that ended last comes first, because its connection is warm.
type Free = Arc<Mutex<Option<Vec<Caller>>>>;

/// Starts an iteration that was intended for an instant; `None` sends the user home.
type Caller = mpsc::Sender<Option<Instant>>;

/// Late arrivals after which the users get a turn.
const LATE_IN_A_ROW: u32 = 32;

pub(super) async fn run(scenario: &Arc<Scenario>, begin: Instant) -> Result<(), IterationError> {
    let executor = &scenario.plan.executor;
    let at_first = scenario.segment.share(u64::from(schedule::pre_allocated_vus(executor)));
    let most = scenario.segment.share(u64::from(schedule::max_vus(executor)));
    let mut crew = Crew { scenario, free: Arc::new(Mutex::new(Some(Vec::new()))), tasks: JoinSet::new(), room: most };
    for _ in 0..at_first.min(most) {
        let user = crew.hire()?;
        give_back(&crew.free, user);
    }
    let mut late = 0;
    for offset in schedule::arrivals(executor, &scenario.segment) {
        let intended = begin + offset;
        if intended > Instant::now() {
            late = 0;
            scenario.until(intended).await;
        } else {
            late += 1;
            if late % LATE_IN_A_ROW == 0 {
                tokio::task::yield_now().await;
            }
        }
        if scenario.stop.is_cancelled() {
            break;
        }
        match crew.find().await? {
            // A free user's channel is empty.
            Some(user) => _ = user.try_send(Some(intended)),
            None => scenario.drop_iterations(1),
        }
    }
    scenario.until(begin + schedule::end(executor)).await;
    for user in crew.free.lock().take().unwrap_or_default() {
        let _ = user.try_send(None);
    }
    scenario.wind_down(&mut crew.tasks).await;
    Ok(())
}

struct Crew<'a> {
    scenario: &'a Arc<Scenario>,
    free: Free,
    tasks: JoinSet<()>,
    /// Users that may still be made.
    room: u64,
}

impl Crew<'_> {
    /// A user that is free now, or a new one.
    async fn find(&mut self) -> Result<Option<Caller>, IterationError> {
        if let Some(user) = self.pop() {
            return Ok(Some(user));
        }
        if self.room > 0 {
            return self.hire().map(Some);
        }
        // Iterations whose answer is there already end first.
        tokio::task::yield_now().await;
        Ok(self.pop())
    }

    fn pop(&self) -> Option<Caller> {
        self.free.lock().as_mut().and_then(Vec::pop)
    }

    fn hire(&mut self) -> Result<Caller, IterationError> {
        self.room -= 1;
        let mut runner = Runner::new(self.scenario)?;
        let (caller, mut calls) = mpsc::channel(1);
        let (own, free) = (caller.clone(), self.free.clone());
        self.tasks.spawn(async move {
            while let Some(Some(intended)) = calls.recv().await {
                runner.scenario.state.active.fetch_add(1, Ordering::Relaxed);
                runner.iterate(Some(intended)).await;
                runner.scenario.state.active.fetch_sub(1, Ordering::Relaxed);
                if !give_back(&free, own.clone()) {
                    break;
                }
            }
            runner.user.leave().await;
        });
        Ok(caller)
    }
}

/// False when no more work comes.
fn give_back(free: &Free, user: Caller) -> bool {
    free.lock().as_mut().map(|free| free.push(user)).is_some()
}
