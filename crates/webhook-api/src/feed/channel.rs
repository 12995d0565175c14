//! A channel: clients with the same filter, who get the same batches. Which events it shows is decided here, without a clock.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use spillway_model::EventSummary;
use tokio::sync::broadcast;

use super::batch::{FeedEvent, Published};
use super::filter::FeedFilter;

/// Rows that a client gets each second on average.
const ROWS_PER_SECOND: f64 = 20.0;
/// Rows that a client may get at once after a quiet time.
const MOST_ROWS: usize = 100;
/// Batches that a client may be late by before it misses some.
const MOST_LATE: usize = 8;
/// Clients of one channel at most: further ones get another one, at another instant.
const MOST_CLIENTS: usize = 64;
/// With more clients than this batches come each second.
const MANY_CLIENTS: usize = 200;
/// Beats in a second.
pub(super) const BEATS_PER_SECOND: u32 = 20;
/// Beats between two batches while there are few clients: 250 ms.
const FEW_BEATS: u32 = 5;

/// Clients with the same filter.
pub(super) struct Channel {
    filter: FeedFilter,
    sender: broadcast::Sender<Arc<Published>>,
    waiting: VecDeque<Arc<FeedEvent>>,
    /// Matching events so far, and how many of them had come at the last batch.
    total: u64,
    published: u64,
    /// Rows that may be shown now.
    allowance: f64,
    /// Beats until the next batch.
    wait: u32,
}

/// Beats between two batches: a write to each of many clients costs more than its rows.
fn period(n_subscribers: usize) -> u32 {
    if n_subscribers > MANY_CLIENTS { BEATS_PER_SECOND } else { FEW_BEATS }
}

/// Adds a client to a channel with this filter. Returns its receiver and the channel's number of events so far.
pub(super) fn join(
    channels: &mut Vec<Channel>,
    filter: FeedFilter,
    n_subscribers: usize,
) -> (broadcast::Receiver<Arc<Published>>, u64) {
    let has_room = |channel: &&Channel| channel.filter == filter && channel.sender.receiver_count() < MOST_CLIENTS;
    if let Some(channel) = channels.iter().find(has_room) {
        // What came since the last batch is older than this client.
        return (channel.sender.subscribe(), channel.total);
    }
    let (sender, receiver) = broadcast::channel(MOST_LATE);
    // Channels take turns, so that not all clients are written to at once.
    let wait = channels.len() as u32 % period(n_subscribers) + 1;
    channels.push(Channel {
        filter,
        sender,
        waiting: VecDeque::new(),
        total: 0,
        published: 0,
        allowance: MOST_ROWS as f64,
        wait,
    });
    (receiver, 0)
}

impl Channel {
    pub(super) fn has_clients(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Takes those events that match.
    pub(super) fn offer(&mut self, events: &[Arc<FeedEvent>]) {
        if self.filter == FeedFilter::default() {
            // Of a flood only its end can be shown.
            self.total += events.len() as u64;
            self.keep(&events[events.len().saturating_sub(MOST_ROWS)..]);
            return;
        }
        for event in events.iter().filter(|event| self.filter.matches(event.summary())) {
            self.total += 1;
            if self.waiting.len() == MOST_ROWS {
                self.waiting.pop_front();
            }
            self.waiting.push_back(event.clone());
        }
    }

    /// Keeps these, and as many of the ones before as there is room for.
    fn keep(&mut self, latest: &[Arc<FeedEvent>]) {
        let n_over = (self.waiting.len() + latest.len()).saturating_sub(MOST_ROWS);
        self.waiting.drain(..n_over);
        self.waiting.extend(latest.iter().cloned());
    }

    /// Counts events that may have matched and cannot be shown.
    pub(super) fn lose(&mut self, n_lost: u64) {
        self.total += n_lost;
    }

    /// Gives out a batch when it is time for one and something came.
    pub(super) fn beat(&mut self, n_subscribers: usize, write: impl Fn(&EventSummary) -> Bytes) {
        self.allowance = (self.allowance + ROWS_PER_SECOND / f64::from(BEATS_PER_SECOND)).min(MOST_ROWS as f64);
        self.wait = self.wait.saturating_sub(1);
        if self.wait > 0 {
            return;
        }
        self.wait = period(n_subscribers);
        let came = self.total - self.published;
        if came == 0 {
            return;
        }
        let n_shown = self.waiting.len().min(self.allowance as usize);
        self.allowance -= n_shown as f64;
        let events: Vec<_> = self.waiting.split_off(self.waiting.len() - n_shown).into();
        self.waiting.clear();
        events.iter().for_each(|event| event.write_with(&write));
        self.published = self.total;
        // Without a client there is nobody to miss it.
        let _ = self.sender.send(Arc::new(Published::new(events, self.total, came - n_shown as u64)));
    }
}

#[cfg(test)]
mod tests {
    use spillway_model::{EventId, SourceId};

