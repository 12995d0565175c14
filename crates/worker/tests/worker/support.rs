//! A store with destinations and events, and workers on it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use spillway_coordination::{Coordination, CoordinationSettings, in_process};
use spillway_model::{
    Attempt, Claimed, Clock, Configuration, ConfigurationChange, Connection, ConnectionId, Delivery, DeliveryId,
    DeliveryState, Destination, DestinationId, DestinationState, Event, HeaderBlock, IdGenerator, NewDelivery,
    NewEvent, OrderKey, RetrySchedule, Secret, SecretResolver, SourceId, SystemClock, TraceContext, UnixMillis,
};
use spillway_signature::{Provider, SchemeOptions, Verifier};
use spillway_store::postgres::{PostgresSettings, PostgresStore};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{Store, Unobserved, watch_configuration};
use spillway_telemetry::{Metrics, Tracer};
use spillway_testkit::{ReceivedRequest, shared_database, wait_until};
use spillway_worker::{AddressGuard, Client, ClientSettings, StopSignal, StopTimes, Worker, WorkerSettings};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::faulty_store::FaultyStore;

/// Nothing that is waited for takes this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// How long a worker that stops has for giving back what it cut off.
pub(crate) const GIVE_BACK: Duration = Duration::from_secs(2);
/// A signing secret.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A schedule with these delays, in milliseconds.
pub(crate) fn schedule(delays: &[u64]) -> RetrySchedule {
    RetrySchedule::new(delays.iter().copied().map(millis).collect()).expect("a schedule")
}

/// A store of its own, embedded unless a test asks for the other engine.
pub(crate) struct TestStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ids: IdGenerator,
    source: SourceId,
    connection: ConnectionId,
    /// Where it is, until the end of the test.
    _data: Box<dyn Any + Send + Sync>,
}

