//! Requests per second of the same Goose transaction, driven by Goose itself and by our executors. For `cargo xtask bench loadgen`.
//!
//! `bench_goose plain|ours URL USERS SECONDS` prints the rate, counted in the transaction itself after a warm-up of two seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use goose::GooseAttack;
use goose::config::GooseConfiguration;
use goose::goose::{GooseUser, Scenario, Transaction, TransactionFunction, TransactionResult};
use spillway_loadgen::engine::Engine;
use spillway_loadgen::goose_driver::GooseWorkload;
use spillway_loadgen::metrics::{Registry, RegistrySettings};
use spillway_loadgen::options::{Options, Overrides};
use spillway_loadgen::user::Workload;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const WARM_UP: Duration = Duration::from_secs(2);

static ANSWERED: AtomicU64 = AtomicU64::new(0);

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [driver, url, users, seconds] = arguments.as_slice() else {
        return Err("usage: bench_goose plain|ours URL USERS SECONDS".into());
    };
    let seconds: u64 = seconds.parse()?;
    let counter = std::thread::spawn(move || count(Duration::from_secs(seconds)));
    let run_time = WARM_UP + Duration::from_secs(seconds + 1);
    let runtime = match spillway_loadgen::generator::cores() {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        _ => tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
    };
    match driver.as_str() {
        "plain" => runtime.block_on(plain(url, users, run_time))?,
        "ours" => runtime.block_on(ours(url, users, run_time))?,
        other => return Err(format!("there is no driver {other}").into()),
    }
    let rate = counter.join().map_err(|_| "the counter failed")?;
    println!("{rate:.0}");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own that only counts")]
fn count(length: Duration) -> f64 {
    std::thread::sleep(WARM_UP);
    let (begun, before) = (Instant::now(), ANSWERED.load(Ordering::Relaxed));
    std::thread::sleep(length);
    (ANSWERED.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64()
}

fn scenario() -> Scenario {
    let get: TransactionFunction = Arc::new(|user| Box::pin(get(user)));
    Scenario::new("bench").register_transaction(Transaction::new(get).set_name("get"))
}

async fn get(user: &mut GooseUser) -> TransactionResult {
    if let Ok(answer) = user.get("/").await?.response {
        answer.bytes().await?;
    }
    ANSWERED.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// As fast as Goose goes: no controllers, no output, nothing but its metrics.
async fn plain(url: &str, users: &str, run_time: Duration) -> Result<(), Failure> {
    let seconds = run_time.as_secs().to_string();
    let options = [
        "--host",
        url,
        "--users",
        users,
        "--increase-rate",
        "1000",
        "--run-time",
        &seconds,
        "--no-telnet",
        "--no-websocket",
        "-q",
    ];
    let options = [&options[..], &["--no-print-metrics", "--no-transaction-metrics", "--no-scenario-metrics"]].concat();
    let configuration = GooseConfiguration::parse_args_default(&options)?;
    let attack = GooseAttack::initialize_with_config(configuration)?.register_scenario(scenario());
    Box::pin(attack.execute()).await?;
    Ok(())
}

async fn ours(url: &str, users: &str, run_time: Duration) -> Result<(), Failure> {
    let text = format!("vus = {users}\nduration = \"{}s\"\ntarget = \"{url}\"\n", run_time.as_secs());
    let plan = Options::parse(&text, spillway_loadgen::options::Format::Toml, "bench")?
        .plan(&Overrides::default(), &["default"])?;
    let registry = Registry::new(RegistrySettings::default());
    let workload: Arc<dyn Workload> =
        Arc::new(GooseWorkload::new(scenario(), "default", url.parse()?, registry.clone())?);
    let engine = Engine {
        plan,
        workloads: BTreeMap::from([("default".to_owned(), workload)]),
        registry,
        stop: CancellationToken::new(),
        kill: CancellationToken::new(),
        wanted: None,
    };
    engine.run(|_| {}).await?;
    Ok(())
}
