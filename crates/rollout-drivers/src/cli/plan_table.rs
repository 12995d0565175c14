//! A plan with its defaults, for people.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};
use spillway_report::text;
use spillway_rollout::plan::{Plan, PlanStep};
use spillway_rollout::spec::{
    AlertsFrom, AnalysisSource, CompareMetric, Guard, OnFailure, OnInconclusive, Rollout, Strategy, Target,
    ThresholdMetric,
};
use spillway_slo::duration::Timespan;

/// Tables and lines.
pub(super) fn text(plan: &Plan, rollout: &Rollout) -> String {
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{}: {} of {}\n", plan.name, strategy(plan.strategy), target(&plan.target));
    let _ = writeln!(out, "{}\n", trimmed(&steps(plan)));
    let _ = writeln!(out, "{}\n", trimmed(&guards(plan)));
    let mut line = |name: &str, value: String| _ = writeln!(out, "{name:<17}{value}");
    line("measured", format!("{} every {}", source(plan), span(plan.analysis.interval)));
    line("warm-up", span(plan.analysis.warmup));
    line(
        "false rollbacks",
        format!("at most {} of rollouts of an equally good version", text::percent(plan.judge.alpha)),
    );
    line("false passes", format!("at most {} of steps of a worse version end early", text::percent(plan.judge.beta)));
    let tolerated = text::percent(plan.judge.tolerated_difference);
    line("no worse means", format!("at most {} × the live error ratio + {tolerated}", plan.judge.tolerated_ratio));
    line("ready within", span(plan.progress_deadline));
    line("on failure", on_failure(plan.on_failure).to_owned());
    line("on no evidence", on_inconclusive(plan.on_inconclusive).to_owned());
    if plan.strategy != Strategy::Shadow {
        line("then watched for", span(plan.observation));
    }
    if plan.is_fix {
        line("labelled a fix", "a frozen budget does not hold it".to_owned());
    }
    if plan.paused {
        line("paused", "nothing moves until `paused` is false, or somebody says resume".to_owned());
    }
    if !plan.notifications.is_empty() {
        line("told", text::counted(plan.notifications.len() as u64, "receiver"));
    }
    if let Some(console) = &plan.console {
        line("shown", format!("in the console of {}", text::plain(&console.url, 60)));
    }
    if rollout.spec.guards.is_empty() || rollout.spec.steps.is_empty() {
        let which = match (rollout.spec.steps.is_empty(), rollout.spec.guards.is_empty()) {
            (true, true) => "steps and guards are",
            (true, false) => "steps are",
            (false, _) => "guards are",
        };
        let _ = writeln!(out, "\nThe {which} those that a plan without any has.");
    }
    out
}

/// The same for scripts. Addresses and commands of the target stay in the file.
pub(super) fn json(plan: &Plan) -> Value {
    let steps = plan.steps.iter().map(|step| {
        json!({
            "weight": step.weight, "mirror": step.mirror, "bake": span(step.bake), "gates": gates(step),
        })
    });
    let guards = plan.guards.iter().map(|guard| {
        let (what, limit, windows) = guard_cells(guard);
        json!({ "name": guard.name, "watches": what, "limit": limit, "windows": windows })
    });
    json!({
        "name": plan.name,
        "namespace": plan.namespace,
        "strategy": plan.strategy,
        "target": target(&plan.target),
        "steps": steps.collect::<Vec<_>>(),
        "guards": guards.collect::<Vec<_>>(),
        "analysis": {
            "source": plan.analysis.source,
            "interval": span(plan.analysis.interval),
            "warmup": span(plan.analysis.warmup),
        },
        "judge": plan.judge,
        "onFailure": plan.on_failure,
        "onInconclusive": plan.on_inconclusive,
        "observation": span(plan.observation),
        "progressDeadline": span(plan.progress_deadline),
        "fix": plan.is_fix,
        "paused": plan.paused,
        "console": plan.console.as_ref().map(|console| &console.url),
    })
}

fn steps(plan: &Plan) -> Table {
    let mut table = table(["step", "traffic", "copies", "watched for", "has to pass"]);
    for (place, step) in plan.steps.iter().enumerate() {
        let copies = if step.mirror > 0 { format!("{} %", step.mirror) } else { text::NONE.to_owned() };
        table.add_row([
            (place + 1).to_string(),
            format!("{} %", step.weight),
            copies,
            span(step.bake),
            gates(step).join(", "),
        ]);
    }
    table
}

fn guards(plan: &Plan) -> Table {
    let mut table = table(["guard", "watches", "limit", "fails after"]);
    for guard in &plan.guards {
        let (mut what, limit, windows) = guard_cells(guard);
        if plan.optional_guards.contains(&guard.name) {
            what.push_str(", where there is data");
        }
        table.add_row([guard.name.clone(), what, limit, windows]);
    }
    table
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(super::width()).unwrap_or(80));
    table.set_header(header);
    table
}

