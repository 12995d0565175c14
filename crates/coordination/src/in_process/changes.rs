use async_trait::async_trait;
use tokio::sync::watch;

use crate::Changes;

/// The newest version known to this process.
#[derive(Default)]
pub(crate) struct InProcessChanges {
    newest: watch::Sender<u64>,
}

impl InProcessChanges {
    pub(crate) fn learn(&self, version: u64) {
        self.newest.send_if_modified(|newest| {
            let newer = version > *newest;
            *newest = version.max(*newest);
            newer
        });
    }
}

#[async_trait]
impl Changes for InProcessChanges {
    async fn announce(&self, version: u64) {
        self.learn(version);
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}
