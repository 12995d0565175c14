//! `controller`: the rollouts of a cluster; and how the other commands reach them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::Args;
use spillway_model::{Clock as _, SystemClock};
use spillway_rollout::observed::Command;
use spillway_rollout::ports::PortError;
use spillway_rollout::{Plan, Slot};
use spillway_settings::Environment;

use super::console::ConsoleArgs;
use super::{Failure, duration, logs, stop};
use crate::code::Code;
use crate::console::Inbox;
use crate::gates::{GateSettings, Gates, JobLoadTester};
use crate::http::HttpClient;
use crate::kubernetes::{self, KubernetesError, KubernetesSettings, LeaseSettings, Parts};
use crate::meter::{Endpoints, HttpMeter};
use crate::notify::{Notices, NotifySettings};
use crate::people::{Series, View};
use crate::secrets::ProcessSecrets;

/// How long the last notifications may take.
const LAST_WORDS: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
pub(super) struct ControllerArgs {
    /// Namespace whose rollouts are carried out; may be repeated
    #[arg(long, short = 'n', value_name = "NAMESPACE", required_unless_present = "all_namespaces")]
    namespace: Vec<String>,
    /// The rollouts of every namespace
    #[arg(long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Serve /metrics, /healthz and /readyz here
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Lease that the processes of this controller share: one acts, the others wait. Without it this process is the only one
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = lease, requires = "identity")]
    lease: Option<(String, String)>,
    /// Name of this process, unlike any other: that of the pod
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    identity: Option<String>,
    /// How long the lease lasts without being renewed
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    lease_duration: Duration,
    /// Rollouts that are looked at at the same time, for each namespace
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    #[command(flatten)]
    console: ConsoleArgs,
    #[command(flatten)]
    logs: logs::LogArgs,
}

pub(super) async fn run(arguments: ControllerArgs) -> Result<u8, Failure> {
    arguments.logs.init_service()?;
    let stop = stop::on_signals();
    let client = kubernetes::connect().await.map_err(failure)?;
    let identity = arguments.identity.clone().unwrap_or_default();
    let lease = arguments.lease.clone().map(|(namespace, name)| LeaseSettings {
        namespace,
        name,
        identity,
        duration: arguments.lease_duration,
    });
    let settings = KubernetesSettings {
        namespaces: if arguments.all_namespaces { Vec::new() } else { arguments.namespace.clone() },
        lease,
        listen: Some(arguments.listen),
        concurrency: arguments.concurrency,
    };
    let http = HttpClient::new();
    let secrets = Arc::new(ProcessSecrets::new(Environment::of_process()));
    let notices = Arc::new(Notices::new(http.clone(), secrets.clone(), NotifySettings::default()));
    let endpoints: Arc<dyn Endpoints> = Arc::new(ClusterEndpoints(client.clone()));
    let meter = {
        let (http, endpoints) = (http.clone(), Arc::clone(&endpoints));
        Arc::new(move |_: &Plan| {
            let meter = HttpMeter::new(http.clone(), Arc::clone(&endpoints), secrets.clone());
            Box::new(meter) as Box<dyn spillway_rollout::ports::Meter>
        })
    };
    let gatekeeper = {
        let client = client.clone();
        let http = http.clone();
        Arc::new(move |plan: &Plan, owner| {
            let namespace = plan.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
            let tester = Arc::new(JobLoadTester::new(client.clone(), namespace, Some(owner)));
            let gates = Gates::new(http.clone(), Arc::clone(&endpoints), tester, GateSettings::default());
            Box::new(gates) as Box<dyn spillway_rollout::ports::Gatekeeper>
        })
    };
    let console = {
        let (client, usual) = (client.clone(), arguments.console.clone());
        Arc::new(move |plan: &Plan| {
            let namespace = plan.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
            let name = format!("{namespace}.{}", plan.name);
            let inbox = ClusterInbox { client: client.clone(), namespace, name: plan.name.clone() };
            usual.publisher(plan, &name, &http, Arc::new(inbox))
        })
    };
    let parts = Parts { meter, gatekeeper, console, notifier: notices.clone(), clock: Arc::new(SystemClock) };
    let ended = kubernetes::run(client, settings, parts, stop.gently).await;
    notices.flush(LAST_WORDS).await;
    ended.map(|()| 0).map_err(failure)
}