/// Without blanks at the ends of lines.
fn trimmed(table: &Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

fn gates(step: &PlanStep) -> Vec<String> {
    let mut gates = Vec::new();
    if !step.smoke.is_empty() {
        gates.push(text::counted(step.smoke.len() as u64, "smoke check"));
    }
    gates.extend(step.webhooks.iter().map(|webhook| format!("webhook {}", webhook.name)));
    gates.extend(step.load_test.as_ref().map(|load_test| format!("load test {}", load_test.file)));
    gates.extend(step.approval.then(|| "approval".to_owned()));
    gates
}

/// What a guard watches, its limit, and how long it has to be beyond it.
fn guard_cells(guard: &Guard) -> (String, String, String) {
    let windows = |n: u32, window: Duration| match n {
        1 => span(window),
        n => format!("{n} × {}", span(window)),
    };
    if let Some(compare) = &guard.compare {
        let what = match compare.metric {
            CompareMetric::Errors => "errors against the live version",
            CompareMetric::Latency => "latency against the live version",
        };
        return (what.to_owned(), "no worse".to_owned(), "proof".to_owned());
    }
    if let Some(threshold) = &guard.threshold {
        let window = threshold.window.map_or(Duration::from_secs(60), Duration::from);
        let after = windows(threshold.windows.unwrap_or(1), window);
        let (what, limit) = match threshold.metric {
            Some(ThresholdMetric::ErrorRatio) => ("error ratio", text::percent(threshold.max)),
            Some(ThresholdMetric::LatencyP50) => ("latency p50", text::time(threshold.max * 1e3)),
            Some(ThresholdMetric::LatencyP95) => ("latency p95", text::time(threshold.max * 1e3)),
            Some(ThresholdMetric::LatencyP99) => ("latency p99", text::time(threshold.max * 1e3)),
            Some(ThresholdMetric::PoolUsage) => ("database pool in use", text::percent(threshold.max)),
            Some(ThresholdMetric::Restarts) => ("restarts", text::plain_number(threshold.max)),
            Some(ThresholdMetric::MemoryBytes) => ("resident memory", text::bytes(threshold.max)),
            None => (threshold.query.as_deref().unwrap_or("a query"), text::plain_number(threshold.max)),
        };
        return (text::plain(what, 60), format!("at most {limit}"), after);
    }
    if let Some(alerts) = &guard.alerts {
        let from = match alerts.from {
            AlertsFrom::Alertmanager => "Alertmanager",
            AlertsFrom::Prometheus => "Prometheus",
        };
        let labels: Vec<String> = alerts.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let which = if labels.is_empty() { String::new() } else { format!(" with {}", labels.join(", ")) };
        return (format!("alerts of {from}{which}"), "none fires".to_owned(), "the first".to_owned());
    }
    match &guard.budget {
        Some(budget) => {
            let window = budget.window.map_or_else(|| "30d".to_owned(), |window| window.to_string());
            let what = format!("error budget of {} over {window}", text::percent(budget.target));
            (what, "not spent".to_owned(), "holds at 100 %".to_owned())
        }
        None => (text::NONE.to_owned(), text::NONE.to_owned(), text::NONE.to_owned()),
    }
}

fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Canary => "canary",
        Strategy::BlueGreen => "blue-green",
        Strategy::Shadow => "shadow",
    }
}

fn target(target: &Target) -> String {
    match (&target.host, &target.workload, &target.workers) {
        (Some(host), _, _) => format!("{} on this host, behind nginx", host.candidate.revision),
        (_, Some(workload), _) => format!("Deployment {}", workload.deployment),
        (_, _, Some(workers)) => format!("{} among the workers of {}", workers.candidate.revision, workers.gateway),
        (None, None, None) => text::NONE.to_owned(),
    }
}

fn source(plan: &Plan) -> String {
    match (plan.analysis.source, &plan.analysis.prometheus) {
        (AnalysisSource::Slots, _) => "at the processes' own metrics".to_owned(),
        (AnalysisSource::Prometheus, Some(prometheus)) => format!("by {}", text::plain(&prometheus.url, 60)),
        (AnalysisSource::Prometheus, None) => "by Prometheus".to_owned(),
    }
}

fn on_failure(on_failure: OnFailure) -> &'static str {
    match on_failure {
        OnFailure::Rollback => "all traffic goes back to the live version",
        OnFailure::Hold => "the weight stays until a person decides",
    }
}

fn on_inconclusive(on_inconclusive: OnInconclusive) -> &'static str {
    match on_inconclusive {
        OnInconclusive::Hold => "the weight stays until evidence comes or a person decides",
        OnInconclusive::Extend => "the step is watched again, at most three times",
        OnInconclusive::Rollback => "as after a failure",
    }
}

fn span(duration: Duration) -> String {
    Timespan(duration).to_string()
}
