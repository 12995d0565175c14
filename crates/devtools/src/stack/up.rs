//! `stack up --local`: starts what does not run, in an order in which each part finds those that it needs.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use spillway_testkit::free_port;

use super::launch::Launch;
use super::parts::Part;
use super::programs::Programs;
use super::state::{self, State};
use super::{UpArgs, down, files, probe, process};
use crate::Failure;
use crate::demo::SOURCE_SECRET;
use crate::payloads;
use crate::report::duration;

/// A part that is not ready by then has failed. PostgreSQL recovers from its log first.
const READY: Duration = Duration::from_secs(60);
/// How long after it is healthy a node may take to print the admin key, if it has one to print.
const KEY: Duration = Duration::from_secs(2);
const KEY_FILE: &str = "admin-key";
const LOOK: Duration = Duration::from_millis(25);
/// Lines of a log that an error shows.
const LOG_LINES: usize = 15;

/// Starts the stack, and leaves it running. When a part fails, what this command started is ended again.
pub(super) async fn up(arguments: &UpArgs) -> Result<(), Failure> {
    let begun = Instant::now();
    let gateway = arguments.gateway.as_ref().ok_or("a local stack needs the gateway's program: --gateway FILE")?;
    let gateway = gateway.canonicalize().map_err(|error| format!("{}: {error}", gateway.display()))?;
    let programs = Programs::find()?;
    std::fs::create_dir_all(&arguments.place.folder)?;
    let folder = arguments.place.folder.canonicalize()?;
    let _lock = state::lock(&folder)?;
    let state = known_or_new(arguments, &folder).await?;
    let launch = Launch { folder: folder.clone(), programs, gateway };
    let mut stack = Stack { state, folder, launch };
    stack.make_room().await?;
    files::write(&stack.folder, &stack.state, &stack.launch.programs)?;
    let mut started = Vec::new();
    for part in Part::ALL {
        let ran_before = stack.state.is_alive(part);
        started.extend((!ran_before).then_some(part));
        if let Err(error) = stack.start(part).await {
            stack.end(&started).await?;
            return Err(format!("{error}\nWhat this command had started is ended again.").into());
        }
    }
    let n_parts = Part::ALL.len();
    match started.len() {
        0 => say!("\nAll {n_parts} parts run already."),
        n => say!("\n{n} of {n_parts} parts were started in {}.", duration(begun.elapsed())),
    }
    stack.describe()
}

/// The stack of the folder if some of it runs, else one with ports of its own.
async fn known_or_new(arguments: &UpArgs, folder: &Path) -> Result<State, Failure> {
    let known = State::load(folder)?;
    if let Some(state) = known.clone().filter(|state| Part::ALL.iter().any(|part| state.is_alive(*part))) {
        if arguments.hurry.is_some_and(|hurry| hurry != state.hurry) {
            return Err("it runs with another --hurry: end it first, with `cargo xtask stack down --local`".into());
        }
        return Ok(state);
    }
    // All of its parts are dead; children of theirs may not be.
    for part in Part::ALL {
        if let Some(process) = known.as_ref().and_then(|state| state.process(part)) {
            process.end_remnants().await;
        }
    }
    let mut state = State { hurry: arguments.hurry.unwrap_or(1), ..State::default() };
    let mut taken = BTreeSet::new();
    for port in Part::ALL.iter().flat_map(|part| part.ports()) {
        let mut number = port.usual;
        while arguments.free_ports && (number == port.usual || !taken.insert(number)) {
            number = free_port();
        }
        state.ports.insert(port.name.to_owned(), number);
    }
    Ok(state)
}

struct Stack {
    state: State,
    folder: PathBuf,
    launch: Launch,
}

