//! The plan: a [`Rollout`](crate::spec::Rollout) that was checked and completed with defaults.

mod analysis;
mod gates;
mod guards;
mod problems;
mod read;
mod steps;
mod target;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::judge::JudgeSettings;
use crate::spec::{
    API_VERSION, AnalysisSource, Console, Guard, HttpCheck, KIND, Latency, LoadTest, Metadata, Notification,
    NotificationKind, OnFailure, OnInconclusive, PrometheusSource, Rollout, Series, Strategy, Target, Webhook,
};

pub use problems::PlanProblem;
use problems::Problems;

/// The label that marks a rollout that mends something.
pub const FIX_LABEL: &str = "spillway.dev/fix";

/// A checked plan. Every default is filled in, so that nothing after this asks what a missing value means.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Name of the Rollout.
    pub name: String,
    /// Namespace on Kubernetes.
    pub namespace: Option<String>,
    /// A rollout that mends something: a frozen budget does not hold it.
    pub is_fix: bool,
    /// How traffic moves.
    pub strategy: Strategy,
    /// What is rolled out.
    pub target: Target,
    /// At least one step. Weights never fall; the last is 100 except for `shadow`, where all are 0.
    pub steps: Vec<PlanStep>,
    /// What is watched, with unique names.
    pub guards: Vec<Guard>,
    /// Names of guards that nobody wrote and not every process has data for, such as the database pool's: without data they do not hold.
    pub optional_guards: BTreeSet<String>,
    /// Where measurements come from.
    pub analysis: PlanAnalysis,
    /// The judge's numbers.
    pub judge: JudgeSettings,
    /// What happens when a guard or a gate fails.
    pub on_failure: OnFailure,
    /// What happens without enough evidence.
    pub on_inconclusive: OnInconclusive,
    /// How long the new version is watched at 100 %.
    pub observation: Duration,
    /// How long the candidate may take to become ready.
    pub progress_deadline: Duration,
    /// The plan says pause.
    pub paused: bool,
    /// Who is told.
    pub notifications: Vec<Notification>,
    /// Whose console shows it.
    pub console: Option<Console>,
}

/// A step with its defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanStep {
    /// Share of the traffic, percent.
    pub weight: u8,
    /// Share of requests that are copied, percent.
    pub mirror: u8,
    /// How long it is watched.
    pub bake: Duration,
    /// Requests that have to be answered as expected.
    pub smoke: Vec<HttpCheck>,
    /// Webhooks that have to answer 2xx.
    pub webhooks: Vec<Webhook>,
    /// A load test that has to pass.
    pub load_test: Option<LoadTest>,
    /// Whether a person has to approve at its end.
    pub approval: bool,
}

impl PlanStep {
    /// While a budget is nearly spent, bakes are this many times longer.
    pub const WARNED_BAKE: u64 = 2;

    /// Whether both slots take requests. At 0 and at 100 % one has nothing to be compared with, unless requests are copied.
    #[must_use]
    pub fn compares(&self) -> bool {
        (1..100).contains(&self.weight) || (self.mirror > 0 && self.weight < 100)
    }
}

/// Where measurements come from, with defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanAnalysis {
    /// Who measures.
    pub source: AnalysisSource,
    /// The Prometheus.
    pub prometheus: Option<PrometheusSource>,
    /// Time between two looks.
    pub interval: Duration,
    /// Time after the candidate became ready that does not count.
    pub warmup: Duration,
    /// Requests.
    pub requests: Series,
    /// Requests that failed for the platform's own reasons.
    pub errors: Series,
    /// The latency histogram.
    pub latency: Latency,
}

impl Plan {
    /// Checks what is written and fills in every default.
    ///
    /// # Errors
    /// All that is wrong, each with its place and what to do; never only the first.
    pub fn new(rollout: &Rollout) -> Result<Self, Vec<PlanProblem>> {
        let mut problems = Problems::default();
        let Rollout { metadata, spec, .. } = rollout;
        check_frame(rollout, &mut problems);
        check_name(metadata, &mut problems);

        let (target, router) = target::complete(&spec.target, &mut problems);
        let analysis = analysis::complete(&spec.analysis, router, &mut problems);
        let steps = steps::complete(spec, router, analysis.interval, &mut problems);
        let guards = guards::complete(spec, &steps, &analysis, &mut problems);
        let judge = analysis::judge(&spec.analysis, &guards.guards, &steps, &mut problems);
        check_notifications(&spec.notifications, router, &mut problems);
        check_console(spec.console.as_ref(), &mut problems);

        let observation = match spec.strategy {
            Strategy::Canary => HOUR,
            Strategy::BlueGreen => 24 * HOUR,
            Strategy::Shadow => Duration::ZERO,
        };
        let observation =
            problems.span("spec.observation", spec.observation, observation, Duration::ZERO, LONGEST_BAKE);
        let progress_deadline =
            problems.span("spec.progressDeadline", spec.progress_deadline, 10 * MINUTE, SECOND, 24 * HOUR);
        problems.or(Self {
            name: metadata.name.clone(),
            namespace: metadata.namespace.clone(),
            is_fix: metadata.labels.get(FIX_LABEL).is_some_and(|value| value == "true"),
            strategy: spec.strategy,
            target,
            steps,
            guards: guards.guards,
            optional_guards: guards.optional,
            analysis,
            judge,
            on_failure: spec.on_failure,
            on_inconclusive: spec.on_inconclusive,
            observation,
            progress_deadline,
            paused: spec.paused,
            notifications: spec.notifications.clone(),
            console: spec.console.clone(),
        })
    }
}

