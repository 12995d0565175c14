//! The engines that share a Redis server.
//!
//! One [`link::Link`] owns the connection, decides whether Redis is usable and says so; the engines ask it and never wait for a
//! server that it has given up. Blocking reads and subscriptions have connections of their own.

mod bus;
mod cache;
mod changes;
mod examination;
mod link;
mod place;
mod rate;
mod ready;
mod throttle;

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::in_process::{InProcessChanges, LocalCache};
use crate::slots::SlotQueues;
use crate::{Coordination, RedisSettings};

pub use examination::RedisExaminer;
pub use link::InvalidRedisUrl;

pub(crate) async fn connect(settings: &RedisSettings) -> Result<Coordination, InvalidRedisUrl> {
    let common = &settings.common;
    let link = Arc::new(link::Link::new(settings)?);
    link.connect_first().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(link.clone().supervise());
    let front = Arc::new(LocalCache::new(common));
    let newest = Arc::new(InProcessChanges::default());
    let invalidations = Arc::new(cache::Invalidations::new(front.clone()));
    let bus = bus::Bus::new(link.clone(), &settings.key_prefix, newest.clone(), invalidations.clone());
    tasks.spawn(bus.clone().listen());
    // Every engine keeps the shared tasks alive; the last one to go ends them.
    let tasks = Arc::new(tasks);
    let queue = {
        let (link, settings, tasks) = (link.clone(), settings.clone(), tasks.clone());
        move |name: &str| Arc::new(ready::RedisReadyQueue::start(link.clone(), &settings, name, tasks.clone()))
    };
    Ok(Coordination {
        ready: queue("ready"),
        slots: SlotQueues::started_by(move |slot| queue(&format!("ready:{slot}"))),
        rate: Arc::new(rate::RedisRateLimiter::new(link.clone(), settings, tasks.clone())),
        cache: Arc::new(cache::RedisCache::new(link, settings, invalidations, bus.clone(), tasks.clone())),
        changes: Arc::new(changes::RedisChanges::new(newest, bus, tasks)),
        due: Arc::default(),
    })
}

/// Keeps the tasks behind the engines running.
type SharedTasks = Arc<JoinSet<()>>;
