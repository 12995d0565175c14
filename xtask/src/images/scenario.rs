//! The stack as a user has it: up, a webhook through nginx that arrives, a node that dies, down.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use serde_json::Value;
use xshell::{Shell, TempDir, cmd};

use super::bases::{STANDINS, local};
use super::engine::Engine;
use super::{expect, inspection, pause};
use crate::failure::{Failure, Result};

const PROJECT: &str = "spillway-test";
const FILES: [&str; 2] = ["infra/compose/docker-compose.yml", "infra/compose/docker-compose.test.yml"];
/// What Debian has: everything but Grafana and Jaeger.
const WITHOUT_PULLING: [&str; 10] =
    ["postgres", "redis", "api-1", "api-2", "worker", "nginx", "prometheus", "alertmanager", "pushgateway", "receiver"];
/// Ports that nothing else of this machine is likely to use, with --official.
const PORTS: [(&str, &str); 6] = [
    ("SPILLWAY_PORT", "18080"),
    ("PROMETHEUS_PORT", "19090"),
    ("ALERTMANAGER_PORT", "19093"),
    ("PUSHGATEWAY_PORT", "19091"),
    ("GRAFANA_PORT", "13000"),
    ("JAEGER_PORT", "26686"),
];
const SECRET: &str = "made up for a test";
const N_WEBHOOKS: usize = 20;
/// For what takes seconds.
const SOON: Duration = Duration::from_secs(120);

/// A stack that is taken down, with its data, when dropped.
struct Stack<'a> {
    sh: &'a Shell,
    engine: &'a Engine,
    spillway: String,
    secrets: TempDir,
    official: bool,
}

pub(super) fn run(sh: &Shell, engine: &Engine, spillway: &str, official: bool, say: &dyn Fn(&str)) -> Result<()> {
    let stack = Stack { sh, engine, spillway: spillway.to_owned(), secrets: make_secrets(sh)?, official };
    stack.up()?;
    say("looking at every container");
    let password = sh.read_file(stack.secrets.path().join("postgres_password"))?;
    for service in stack.services()? {
        inspection::container(sh, engine, &stack.container_of(&service)?, &password)?;
    }
    stack.write_to_root_is_refused()?;
    say("sending webhooks through nginx");
    let key = stack.admin_key()?;
    stack.configure(&key)?;
    stack.send(N_WEBHOOKS)?;
    stack.wait_for_deliveries(&key, N_WEBHOOKS)?;
    stack.receiver_has(N_WEBHOOKS)?;
    say("killing a node");
    stack.compose(&["kill", "api-2"]).ignore_stderr().run()?;
    stack.send(N_WEBHOOKS)?;
    stack.wait_for_deliveries(&key, 2 * N_WEBHOOKS)?;
    stack.receiver_has(2 * N_WEBHOOKS)?;
    stack.compose(&["up", "-d", "api-2"]).ignore_stderr().run()?;
    stack.wait_until_targets_are_up()?;
    say("taking it down and up again: its data stays");
    stack.compose(&["down"]).ignore_stdout().ignore_stderr().run()?;
    stack.up()?;
    stack.send(N_WEBHOOKS)?;
    stack.wait_for_deliveries(&key, 3 * N_WEBHOOKS)?;
    say("taking it down");
    stack.down()?;
    stack.nothing_is_left()
}

