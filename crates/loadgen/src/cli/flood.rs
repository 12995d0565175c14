//! `flood`: the raw engine from one line.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use spillway_model::{Clock, Secret, SystemClock};
use spillway_signature::{Provider, SchemeOptions};
use spillway_slo::duration::Timespan;
use tokio_util::sync::CancellationToken;

use super::{Failure, Output};
use crate::flood::{
    Content, Flood, FloodError, FloodReport, Load, MAX_BODY, Quantiles, RequestPlan, Second, Signing, Target,
};

#[derive(Debug, Args)]
pub(super) struct FloodArgs {
    /// Where to: `http://HOST:PORT/PATH` or `https://…`
    url: String,
    /// Connections, each with one request under way at most
    #[arg(long, short = 'c', default_value_t = 64)]
    connections: usize,
    /// How long, as in 10s or 1m30s
    #[arg(long, short = 'd', default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Requests per second on an absolute schedule, instead of as fast as they are answered
    #[arg(long, short = 'r')]
    rate: Option<f64>,
    /// Longest wait for a free connection before a request of the schedule is dropped
    #[arg(long, default_value = "10s", value_parser = duration, requires = "rate")]
    most_wait: Duration,
    /// Longest time from sending a request to the end of its answer
    #[arg(long, default_value = "20s", value_parser = duration)]
    timeout: Duration,
    /// The method [default: POST with a body, else GET]
    #[arg(long, short = 'X')]
    method: Option<http::Method>,
    /// A header, as 'NAME: VALUE'; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The body; 16 times '#' in it becomes the number of the request
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// A generated body of so many bytes
    #[arg(long, value_name = "BYTES", conflicts_with = "body_file")]
    body_size: Option<usize>,
    /// Sign as this provider does
    #[arg(long, value_name = "PROVIDER")]
    sign: Option<Provider>,
    /// The secret that the sender holds
    #[arg(long, env = "SPILLWAY_LOAD_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// HTTP/2 instead of HTTP/1.1
    #[arg(long)]
    http2: bool,
    /// Take any certificate
    #[arg(long)]
    insecure_skip_tls_verify: bool,
    /// Threads [default: one for each core that this process may use, with --rate one for each 25,000/s at most]
    #[arg(long)]
    threads: Option<usize>,
    /// How the result is printed
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
    /// No progress
    #[arg(long, short = 'q')]
    quiet: bool,
}

pub(super) async fn run(arguments: FloodArgs) -> Result<u8, Failure> {
    let target = Target::parse(&arguments.url).map_err(|error| failure(&error))?;
    let plan = arguments.plan()?;
    let run = SystemClock.now().unsigned_abs();
    let requests = plan.build(&target, run).map_err(|error| failure(&error))?;
    let flood = Flood {
        connections: arguments.connections,
        duration: arguments.duration,
        load: match arguments.rate {
            Some(rate) => Load::Open { rate, most_wait: arguments.most_wait },
            None => Load::Closed,
        },
        timeout: arguments.timeout,
        http2: arguments.http2,
        insecure_skip_tls_verify: arguments.insecure_skip_tls_verify,
        threads: arguments.threads,
        ..Flood::new(target, requests)
    };
    let stop = super::run::Stop::on_signals().gently;
    let shown = !arguments.quiet && arguments.output == Output::Text;
    let progress = Progress::new(shown, arguments.duration);
    let report = flood.run(&stop, |second| progress.show(&second)).await;
    progress.end();
    let report = report.map_err(|error| failure(&error))?;
    if arguments.output == Output::Json {
        anstream::println!("{}", serde_json::to_string_pretty(&report).map_err(Failure::other)?);
    } else {
        print(&report);
    }
    Ok(code(&report, &stop))
}

