use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::SharedTasks;
use super::bus::Bus;
use crate::Changes;
use crate::in_process::InProcessChanges;

/// The newest version known to this process, told to the others by a message.
pub(super) struct RedisChanges {
    newest: Arc<InProcessChanges>,
    bus: Arc<Bus>,
    _tasks: SharedTasks,
}

impl RedisChanges {
    pub(super) fn new(newest: Arc<InProcessChanges>, bus: Arc<Bus>, tasks: SharedTasks) -> Self {
        Self { newest, bus, _tasks: tasks }
    }
}

#[async_trait]
impl Changes for RedisChanges {
    async fn announce(&self, version: u64) {
        self.newest.learn(version);
        self.bus.publish_version(version).await;
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}