/// The annotation in which a Rollout's commands arrive.
struct ClusterInbox {
    client: kube::Client,
    namespace: String,
    name: String,
}

#[async_trait]
impl Inbox for ClusterInbox {
    async fn give(&self, command: &Command) -> Result<(), PortError> {
        kubernetes::give_command(&self.client, &self.namespace, &self.name, command).await
    }
}

/// Where the pods of a slot are.
struct ClusterEndpoints(kube::Client);

impl ClusterEndpoints {
    fn namespace<'a>(&'a self, plan: &'a Plan) -> &'a str {
        plan.namespace.as_deref().unwrap_or_else(|| self.0.default_namespace())
    }
}

#[async_trait]
impl Endpoints for ClusterEndpoints {
    async fn of(&self, plan: &Plan, slot: Slot) -> Result<Vec<String>, PortError> {
        let pods = kubernetes::endpoints(&self.0, self.namespace(plan), &plan.name, slot, port(plan)?).await?;
        Ok(pods.iter().map(|address| format!("http://{address}/metrics")).collect())
    }

    async fn base(&self, plan: &Plan, slot: Slot) -> Result<String, PortError> {
        Ok(kubernetes::base_url(self.namespace(plan), &plan.name, slot, port(plan)?))
    }
}

fn port(plan: &Plan) -> Result<u16, PortError> {
    let workload = plan.target.workload.as_ref();
    workload.map(|workload| workload.port).ok_or_else(|| {
        PortError::Permanent(
            "the target of this plan is no workload: `spillway-rollout run` carries it out on its host".to_owned(),
        )
    })
}

/// How a rollout of the cluster stands, its plan, and how it stood over time, as far as its history tells.
pub(super) async fn read(namespace: &str, name: &str) -> Result<(View, String, Series), Failure> {
    let client = kubernetes::connect().await.map_err(failure)?;
    let (rollout, state) = kubernetes::read_state(&client, namespace, name).await.map_err(refusal)?;
    let plan = rollout.plan().map_err(|problems| {
        Failure::new(
            Code::PlanInvalid,
            format!("the rollout {name} is not carried out, because its plan is wrong: {problems}"),
        )
    })?;
    let at = SystemClock.now();
    let written = rollout.written().ok().and_then(|written| serde_saphyr::to_string(&written).ok());
    Ok((View::new(&plan, &state, at), written.unwrap_or_default(), Series::default()))
}

/// Tells a rollout of the cluster something.
pub(super) async fn give(namespace: &str, name: &str, command: &Command) -> Result<(), Failure> {
    let client = kubernetes::connect().await.map_err(failure)?;
    kubernetes::give_command(&client, namespace, name, command).await.map_err(refusal)
}

fn failure(error: KubernetesError) -> Failure {
    let code = match &error {
        KubernetesError::NoCluster(_) => Code::ClusterUnreachable,
        KubernetesError::Listen { .. } => Code::ListenFailed,
        KubernetesError::Lease { .. } | KubernetesError::Election => Code::LeaseUnusable,
    };
    Failure::new(code, error)
}

/// What the API server answered, or that it did not.
fn refusal(error: PortError) -> Failure {
    let code = match &error {
        PortError::Temporary(_) => Code::ClusterUnreachable,
        PortError::Permanent(why) if why.starts_with("there is no Rollout ") => Code::Unknown,
        PortError::Permanent(_) => Code::ClusterRefused,
    };
    Failure::new(code, error)
}

fn lease(text: &str) -> Result<(String, String), String> {
    let (namespace, name) = text.split_once('/').ok_or("write NAMESPACE/NAME")?;
    let is_named = |text: &str| !text.is_empty() && !text.contains('/');
    if !is_named(namespace) || !is_named(name) {
        return Err("write NAMESPACE/NAME".to_owned());
    }
    Ok((namespace.to_owned(), name.to_owned()))
}
