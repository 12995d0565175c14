//! A run as it would have been measured, without the run.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::time::Instant;

use crate::engine::{Judged, Outcome};
use crate::executor::Progress;
use crate::generator::Health;
use crate::metrics::{HttpSample, Registry, RegistrySettings, Tags};
use crate::observe::{Observed, ObservedSeries, ObservedUnit};
use crate::options::{Description, ScenarioDescription};
use crate::results::{Meta, RunSummary};

/// Random numbers that are the same everywhere and always.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give the same numbers one place later.
        let mut own = Self(seed);
        let begin = own.uniform().to_bits();
        Self(begin.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// From 0 to 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About the standard normal distribution.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// Requests of the sample: method, name, median in milliseconds.
const ENDPOINTS: [(&str, &str, f64); 5] = [
    ("POST", "/in/github", 9.0),
    ("POST", "/in/stripe", 12.0),
    ("GET", "/api/v1/events", 24.0),
    ("GET", "/api/v1/deliveries/{id}", 6.0),
    ("POST", "/api/v1/replays", 85.0),
];

pub(crate) fn meta(name: &str) -> Meta {
    let scenario = |name: &str, executor: &str, schedule: &str| ScenarioDescription {
        name: name.to_owned(),
        executor: executor.to_owned(),
        exec: "default".to_owned(),
        vus: 20,
        max_vus: 50,
        iterations: Some(12_000),
        start: Duration::ZERO,
        end: Some(Duration::from_secs(120)),
        schedule: schedule.to_owned(),
    };
    Meta {
        name: name.to_owned(),
        file: format!("infra/load/{name}.toml"),
        started_at: String::new(),
        version: "0.1.0".to_owned(),
        system: "linux x86_64, 2 core(s)".to_owned(),
        command: [
            "spillway-loadgen",
            "run",
            "infra/load/baseline.toml",
            "--target",
            "http://127.0.0.1:8080",
            "--scale",
            "0.5",
        ]
        .map(str::to_owned)
        .to_vec(),
        target: Some("http://127.0.0.1:8080/".to_owned()),
        tags: BTreeMap::from([("build".to_owned(), "4f2a91c".to_owned())]),
        description: Description {
            duration: Some(Duration::from_secs(120)),
            max_vus: 50,
            scenarios: vec![scenario("intake", "constant-arrival-rate", "100/s for 2m")],
        },
        options: json!({ "scenarios": { "intake": {
            "executor": "constant-arrival-rate", "rate": 100.0, "timeUnit": "1s", "duration": "2m", "preAllocatedVUs": 20, "maxVUs": 50,
        } } }),
        trend_stats: Vec::new(),
        time_unit: None,
    }
}

pub(crate) fn health() -> Health {
    Health {
        cpu_percent: 34.2,
        cpu_percent_max: 51.0,
        cores: 2,
        lag_p99_ms: 1.2,
        file_descriptors: 82,
        file_descriptor_limit: 1_048_576,
        memory_bytes: 43_000_000,
        invalid: None,
    }
}

pub(crate) fn judged(selector: &str, expression: &str, value: Option<f64>, passed: bool) -> Judged {
    let (selector, expression) = (selector.to_owned(), expression.to_owned());
    Judged { selector, expression, value, passed, aborted: false }
}

/// A run of `seconds`, 100 requests in each, of which some fail between the 60th and the 70th. `slower` multiplies latencies.
pub(crate) fn run(seed: u64, seconds: u32, slower: f64) -> RunSummary {
    let registry = Registry::new(RegistrySettings::default());
    let recorder = registry.recorder();
    let mut noise = Noise::new(seed);
    let tags = |method: &str, name: &str| Tags {
        method: method.to_owned(),
        name: name.to_owned(),
        scenario: "intake".to_owned(),
        status: Some(200),
        expected_response: Some(true),
        ..Tags::default()
    };
    let good = ENDPOINTS.map(|(method, name, _)| registry.series(&tags(method, name)));
    let bad = [(503, "status"), (0, "timeout")].map(|(status, error)| {
        let failed = Tags {
            status: Some(status),
            error: error.to_owned(),
            expected_response: Some(false),
            ..tags("POST", "/api/v1/replays")
        };
        registry.series(&failed)
    });
    let scenario = registry.series(&Tags::scenario("intake", &BTreeMap::new()));
    let check =
        |name: &str| registry.series(&Tags { check: name.to_owned(), ..Tags::scenario("intake", &BTreeMap::new()) });
    let checks = [check("is accepted"), check("answers within 1 s")];
    let began = Instant::now();
    registry.begin(began);
    let (mut mood, mut dropped) = (0.0, 0);
    for second in 0..seconds {
        mood = 0.7 * mood + 0.08 * noise.normal();
        let spike = if (60..70).contains(&second) { 3.0 } else { 1.0 };
        registry.set_vus(20 + u32::from(spike > 1.0) * 30, 50);
        for n in 0..100 {
            let place = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3][n % 10];
            let place = if n % 50 == 49 { 4 } else { place };
            let ms = ENDPOINTS[place].2 * slower * spike * f64::exp(mood + 0.45 * noise.normal());
            let fails = spike > 1.0 && place == 4;
            let series = if fails { bad[usize::from(noise.uniform() < 0.3)] } else { good[place] };
            let time = Duration::from_secs_f64(ms / 1e3);
            recorder.http(&HttpSample {
                sending: time / 50,
                waiting: time * 9 / 10,
                receiving: time * 4 / 50,
                sent: 900,
                received: 210,
                failed: fails,
                ..HttpSample::new(series)
            });
            recorder.check(checks[0], !fails);
            recorder.check(checks[1], ms < 1_000.0);
            let delay = Duration::from_micros((noise.uniform() * 400.0 * spike * spike) as u64);
            recorder.iteration(scenario, time, Some(delay), Some(time + delay));
        }
        if spike > 1.0 {
            recorder.dropped(scenario, 7);
            dropped += 7;
        }
        registry.tick(began + Duration::from_secs(u64::from(second) + 1));
    }
    let (started, duration) = (u64::from(seconds) * 100, Duration::from_secs(seconds.into()));
    let progress = Progress {
        active_vus: 0,
        allocated_vus: 50,
        started,
        completed: started,
        dropped,
        ended: true,
        last_error: (dropped > 0).then(|| ("/api/v1/replays did not answer within 1 s".to_owned(), 6)),
        ..Progress::default()
    };
    let outcome = Outcome {
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000),
        duration,
        snapshot: registry.snapshot(),
        scenarios: BTreeMap::from([("intake".to_owned(), progress)]),
        thresholds: vec![
            judged("http_req_duration", "p(95)<250", Some(98.4 * slower), 98.4 * slower < 250.0),
            judged("http_req_duration{name:/in/stripe}", "p(99)<150 over 30s", Some(61.2), true),
            judged("http_req_failed", "rate<0.001", Some(0.0017), false),
            judged("dropped_iterations", "count<100", Some(dropped as f64), true),
        ],
        interrupted: false,
        generator: health(),
    };
    let mut summary = RunSummary::new(&outcome, registry.timeline(), meta("baseline"));
    let line = |base: f64, swing: f64, growth: f64, noise: &mut Noise| -> Vec<(f64, f64)> {
        (0..seconds)
            .map(|at| {
                let busy = if (60..70).contains(&at) { swing } else { 0.0 };
                (
                    f64::from(at) * 1e3 + 500.0,
                    (base + busy + growth * f64::from(at) + base * 0.05 * noise.normal()).round(),
                )
            })
            .collect()
    };
    summary.observed = vec![Observed {
        source: "pid 4711".to_owned(),
        series: vec![
            ObservedSeries {
                name: "cpu".to_owned(),
                unit: ObservedUnit::Percent,
                points: line(62.0, 95.0, 0.0, &mut noise),
            },
            ObservedSeries {
                name: "memory".to_owned(),
                unit: ObservedUnit::Bytes,
                points: line(88e6, 9e6, 4e4, &mut noise),
            },
        ],
        warnings: Vec::new(),
    }];
    summary
}