impl<'a> Stack<'a> {
    fn compose(&self, arguments: &[&str]) -> xshell::Cmd<'a> {
        let files = FILES.iter().flat_map(|file| ["--file", file]);
        let all: Vec<&str> =
            ["--project-name", PROJECT].into_iter().chain(files).chain(arguments.iter().copied()).collect();
        let mut command = self.engine.compose(self.sh, &all).env("SPILLWAY_SECRETS", self.secrets.path());
        // The receiver is another container.
        command = command
            .env("SPILLWAY_ALLOW_NETWORKS", "172.16.0.0/12,192.168.0.0/16")
            .env("SPILLWAY_IMAGE", &self.spillway);
        command = command.envs(PORTS);
        if !self.official {
            command = command.envs(STANDINS.map(|name| (format!("{}_IMAGE", name.to_ascii_uppercase()), local(name))));
        }
        command
    }

    fn up(&self) -> Result<()> {
        let mut arguments = vec!["up", "-d"];
        if !self.official {
            arguments.extend(WITHOUT_PULLING);
        }
        let output = self.compose(&arguments).ignore_status().output()?;
        if !output.status.success() {
            return Err(self.failure(&String::from_utf8_lossy(&output.stderr)));
        }
        for service in self.services()? {
            self.until(&format!("{service} is healthy"), || {
                let id = self.container_of(&service)?;
                let state =
                    inspection::inspect(self.sh, self.engine, "container", &id)?["State"]["Health"]["Status"].clone();
                Ok(state == "healthy")
            })?;
        }
        Ok(())
    }

    /// What went wrong, with the last lines of the logs, because the containers will be gone.
    fn failure(&self, what: &str) -> Failure {
        let logs = self.compose(&["logs", "--tail=8"]).ignore_stderr().ignore_status().read().unwrap_or_default();
        Failure::new(format!("{}\n{logs}", what.trim()))
    }

    fn services(&self) -> Result<Vec<String>> {
        if !self.official {
            return Ok(WITHOUT_PULLING.map(str::to_owned).to_vec());
        }
        Ok(self.compose(&["config", "--services"]).read()?.lines().map(str::to_owned).collect())
    }

    fn container_of(&self, service: &str) -> Result<String> {
        let id = self.compose(&["ps", "-q", service]).read()?;
        expect(!id.is_empty(), || format!("{service} has no container"))?;
        Ok(id)
    }

    /// A file system that is read-only says so, also to whoever is root inside.
    fn write_to_root_is_refused(&self) -> Result<()> {
        let id = self.container_of("nginx")?;
        let written =
            self.engine.docker(self.sh, &["exec", "--user=0", &id, "touch", "/etc/written"]).ignore_stderr().run();
        expect(written.is_err(), || "nginx can write to its root file system".to_owned())
    }

    /// As README.md says: in the log of api-1.
    fn admin_key(&self) -> Result<String> {
        let log = self.engine.docker(self.sh, &["logs", &self.container_of("api-1")?]).ignore_stderr().read()?;
        let key = log.lines().find_map(|line| line.strip_prefix("Admin key (shown once): "));
        key.map(str::to_owned).ok_or_else(|| Failure::new(format!("api-1 printed no admin key:\n{log}")))
    }

    /// `spillway …` inside api-1, which is what README.md says to do.
    fn spillway(&self, key: &str, arguments: &[&str]) -> Result<String> {
        let (key, id) = (format!("SPILLWAY_API_KEY={key}"), self.container_of("api-1")?);
        let exec = ["exec", "--env", &key, &id, "/usr/local/bin/spillway"];
        Ok(self.engine.docker(self.sh, &[&exec, arguments].concat()).read()?)
    }

    fn configure(&self, key: &str) -> Result<()> {
        let signing = self.sh.read_file(self.secrets.path().join("receiver"))?;
        let to = "http://receiver:8080/in/deliveries";
        self.spillway(key, &["sources", "create", "shop", "--provider", "github", "--secret", SECRET])?;
        self.spillway(key, &["destinations", "create", "receiver", "--to", to, "--signing-secret", &signing])?;
        self.spillway(key, &["connections", "create", "shop", "receiver"]).map(drop)
    }

    /// Sends signed webhooks to the published port of nginx, with the program of an image and from this machine's side.
    fn send(&self, count: usize) -> Result<()> {
        let program = self.program()?;
        let url = format!("http://127.0.0.1:{}", PORTS[0].1);
        let count = count.to_string();
        let arguments = [
            "send",
            "shop",
            "--provider",
            "github",
            "--secret",
            SECRET,
            "--count",
            &count,
            "--output",
            "json",
            "--url",
            &url,
        ];
        let sent = self.engine.beside(self.sh, &program, &arguments).read()?;
        let n_accepted = sent.lines().filter(|line| line.contains("\"status\":202")).count();
        expect(n_accepted.to_string() == count, || {
            format!("{n_accepted} of {count} webhooks were acknowledged:\n{sent}")
        })
    }

    /// The gateway's program, taken out of the image.
    fn program(&self) -> Result<OsString> {
        let program = self.secrets.path().join("spillway");
        if !program.exists() {
            let from = format!("{}:/usr/local/bin/spillway", self.container_of("worker")?);
            self.engine.docker(self.sh, &["cp", &from]).arg(&program).ignore_stdout().ignore_stderr().run()?;
        }
        Ok(program.into_os_string())
    }

    fn wait_for_deliveries(&self, key: &str, count: usize) -> Result<()> {
        self.until(&format!("{count} deliveries are delivered"), || {
            let list =
                self.spillway(key, &["deliveries", "list", "--state", "delivered", "--all", "--output", "json"])?;
            Ok(n_entries(&list) == count)
        })
    }

    /// The receiver, which checks signatures, has them.
    fn receiver_has(&self, count: usize) -> Result<()> {
        let receiver = self.container_of("receiver")?;
        let log = self.engine.docker(self.sh, &["logs", &receiver]).ignore_stderr().read()?;
        let key =
            log.lines().find_map(|line| line.strip_prefix("Admin key (shown once): ")).unwrap_or_default().to_owned();
        let key = format!("SPILLWAY_API_KEY={key}");
        let list = [
            "exec",
            "--env",
            &key,
            &receiver,
            "/usr/local/bin/spillway",
            "events",
            "list",
            "--all",
            "--output",
            "json",
        ];
        let n_received = n_entries(&self.engine.docker(self.sh, &list).read()?);
        expect(n_received == count, || format!("the receiver has {n_received} events and not {count}"))
    }

    fn wait_until_targets_are_up(&self) -> Result<()> {
        let prometheus = self.container_of("prometheus")?;
        let ask = ["exec", &prometheus, "wget", "-q", "-O", "-", "http://127.0.0.1:9090/api/v1/targets"];
        self.until("Prometheus scrapes everything", || {
            let answer: Value = serde_json::from_str(&self.engine.docker(self.sh, &ask).read()?).unwrap_or_default();
            let targets = answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
            let nodes = targets.iter().filter(|target| target["labels"]["job"] == "spillway").count();
            Ok(nodes == 3 && targets.iter().all(|target| target["health"] == "up"))
        })
    }

    fn down(&self) -> Result<()> {
        Ok(self.compose(&["down", "--volumes"]).ignore_stdout().ignore_stderr().run()?)
    }

    fn nothing_is_left(&self) -> Result<()> {
        let label = format!("label=com.docker.compose.project={PROJECT}");
        for arguments in [["ps", "--all"], ["volume", "ls"], ["network", "ls"]] {
            let left =
                self.engine.docker(self.sh, &[&arguments[..], &["--quiet", "--filter", &label]].concat()).read()?;
            expect(left.is_empty(), || format!("`docker {}` still shows {left}", arguments.join(" ")))?;
        }
        Ok(())
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + SOON;
        while !holds()? {
            if Instant::now() > deadline {
                return Err(self.failure(&format!("after {} s it is still not so that {what}", SOON.as_secs())));
            }
            pause();
        }
        Ok(())
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        let _ = self.down();
    }
}

