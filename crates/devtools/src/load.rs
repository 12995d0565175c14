//! `cargo xtask load`: a load test of infra/load, with its report.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use rustix::process::{Resource, getrlimit, setrlimit};
use spillway_testkit::Sink;
use tokio::net::TcpListener;

use crate::Failure;
use crate::demo::{self, SOURCE_SECRET};
use crate::gateway::Gateway;
use crate::report::duration;

/// Where reports go.
const REPORTS: &str = "target/load";

/// Longest message that is echoed.
const MAX_MESSAGE: usize = 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// The load generator's program
    #[arg(long, value_name = "FILE", hide = true)]
    loadgen: PathBuf,
    /// The gateway's program; needed without a target
    #[arg(long, value_name = "FILE", hide = true, required_unless_present = "target")]
    gateway: Option<PathBuf>,
    /// Base URL of what is tested, instead of a gateway of its own
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Name of a file in infra/load, without its ending
    name: String,
    /// Arguments for `spillway-loadgen run`
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// What is tested, alive as long as this value.
enum Target {
    /// Somewhere else.
    Given(String),
    /// An echo of WebSocket messages in this process.
    Echo(SocketAddr),
    /// A gateway, its receiver and its files.
    Own { gateway: Gateway, _receiver: Sink, _folder: tempfile::TempDir },
}

/// Runs the test. The exit code is the load generator's.
pub(crate) fn run(arguments: &LoadArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    raise_file_limit();
    let name = &arguments.name;
    let file = Path::new("infra/load").join(name).with_extension("toml");
    let target = runtime.block_on(Target::start(arguments, &file))?;
    std::fs::create_dir_all(REPORTS)?;
    let [html, json] = ["html", "json"].map(|kind| Path::new(REPORTS).join(name).with_extension(kind));
    for stale in [&html, &json] {
        // There may be none of an earlier run.
        let _ = std::fs::remove_file(stale);
    }
    // Ctrl-C reaches the load generator too, which ends the run and reports; this process waits for that.
    runtime.spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    let mut command = Command::new(&arguments.loadgen);
    command.arg("run").arg(&file).arg("--target").arg(target.url());
    command.arg("--out").arg(output("html", &html)).arg("--out").arg(output("json", &json));
    target.describe(&mut command);
    let status = command.args(&arguments.args).status();
    let status = status.map_err(|error| format!("{} cannot be run: {error}", arguments.loadgen.display()))?;
    if html.exists() {
        println!("report  {}, {}", html.display(), json.display());
    }
    target.stop()?;
    let code = status.code().ok_or_else(|| format!("the load generator was ended: {status}"))?;
    Ok(ExitCode::from(u8::try_from(code)?))
}

impl Target {
    async fn start(arguments: &LoadArgs, file: &Path) -> Result<Self, Failure> {
        let Some(program) = arguments.gateway.as_ref().filter(|_| arguments.target.is_none()) else {
            let target = arguments.target.clone().ok_or("neither a target nor a gateway")?;
            return Ok(Self::Given(target));
        };
        let test = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        // The gateway speaks no WebSocket.
        if test.contains(".websocket]") {
            let address = echo_server().await?;
            println!("target  ws://{address}/ws (an echo of messages)");
            return Ok(Self::Echo(address));
        }
        let folder = tempfile::tempdir()?;
        let receiver = Sink::counting().await;
        let config = folder.path().join("spillway.toml");
        std::fs::write(&config, demo::settings(folder.path(), &receiver.url("/hooks"), "127.0.0.1:0"))?;
        let gateway = Gateway::start(program, &config, &[], &folder.path().join("gateway.log"))?;
        println!("target  {} (gateway with an embedded store, ready in {})", gateway.url, duration(gateway.start_time));
        Ok(Self::Own { gateway, _receiver: receiver, _folder: folder })
    }

    fn url(&self) -> String {
        match self {
            Self::Given(url) => url.clone(),
            Self::Echo(address) => format!("http://{address}"),
            Self::Own { gateway, .. } => gateway.url.clone(),
        }
    }

    /// How to sign, and which process to watch. The secret of a given target is the caller's to set.
    fn describe(&self, command: &mut Command) {
        match self {
            Self::Given(_) => {}
            Self::Echo(_) => {
                command.arg("--target-pid").arg(std::process::id().to_string());
            }
            Self::Own { gateway, .. } => {
                command.arg("--target-pid").arg(gateway.pid().to_string());
                command.env("SPILLWAY_LOAD_SECRET", SOURCE_SECRET);
            }
        }
    }

    fn stop(self) -> Result<(), Failure> {
        if let Self::Own { mut gateway, _receiver, _folder } = self {
            // Ctrl-C has stopped it already, in good order.
            if !gateway.has_ended()? {
                gateway.stop()?;
            }
        }
        Ok(())
    }
}

fn output(kind: &str, path: &Path) -> OsString {
    let mut text = OsString::from(format!("{kind}="));
    text.push(path);
    text
}

/// For all connections at once; the programs that are started inherit it.
pub(crate) fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // What cannot be raised shows where a connection fails.
    let _ = setrlimit(Resource::Nofile, limit);
}

pub(crate) async fn echo_server() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let upgrade = async |upgrade: WebSocketUpgrade| upgrade.max_message_size(MAX_MESSAGE).on_upgrade(echo);
    let router = Router::new().route("/ws", get(upgrade));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let answered = match message {
            Message::Text(_) | Message::Binary(_) => socket.send(message).await,
            // Pings are answered, and a close is confirmed, on the way.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => return,
        };
        if answered.is_err() {
            return;
        }
    }
}