impl PlanStep {
    /// Whether the candidate answers requests in this step, its own or copies.
    #[must_use]
    pub fn has_traffic(&self) -> bool {
        self.weight > 0 || self.mirror > 0
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Longer bakes and observations are taken for a mistake.
const LONGEST_BAKE: Duration = Duration::from_secs(30 * 86_400);
/// Longest name: the slots' objects append `-green`, and 63 is the longest name of a Service.
const LONGEST_NAME: usize = 57;
const MOST_NOTIFICATIONS: usize = 20;

fn check_frame(rollout: &Rollout, problems: &mut Problems) {
    if rollout.api_version != API_VERSION {
        problems.add("apiVersion", format!("is `{}`: write `{API_VERSION}`", rollout.api_version));
    }
    if rollout.kind != KIND {
        problems.add("kind", format!("is `{}`: write `{KIND}`", rollout.kind));
    }
}

fn check_name(metadata: &Metadata, problems: &mut Problems) {
    let rule = "lower-case letters, digits and hyphens, with a letter or digit at both ends";
    if !is_label(&metadata.name, LONGEST_NAME) {
        let text = format!("is `{}`: a name has 1 to {LONGEST_NAME} characters: {rule}", metadata.name);
        problems.add("metadata.name", text);
    }
    if let Some(namespace) = metadata.namespace.as_ref().filter(|namespace| !is_label(namespace, 63)) {
        problems.add("metadata.namespace", format!("is `{namespace}`: a namespace has 1 to 63 characters: {rule}"));
    }
    if let Some(value) = metadata.labels.get(FIX_LABEL).filter(|value| !matches!(value.as_str(), "true" | "false")) {
        problems.add(format!("metadata.labels[{FIX_LABEL}]"), format!("is `{value}`: write \"true\" or \"false\""));
    }
}

/// A DNS label of at most `longest` characters.
fn is_label(text: &str, longest: usize) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty()
        && text.len() <= longest
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_url(text: &str) -> bool {
    ["http://", "https://"].into_iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

/// Whether the text names where a secret is, instead of being one.
fn is_reference(text: &str, router: target::Router) -> bool {
    let named = |prefix: &str| text.strip_prefix(prefix).is_some_and(|name| !name.trim().is_empty());
    named("env:") || named("file:") || (router.in_cluster && named("secret:") && text.contains('/'))
}

fn check_notifications(notifications: &[Notification], router: target::Router, problems: &mut Problems) {
    problems.at_most("spec.notifications", notifications.len(), MOST_NOTIFICATIONS);
    for (position, notification) in notifications.iter().enumerate() {
        let at = format!("spec.notifications[{position}].to");
        let needs_address = notification.kind != NotificationKind::PagerDuty;
        if notification.to.trim().is_empty() {
            problems.add(at, "is empty: write where it goes, best as `env:NAME` or `file:PATH`");
        } else if needs_address && !is_url(&notification.to) && !is_reference(&notification.to, router) {
            problems.add(at, "is no address: write http://… or https://…, `env:NAME` or `file:PATH`");
        }
    }
}

/// Secrets of a console are the controller's own in a cluster too: it is one gateway for all rollouts.
fn check_console(console: Option<&Console>, problems: &mut Problems) {
    let Some(console) = console else { return };
    if !is_url(&console.url) {
        let text = format!("is `{}`: write the gateway's address, such as http://127.0.0.1:8080", console.url);
        problems.add("spec.console.url", text);
    }
    let is_named =
        ["env:", "file:"].iter().any(|kind| console.key.strip_prefix(kind).is_some_and(|it| !it.trim().is_empty()));
    if !is_named {
        problems.add("spec.console.key", "names no place: write `env:NAME` or `file:PATH`, never the key itself");
    }
}

#[cfg(test)]
mod tests;
