//! Whole runs: a coordinator and its shards, over real connections, with users that record without sending anything.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::json;
use spillway_slo::threshold::Threshold;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::*;
use crate::engine::Engine;
use crate::executor::Wanted;
use crate::metrics::{
    HttpSample, Metric, Recorder, Registry, RegistrySettings, Series, SeriesValues, Snapshot, Tags, Values,
};
use crate::options::{ExecutorPlan, Plan, ScenarioPlan};
use crate::segment::Segment;
use crate::user::{IterationError, VirtualUser, Workload};

mod failures;
mod runs;

/// What a test's users do: each iteration takes this long and records one request that took `milliseconds`.
#[derive(Clone, Copy)]
struct Load {
    executor: &'static str,
    iteration: Duration,
    milliseconds: u64,
}

const LOOPING: Load = Load { executor: "constant-vus", iteration: Duration::from_millis(10), milliseconds: 5 };

struct Synthetic {
    load: Load,
    series: Series,
    first: Arc<Mutex<Option<Instant>>>,
}

impl Workload for Synthetic {
    fn user(&self, vu: u32, recorder: Recorder) -> Result<Box<dyn VirtualUser>, IterationError> {
        let Self { load, series, first } = self;
        Ok(Box::new(User { load: *load, series: *series, first: first.clone(), recorder, number: u64::from(vu) * 7 }))
    }
}

struct User {
    load: Load,
    series: Series,
    first: Arc<Mutex<Option<Instant>>>,
    recorder: Recorder,
    number: u64,
}

impl VirtualUser for User {
    fn iterate(&mut self) -> BoxFuture<'_, Result<(), IterationError>> {
        async move {
            self.first.lock().get_or_insert_with(Instant::now);
            tokio::time::sleep(self.load.iteration).await;
            self.number += 1;
            let waiting =
                Duration::from_millis(self.load.milliseconds) + Duration::from_micros(self.number * 131 % 900);
            let failed = self.number.is_multiple_of(10);
            self.recorder.http(&HttpSample { waiting, failed, sent: 3, ..HttpSample::new(self.series) });
            Ok(())
        }
        .boxed()
    }
}

/// A shard of a test, seen from inside.
struct Part {
    task: JoinHandle<Result<ShardEnd, ShardFailure>>,
    registry: Arc<Mutex<Option<Arc<Registry>>>>,
    assignment: Arc<Mutex<Option<Assignment>>>,
    first: Arc<Mutex<Option<Instant>>>,
    stop: CancellationToken,
}

/// Counts how often `setup` and `teardown` ran.
#[derive(Default)]
struct Counting {
    setups: AtomicU32,
    teardowns: Mutex<Vec<BTreeMap<String, String>>>,
}

impl Surroundings for Counting {
    fn setup(&self) -> BoxFuture<'_, Result<BTreeMap<String, String>, String>> {
        self.setups.fetch_add(1, Ordering::SeqCst);
        async { Ok(captured()) }.boxed()
    }

    fn teardown(&self, captured: BTreeMap<String, String>) -> BoxFuture<'_, Result<(), String>> {
        self.teardowns.lock().push(captured);
        async { Ok(()) }.boxed()
    }
}

fn captured() -> BTreeMap<String, String> {
    BTreeMap::from([("account".to_owned(), "acc_1".to_owned())])
}

/// A coordinator of a test.
struct Test {
    shards: u32,
    seconds: u64,
    load: Load,
    thresholds: Vec<Threshold>,
    token: Option<String>,
    join_timeout: Duration,
    wanted: Option<watch::Receiver<Wanted>>,
}

struct Running {
    address: SocketAddr,
    task: JoinHandle<Result<Merged, CoordinationError>>,
    around: Arc<Counting>,
    ticks: Arc<Mutex<Vec<u64>>>,
    stop: CancellationToken,
    so_far: SoFar,
}

impl Test {
    fn new(shards: u32, seconds: u64) -> Self {
        Self {
            shards,
            seconds,
            load: LOOPING,
            thresholds: Vec::new(),
            token: None,
            join_timeout: Duration::from_secs(20),
            wanted: None,
        }
    }

    fn with_threshold(mut self, selector: &str, expression: &str, abort_on_fail: bool) -> Self {
        let threshold = Threshold::new(selector.parse().unwrap(), expression.parse().unwrap());
        self.thresholds.push(Threshold { abort_on_fail, ..threshold });
        self
    }