impl TestStore {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = SqliteSettings::new(folder.path().join("spillway.db"));
        let store = SqliteStore::open(settings, Arc::new(Unobserved)).await.expect("a store");
        Self::on(Arc::new(store), Box::new(folder))
    }

    pub(crate) async fn postgres() -> Self {
        let database = shared_database().await;
        let settings = PostgresSettings::new(database.url());
        let store = PostgresStore::connect(settings, Arc::new(Unobserved)).await.expect("a store");
        Self::on(Arc::new(store), Box::new(database))
    }

    fn on(store: Arc<dyn Store>, data: Box<dyn Any + Send + Sync>) -> Self {
        let ids = IdGenerator::random(Arc::new(SystemClock));
        let (source, connection) = (ids.source(), ids.connection());
        Self { store, ids, source, connection, _data: data }
    }

    /// A destination with that URL and no settings of its own.
    pub(crate) async fn destination(&self, url: &str) -> DestinationId {
        self.destination_with(url, |_| {}).await
    }

    pub(crate) async fn destination_with(&self, url: &str, change: impl FnOnce(&mut Destination)) -> DestinationId {
        let id = self.ids.destination();
        let name = format!("d{}", &id.to_string()[4..].to_lowercase());
        let mut destination: Destination =
            serde_json::from_value(serde_json::json!({"id": id, "name": name, "url": url})).expect("a destination");
        change(&mut destination);
        self.change(ConfigurationChange::PutDestination(destination)).await;
        self.connect(id, |_| {}).await;
        id
    }

    /// Connects the source to this destination, by the connection that every delivery of the test names.
    pub(crate) async fn connect(&self, destination: DestinationId, change: impl FnOnce(&mut Connection)) {
        let source = serde_json::json!({"id": self.source, "name": "source", "provider": "none"});
        let connection = serde_json::json!({"id": self.connection, "source": self.source, "destination": destination});
        let mut connection = serde_json::from_value(connection).expect("a connection");
        change(&mut connection);
        let source = serde_json::from_value(source).expect("a source");
        let changes = vec![ConfigurationChange::PutSource(source), ConfigurationChange::PutConnection(connection)];
        self.store.change_configuration(changes).await.expect("a valid change");
    }

    pub(crate) async fn change(&self, change: ConfigurationChange) {
        self.store.change_configuration(vec![change]).await.expect("a valid change");
    }

    /// The destination as it is stored.
    pub(crate) async fn stored(&self, id: DestinationId) -> Destination {
        let configuration = self.store.configuration().await.expect("a configuration");
        configuration.destinations.into_iter().find(|one| one.id == id).expect("a stored destination")
    }

    pub(crate) async fn set_state(&self, id: DestinationId, state: DestinationState) {
        let destination = Destination { state, ..self.stored(id).await };
        self.change(ConfigurationChange::PutDestination(destination)).await;
    }

    /// An event as intake makes it.
    pub(crate) fn event(&self, headers: &[(&str, &str)], body: &[u8], trace: Option<TraceContext>) -> Arc<Event> {
        Arc::new(Event {
            id: self.ids.event(),
            source: self.source,
            event_type: None,
            headers: HeaderBlock::encode(headers.iter().map(|(name, value)| (*name, value.as_bytes()))),
            body: Bytes::copy_from_slice(body),
            trace,
            quarantine: None,
        })
    }

    /// Stores `n` events, each with a delivery that is due now.
    pub(crate) async fn publish(&self, to: DestinationId, n: usize) -> Vec<DeliveryId> {
        let events = (0..n).map(|n| self.event(&[], n.to_string().as_bytes(), None));
        self.store_due(to, events.collect(), SystemClock.now()).await
    }

    pub(crate) async fn publish_event(&self, to: DestinationId, event: Arc<Event>) -> DeliveryId {
        self.store_due(to, vec![event], SystemClock.now()).await[0]
    }

    async fn store_due(&self, to: DestinationId, events: Vec<Arc<Event>>, due_at: UnixMillis) -> Vec<DeliveryId> {
        self.append(to, events, due_at, 0).await.into_iter().map(|(id, _)| id).collect()
    }

    /// Stores `n` events that must stay in order, with bodies that say the key and their place in it.
    pub(crate) async fn publish_ordered(&self, to: DestinationId, key: i64, n: usize) -> Vec<DeliveryId> {
        let now = SystemClock.now();
        let mut ids = Vec::with_capacity(n);
        let mut new = Vec::with_capacity(n);
        for place in 0..n {
            let event = self.event(&[], format!("{key}:{place}").as_bytes(), None);
            let id = event.id.delivery(1);
            let delivery = NewDelivery {
                id,
                destination: to,
                connection: self.connection,
                due_at: now,
                generation: 0,
                order: Some(OrderKey(key)),
            };
            ids.push(id);
            new.push(NewEvent { event, idempotency: None, deliveries: vec![delivery] });
        }
        self.store.append(new).await.expect("stored events");
        ids
    }

    async fn append(
        &self,
        destination: DestinationId,
        events: Vec<Arc<Event>>,
        due_at: UnixMillis,
        generation: u32,
    ) -> Vec<(DeliveryId, Arc<Event>)> {
        let connection = self.connection;
        let deliveries = events.into_iter().map(|event| (event.id.delivery(1), event)).collect::<Vec<_>>();
        let new = deliveries.iter().map(|(id, event)| {
            let delivery = NewDelivery { id: *id, destination, connection, due_at, generation, order: None };
            NewEvent { event: event.clone(), idempotency: None, deliveries: vec![delivery] }
        });
        self.store.append(new.collect()).await.expect("stored events");
        deliveries
    }

    /// Stores `n` events whose deliveries are born claimed until then, for a ready queue.
    pub(crate) async fn born_claimed(&self, to: DestinationId, n: usize, lease_until: UnixMillis) -> Vec<Claimed> {
        let events = (0..n).map(|n| self.event(&[], n.to_string().as_bytes(), None)).collect();
        let stored = self.append(to, events, lease_until, 1).await;
        let claimed = stored.into_iter().map(|(id, event)| Claimed {
            id,
            destination: to,
            connection: self.connection,
            generation: 1,
            attempts: 0,
            lease_until,
            order: None,
            event,
            received: None,
        });
        claimed.collect()
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> Delivery {
        self.store.delivery(id).await.expect("a readable store").expect("a stored delivery")
    }

    pub(crate) async fn attempts(&self, id: DeliveryId) -> Vec<Attempt> {
        self.store.attempts(id).await.expect("a readable store")
    }

    /// Waits until each of the deliveries is in that state.
    pub(crate) async fn wait_for(&self, state: DeliveryState, deliveries: &[DeliveryId]) {
        for id in deliveries {
            let what = format!("{id} to be {}", state.as_str());
            wait_until(&what, DEADLINE, async || self.delivery(*id).await.state == state).await;
        }
    }

    /// Waits until the delivery has this many attempts, and returns them.
    pub(crate) async fn wait_for_attempts(&self, id: DeliveryId, n: usize) -> Vec<Attempt> {
        wait_until("attempts", DEADLINE, async || self.attempts(id).await.len() >= n).await;
        self.attempts(id).await
    }

    /// Whether somebody holds the delivery, or it waits for its time.
    pub(crate) async fn is_due(&self, id: DeliveryId) -> bool {
        let delivery = self.delivery(id).await;
        delivery.state == DeliveryState::Pending && delivery.at <= SystemClock.now()
    }
}

