//! The load generator against its peers, in the same run: server on core 0, generator on core 1.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::table::{Bar, Figure, Table};
use super::{BenchArgs, process};
use crate::{Failure, load};

const SERVER_CORE: &str = "0";
const GENERATOR_CORE: &str = "1";

/// Users of the Goose comparison.
const GOOSE_USERS: &str = "100";

/// Requests per second of the open loop.
const RATE: &str = "20000";

/// A run reads its memory this often.
const MEMORY_PAUSE: Duration = Duration::from_millis(250);

/// The flood whose memory is measured.
const FLOOD: &str = "60s";

/// The run whose memory must stay flat.
const STEADY_SECONDS: u64 = 600;

pub(crate) fn run(arguments: &BenchArgs, long: bool) -> Result<Table, Failure> {
    let programs = Programs::beside(&arguments.common.gateway)?;
    load::raise_file_limit();
    let server = Server::start(&programs.server)?;
    let seconds = arguments.seconds.to_string();
    let mut table = Table::new(format!(
        "load generator on core {GENERATOR_CORE}, bare server on core {SERVER_CORE}, {} s a round",
        arguments.seconds
    ));
    closed(arguments, &programs, &server, &seconds, &mut table)?;
    open(arguments, &programs, &server, &seconds, &mut table)?;
    goose(arguments, &programs, &server, &seconds, &mut table)?;
    memory(&programs, &server, long, &mut table)?;
    Ok(table)
}

fn closed(
    arguments: &BenchArgs,
    programs: &Programs,
    server: &Server,
    seconds: &str,
    table: &mut Table,
) -> Result<(), Failure> {
    let connections = arguments.connections.to_string();
    let [mut oha, mut wrk, mut ours] = <[Vec<f64>; 3]>::default();
    for _ in 0..arguments.rounds() {
        oha.push(oha_rate(&server.url, &connections, seconds)?);
        wrk.push(wrk_rate(&server.url, &connections, seconds)?);
        let report = programs.flood(&[&server.url, "-c", &connections, "-d", &format!("{seconds}s")])?;
        ours.push(number(&report, "/requests_per_second")?);
    }
    let oha = Figure::new(format!("closed loop, {connections} connections: oha"), "/s", oha);
    let wrk = Figure::new(format!("closed loop, {connections} connections: wrk"), "/s", wrk);
    let ours = Figure::new("the same: spillway-loadgen flood", "/s", ours).against(&oha).bar(Bar::RatioAtLeast(0.9));
    table.push(oha);
    table.push(wrk);
    table.push(ours);
    Ok(())
}

fn open(
    arguments: &BenchArgs,
    programs: &Programs,
    server: &Server,
    seconds: &str,
    table: &mut Table,
) -> Result<(), Failure> {
    let [mut oha, mut delay, mut intended, mut dropped] = <[Vec<f64>; 4]>::default();
    for _ in 0..arguments.rounds() {
        let report =
            oha_report(&server.url, &["-c", "256", "-z", &format!("{seconds}s"), "-q", RATE, "--latency-correction"])?;
        oha.push(number(&report, "/latencyPercentiles/p99")? * 1e3);
        let report = programs.flood(&[&server.url, "-c", "256", "-d", &format!("{seconds}s"), "--rate", RATE])?;
        delay.push(number(&report, "/start_delay_ms/p99")?);
        intended.push(number(&report, "/from_intended_ms/p99")?);
        dropped.push(number(&report, "/dropped")?);
    }
    table.push(Figure::new(format!("{RATE}/s: oha -q, latency p99 with its correction"), "ms", oha));
    table.push(Figure::new(format!("{RATE}/s: flood --rate, from the intended start p99"), "ms", intended));
    table.push(Figure::new(format!("{RATE}/s: flood --rate, start delay p99"), "ms", delay).bar(Bar::AtMost(1.0)));
    table.push(Figure::new(format!("{RATE}/s: flood --rate, dropped"), "requests", dropped).bar(Bar::AtMost(0.0)));
    Ok(())
}