    use super::*;

    fn event(id: u128) -> Arc<FeedEvent> {
        Arc::new(FeedEvent::new(EventSummary {
            id: EventId::from_u128(id),
            source: SourceId::from_u128(1),
            event_type: None,
            body_bytes: 0,
            quarantine: None,
        }))
    }

    /// Lets beats pass while `per_second` events come each second. Returns rows and skipped of each batch.
    fn beats(channel: &mut Channel, n_subscribers: usize, seconds: u32, per_second: u32) -> Vec<(usize, u64)> {
        let mut receiver = channel.sender.subscribe();
        let mut batches = Vec::new();
        for beat in 0..seconds * BEATS_PER_SECOND {
            for n in 0..per_second / BEATS_PER_SECOND {
                channel.offer(&[event(u128::from(beat * 1_000 + n))]);
            }
            channel.beat(n_subscribers, |_| Bytes::from_static(b"{}"));
            while let Ok(published) = receiver.try_recv() {
                batches.push((published.events.len(), published.skipped));
            }
        }
        batches
    }

    fn channel() -> (Channel, broadcast::Receiver<Arc<Published>>) {
        let mut channels = Vec::new();
        let (receiver, _) = join(&mut channels, FeedFilter::default(), 1);
        (channels.remove(0), receiver)
    }

    #[test]
    fn a_quiet_feed_shows_everything_and_a_busy_one_twenty_rows_a_second() {
        let (mut quiet, _client) = channel();
        let batches = beats(&mut quiet, 1, 10, 20);
        assert_eq!(batches.iter().map(|(rows, _)| rows).sum::<usize>() as u32, 200 - 4);
        assert!(batches.iter().all(|(_, skipped)| *skipped == 0), "{batches:?}");

        let (mut busy, _client) = channel();
        let batches = beats(&mut busy, 1, 60, 1_000);
        let rows = batches.iter().map(|(rows, _)| rows).sum::<usize>();
        assert!((1_200..=1_320).contains(&rows), "{rows} rows in a minute");
        let skipped = batches.iter().map(|(_, skipped)| skipped).sum::<u64>();
        assert!((58_000..=58_800).contains(&skipped), "{skipped}");
    }

    #[test]
    fn many_clients_are_written_to_each_second_and_a_few_four_times() {
        for (n_subscribers, least, most) in [(1, 39, 40), (MANY_CLIENTS + 1, 9, 11)] {
            let (mut channel, _client) = channel();
            let n_batches = beats(&mut channel, n_subscribers, 10, 100).len();
            assert!((least..=most).contains(&n_batches), "{n_batches} batches for {n_subscribers} clients");
        }
    }

    #[test]
    fn nothing_is_said_while_nothing_comes_and_lost_events_are_counted() {
        let (mut channel, _client) = channel();
        assert_eq!(beats(&mut channel, 1, 5, 0), []);
        channel.lose(3);
        assert_eq!(beats(&mut channel, 1, 1, 0), [(0, 3)]);
    }

    #[test]
    fn of_a_flood_the_end_is_kept_with_and_without_a_filter() {
        let source = Some(SourceId::from_u128(1));
        for filter in [FeedFilter::default(), FeedFilter { source, ..FeedFilter::default() }] {
            let mut channels = Vec::new();
            let (mut client, _) = join(&mut channels, filter, 1);
            let flood: Vec<_> = (0..250).map(event).collect();
            channels[0].offer(&flood[..60]);
            channels[0].offer(&flood[60..120]);
            channels[0].offer(&flood[120..]);
            channels[0].beat(1, |_| Bytes::from_static(b"{}"));
            let batch = client.try_recv().expect("a batch");
            let ids: Vec<u128> = batch.events.iter().map(|event| event.summary().id.to_u128()).collect();
            assert_eq!((ids, batch.skipped), ((150..250).collect(), 150));
        }
    }

    #[test]
    fn channels_have_room_for_some_clients_and_other_filters_have_their_own() {
        let mut channels = Vec::new();
        let clients: Vec<_> = (0..=MOST_CLIENTS).map(|n| join(&mut channels, FeedFilter::default(), n + 1)).collect();
        let other = FeedFilter { source: Some(SourceId::from_u128(9)), ..FeedFilter::default() };
        let _one_more = join(&mut channels, other, 100);
        assert_eq!(channels.len(), 3);
        let waits: Vec<_> = channels.iter().map(|channel| channel.wait).collect();
        assert_eq!(waits, [1, 2, 3], "they take turns");
        drop(clients);
        assert_eq!(channels.iter().filter(|channel| channel.has_clients()).count(), 1);
    }
}
