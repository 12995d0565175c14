//! `cargo xtask images`: builds the container images, and tests them and the compose stack on a real engine.

mod bases;
mod docker;
mod engine;
mod inspection;
mod scenario;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};
use crate::metadata::Metadata;
use crate::setup::{self, COMPOSE, DEBOOTSTRAP, DOCKER};
use bases::Programs;
use engine::{ComposeCommand, Engine};

/// Targets of the Dockerfile, the program of each, and what the image is called.
pub(crate) const IMAGES: [(&str, &str, &str); 3] = [
    ("gateway", "spillway", "spillway"),
    ("loadgen", "spillway-loadgen", "spillway-loadgen"),
    ("rollout-controller", "spillway-rollout", "spillway-rollout"),
];

/// Builds the container images, or tests them and the compose stack on a real Docker engine
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: ImagesCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ImagesCommand {
    Build(BuildArgs),
    Test(TestArgs),
}

/// Builds spillway, spillway-loadgen and spillway-rollout with this machine's Docker, tagged with the workspace's version
///
/// Compiles inside the build, which downloads the base images and some hundred crates: ten minutes on two cores the first time. The gateway's program
/// may have 40 MB.
#[derive(Debug, clap::Args)]
struct BuildArgs {
    /// Only this one
    #[arg(value_parser = IMAGES.map(|(target, _, _)| target))]
    target: Option<String>,
}

/// Brings the compose stack up, sends webhooks through it, kills a node, looks at every container, and takes it down again
///
/// As root on Debian or Ubuntu: it starts a Docker engine of its own in a network of its own, with data below target/images, so that nothing of this machine's
/// is touched, and makes stand-ins for PostgreSQL, Redis, nginx, Prometheus, Alertmanager and Pushgateway from Debian's packages (docker.io, docker-compose and debootstrap are
/// installed when they are missing). Nothing is pulled. Grafana and Jaeger are not in Debian and are left out. The images come out of infra/docker/Dockerfile, with programs that were built
/// before. About four minutes the first time, which makes the base, then one; 5 GB of disk meanwhile.
#[derive(Debug, clap::Args)]
struct TestArgs {
    /// On this machine's engine with the images that the file names, Grafana and Jaeger included, and the images of `images build`
    #[arg(long)]
    official: bool,

    /// Folder with spillway, spillway-loadgen and spillway-rollout, instead of a release build; their size is not checked then
    #[arg(long, value_name = "DIR", conflicts_with = "official")]
    programs: Option<PathBuf>,

    /// Use this Compose, such as `docker compose`, instead of docker-compose
    #[arg(long, value_name = "COMMAND")]
    compose: Option<ComposeCommand>,
}

pub(crate) fn run(sh: &Shell, Args { command }: Args) -> Result<()> {
    match command {
        ImagesCommand::Build(args) => build(sh, &args),
        ImagesCommand::Test(args) => test(sh, args),
    }
}

fn build(sh: &Shell, BuildArgs { target: only }: &BuildArgs) -> Result<()> {
    let docker = docker::with_buildkit(sh)?;
    let version = env!("CARGO_PKG_VERSION");
    let revision =
        cmd!(sh, "git rev-parse HEAD").quiet().ignore_stderr().read().unwrap_or_else(|_| "unknown".to_owned());
    for (target, _, name) in IMAGES.iter().filter(|(target, ..)| only.as_deref().is_none_or(|only| only == *target)) {
        let tag = format!("{name}:{version}");
        let (version, revision) = (format!("VERSION={version}"), format!("REVISION={revision}"));
        cmd!(sh, "{docker} build --file infra/docker/Dockerfile --target {target} --tag {tag} --build-arg {version} --build-arg {revision} .")
            .env("DOCKER_BUILDKIT", "1")
            .run()?;
    }
    Ok(())
}

fn test(sh: &Shell, TestArgs { official, programs, compose }: TestArgs) -> Result<()> {
    let started = Instant::now();
    let (engine, spillway) = if official {
        let engine = Engine::of_machine(docker::any(sh)?, compose)?;
        (engine, format!("spillway:{}", env!("CARGO_PKG_VERSION")))
    } else {
        let mut parts = vec![&DOCKER, &DEBOOTSTRAP];
        if compose.is_none() {
            parts.push(&COMPOSE);
        }
        engine::take_root(sh)?;
        setup::ensure(sh, &parts)?;
        let programs = match programs {
            Some(folder) => Programs::given(folder)?,
            None => Programs::built(sh)?,
        };
        let work = Metadata::target_directory(sh)?.join("images");
        let docker = docker::with_buildkit(sh)?;
        say(started, "making the base of the stand-ins, or taking the last one");
        let base = bases::debian(sh, &work)?;
        say(started, "starting an engine");
        let engine = Engine::start(sh, &work, docker, compose)?;
        say(started, "building images without a network");
        bases::build(sh, &engine, &base, &programs)?;
        let spillway = bases::local("gateway");
        inspection::images(sh, &engine, programs.is_release())?;
        (engine, spillway)
    };
    say(started, "bringing the stack up");
    scenario::run(sh, &engine, &spillway, official, &|what| say(started, what))?;
    println!("✓ images and stack work, {} s", started.elapsed().as_secs());
    Ok(())
}

fn say(started: Instant, what: &str) {
    println!("  {:>3} s  {what}", started.elapsed().as_secs());
}

/// A sentence for what a user would see otherwise.
fn expect(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Failure::new(what())) }
}

/// Between two looks at something that another process does.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing else runs in this program, and processes of others cannot be awaited"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}