    async fn coordinate(&self) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let around = Arc::<Counting>::default();
        let ticks = Arc::<Mutex<Vec<u64>>>::default();
        let stop = CancellationToken::new();
        let so_far = SoFar::default();
        let coordinator = Coordinator {
            listener,
            settings: CoordinatorSettings {
                token: self.token.clone(),
                join_timeout: self.join_timeout,
                silence: Duration::from_secs(2),
                start_delay: Duration::from_millis(200),
                ..CoordinatorSettings::new(self.shards)
            },
            job: json!({"file": "peak.toml"}),
            thresholds: self.thresholds.clone(),
            stop: stop.clone(),
            kill: CancellationToken::new(),
            wanted: self.wanted.clone(),
            so_far: so_far.clone(),
        };
        let (own, seen) = (around.clone(), ticks.clone());
        let task = tokio::spawn(async move {
            coordinator.run(own.as_ref(), move |tick| seen.lock().push(tick.second.requests)).await
        });
        Running { address, task, around, ticks, stop, so_far }
    }

    fn shard(&self, address: SocketAddr, index: Option<u32>) -> Part {
        let stop = CancellationToken::new();
        let shard = Shard {
            coordinator: format!("http://{address}").parse().unwrap(),
            index,
            token: self.token.clone(),
            join_timeout: Duration::from_secs(5),
            stop: stop.clone(),
            kill: CancellationToken::new(),
        };
        let registry = Arc::<Mutex<Option<Arc<Registry>>>>::default();
        let given = Arc::<Mutex<Option<Assignment>>>::default();
        let first = Arc::<Mutex<Option<Instant>>>::default();
        let (load, seconds, thresholds) = (self.load, self.seconds, self.thresholds.clone());
        let (own_registry, own_given, own_first) = (registry.clone(), given.clone(), first.clone());
        let task = tokio::spawn(shard.run(async move |assignment: Assignment| {
            let engine = engine(load, seconds, thresholds, &assignment, own_first);
            *own_registry.lock() = Some(engine.registry.clone());
            *own_given.lock() = Some(assignment);
            Ok(engine)
        }));
        Part { task, registry, assignment: given, first, stop }
    }
}

fn engine(
    load: Load,
    seconds: u64,
    thresholds: Vec<Threshold>,
    assignment: &Assignment,
    first: Arc<Mutex<Option<Instant>>>,
) -> Engine {
    let registry = Registry::new(RegistrySettings { thresholds: thresholds.clone(), ..RegistrySettings::default() });
    let tags = Tags { scenario: "peak".to_owned(), name: format!("/{}", assignment.index % 2), ..Tags::default() };
    let series = registry.series(&tags);
    let duration = Duration::from_secs(seconds);
    let executor = match load.executor {
        "externally-controlled" => ExecutorPlan::ExternallyControlled { vus: 3, max_vus: 30, duration: Some(duration) },
        _ => ExecutorPlan::ConstantVus { vus: 6, duration },
    };
    let scenario = ScenarioPlan {
        name: "peak".to_owned(),
        executor,
        start_time: Duration::ZERO,
        graceful_stop: Duration::from_secs(5),
        env: BTreeMap::new(),
        tags: BTreeMap::new(),
        exec: "default".to_owned(),
    };
    Engine {
        plan: plan(scenario, thresholds, assignment),
        workloads: BTreeMap::from([(
            "peak".to_owned(),
            Arc::new(Synthetic { load, series, first }) as Arc<dyn Workload>,
        )]),
        registry,
        stop: CancellationToken::new(),
        kill: CancellationToken::new(),
        wanted: None,
    }
}

fn plan(scenario: ScenarioPlan, thresholds: Vec<Threshold>, assignment: &Assignment) -> Plan {
    Plan {
        scenarios: vec![scenario],
        thresholds,
        segment: segment(assignment),
        target: None,
        tags: BTreeMap::new(),
        user_agent: None,
        insecure_skip_tls_verify: false,
        no_connection_reuse: false,
        discard_response_bodies: false,
        rps: None,
        setup_timeout: Duration::from_secs(60),
        teardown_timeout: Duration::from_secs(60),
        summary_trend_stats: Vec::new(),
        summary_time_unit: None,
        warnings: Vec::new(),
    }
}

fn segment(Assignment { execution_segment, execution_segment_sequence, .. }: &Assignment) -> Segment {
    Segment::parse(Some(execution_segment), Some(execution_segment_sequence)).unwrap()
}