/// How a test's worker differs from the usual one.
pub(crate) struct Options {
    pub(crate) worker: WorkerSettings,
    pub(crate) client: ClientSettings,
    /// How long attempts may take to end after the stop.
    pub(crate) drain: Duration,
    pub(crate) coordination: Coordination,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A worker that runs, with a ready queue of its own.
pub(crate) struct TestWorker {
    pub(crate) coordination: Coordination,
    pub(crate) metrics: Metrics,
    pub(crate) way: Arc<FaultyStore>,
    configuration: watch::Receiver<Arc<Configuration>>,
    stop: StopSignal,
    drain: Duration,
    task: JoinHandle<()>,
}

impl TestWorker {
    pub(crate) async fn start(on: &TestStore) -> Self {
        Self::start_with(on, |_| {}).await
    }

    pub(crate) async fn start_with(on: &TestStore, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            worker: WorkerSettings {
                concurrency: 32,
                per_destination: 8,
                timeout: Duration::from_secs(5),
                lease: Duration::from_secs(60),
                retry: schedule(&[0, 20, 20]),
                response_limit: 64 << 10,
                poll: millis(10),
                claim_batch: 64,
                slot: None,
                share_grace: Duration::from_secs(60),
                user_agent: HeaderValue::from_static("spillway/test"),
            },
            client: ClientSettings {
                connect_timeout: Duration::from_secs(2),
                idle_timeout: Duration::from_secs(30),
                max_idle_per_destination: 16,
                guard: AddressGuard::new(vec!["127.0.0.0/8".parse().expect("a network")]),
                extra_roots: Vec::new(),
            },
            drain: Duration::from_secs(5),
            coordination: in_process(&CoordinationSettings::default()),
            clock: Arc::new(SystemClock),
        };
        change(&mut options);
        let way = Arc::new(FaultyStore::new(on.store.clone()));
        let coordination = options.coordination;
        let hints = coordination.changes.subscribe();
        let (configuration, _) =
            watch_configuration(on.store.clone(), hints, millis(5)).await.expect("a configuration");
        let metrics = Metrics::new("0", "test");
        let stop = StopSignal::default();
        let resolve: SecretResolver = Arc::new(|secret: &Secret| Ok(secret.clone()));
        let worker = Worker::new(
            options.worker,
            way.clone(),
            coordination.clone(),
            configuration.clone(),
            resolve,
            options.clock,
            metrics.clone(),
            Tracer::disabled(),
            Client::new(&options.client).expect("a client"),
            stop.clone(),
        );
        let task = tokio::spawn(worker.run());
        Self { coordination, metrics, way, configuration, stop, drain: options.drain, task }
    }

    /// Hands deliveries over as intake does after its commit.
    pub(crate) async fn hand_over(&self, batch: Vec<Claimed>) {
        let reservation = self.coordination.ready.try_reserve(batch.len(), 0).expect("room in the ready queue");
        self.coordination.ready.push(reservation, batch).await;
    }

    /// Waits until it has the configuration that is stored now.
    pub(crate) async fn is_up_to_date(&self, on: &TestStore) {
        let stored = on.store.configuration_version().await.expect("a readable store");
        wait_until("the new configuration", DEADLINE, async || self.configuration.borrow().version >= stored).await;
    }

    /// Deliveries that wait here, in the ready queue and in lanes.
    pub(crate) fn waiting(&self) -> f64 {
        self.metrics.ready_queue_depth.get().expect("a measured depth")
    }

    /// Tells it to stop and waits until it has.
    pub(crate) async fn stop(self) {
        let attempts = Instant::now() + self.drain;
        self.stop.stop(StopTimes { attempts, end: attempts + GIVE_BACK });
        tokio::time::timeout(DEADLINE, self.task).await.expect("a worker that ends").expect("a worker that ends well");
    }

    /// Ends it as a lost machine ends: nothing it does reaches the store any more.
    pub(crate) async fn kill(self) {
        self.way.set_away(true);
        self.task.abort();
        let ended = self.task.await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "it was still running");
    }
}

/// Whether the request carries a signature that the holder of this secret, or public key, accepts.
pub(crate) fn verifies(request: &ReceivedRequest, secret: &str) -> bool {
    let verifier =
        Verifier::new(Provider::StandardWebhooks, &[secret], &SchemeOptions::default()).expect("a verification secret");
    let checked = spillway_signature::Request {
        headers: &request.headers,
        body: &request.body,
        path_and_query: "/",
        now_unix_ms: SystemClock.now(),
    };
    verifier.verify(&checked).is_ok()
}
