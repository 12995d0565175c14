//! Replays, worked on by the runners of one node or two.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spillway_model::{
    Clock, DeliveryId, DeliveryState, Event, HeaderBlock, IdGenerator, Lease, NewDelivery, NewEvent, NextState, Replay,
    ReplayId, ReplayState, Selection, Settlement, SystemClock,
};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{ClaimRequest, Store, Unobserved};
use spillway_testkit::wait_until;
use spillway_worker::{ReplayRunner, ReplaySettings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nothing that is waited for takes this long.
const DEADLINE: Duration = Duration::from_secs(20);

struct Test {
    store: Arc<dyn Store>,
    ids: IdGenerator,
    dead: Vec<DeliveryId>,
    _folder: tempfile::TempDir,
}

impl Test {
    /// A store with so many dead deliveries.
    async fn with_dead(n: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = SqliteSettings::new(folder.path().join("spillway.db"));
        let store = SqliteStore::open(settings, Arc::new(Unobserved)).await.expect("a store");
        let ids = IdGenerator::random(Arc::new(SystemClock));
        let (source, destination, connection) = (ids.source(), ids.destination(), ids.connection());
        let event = || {
            let id = ids.event();
            let delivery =
                NewDelivery { id: id.delivery(0), destination, connection, due_at: 0, generation: 0, order: None };
            let event = Event {
                id,
                source,
                event_type: None,
                headers: HeaderBlock::default(),
                body: Bytes::new(),
                trace: None,
                quarantine: None,
            };
            NewEvent { event: Arc::new(event), idempotency: None, deliveries: vec![delivery] }
        };
        store.append((0..n).map(|_| event()).collect()).await.expect("stored events");
        let all =
            ClaimRequest { now: 1, lease_until: 1_000, max: n, max_per_destination: n, ..ClaimRequest::default() };
        let claimed = store.claim(all).await.expect("claims");
        let ended = claimed.iter().map(|one| Settlement {
            lease: Lease { delivery: one.id, generation: one.generation },
            next: NextState::Dead { at: 2 },
            attempt: None,
            order: None,
        });
        store.settle(ended.collect()).await.expect("settlements");
        let mut dead: Vec<_> = claimed.iter().map(|one| one.id).collect();
        dead.sort();
        Self { store: Arc::new(store), ids, dead, _folder: folder }
    }

    async fn replay(&self, per_second: u32) -> ReplayId {
        let now = SystemClock.now();
        let replay = Replay {
            id: self.ids.replay(),
            selection: Selection { state: Some(DeliveryState::Dead), ..Selection::default() },
            per_second,
            state: ReplayState::Running,
            total: Some(self.dead.len() as u64),
            retried: 0,
            skipped: 0,
            cursor: None,
            created_at: now,
            updated_at: now,
        };
        let id = replay.id;
        self.store.create_replay(replay).await.expect("a replay");
        id
    }

    /// A node's runner, whose lease is short.
    fn node(&self) -> (CancellationToken, JoinHandle<()>) {
        let settings = ReplaySettings { poll: Duration::from_millis(20), lease: Duration::from_millis(600) };
        let stop = CancellationToken::new();
        let runner = ReplayRunner::new(settings, self.store.clone(), Arc::new(SystemClock), stop.clone());
        (stop, tokio::spawn(runner.run()))
    }

    async fn stored(&self, id: ReplayId) -> Replay {
        self.store.replay(id).await.expect("a readable store").expect("a stored replay")
    }

    async fn wait_for_retried(&self, id: ReplayId, n: u64) {
        wait_until("some deliveries to be due", DEADLINE, async || self.stored(id).await.retried >= n).await;
    }

    async fn wait_for_end(&self, id: ReplayId) -> Replay {
        wait_until("the replay to end", DEADLINE, async || self.stored(id).await.state != ReplayState::Running).await;
        self.stored(id).await
    }

    /// When each of the deliveries became due, of those that did. Each became due once.
    async fn due(&self) -> Vec<i64> {
        let mut due = Vec::new();
        for id in &self.dead {
            let delivery = self.store.delivery(*id).await.expect("a readable store").expect("a stored delivery");
            match delivery.state {
                DeliveryState::Dead => assert_eq!(delivery.generation, 1),
                state => {
                    assert_eq!((state, delivery.generation), (DeliveryState::Pending, 2), "it became due twice");
                    due.push(delivery.at);
                }
            }
        }
        due
    }
}

#[tokio::test]
async fn everything_selected_becomes_due_in_order_and_at_the_rate() {
    let test = Test::with_dead(60).await;
    let id = test.replay(40).await;
    let (stop, runner) = test.node();
    let done = test.wait_for_end(id).await;
    assert_eq!((done.state, done.retried, done.skipped), (ReplayState::Done, 60, 0));
    let due = test.due().await;
    assert_eq!(due.len(), 60);
    assert!(due.is_sorted(), "the oldest first");
    let took = due[59] - due[0];
    assert!((1_300..10_000).contains(&took), "60 deliveries at 40 a second took {took} ms");
    stop.cancel();
    runner.await.expect("it ends well");
}

#[tokio::test]
async fn a_replay_of_nothing_is_done() {
    let test = Test::with_dead(0).await;
    let id = test.replay(1).await;
    let (stop, _runner) = test.node();
    assert_eq!(test.wait_for_end(id).await.retried, 0);
    stop.cancel();
}

#[tokio::test]
async fn another_node_goes_on_where_a_dead_one_was() {
    let test = Test::with_dead(400).await;
    let id = test.replay(400).await;
    let (_, first) = test.node();
    test.wait_for_retried(id, 100).await;
    first.abort();
    assert!(first.await.is_err_and(|error| error.is_cancelled()), "it was still at work");
    let (stop, _second) = test.node();
    let done = test.wait_for_end(id).await;
    assert_eq!((done.retried, done.skipped, test.due().await.len()), (400, 0, 400));
    stop.cancel();
}

#[tokio::test]
async fn two_nodes_work_on_two_replays_and_never_on_one() {
    let test = Test::with_dead(300).await;
    let replays = [test.replay(500).await, test.replay(500).await];
    let nodes = [test.node(), test.node()];
    let mut retried = 0;
    for id in replays {
        retried += test.wait_for_end(id).await.retried;
    }
    assert_eq!((retried, test.due().await.len()), (300, 300), "each delivery became due by one of them");
    nodes.each_ref().iter().for_each(|(stop, _)| stop.cancel());
}

#[tokio::test]
async fn a_cancelled_replay_stops_and_the_next_one_begins() {
    let test = Test::with_dead(200).await;
    let slow = test.replay(20).await;
    let (stop, _runner) = test.node();
    test.wait_for_retried(slow, 5).await;
    let cancelled = test.store.cancel_replay(slow, SystemClock.now()).await.expect("a store").expect("the replay");
    let next = test.replay(10_000).await;
    assert_eq!(test.wait_for_end(next).await.retried, 200 - cancelled.retried);
    assert_eq!(test.stored(slow).await, cancelled, "nothing came after it was cancelled");
    stop.cancel();
}

#[tokio::test]
async fn a_node_that_stops_gives_its_replay_back() {
    let test = Test::with_dead(100).await;
    let id = test.replay(10).await;
    let (stop, runner) = test.node();
    test.wait_for_retried(id, 2).await;
    stop.cancel();
    runner.await.expect("it ends well");
    let now = SystemClock.now();
    let held = test.store.hold_replay(now, now + 1_000).await.expect("a store").expect("it is free at once");
    assert_eq!(held.replay.id, id);
}
