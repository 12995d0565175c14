//! What an engine says about images and containers, held to what we promise of them.

use serde_json::Value;
use xshell::Shell;

use super::bases::local;
use super::engine::Engine;
use super::{IMAGES, expect};
use crate::failure::{Failure, Result};

/// Largest layer of the gateway's image that is its own.
const MAX_GATEWAY_BYTES: u64 = 40_000_000;
/// The user of distroless images that is not root.
const USER: &str = "65532:65532";

/// Our three images: user, health check, labels, no shell, size.
pub(super) fn images(sh: &Shell, engine: &Engine, is_release: bool) -> Result<()> {
    for (target, program, title) in IMAGES {
        let image = inspect(sh, engine, "image", &local(target))?;
        let config = &image["Config"];
        expect(config["User"] == USER, || format!("the image {target} runs as {} and not as {USER}", config["User"]))?;
        let label = &config["Labels"]["org.opencontainers.image.title"];
        expect(label == title, || format!("the image {target} calls itself {label}"))?;
        let is_checked = config["Healthcheck"]["Test"][0] == "CMD";
        expect(is_checked == (target == "gateway"), || {
            format!("the health check of {target} is {}", config["Healthcheck"])
        })?;
        let shell =
            engine.docker(sh, &["run", "--rm", "--network=none", "--entrypoint=/bin/sh", &local(target), "-c", "true"]);
        expect(shell.ignore_stderr().run().is_err(), || format!("the image {target} has a shell"))?;
        let run = ["run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", &local(target), "--version"];
        let version = engine.docker(sh, &run).read()?;
        expect(version.starts_with(program), || {
            format!("the image {target} says {version:?} and not that it is {program}")
        })?;
    }
    reports_can_be_written(sh, engine)?;
    let layers = engine
        .docker(sh, &["history", "--no-trunc", "--human=false", "--format={{.Size}} {{.CreatedBy}}", &local("gateway")])
        .read()?;
    let program = layers.lines().find(|layer| layer.contains("/usr/local/bin/spillway #"));
    let n_bytes: u64 = program
        .and_then(|layer| layer.split(' ').next()?.parse().ok())
        .ok_or_else(|| Failure::new(format!("no layer has the program:\n{layers}")))?;
    println!("         the gateway's own layer has {:.1} MB", n_bytes as f64 / 1e6);
    expect(!is_release || n_bytes <= MAX_GATEWAY_BYTES, || {
        format!("the gateway's own layer has {n_bytes} bytes, {MAX_GATEWAY_BYTES} at most")
    })
}

/// The load generator's folder for reports is its user's, also where the root file system is read-only: its manual is written there.
fn reports_can_be_written(sh: &Shell, engine: &Engine) -> Result<()> {
    let run = ["run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL"];
    let image = local("loadgen");
    Ok(engine.docker(sh, &[&run[..], &[&image, "man", "/reports"]].concat()).ignore_stdout().run()?)
}

/// A container of the stack: who it runs as, what it may, what it may use, how it is, and that it does not show the database's password.
pub(super) fn container(sh: &Shell, engine: &Engine, id: &str, password: &str) -> Result<()> {
    let container = inspect(sh, engine, "container", id)?;
    let name = container["Name"].as_str().unwrap_or_default().trim_start_matches('/').to_owned();
    let (host, config) = (&container["HostConfig"], &container["Config"]);
    let user = config["User"].as_str().unwrap_or_default();
    let is_root = matches!(user.split(':').next(), None | Some("" | "0" | "root"));
    let options: Vec<&str> = host["SecurityOpt"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let memory = host["Memory"].as_u64().unwrap_or_default();
    let rules = [
        (!is_root, "runs as root"),
        (host["ReadonlyRootfs"] == true, "has a root file system that can be written"),
        (options.iter().any(|option| option.starts_with("no-new-privileges")), "may gain privileges"),
        (host["CapDrop"].as_array().is_some_and(|all| all.iter().any(|one| one == "ALL")), "has capabilities"),
        (host["Privileged"] == false, "is privileged"),
        (memory > 0, "has no limit of memory"),
        (host["LogConfig"]["Config"]["max-size"].is_string(), "has a log without an end"),
        (container["State"]["Health"]["Status"] == "healthy", "is not healthy"),
        (container["State"]["OOMKilled"] == false, "ran out of memory"),
        // Whoever starts before what it needs dies and is started again.
        (container["RestartCount"] == 0, "was started more than once"),
        (!container.to_string().contains(password), "shows the password to whoever may look at containers"),
    ];
    for (holds, what) in rules {
        expect(holds, || format!("{name} {what}"))?;
    }
    let bindings = host["PortBindings"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, list)| list.as_array().into_iter().flatten());
    for binding in bindings {
        expect(binding["HostIp"] == "127.0.0.1", || format!("{name} is published on {}", binding["HostIp"]))?;
    }
    Ok(())
}

/// What the engine knows of the one thing of that name.
pub(super) fn inspect(sh: &Shell, engine: &Engine, kind: &str, name: &str) -> Result<Value> {
    let json = engine.docker(sh, &[kind, "inspect", name]).read()?;
    let mut all: Vec<Value> = serde_json::from_str(&json)
        .map_err(|error| Failure::new(format!("docker printed no JSON about {name}: {error}")))?;
    all.pop().ok_or_else(|| Failure::new(format!("docker does not know {name}")))
}
