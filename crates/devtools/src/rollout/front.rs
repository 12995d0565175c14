//! nginx in front of two slots, and the plan of the rollout behind it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use spillway_testkit::{Nginx, free_port};

use super::candidate::Version;
use crate::Failure;

/// A running nginx. It is stopped when dropped.
pub(super) struct Front {
    nginx: Nginx,
    slots_file: PathBuf,
    slots: [SocketAddr; 2],
    log: PathBuf,
}

impl Front {
    /// Starts nginx with all requests going to the slot `blue`, in which nothing runs yet.
    pub(super) async fn start(folder: &Path) -> Result<Self, Failure> {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let slots = [local(free_port()), local(free_port())];
        let mut nginx = Nginx::prepare();
        let slots_file = nginx.directory().join("slots.conf");
        // The controller writes it anew before the first request.
        std::fs::write(
            &slots_file,
            format!("map \"\" $demo_slot {{ default {}; }}\nmap \"\" $demo_mirror {{ default \"\"; }}\n", slots[0]),
        )?;
        nginx.configure(&http_block(nginx.address(), &slots_file));
        nginx.start().await;
        Ok(Self { nginx, slots_file, slots, log: folder.join("version.log") })
    }

    pub(super) fn url(&self) -> String {
        self.nginx.url()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.nginx.address()
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
        program: {program}
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
            config = self.nginx.config().display(),
            program = Nginx::program().display(),
            this = this.display(),
            gateway = gateway.display(),
            settings = settings.display(),
            log = self.log.display(),
            version = value.get_name(),
        ))
    }
}

/// What a user has in front of two slots: the controller's file is included, and its variable names the upstream.
fn http_block(address: SocketAddr, slots_file: &Path) -> String {
    format!(
        r#"    client_body_buffer_size 64k;
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
"#,
        slots_file = slots_file.display(),
    )
}