/// Files 0444, because containers read them as users of their own, in a folder of ours alone.
fn make_secrets(sh: &Shell) -> Result<TempDir> {
    let folder = sh.create_temp_dir()?;
    let password = cmd!(sh, "openssl rand -hex 24").quiet().read()?;
    let signing = cmd!(sh, "openssl rand -base64 24").quiet().read()?;
    let secrets = [
        ("database_url", format!("postgres://spillway:{password}@postgres:5432/spillway")),
        ("postgres_password", password),
        ("grafana_admin_password", cmd!(sh, "openssl rand -hex 16").quiet().read()?),
        ("slack_webhook_url", "http://127.0.0.1:9/slack-is-not-set-up".to_owned()),
        ("pagerduty_routing_key", "pagerduty-is-not-set-up".to_owned()),
        ("receiver", format!("whsec_{signing}")),
    ];
    let path = folder.path();
    cmd!(sh, "chmod 700 {path}").quiet().run()?;
    for (name, content) in secrets {
        let file = path.join(name);
        sh.write_file(&file, content)?;
        cmd!(sh, "chmod 444 {file}").quiet().run()?;
    }
    Ok(folder)
}

fn n_entries(json: &str) -> usize {
    serde_json::from_str::<Vec<Value>>(json).map_or(0, |entries| entries.len())
}
