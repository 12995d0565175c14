//! `run`: a rollout on this host, from its plan to its report.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::Args;
use spillway_model::{Clock, SecretResolver, SystemClock};
use spillway_report::text;
use spillway_rollout::Plan;
use spillway_rollout::observed::Command;
use spillway_rollout::ports::{PortError, Target};
use spillway_settings::{Environment, resolve_secret};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::console::ConsoleArgs;
use super::file::PlanFile;
use super::source::{self, PLAN, SERIES, STATES, read_series};
use super::status::Progress;
use super::{Failure, listen, logs, say, stop, width};
use crate::code::Code;
use crate::console::{self, Inbox};
use crate::controller::{Controller, Ended, Options, Parts, Recorder, Status};
use crate::gates::{GateSettings, Gates, ProcessLoadTester};
use crate::host::HostTarget;
use crate::http::HttpClient;
use crate::memory::{StateDirectory, files};
use crate::meter::{HostEndpoints, HttpMeter};
use crate::notify::{Notices, NotifySettings};
use crate::people::status::render;
use crate::people::{Report, Series, View};
use crate::secrets::ProcessSecrets;
use crate::workers::WorkersDriver;

/// How long the last notifications may take.
const LAST_WORDS: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
#[command(after_help = "\
Ctrl-C leaves traffic and processes as they are; the same command goes on from there. A second one does not wait for the step under way.

Exit codes: 0 promoted, 1 rolled back or aborted, 2 interrupted, 64 the plan is wrong.")]
pub(super) struct RunArgs {
    /// The plan: YAML or JSON
    #[arg(long, short = 'f', value_name = "FILE")]
    file: PathBuf,
    /// Where the rollout is remembered [default: ./rollout-state/NAME]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Stay when the rollout has ended: keep processes running and put drift right, until Ctrl-C
    #[arg(long)]
    stay: bool,
    /// Serve the report, /status as JSON, /metrics and /healthz here
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Write every observation to this file, for `simulate --recording`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Where reports are written: a page for each rollout, and deployment_report.md
    #[arg(long, value_name = "DIR", default_value = "rollout-reports")]
    report_dir: PathBuf,
    #[command(flatten)]
    console: ConsoleArgs,
    #[command(flatten)]
    logs: logs::LogArgs,
}

pub(super) async fn run(arguments: RunArgs) -> Result<u8, Failure> {
    let PlanFile { plan, rollout, text } = PlanFile::read(&arguments.file)?;
    if plan.target.workload.is_some() {
        let message = "the target of this plan is in a cluster: `kubectl apply` it, and `spillway-rollout controller` carries it out";
        return Err(Failure::new(Code::TargetElsewhere, message));
    }
    let stop = stop::on_signals();
    let mut progress = Progress::new(false);
    arguments.logs.init(progress.is_a_screen())?;
    let directory = arguments.state_dir.clone().unwrap_or_else(|| Path::new(STATES).join(&plan.name));
    let memory = StateDirectory::open(&directory).map_err(source::failure)?;
    files::write_atomically(&directory.join(PLAN), text.as_bytes(), files::PRIVATE)
        .map_err(|error| format!("the plan cannot be kept in {}: {error}", directory.display()))
        .map_err(|message| Failure::new(Code::StateUnusable, message))?;

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let http = HttpClient::new();
    let secrets = Arc::new(ProcessSecrets::new(Environment::of_process()));
    let endpoints = Arc::new(HostEndpoints);
    let load_tester = Arc::new(ProcessLoadTester::find(&arguments.report_dir));
    let notices = Arc::new(Notices::new(http.clone(), secrets.clone(), NotifySettings::default()));
    let wake = Arc::new(Notify::new());
    let target = target(&plan, &directory, Arc::clone(&clock), &http, &wake)?;
    let recorder = arguments.record.as_ref().map(|file| Recorder::new(file, rollout, Recorder::DEFAULT_LIMIT));
    let status_file = Some(memory.status_file());
    let listening = CancellationToken::new();
    let _listening = listening.clone().drop_guard();
    tokio::spawn(StateDirectory::wake_on_commands(&directory, Arc::clone(&wake), listening));
    let options = Options { stay: arguments.stay, recorder, status_file, wake };
    let parts = Parts {
        target,
        meter: Box::new(HttpMeter::new(http.clone(), endpoints.clone(), secrets.clone())),
        gatekeeper: Box::new(Gates::new(http.clone(), endpoints, load_tester, GateSettings::default())),
        memory: Box::new(memory),
        notifier: notices.clone(),
        clock,
    };
    let controller =
        Controller::new(plan.clone(), parts, options).map_err(|error| Failure::new(Code::PlanInvalid, error))?;
    let series = read_series(&directory);
    let inbox = Arc::new(DirectoryInbox(directory.clone()));
    let publisher = arguments.console.publisher(&plan, &plan.name, &http, inbox);
    let mut shown = Shown { plan, text, directory, series, report_dir: arguments.report_dir.clone() };
    let mut status = controller.status();
    let views = watch::Sender::new(None);
    if let Some(address) = arguments.listen {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("cannot listen at {address}: {error}; give another --listen"))
            .map_err(|message| Failure::new(Code::ListenFailed, message))?;
        tokio::spawn(listen::serve(listener, views.subscribe()));
    }
    let running = controller.run(stop.gently.clone());
    tokio::pin!(running);
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended,
            () = stop.now.cancelled() => break Ended::Interrupted,
            Ok(()) = status.changed() => {
                let now = status.borrow_and_update().clone();
                if let Some(now) = now {
                    let view = shown.take(&now);
                    // A full disk behind standard output is no reason to leave the rollout alone.
                    let _ = progress.show(&view);
                    if let Some(publisher) = &publisher {
                        publisher.show(console::Shown::new(view.clone(), &shown.series));
                    }
                    views.send_replace(Some(shown.report(view)));
                }
            }
        }
    };
    progress.end();
    notices.flush(LAST_WORDS).await;
    if let Some(publisher) = publisher {
        publisher.finish(LAST_WORDS).await;
    }
    let last = status.borrow().clone();
    shown.conclude(ended, last.as_deref())
}

