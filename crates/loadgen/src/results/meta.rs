//! What was run: enough to run it again.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use spillway_slo::duration::Timespan;
use url::Url;

use crate::options::{Description, ExecutorPlan, Plan, ScenarioPlan, Spacing, Stage};

/// Arguments that are kept of a command line.
const MOST_ARGUMENTS: usize = 200;

/// Flags whose values let somebody in or may hold a secret, and are never kept.
const SECRET_FLAGS: [&str; 8] =
    ["--secret", "--api-key", "--gateway-key", "--token", "--header", "-H", "--slack-webhook", "--pushgateway"];

/// What was run, when, where, and by which version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Name of the test: the file's name without its ending.
    pub name: String,
    /// The file, as it was named.
    pub file: String,
    /// Start of the run, RFC 3339 in UTC. Empty until the run is over.
    pub started_at: String,
    /// Version of this program.
    pub version: String,
    /// Operating system, processor and its number of cores.
    pub system: String,
    /// The command line. Values of flags that may hold secrets, are replaced by `…`, user and password in URLs by `hidden`.
    pub command: Vec<String>,
    /// Base URL of the target, without its password; `None` when every request names its own.
    pub target: Option<String>,
    /// Tags of every sample.
    pub tags: BTreeMap<String, String>,
    /// What the scenarios were to do.
    pub description: Description,
    /// The options after the command line and the scale were applied, in the grammar of options files. Without flows, and values of
    /// `env` are replaced by `…`.
    pub options: Value,
    /// What the summary says of a trend, such as `p(95)`; empty is our choice.
    pub trend_stats: Vec<String>,
    /// The unit of times in the summary: `s`, `ms` or `us`; `None` fits each value.
    pub time_unit: Option<String>,
}

impl Meta {
    /// About a run of `plan`, made of `file` by the command line of this process.
    pub fn new(file: &Path, plan: &Plan, description: Description) -> Self {
        let name = file.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Self {
            name,
            file: file.display().to_string(),
            started_at: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            system: format!(
                "{} {}, {} core(s)",
                std::env::consts::OS,
                std::env::consts::ARCH,
                crate::generator::cores()
            ),
            command: without_secrets(std::env::args_os().map(|argument| argument.to_string_lossy().into_owned())),
            target: plan.target.as_ref().map(without_password),
            tags: plan.tags.clone(),
            description,
            options: options(plan),
            trend_stats: plan.summary_trend_stats.iter().map(ToString::to_string).collect(),
            time_unit: plan
                .summary_time_unit
                .and_then(|unit| serde_json::to_value(unit).ok()?.as_str().map(str::to_owned)),
        }
    }

    /// Whether iterations of some scenario had scheduled starts, so that percentiles mean little without what was dropped.
    pub(super) fn has_arrivals(&self) -> bool {
        self.description.scenarios.iter().any(|scenario| scenario.executor.ends_with("-arrival-rate"))
    }
}

fn without_secrets(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut hidden = false;
    let mut kept = Vec::new();
    for (place, argument) in arguments.take(MOST_ARGUMENTS).enumerate() {
        let flag = argument.split_once('=').map_or(argument.as_str(), |(flag, _)| flag);
        let is_secret = SECRET_FLAGS.contains(&flag);
        kept.push(match () {
            // Where the program lies says nothing about the run.
            () if place == 0 => Path::new(&argument)
                .file_name()
                .map_or_else(|| argument.clone(), |name| name.to_string_lossy().into_owned()),
            () if hidden => "…".to_owned(),
            () if is_secret && flag.len() < argument.len() => format!("{flag}=…"),
            () => Url::parse(&argument).map_or(argument.clone(), |url| {
                if url.password().is_some() || !url.username().is_empty() {
                    without_password(&url)
                } else {
                    argument.clone()
                }
            }),
        });
        hidden = !hidden && is_secret && flag.len() == argument.len();
    }
    kept
}

fn without_password(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() || !url.username().is_empty() {
        // A URL that has a password can lose it.
        let _ = url.set_password(None);
        let _ = url.set_username("hidden");
    }
    url.to_string()
}

