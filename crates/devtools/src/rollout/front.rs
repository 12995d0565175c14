//! nginx in front of two slots, and the plan of the rollout behind it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum as _;
use rustix::process::{Pid, Signal, kill_process};
use spillway_testkit::free_port;

use super::candidate::Version;
use crate::Failure;

const START: Duration = Duration::from_secs(10);

/// A running nginx. It is stopped when dropped.
pub(super) struct Front {
    nginx: Child,
    address: SocketAddr,
    config: PathBuf,
    slots_file: PathBuf,
    slots: [SocketAddr; 2],
    log: PathBuf,
}

impl Front {
    /// Starts nginx with all requests going to the slot `blue`, in which nothing runs yet.
    pub(super) async fn start(folder: &Path) -> Result<Self, Failure> {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (address, slots) = (local(free_port()), [local(free_port()), local(free_port())]);
        let (config, slots_file) = (folder.join("nginx.conf"), folder.join("slots.conf"));
        std::fs::write(&config, main_config(folder, address, &slots_file))?;
        // The controller writes it anew before the first request.
        std::fs::write(
            &slots_file,
            format!("map \"\" $demo_slot {{ default {}; }}\nmap \"\" $demo_mirror {{ default \"\"; }}\n", slots[0]),
        )?;
        let nginx = Command::new("nginx")
            .arg("-c")
            .arg(&config)
            .args(["-g", "daemon off;"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("nginx cannot be run ({error}): `cargo xtask setup` installs it"))?;
        let front = Self { nginx, address, config, slots_file, slots, log: folder.join("version.log") };
        let begun = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if begun.elapsed() > START {
                let log = std::fs::read_to_string(folder.join("nginx.log")).unwrap_or_default();
                return Err(format!("nginx did not start:\n{log}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(front)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A plan that takes some two minutes: short bakes, and guards that look every two seconds.
    pub(super) fn plan(
        &self,
        gateway: &Path,
        settings: &Path,
        version: Version,
        revision: &str,
    ) -> Result<String, Failure> {
        let value = version.to_possible_value().ok_or("a version without a name")?;
        let this = std::env::current_exe()?;
        let [blue, green] = self.slots;
        Ok(format!(
            r#"apiVersion: spillway.dev/v1alpha1
kind: Rollout
metadata:
  name: demo
spec:
  strategy: canary
  target:
    host:
      nginx:
        file: {slots_file}
        config: {config}
      slots:
        blue: {{ addresses: ["{blue}"] }}
        green: {{ addresses: ["{green}"] }}
      candidate:
        revision: {revision}
        start:
          command:
            - {this}
            - candidate
            - --gateway
            - {gateway}
            - --config
            - {settings}
            - --listen
            - "{{address}}"
            - --log
            - {log}
            - --version
            - {version}
        stopTimeout: 30s
  steps:
    - weight: 10
      bake: 15s
      smoke: [{{ path: /healthz }}]
    - weight: 25
      bake: 10s
    - weight: 50
      bake: 10s
    - weight: 100
      bake: 5s
  observation: 10s
  progressDeadline: 30s
  onInconclusive: extend
  analysis:
    interval: 2s
    warmup: 2s
    toleratedDifference: 0.01
  guards:
    - name: errors-compared
      compare: {{ metric: errors }}
    - name: latency-compared
      compare: {{ metric: latency, fastEnough: 50ms }}
    - name: errors
      threshold: {{ metric: errorRatio, max: 0.05, window: 4s, windows: 2 }}
    - name: restarts
      threshold: {{ metric: restarts, max: 0 }}
    - name: memory
      threshold: {{ metric: memoryBytes, max: 500000000 }}
"#,
            slots_file = self.slots_file.display(),
            config = self.config.display(),
            this = this.display(),
            gateway = gateway.display(),
            settings = settings.display(),
            log = self.log.display(),
            version = value.get_name(),
        ))
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.nginx.id()).ok().and_then(Pid::from_raw) {
            // It may have ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.nginx.wait();
    }
}

/// What a user has in front of two slots: the controller's file is included, and its variable names the upstream.
fn main_config(folder: &Path, address: SocketAddr, slots_file: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_buffer_size 64k;
    # At a reload this version closes idle connections of clients, and a request may cross that: keepalive_min_timeout of nginx 1.27.4 is
    # made for it. Without idle connections none can.
    keepalive_timeout 0;
    include {slots_file};
    server {{
        listen {address};
        location / {{
            proxy_pass http://$demo_slot;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
        }}
    }}
}}
"#,
        slots_file = slots_file.display(),
    )
}
