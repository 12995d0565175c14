use async_trait::async_trait;
use tokio::sync::watch;

/// Tells every node that the configuration changed, so that it is read again at once instead of at the next poll.
#[async_trait]
pub trait Changes: Send + Sync + 'static {
    /// Says that the configuration now has this version: here at once, to other nodes when Redis can be reached.
    async fn announce(&self, version: u64);

    /// The newest version that was announced; 0 before the first. A version below the newest one is not shown. May miss some:
    /// keep a slow poll behind it.
    fn subscribe(&self) -> watch::Receiver<u64>;
}
