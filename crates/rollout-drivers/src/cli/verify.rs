//! `verify`: a candidate's address against the production's.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::Uri;
use spillway_model::SystemClock;
use spillway_report::screen::Screen;
use spillway_rollout::judge::JudgeSettings;
use spillway_rollout::observed::CommandAction;

use super::source::{Source, SourceArgs};
use super::{Failure, Output, command, duration, say, say_json, stop, width};
use crate::gates::ProcessLoadTester;
use crate::http::HttpClient;
use crate::people::verify::{Limit, Outcome, Verify, VerifyVerdict, load_test, render};

/// Longest wait until the rollout was aborted.
const ABORT_WAIT: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
#[command(after_help = "\
Both addresses get the same requests at the same time. A judge that may look after every second says worse, not worse, or no evidence.

Exit codes: 0 not worse, 1 worse, 2 no evidence.")]
pub(super) struct VerifyArgs {
    /// Base address of the candidate
    #[arg(long, value_name = "URL", value_parser = base)]
    canary_url: String,
    /// Base address of the production
    #[arg(long, value_name = "URL", value_parser = base)]
    production_url: String,
    /// Longest comparison; a proof ends it earlier
    #[arg(long, default_value = "5m", value_parser = duration)]
    duration: Duration,
    /// Requests per second to each address
    #[arg(long, default_value_t = 20.0, value_name = "N", value_parser = rate)]
    rate: f64,
    /// Path that is requested by GET; may be repeated [default: the health path]
    #[arg(long, value_name = "PATH", value_parser = path)]
    requests_path: Vec<String>,
    /// Path that has to answer 2xx on both before anything is compared
    #[arg(long, value_name = "PATH", default_value = "/healthz", value_parser = path)]
    health_path: String,
    /// Longest wait for an answer
    #[arg(long, default_value = "10s", value_parser = duration)]
    timeout: Duration,
    /// A limit that the candidate has to keep: errors=1%, p50=100ms, p95=250ms, p99=500ms; may be repeated
    #[arg(long, value_name = "METRIC=MAX")]
    threshold: Vec<Limit>,
    /// Not worse means: at most 1.5 times the production's share of failed and of slow requests, and this much
    #[arg(long, value_name = "SHARE", default_value = "0.5%", value_parser = super::share)]
    tolerate: f64,
    /// A load test of the candidate that has to pass, after the comparison
    #[arg(long, value_name = "FILE")]
    load_test: Option<PathBuf>,
    /// Where the load test's report is written
    #[arg(long, value_name = "DIR", default_value = "rollout-reports")]
    report_dir: PathBuf,
    /// Abort the rollout when the candidate is worse or fails the load test: all traffic goes back to the live version
    #[arg(long)]
    auto_rollback_on_loadfail: bool,
    /// The rollout to abort [default: the only one]
    #[arg(long, value_name = "NAME", requires = "auto_rollback_on_loadfail")]
    rollout: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
    /// How the result is printed
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
}

pub(super) async fn run(arguments: VerifyArgs) -> Result<u8, Failure> {
    let mut paths = arguments.requests_path.clone();
    if paths.is_empty() {
        paths.push(arguments.health_path.clone());
    }
    if arguments.duration.is_zero() || arguments.timeout.is_zero() {
        return Err(Failure::argument("--duration and --timeout are more than nothing"));
    }
    if let Some(file) = arguments.load_test.as_ref().filter(|file| !file.is_file()) {
        return Err(Failure::argument(format!("cannot read the load test {}", file.display())));
    }
    // Before anything runs: who could not be stopped afterwards.
    let rollout = match arguments.auto_rollback_on_loadfail {
        true => Some(arguments.source.find(arguments.rollout.as_deref())?),
        false => None,
    };
    let verify = Verify {
        candidate: arguments.canary_url.clone(),
        production: arguments.production_url.clone(),
        health_path: arguments.health_path.clone(),
        paths,
        rate: arguments.rate,
        duration: arguments.duration,
        timeout: arguments.timeout,
        limits: arguments.threshold.clone(),
        judge: JudgeSettings { tolerated_difference: arguments.tolerate, ..JudgeSettings::default() },
    };
    let stop = stop::on_signals().gently;
    let mut screen = if arguments.output == Output::Json { None } else { Screen::new() };
    let mut outcome = verify
        .run(&HttpClient::new(), &SystemClock, &stop, |outcome| {
            if let Some(screen) = &mut screen {
                screen.show(render(outcome, false, width(), true).lines());
            }
        })
        .await;
    if let Some(screen) = &mut screen {
        screen.end();
    }
    if let Some(file) =
        arguments.load_test.as_ref().filter(|_| outcome.verdict != VerifyVerdict::Worse && !stop.is_cancelled())
    {
        if arguments.output == Output::Table {
            anstream::eprintln!("{}: the load test runs", outcome.reason);
        }
        let tester = ProcessLoadTester::find(&arguments.report_dir);
        let ended = load_test(&tester, file, &arguments.canary_url, &stop).await;
        outcome = outcome.with_load_test(ended);
    }
    match arguments.output {
        Output::Json => say_json(&outcome)?,
        Output::Table => say(&render(&outcome, true, width(), true))?,
    };
    if let Some(rollout) = rollout.filter(|_| outcome.verdict == VerifyVerdict::Worse) {
        abort(&rollout, &outcome).await?;
    }
    Ok(outcome.verdict.exit_code())
}

/// Takes the traffic back, and says so on standard error, which is no part of the result.
async fn abort(rollout: &Source, outcome: &Outcome) -> Result<(), Failure> {
    let command = command::command(CommandAction::Abort, "spillway-rollout verify", Some(&outcome.reason));
    rollout.give(&command).await?;
    if let Some(absent) = rollout.absent() {
        anstream::eprintln!("abort was given: {absent}");
        return Ok(());
    }
    match command::applied(rollout, &command.id, ABORT_WAIT).await? {
        Some(view) => anstream::eprintln!("{}", crate::people::Headline::of(&view).line()),
        None => anstream::eprintln!(
            "abort was given, and not carried out yet: `spillway-rollout status` shows what becomes of it"
        ),
    }
    Ok(())
}

/// `http://host:port`, with a path or not, without a slash at its end.
pub(super) fn base(text: &str) -> Result<String, String> {
    let usage = "write a base address such as http://127.0.0.1:8080";
    let uri: Uri = text.parse().map_err(|_| usage)?;
    let is_web =
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() && uri.query().is_none();
    if is_web { Ok(text.trim_end_matches('/').to_owned()) } else { Err(usage.to_owned()) }
}

fn path(text: &str) -> Result<String, String> {
    let is_path = text.starts_with('/') && text.parse::<Uri>().is_ok();
    if is_path { Ok(text.to_owned()) } else { Err("write a path such as /healthz".to_owned()) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "write a number such as 20")?;
    if (0.1..=1_000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("from 0.1 to 1000: load tests are --load-test".to_owned())
    }
}