fn goose(
    arguments: &BenchArgs,
    programs: &Programs,
    server: &Server,
    seconds: &str,
    table: &mut Table,
) -> Result<(), Failure> {
    let [mut plain, mut ours] = <[Vec<f64>; 2]>::default();
    for _ in 0..arguments.rounds() {
        for (driver, rounds) in [("plain", &mut plain), ("ours", &mut ours)] {
            let output = pinned(&programs.goose).args([driver, &server.url, GOOSE_USERS, seconds]).output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let rate = text.lines().next_back().and_then(|line| line.trim().parse().ok());
            rounds.push(rate.ok_or_else(|| format!("{driver}: {}", String::from_utf8_lossy(&output.stderr)))?);
        }
    }
    let plain = Figure::new(format!("the same transaction, {GOOSE_USERS} users: plain Goose"), "/s", plain);
    let ours = Figure::new("the same: Goose's transaction on our executors", "/s", ours).against(&plain);
    table.push(plain);
    table.push(ours.bar(Bar::RatioAtLeast(0.9)));
    Ok(())
}

fn memory(programs: &Programs, server: &Server, long: bool, table: &mut Table) -> Result<(), Failure> {
    let used = programs.watched(&["flood", &server.url, "-c", "64", "-d", FLOOD, "-q", "--output", "json"])?;
    table.push(
        Figure::new(format!("memory: flood as fast as it goes for {FLOOD}"), "MB", vec![used.most])
            .bar(Bar::AtMost(60.0)),
    );
    let folder = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> Result<PathBuf, Failure> {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    let users = file("users.toml", USERS)?;
    let used =
        programs.watched(&["run", &users.display().to_string(), "--target", &server.url, "-q", "--output", "json"])?;
    table.push(
        Figure::new("memory: 10,000 users with keep-alive for 60 s", "MB", vec![used.most]).bar(Bar::AtMost(600.0)),
    );
    let sockets = file("sockets.toml", SOCKETS)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let echo = runtime.block_on(load::echo_server())?;
    let echo = format!("http://{echo}");
    let used =
        programs.watched(&["run", &sockets.display().to_string(), "--target", &echo, "-q", "--output", "json"])?;
    table.push(
        Figure::new("memory: 2,000 WebSocket connections for 60 s", "MB", vec![used.most]).bar(Bar::AtMost(100.0)),
    );
    if long {
        let steady = file("steady.toml", &format!("{STEADY}duration = \"{STEADY_SECONDS}s\"\n{STEADY_FLOW}"))?;
        let used = programs.watched(&[
            "run",
            &steady.display().to_string(),
            "--target",
            &server.url,
            "-q",
            "--output",
            "json",
        ])?;
        let what = format!("memory: 1,000/s for {STEADY_SECONDS} s, end against a quarter");
        let quarter = Figure::new("memory: 1,000/s, after a quarter of the time", "MB", vec![used.at_a_quarter]);
        let end = Figure::new(what, "MB", vec![used.at_end]).against(&quarter).bar(Bar::RatioAtMost(1.1));
        table.push(quarter);
        table.push(end);
    }
    Ok(())
}

const USERS: &str = r#"
[scenarios.users]
executor = "constant-vus"
vus = 10000
duration = "60s"
[flows.default]
think_time = { min = "1s", max = "3s" }
[[flows.default.requests]]
path = "/"
"#;

const SOCKETS: &str = r#"
[scenarios.sockets]
executor = "constant-vus"
vus = 2000
duration = "60s"
[flows.default.websocket]
path = "/ws"
repeat = 10
messages = [{ send = "{{vu}} {{uuid}}", await_reply = true, think_time = { min = "3s", max = "6s" } }]
"#;

const STEADY: &str = r#"
[scenarios.steady]
executor = "constant-arrival-rate"
rate = 1000
preAllocatedVUs = 50
maxVUs = 500
"#;

const STEADY_FLOW: &str = r#"
[[flows.default.requests]]
path = "/"
"#;

/// What takes part, built by `cargo xtask bench loadgen`.
struct Programs {
    loadgen: PathBuf,
    goose: PathBuf,
    server: PathBuf,
}

/// Resident memory of a run, in megabytes.
struct Memory {
    most: f64,
    at_a_quarter: f64,
    at_end: f64,
}

impl Programs {
    fn beside(gateway: &Path) -> Result<Self, Failure> {
        let folder = gateway.parent().unwrap_or(Path::new("."));
        let programs = Self {
            loadgen: folder.join("spillway-loadgen"),
            goose: folder.join("examples/bench_goose"),
            server: folder.join("examples/bare_server"),
        };
        for program in [&programs.loadgen, &programs.goose, &programs.server] {
            if !program.is_file() {
                return Err(format!("{} is missing: run `cargo xtask bench loadgen`", program.display()).into());
            }
        }
        Ok(programs)
    }

    fn flood(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let output = pinned(&self.loadgen).arg("flood").args(arguments).args(["-q", "--output", "json"]).output()?;
        json(&output)
    }

    /// Runs the load generator and watches its memory.
    fn watched(&self, arguments: &[&str]) -> Result<Memory, Failure> {
        let mut child = pinned(&self.loadgen).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let begun = Instant::now();
        let mut readings = Vec::new();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            readings.push((begun.elapsed(), process::resident_mb(child.id())));
            pause(MEMORY_PAUSE);
        };
        // 3: the generator was the bottleneck, which a flood on one core is meant to be.
        if !matches!(status.code(), Some(0 | 3)) {
            let mut text = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                std::io::Read::read_to_string(&mut stderr, &mut text)?;
            }
            return Err(format!("spillway-loadgen {} ended with {status}: {text}", arguments.join(" ")).into());
        }
        // A process that ends has no memory any more.
        readings.retain(|(_, used)| *used > 0.0);
        let whole = begun.elapsed();
        let most = readings.iter().map(|(_, used)| *used).fold(0.0, f64::max);
        let quarter = readings.iter().find(|(at, _)| *at >= whole / 4).map_or(most, |(_, used)| *used);
        Ok(Memory { most, at_a_quarter: quarter, at_end: readings.last().map_or(most, |(_, used)| *used) })
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing else runs in this process meanwhile")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn oha_rate(url: &str, connections: &str, seconds: &str) -> Result<f64, Failure> {
    let report = oha_report(url, &["-c", connections, "-z", &format!("{seconds}s")])?;
    number(&report, "/summary/requestsPerSec")
}