impl Stack {
    /// Ends what parts that died left behind, and sees that their ports are free, before anything is started.
    async fn make_room(&self) -> Result<(), Failure> {
        for part in Part::ALL {
            if self.state.is_alive(part) {
                continue;
            }
            if let Some(process) = self.state.process(part) {
                process.end_remnants().await;
            }
            for port in part.ports() {
                let number = self.state.port(port.name);
                if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, number)) {
                    return Err(format!(
                        "port {number} of 127.0.0.1, where {} would listen, cannot be had ({error}): end what uses it \
                         (`ss -ltnp 'sport = :{number}'` says what that is), or add --free-ports",
                        port.name
                    )
                    .into());
                }
            }
        }
        Ok(())
    }

    /// Starts a part if it does not run, and waits until it is healthy.
    async fn start(&mut self, part: Part) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut child = None;
        let log = self.log(part);
        let from = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
        if !self.state.is_alive(part) {
            let (started, identity) = process::spawn_detached(&mut self.launch.command(part, &self.state), &log)?;
            self.state.started(part, identity);
            self.state.save(&self.folder)?;
            child = Some(started);
        }
        self.wait_until_healthy(part, child.as_mut()).await?;
        let address = self.state.address_of(part);
        let how = match child {
            Some(_) => format!("ready in {}", duration(begun.elapsed())),
            None => "runs already".to_owned(),
        };
        say!("✓ {part:<13} {address:<16} {how:<19} {}", part.purpose());
        if part == Part::Api1 && child.is_some() {
            self.keep_admin_key(&log, from).await?;
        }
        Ok(())
    }

    async fn wait_until_healthy(&self, part: Part, mut child: Option<&mut Child>) -> Result<(), Failure> {
        let begun = Instant::now();
        let log = self.log(part);
        while !probe::is_healthy(part, &self.state, &self.folder).await {
            let ended = match child.as_mut() {
                Some(child) => child.try_wait()?.map(|status| format!("ended ({status}) instead of getting ready")),
                None => None,
            };
            let failed = ended
                .or_else(|| (begun.elapsed() > READY).then(|| format!("was not ready within {} s", READY.as_secs())));
            if let Some(what) = failed {
                return Err(format!("{part} {what}. {} ends with:\n{}", log.display(), log_tail(&log)).into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn log(&self, part: Part) -> PathBuf {
        self.folder.join("logs").join(format!("{part}.log"))
    }

    /// Ends those that this command started, the last first, and forgets the stack when nothing of it is left.
    async fn end(&mut self, started: &[Part]) -> Result<(), Failure> {
        for part in started.iter().rev() {
            down::end(&mut self.state, *part).await;
        }
        if self.state.processes.is_empty() { State::remove(&self.folder) } else { self.state.save(&self.folder) }
    }

    /// The key is printed once, at the first start on an empty database, right after the address: from the log into a file of its own.
    async fn keep_admin_key(&self, log: &Path, from: u64) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < KEY {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let new = text.get(usize::try_from(from)?..).unwrap_or_default();
            if let Some(key) = new.lines().find_map(|line| line.strip_prefix("Admin key (shown once): ")) {
                files::write_private(&self.folder.join(KEY_FILE), key)?;
                std::fs::write(log, text.replace(key, "(in the file admin-key)"))?;
                return Ok(());
            }
            if new.contains("Spillway is ready at") && self.folder.join(KEY_FILE).exists() {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Where everything is, and three lines to try.
    fn describe(&self) -> Result<(), Failure> {
        let url = |name: &str| format!("http://{}", self.state.address(name));
        let front = url("nginx");
        let key_file = self.folder.join(KEY_FILE);
        let key =
            std::fs::read_to_string(&key_file).unwrap_or_else(|_| "(made at an earlier start, and not kept)".into());
        let webhook = &payloads::github(5)[4];
        let signature = webhook.headers(SOURCE_SECRET)?.into_iter().next().map(|(_, value)| value).unwrap_or_default();
        let body = self.folder.join("ping.json");
        std::fs::write(&body, &webhook.body)?;
        say!("\nwebhooks, API  {front}   (console: {front}/console)");
        say!("Prometheus     {0}   (alerts: {0}/alerts)", url("prometheus"));
        say!("Alertmanager   {}", url("alertmanager"));
        say!("admin key      {key}");
        say!("files          {}", self.folder.display());
        say!("not here       Grafana and Jaeger: `cargo xtask stack up` has them, in containers");
        say!("\nSend a signed GitHub webhook:");
        say!("  curl -i {front}/in/github -H 'content-type: application/json' -H 'x-github-event: ping' \\");
        say!("    -H 'x-hub-signature-256: {signature}' --data-binary @{}", body.display());
        say!("See what became of it:");
        say!("  curl -s {front}/api/v1/deliveries -H 'authorization: Bearer {key}'");
        let soon = if self.state.hurry > 1 {
            "seconds later"
        } else {
            "a minute later; `up --local --hurry 30` makes it seconds"
        };
        say!("Kill a part, and watch who is told, {soon}:");
        let worker = self.state.process(Part::Worker).map(|process| process.pid).unwrap_or_default();
        say!("  kill -9 {worker}; cargo xtask stack logs --local receiver --follow");
        say!("\n`cargo xtask stack up --local` starts again what died, `down --local` ends all.");
        Ok(())
    }
}

fn log_tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
