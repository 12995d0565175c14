//! Faults under load, for a short time. `cargo xtask chaos` does the same for longer; a seed printed here repeats the faults there.

use std::time::Duration;

use spillway_devtools::chaos::{ChaosReport, ChaosSettings, Engine, run};

use crate::support::program;

const DURATION: Duration = Duration::from_secs(20);
/// An unoptimised program that shares the machine with other tests.
const RATE: f64 = 120.0;
/// For the same reason. What it still shows is that the steady destination does not wait for the hanging one's timeout of 3 s; the
/// tenth is measured by `cargo xtask chaos` and `cargo xtask bench isolation`.
const ISOLATION_TOLERANCE: Duration = Duration::from_millis(250);

async fn chaos(engine: Engine, redis: bool, nodes: usize) -> ChaosReport {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = ChaosSettings {
        gateway: program().to_owned(),
        duration: DURATION,
        seed: rand::random(),
        engine,
        redis,
        nodes,
        rate: RATE,
        isolation_tolerance: ISOLATION_TOLERANCE,
        // Tests run without root, too.
        allow_missing: true,
        folder: folder.path().to_owned(),
    };
    println!("seed {}", settings.seed);
    let report = run(&settings).await.expect("a whole run");
    println!("{report}");
    assert!(report.is_ok(), "{report}");
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_engine_loses_nothing_under_faults() {
    let report = chaos(Engine::Sqlite, false, 0).await;
    assert!(report.acknowledged > 500, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_nodes_on_postgres_with_redis_lose_nothing_under_faults() {
    let report = chaos(Engine::Postgres, true, 2).await;
    assert!(report.acknowledged > 500, "{report}");
}