fn oha_report(url: &str, arguments: &[&str]) -> Result<Value, Failure> {
    let output =
        pinned(Path::new("oha")).args(["--no-tui", "--output-format", "json"]).args(arguments).arg(url).output()?;
    json(&output)
}

fn wrk_rate(url: &str, connections: &str, seconds: &str) -> Result<f64, Failure> {
    let output = pinned(Path::new("wrk")).args(["-t1", "-c", connections, "-d", seconds, url]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok());
    rate.ok_or_else(|| format!("wrk says no rate:\n{text}{}", String::from_utf8_lossy(&output.stderr)).into())
}

/// The program on the generator's core.
fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", GENERATOR_CORE]).arg(program);
    command
}

fn json(output: &std::process::Output) -> Result<Value, Failure> {
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("no result ({error}): {}", String::from_utf8_lossy(&output.stderr)).into())
}

fn number(report: &Value, pointer: &str) -> Result<f64, Failure> {
    report
        .pointer(pointer)
        .and_then(Value::as_f64)
        .ok_or_else(|| format!("the result has no {pointer}: {report}").into())
}

/// The bare server, killed when dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(program: &Path) -> Result<Self, Failure> {
        let mut child = Command::new("taskset")
            .args(["-c", SERVER_CORE])
            .arg(program)
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the bare server cannot be started: {error}"))?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("the bare server has no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ").ok_or("the bare server does not say where it listens")?;
        Ok(Self { child, url: url.to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