impl FloodArgs {
    fn plan(&self) -> Result<RequestPlan, Failure> {
        let signing = match (self.sign, &self.secret) {
            (None, _) => None,
            (Some(provider), secret) => {
                let secret = secret.as_deref().unwrap_or_default();
                if secret.is_empty() && provider != Provider::None {
                    return Err(Failure::configuration(format!(
                        "signing as {provider} needs a secret: give it with --secret or in SPILLWAY_LOAD_SECRET"
                    )));
                }
                let clock: Arc<dyn Clock> = Arc::new(SystemClock);
                Some(Signing { provider, secret: Secret::new(secret), options: SchemeOptions::default(), clock })
            }
        };
        Ok(RequestPlan {
            method: self.method.clone(),
            headers: self.headers.clone(),
            content: self.content()?,
            signing,
        })
    }

    fn content(&self) -> Result<Content, Failure> {
        let Some(path) = &self.body_file else { return Ok(self.body_size.map_or(Content::Empty, Content::Generated)) };
        let problem = |reason: String| Failure::configuration(format!("{}: {reason}", path.display()));
        let metadata = std::fs::metadata(path).map_err(|error| problem(error.to_string()))?;
        if metadata.len() > MAX_BODY as u64 {
            return Err(problem(format!("{} bytes are more than the {MAX_BODY} of a body", metadata.len())));
        }
        std::fs::read(path).map(Content::Bytes).map_err(|error| problem(error.to_string()))
    }
}

/// One line that is updated on a terminal, a line for each second in a pipe.
enum Progress {
    Hidden,
    Bar(ProgressBar),
    Lines,
}

impl Progress {
    fn new(shown: bool, duration: Duration) -> Self {
        if !shown {
            return Self::Hidden;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let bar = ProgressBar::new(duration.as_secs_f64().ceil() as u64);
        let style = ProgressStyle::with_template("{bar:24} {pos:>3}/{len} s  {msg}");
        Self::Bar(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn show(&self, second: &Second) {
        let Second { number, answered, failed, dropped } = second;
        let line = format!("{answered:>8} answers/s  {failed:>6} failed  {dropped:>6} dropped");
        match self {
            Self::Hidden => {}
            Self::Bar(bar) => {
                // What is under way at the end is waited for.
                bar.set_position((*number).min(bar.length().unwrap_or(u64::MAX)));
                bar.set_message(line);
            }
            Self::Lines => anstream::eprintln!("{number:>4} s  {line}"),
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// A closed loop may use all of the generator's processor: it asks how fast, not how late. Without any answer there is no result.
fn code(report: &FloodReport, stop: &CancellationToken) -> u8 {
    match () {
        () if stop.is_cancelled() => 105,
        () if report.rate.is_some() && !report.generator.valid => 3,
        () if report.requests == 0 => 1,
        () => 0,
    }
}

fn failure(error: &FloodError) -> Failure {
    match error {
        FloodError::Url { .. } | FloodError::Setting { .. } => Failure::configuration(error),
        _ => Failure::other(error),
    }
}

fn print(report: &FloodReport) {
    let open = report.rate.is_some();
    if let Some(invalid) = report.generator.invalid.as_ref().filter(|_| open) {
        anstream::println!("invalid: {invalid}");
    }
    anstream::println!(
        "{:.0} requests/s: {} in {:.1} s over {} connections, {} thread(s)",
        report.requests_per_second,
        report.requests,
        report.duration_s,
        report.connections,
        report.threads
    );
    line("latency", &report.latency_ms);
    if open {
        line("from intended", &report.from_intended_ms);
        line("start delay", &report.start_delay_ms);
        anstream::println!("  {:<14} {}", "dropped", report.dropped);
    }
    if report.unfinished > 0 {
        anstream::println!("  {:<14} {}", "unfinished", report.unfinished);
    }
    for (status, n) in &report.status_codes {
        anstream::println!("  {:<14} {n}", format!("status {status}"));
    }
    for (kind, n) in &report.errors {
        anstream::println!("  {:<14} {n}", format!("error {kind}"));
    }
}

fn line(name: &str, quantiles: &Quantiles) {
    let text = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3} ms"));
    anstream::println!(
        "  {name:<14} p50 {}   p95 {}   p99 {}   max {}",
        text(quantiles.p50),
        text(quantiles.p95),
        text(quantiles.p99),
        text(quantiles.max)
    );
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<Timespan>().map(|time| time.0).map_err(|error| error.to_string())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write 'NAME: VALUE'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
