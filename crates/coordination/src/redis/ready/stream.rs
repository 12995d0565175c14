use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::{RedisError, RedisResult, cmd, pipe};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::warn;

use super::super::link::{Link, Live, within};
use super::super::throttle::Throttle;
use crate::ready::Room;
use crate::{CoordinationObserver, RedisSettings};

/// Time between two looks at the stream's length, beside the ones that come with each write.
const MEASURE_INTERVAL: Duration = Duration::from_millis(100);
/// How long nothing is accepted after a write that failed on a live connection.
const REFUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// The stream is cut at this multiple of its bound. Only several nodes that fill it at the same instant can get there.
const CUT_AT: usize = 2;

/// The stream on the server: where it is, what is known of its size, and whether it takes writes.
pub(super) struct Stream {
    pub(super) link: Arc<Link>,
    pub(super) key: String,
    room: Arc<Room>,
    origin: Instant,
    /// Milliseconds since `origin` until which nothing is accepted.
    refused_until_ms: AtomicU64,
    observer: Arc<dyn CoordinationObserver>,
    malformed: Throttle,
}

impl Stream {
    pub(super) fn new(link: Arc<Link>, settings: &RedisSettings, name: &str) -> Self {
        Self {
            link,
            key: format!("{}{name}", settings.key_prefix),
            room: Room::new(settings.common.ready_deliveries, settings.common.ready_bytes),
            origin: Instant::now(),
            refused_until_ms: AtomicU64::new(0),
            observer: settings.common.observer.clone(),
            malformed: Throttle::default(),
        }
    }

    pub(super) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Whether a write has a chance.
    pub(super) fn is_accepting(&self) -> bool {
        self.link.is_up() && self.now_ms() >= self.refused_until_ms.load(Ordering::Relaxed)
    }

    /// Adds entries, oldest first, and learns the stream's length. `payload_bytes` is the sum of their sizes.
    pub(super) async fn append(&self, live: &Live, entries: &[Vec<u8>], payload_bytes: usize) -> RedisResult<()> {
        let longest = self.room.max_deliveries().saturating_mul(CUT_AT);
        let mut commands = pipe();
        for entry in entries {
            let command = commands.cmd("XADD").arg(&self.key).arg("MAXLEN").arg("~").arg(longest);
            command.arg("*").arg("d").arg(&entry[..]).ignore();
        }
        commands.cmd("XLEN").arg(&self.key);
        let mut connection = live.connection.clone();
        let (length,): (usize,) = within(self.link.answer_timeout, commands.query_async(&mut connection)).await?;
        self.room.add_stored(length, payload_bytes);
        Ok(())
    }

    /// Removes everything up to the entry that was read last. Entries are handed out in order, so whatever lies before it has been
    /// read by some worker, even one that died before it could remove them.
    pub(super) async fn remove_read(&self, last: &EntryId) {
        let Some(live) = self.link.live() else { return };
        let mut connection = live.connection.clone();
        let mut command = cmd("XTRIM");
        command.arg(&self.key).arg("MINID").arg(last.next().to_string());
        if let Err(error) = within(self.link.answer_timeout, command.exec_async(&mut connection)).await {
            self.link.report(&live, &error);
        }
    }

    /// A write failed: nothing more is accepted for a while, even if the connection turns out to be fine.
    pub(super) fn refuse(&self, live: &Live, error: &RedisError) {
        let pause_ms = u64::try_from(REFUSE_AFTER_FAILURE.as_millis()).unwrap_or(0);
        self.refused_until_ms.store(self.now_ms() + pause_ms, Ordering::Relaxed);
        self.link.report(live, error);
    }

    /// Counts entries that were dropped because they could not be read.
    pub(super) fn drop_malformed(&self, n_entries: usize, error: &super::codec::MalformedEntry) {
        self.observer.malformed_ready_entries(n_entries);
        if let Some(n_entries) = self.malformed.count(n_entries) {
            warn!(%error, n_entries, "unreadable entries of the ready queue dropped; their leases bring the deliveries back");
        }
    }

    /// Follows the stream's size, which other nodes change, for ever.
    pub(super) async fn measure(self: Arc<Self>) {
        let mut ticks = interval(MEASURE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let live = self.link.up().await;
            match within(self.link.answer_timeout, self.size(&live)).await {
                Ok((deliveries, bytes)) => self.room.set_stored(deliveries, bytes),
                Err(error) => self.link.report(&live, &error),
            }
        }
    }

    /// Length, and memory as far as the server samples it: zero when the stream is empty.
    async fn size(&self, live: &Live) -> RedisResult<(usize, usize)> {
        let mut connection = live.connection.clone();
        let length: usize = cmd("XLEN").arg(&self.key).query_async(&mut connection).await?;
        if length == 0 {
            return Ok((0, 0));
        }
        let bytes: Option<usize> = cmd("MEMORY").arg("USAGE").arg(&self.key).query_async(&mut connection).await?;
        Ok((length, bytes.unwrap_or(0)))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }
}

/// The name of an entry: milliseconds and a sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId(u64, u64);

impl EntryId {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (milliseconds, sequence) = str::from_utf8(text).ok()?.split_once('-')?;
        Some(Self(milliseconds.parse().ok()?, sequence.parse().ok()?))
    }

    /// The lowest name after this one.
    fn next(self) -> Self {
        match self.1.checked_add(1) {
            Some(sequence) => Self(self.0, sequence),
            None => Self(self.0.saturating_add(1), 0),
        }
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_entry_follows_without_a_gap() {
        let next = |text: &str| EntryId::parse(text.as_bytes()).map(|id| id.next().to_string());
        assert_eq!(next("5-9").as_deref(), Some("5-10"));
        assert_eq!(next(&format!("5-{}", u64::MAX)).as_deref(), Some("6-0"));
        assert_eq!((next("5"), next("-1"), next("a-b")), (None, None, None));
    }
}
