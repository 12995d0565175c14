//! Users that loop until they are told to leave: `constant-vus`, `ramping-vus`, `externally-controlled`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::pool::Pool;
use super::{Scenario, Wanted};
use crate::schedule;
use crate::user::IterationError;

/// Follows the plan's schedule.
pub(super) async fn scheduled(
    scenario: &Arc<Scenario>,
    begin: Instant,
    duration: Duration,
    ramp_down: Duration,
) -> Result<(), IterationError> {
    let mut pool = Pool::new(scenario, ramp_down);
    for change in schedule::vu_changes(&scenario.plan.executor, &scenario.segment) {
        if !wait(scenario, &mut pool, begin + change.at).await {
            break;
        }
        pool.resize(change.vus as usize)?;
    }
    wait(scenario, &mut pool, begin + duration).await;
    pool.end().await;
    Ok(())
}

/// Follows what the outside control asks for.
pub(super) async fn controlled(
    scenario: &Arc<Scenario>,
    begin: Instant,
    max_vus: u32,
    duration: Option<Duration>,
) -> Result<(), IterationError> {
    let mut pool = Pool::new(scenario, scenario.plan.graceful_stop);
    let mut wanted = scenario.wanted.clone();
    let end = duration.map(|duration| begin + duration);
    loop {
        let Wanted { vus, paused } = *wanted.borrow_and_update();
        let share = scenario.segment.share(u64::from(if paused { 0 } else { vus.min(max_vus) }));
        pool.resize(usize::try_from(share).unwrap_or(usize::MAX))?;
        let at_end = async {
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        let at_cut = async {
            match pool.next_cut() {
                Some(cut) => tokio::time::sleep_until(cut).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = at_end => break,
            () = scenario.stop.cancelled() => break,
            () = at_cut => pool.cut(),
            changed = wanted.changed() => if changed.is_err() { break },
        }
    }
    pool.end().await;
    Ok(())
}

/// Waits until `deadline` while leaving users are cut off in time; false when the scenario shall stop.
async fn wait(scenario: &Scenario, pool: &mut Pool, deadline: Instant) -> bool {
    loop {
        let next = pool.next_cut().map_or(deadline, |cut| cut.min(deadline));
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = scenario.stop.cancelled() => return false,
        }
        pool.cut();
        if next == deadline {
            return true;
        }
    }
}