/// The directory in which a controller on this host is told things.
struct DirectoryInbox(PathBuf);

#[async_trait]
impl Inbox for DirectoryInbox {
    async fn give(&self, command: &Command) -> Result<(), PortError> {
        Ok(StateDirectory::give(&self.0, command)?)
    }
}

/// Who moves the traffic of this plan.
fn target(
    plan: &Plan,
    directory: &Path,
    clock: Arc<dyn Clock>,
    http: &HttpClient,
    wake: &Arc<Notify>,
) -> Result<Box<dyn Target>, Failure> {
    if plan.target.host.is_some() {
        let target = HostTarget::open(directory, clock, http.clone()).map_err(unreadable)?;
        return Ok(Box::new(target.waking(Arc::clone(wake))));
    }
    let environment = Environment::of_process();
    let resolver: SecretResolver =
        Arc::new(move |secret| resolve_secret(secret, &environment).map_err(|error| error.to_string()));
    let driver = WorkersDriver::open(directory, clock, http.clone(), resolver).map_err(unreadable)?;
    Ok(Box::new(driver))
}

/// What the slots' files in the state directory say.
fn unreadable(error: PortError) -> Failure {
    Failure::new(Code::StateDamaged, error)
}

/// What people see of the run.
struct Shown {
    plan: Plan,
    text: String,
    directory: PathBuf,
    series: Series,
    report_dir: PathBuf,
}

impl Shown {
    /// Keeps what is needed for the report.
    fn take(&mut self, status: &Status) -> View {
        let view = view(&self.plan, status);
        self.series.record(&view);
        let series = serde_json::to_vec(&self.series).unwrap_or_default();
        // Lost with the machine: then the report's charts begin later.
        let _ = std::fs::write(self.directory.join(SERIES), series);
        view
    }

    fn report(&self, view: View) -> Report {
        Report { view, series: self.series.clone(), plan: self.text.clone() }
    }

    /// Writes the reports of what ended and says how. Returns the exit code.
    fn conclude(&self, ended: Ended, last: Option<&Status>) -> Result<u8, Failure> {
        let code = match ended {
            Ended::Succeeded => 0,
            Ended::RolledBack | Ended::Aborted => 1,
            Ended::Interrupted => 2,
        };
        let Some(view) = last.map(|last| view(&self.plan, last)) else {
            anstream::eprintln!("stopped before anything was seen; nothing was changed");
            return Ok(code);
        };
        say(&render(&view, width(), true))?;
        if ended == Ended::Interrupted {
            let weight = view.rollout().map_or(0, |rollout| rollout.weight);
            say(&format!(
                "\ninterrupted: traffic stays where it is ({weight} % at the candidate), and nobody watches it now. Go on with the same command, or \
                 take it back: `spillway-rollout abort --state-dir {}` and the same command.\n",
                self.directory.display()
            ))?;
            return Ok(code);
        }
        if view.rollout().is_some() {
            let written = self.report(view).write(&self.report_dir);
            let page = written.map_err(|error| {
                let message = format!("the report cannot be written to {}: {error}", self.report_dir.display());
                Failure::new(Code::FileUnwritable, message)
            })?;
            say(&format!("report: {}\n", text::plain(&page.display().to_string(), 1_000)))?;
        }
        Ok(code)
    }
}

fn view(plan: &Plan, status: &Status) -> View {
    let mut view = View::new(plan, &status.state, status.at).seen(&status.observed);
    view.troubles.extend(status.trouble.clone().filter(|trouble| !status.observed.troubles.contains(trouble)));
    view
}
