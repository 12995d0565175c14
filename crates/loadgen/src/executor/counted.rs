//! A number of iterations to do: `shared-iterations` and `per-vu-iterations`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Runner, Scenario};
use crate::user::IterationError;

/// All users draw from one counter; what is left at the time limit was dropped.
pub(super) async fn shared(
    scenario: &Arc<Scenario>,
    begin: Instant,
    vus: u32,
    iterations: u64,
    max_duration: Duration,
) -> Result<(), IterationError> {
    let vus = scenario.segment.share(u64::from(vus));
    let left = Arc::new(AtomicI64::new(i64::try_from(scenario.segment.share(iterations)).unwrap_or(i64::MAX)));
    let draw = left.clone();
    run(scenario, begin, vus, max_duration, move || {
        let left = draw.clone();
        move || left.fetch_sub(1, Ordering::Relaxed) > 0
    })
    .await?;
    scenario.drop_iterations(u64::try_from(left.load(Ordering::Relaxed)).unwrap_or(0));
    Ok(())
}

/// Each user does the same number.
pub(super) async fn per_vu(
    scenario: &Arc<Scenario>,
    begin: Instant,
    vus: u32,
    iterations: u64,
    max_duration: Duration,
) -> Result<(), IterationError> {
    let vus = scenario.segment.share(u64::from(vus));
    let begun = Arc::new(AtomicU64::new(0));
    let counter = begun.clone();
    run(scenario, begin, vus, max_duration, move || {
        let (begun, mut done) = (counter.clone(), 0);
        move || {
            let go_on = done < iterations;
            done += 1;
            begun.fetch_add(u64::from(go_on), Ordering::Relaxed);
            go_on
        }
    })
    .await?;
    scenario.drop_iterations(vus.saturating_mul(iterations).saturating_sub(begun.load(Ordering::Relaxed)));
    Ok(())
}

/// `next` makes for each user the question whether it has another iteration to do.
async fn run<Next>(
    scenario: &Arc<Scenario>,
    begin: Instant,
    vus: u64,
    max_duration: Duration,
    next: impl Fn() -> Next,
) -> Result<(), IterationError>
where
    Next: FnMut() -> bool + Send + 'static,
{
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for _ in 0..vus {
        let mut runner = Runner::new(scenario)?;
        let (over, mut next) = (over.clone(), next());
        tasks.spawn(async move {
            while !over.load(Ordering::Relaxed) && next() {
                runner.iterate(None).await;
            }
            runner.user.leave().await;
            runner.scenario.state.active.fetch_sub(1, Ordering::Relaxed);
        });
        scenario.state.active.fetch_add(1, Ordering::Relaxed);
    }
    tokio::select! {
        () = async { while tasks.join_next().await.is_some() {} } => {}
        () = scenario.until(begin + max_duration) => {}
    }
    over.store(true, Ordering::Relaxed);
    scenario.wind_down(&mut tasks).await;
    Ok(())
}
