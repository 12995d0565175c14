//! What to measure of the target during a run.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use crate::observe::{Query, Sources};

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What the target uses")]
pub(super) struct ObserveArgs {
    /// Watch a process of this machine: processor, memory, threads, open files, disk; may be repeated
    #[arg(long, value_name = "PID")]
    target_pid: Vec<u32>,
    /// Watch a control group (version 2), as in /sys/fs/cgroup/system.slice/NAME.service; may be repeated
    #[arg(long, value_name = "PATH")]
    target_cgroup: Vec<PathBuf>,
    /// Read the target's own metrics (Prometheus or OpenMetrics text) once a second; may be repeated
    #[arg(long, value_name = "URL")]
    target_metrics: Vec<Url>,
    /// A further metric to take from there, summed over its labels; a counter as its gain per second; may be repeated
    #[arg(long, value_name = "NAME", requires = "target_metrics", value_parser = metric)]
    target_metric: Vec<String>,
    /// Ask this Prometheus server about the time of the run, at its end
    #[arg(long, value_name = "URL", requires = "prometheus_query")]
    prometheus: Option<Url>,
    /// What to ask it, as NAME=EXPRESSION; _bytes, _seconds, _percent or _per_second at the end of NAME is the unit; may be repeated
    #[arg(long, value_name = "NAME=EXPRESSION", requires = "prometheus", value_parser = query)]
    prometheus_query: Vec<Query>,
}

impl ObserveArgs {
    pub(super) fn sources(&self) -> Sources {
        Sources {
            pids: self.target_pid.clone(),
            cgroups: self.target_cgroup.clone(),
            metrics: self.target_metrics.clone(),
            metric_names: self.target_metric.clone(),
            prometheus: self.prometheus.clone(),
            queries: self.prometheus_query.clone(),
        }
    }
}

fn metric(text: &str) -> Result<String, String> {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || "_:".contains(c));
    let is_name = first && text.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| "write the metric's name without labels, such as http_requests_total".to_owned())
}

fn query(text: &str) -> Result<Query, String> {
    let (name, expression) = text.split_once('=').unwrap_or_default();
    // `up == 1` alone would be cut at its comparison.
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if !is_name || expression.trim().is_empty() || expression.starts_with(['=', '~']) {
        return Err("write NAME=EXPRESSION, such as 'queue=sum(queue_length)'".to_owned());
    }
    Ok(Query { name: name.to_owned(), expression: expression.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_metrics_are_told_apart_from_what_is_neither() {
        let expression = |text| query(text).map(|query| query.expression).ok();
        assert_eq!(expression(r#"q_bytes=sum(rate(x{a="b"}[1m]))"#).as_deref(), Some(r#"sum(rate(x{a="b"}[1m]))"#));
        for wrong in ["up", "=up", "q=", r#"up{a="b"}"#, "up==1"] {
            assert_eq!(expression(wrong), None, "{wrong}");
        }
        assert!(metric("spillway:intake_requests_total").is_ok());
        assert!(metric("a{b=\"c\"}").is_err() && metric("").is_err() && metric("9lives").is_err());
    }
}