fn options(plan: &Plan) -> Value {
    let mut options = Map::new();
    let mut put = |name: &str, value: Value| _ = options.insert(name.to_owned(), value);
    if let Some(target) = &plan.target {
        put("target", json!(without_password(target)));
    }
    put(
        "scenarios",
        plan.scenarios.iter().map(|plan| (plan.name.clone(), scenario(plan))).collect::<Map<_, _>>().into(),
    );
    let mut thresholds: Map<String, Value> = Map::new();
    for threshold in &plan.thresholds {
        let written = if threshold.abort_on_fail {
            json!({
                "threshold": threshold.expression.to_string(),
                "abortOnFail": true,
                "delayAbortEval": Timespan(threshold.delay_abort_eval).to_string(),
            })
        } else {
            json!(threshold.expression.to_string())
        };
        let all = thresholds.entry(threshold.selector.to_string()).or_insert_with(|| json!([]));
        if let Some(all) = all.as_array_mut() {
            all.push(written);
        }
    }
    put("thresholds", thresholds.into());
    if !plan.tags.is_empty() {
        put("tags", json!(plan.tags));
    }
    if !plan.segment.is_whole() {
        put("executionSegment", json!(plan.segment.to_string()));
    }
    if let Some(rps) = plan.rps {
        put("rps", json!(rps));
    }
    if let Some(user_agent) = &plan.user_agent {
        put("userAgent", json!(user_agent));
    }
    for (name, set) in [
        ("insecureSkipTLSVerify", plan.insecure_skip_tls_verify),
        ("noConnectionReuse", plan.no_connection_reuse),
        ("discardResponseBodies", plan.discard_response_bodies),
    ] {
        if set {
            put(name, json!(true));
        }
    }
    options.into()
}

fn scenario(plan: &ScenarioPlan) -> Value {
    let time = |duration| json!(Timespan(duration).to_string());
    let stages = |stages: &[Stage]| -> Value {
        stages.iter().map(|stage| json!({ "duration": time(stage.duration), "target": stage.target })).collect()
    };
    let mut scenario = match &plan.executor {
        ExecutorPlan::SharedIterations { vus, iterations, max_duration }
        | ExecutorPlan::PerVuIterations { vus, iterations, max_duration } => {
            json!({ "vus": vus, "iterations": iterations, "maxDuration": time(*max_duration) })
        }
        ExecutorPlan::ConstantVus { vus, duration } => json!({ "vus": vus, "duration": time(*duration) }),
        ExecutorPlan::RampingVus { start_vus, stages: all, graceful_ramp_down } => {
            json!({ "startVUs": start_vus, "stages": stages(all), "gracefulRampDown": time(*graceful_ramp_down) })
        }
        ExecutorPlan::ConstantArrivalRate { rate, time_unit, duration, pre_allocated_vus, max_vus, .. } => json!({
            "rate": rate,
            "timeUnit": time(*time_unit),
            "duration": time(*duration),
            "preAllocatedVUs": pre_allocated_vus,
            "maxVUs": max_vus,
        }),
        ExecutorPlan::RampingArrivalRate { start_rate, time_unit, stages: all, pre_allocated_vus, max_vus, .. } => {
            json!({
                "startRate": start_rate,
                "timeUnit": time(*time_unit),
                "stages": stages(all),
                "preAllocatedVUs": pre_allocated_vus,
                "maxVUs": max_vus,
            })
        }
        ExecutorPlan::ExternallyControlled { vus, max_vus, duration } => {
            json!({ "vus": vus, "maxVUs": max_vus, "duration": time(duration.unwrap_or_default()) })
        }
    };
    scenario["executor"] = json!(plan.executor.name());
    scenario["exec"] = json!(plan.exec);
    scenario["startTime"] = time(plan.start_time);
    scenario["gracefulStop"] = time(plan.graceful_stop);
    if let ExecutorPlan::ConstantArrivalRate { spacing: Spacing::Poisson { seed }, .. }
    | ExecutorPlan::RampingArrivalRate { spacing: Spacing::Poisson { seed }, .. } = &plan.executor
    {
        scenario["spacing"] = json!("poisson");
        scenario["seed"] = json!(seed);
    }
    if !plan.env.is_empty() {
        scenario["env"] = plan.env.keys().map(|name| (name.clone(), json!("…"))).collect::<Map<_, _>>().into();
    }
    if !plan.tags.is_empty() {
        scenario["tags"] = json!(plan.tags);
    }
    scenario
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_command_line_has_no_secrets() {
        let line = "/usr/bin/spillway-loadgen run a.toml --target http://me:pass@h/p --token abc --slack-webhook=http://s -u 5 -H";
        let kept = without_secrets(line.split(' ').map(str::to_owned).chain(["Authorization: x".to_owned()]));
        let text = kept.join(" ");
        assert_eq!(
            text,
            "spillway-loadgen run a.toml --target http://hidden@h/p --token … --slack-webhook=… -u 5 -H …"
        );
    }
}
