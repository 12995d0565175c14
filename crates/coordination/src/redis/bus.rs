//! Messages between nodes: versions of the configuration and invalidations of the cache.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::RedisResult;
use redis::aio::PubSub;
use tokio::time::sleep;

use super::cache::Invalidations;
use super::link::{Link, within};
use crate::in_process::InProcessChanges;

const RESUBSCRIBE_PAUSE: Duration = Duration::from_millis(50);

/// Two channels, and what their messages mean in this process.
pub(super) struct Bus {
    link: Arc<Link>,
    version_channel: String,
    invalidation_channel: String,
    newest: Arc<InProcessChanges>,
    invalidations: Arc<Invalidations>,
}

impl Bus {
    pub(super) fn new(
        link: Arc<Link>,
        key_prefix: &str,
        newest: Arc<InProcessChanges>,
        invalidations: Arc<Invalidations>,
    ) -> Arc<Self> {
        let version_channel = format!("{key_prefix}configuration");
        let invalidation_channel = format!("{key_prefix}invalidations");
        Arc::new(Self { link, version_channel, invalidation_channel, newest, invalidations })
    }

    /// Where invalidations are published, as the name of the kind, a colon and the key.
    pub(super) fn invalidation_channel(&self) -> &str {
        &self.invalidation_channel
    }

    pub(super) async fn publish_version(&self, version: u64) {
        let Some(live) = self.link.live() else { return };
        let mut connection = live.connection.clone();
        let mut command = redis::cmd("PUBLISH");
        command.arg(&self.version_channel).arg(version);
        if let Err(error) = within(self.link.answer_timeout, command.exec_async(&mut connection)).await {
            self.link.report(&live, &error);
        }
    }

    /// Listens for ever. A subscription lives no longer than the link's connection: what breaks the one breaks the other.
    pub(super) async fn listen(self: Arc<Self>) {
        loop {
            let live = self.link.up().await;
            match self.subscribe().await {
                Ok(subscription) => {
                    // Messages may have been missed.
                    self.invalidations.forget_all();
                    let mut messages = subscription.into_on_message();
                    loop {
                        tokio::select! {
                            message = messages.next() => match message {
                                Some(message) => self.take(message.get_channel_name(), message.get_payload_bytes()),
                                None => break,
                            },
                            () = self.link.replaced(&live) => break,
                        }
                    }
                    // Often the first sign that the server is gone.
                    self.link.suspect();
                }
                Err(error) => self.link.doubt(&error),
            }
            sleep(RESUBSCRIBE_PAUSE).await;
        }
    }

    async fn subscribe(&self) -> RedisResult<PubSub> {
        let mut subscription = self.link.open_subscriber().await?;
        let channels = [&self.version_channel, &self.invalidation_channel];
        within(self.link.answer_timeout, subscription.subscribe(&channels[..])).await?;
        Ok(subscription)
    }

    fn take(&self, channel: &str, message: &[u8]) {
        if channel == self.invalidation_channel {
            self.invalidations.take(message);
        } else if let Some(version) = str::from_utf8(message).ok().and_then(|text| text.parse().ok()) {
            self.newest.learn(version);
        }
    }
}
