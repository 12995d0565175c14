//! From options to a plan.

use std::time::Duration;

use spillway_slo::threshold::{Aggregation, MetricKind};
use url::Url;

use super::document::hint;
use super::{
    ConfigurationError, Options, Overrides, Plan, TimeUnit, limits, scale, scenarios, shortcuts, thresholds, warnings,
};
use crate::segment::Segment;

const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn plan(options: &Options, overrides: &Overrides, built_in: &[&str]) -> Result<Plan, ConfigurationError> {
    let file = &options.file;
    let mut tags = file.tags.clone();
    tags.extend(overrides.tags.clone());
    let mut warnings = options.warnings.clone();
    let mut scenarios = match shortcuts::scenario(options, overrides, &mut warnings)? {
        Some(scenario) => vec![scenario],
        None => scenarios::of_file(options)?,
    };
    for scenario in &mut scenarios {
        let own = std::mem::replace(&mut scenario.tags, tags.clone());
        scenario.tags.extend(own);
        known_workload(options, overrides, scenario, built_in)?;
    }
    let mut plan = Plan {
        scenarios,
        thresholds: thresholds::all(options, overrides)?,
        segment: segment(options, overrides)?,
        target: target(options, overrides)?,
        tags,
        user_agent: file.user_agent.clone(),
        insecure_skip_tls_verify: file.insecure_skip_tls_verify,
        no_connection_reuse: file.no_connection_reuse,
        discard_response_bodies: file.discard_response_bodies,
        rps: file.rps,
        setup_timeout: file.setup_timeout.map_or(TIMEOUT, Duration::from),
        teardown_timeout: file.teardown_timeout.map_or(TIMEOUT, Duration::from),
        summary_trend_stats: summary_trend_stats(options)?,
        summary_time_unit: summary_time_unit(options)?,
        warnings,
    };
    for name in ["setupTimeout", "teardownTimeout"] {
        let timeout = if name == "setupTimeout" { plan.setup_timeout } else { plan.teardown_timeout };
        if timeout.is_zero() {
            return Err(options.document.refuse(&[name], "nothing is done in no time: give more than 0"));
        }
    }
    if plan.rps == Some(0) || overrides.rps == Some(0) {
        let message = "0 would send nothing: leave it out for no limit";
        return Err(match overrides.rps {
            Some(_) => ConfigurationError::command_line(format!("--rps: {message}")),
            None => options.document.refuse(&["rps"], message),
        });
    }
    scale::apply(&mut plan, overrides)?;
    plan.rps = overrides.rps.or(plan.rps);
    limits::check(options, &plan)?;
    warnings::add(options, overrides, &mut plan);
    Ok(plan)
}

fn known_workload(
    options: &Options,
    overrides: &Overrides,
    scenario: &super::ScenarioPlan,
    built_in: &[&str],
) -> Result<(), ConfigurationError> {
    let exec = scenario.exec.as_str();
    if options.flows().contains_key(exec) || built_in.contains(&exec) {
        return Ok(());
    }
    let known = options.flows().keys().map(String::as_str).chain(built_in.iter().copied());
    let known = hint(exec, known.filter(|name| ![super::SETUP, super::TEARDOWN].contains(name)));
    let place = match shortcuts::given(options, overrides) {
        true => vec!["flows"],
        false => vec!["scenarios", &scenario.name, "exec"],
    };
    let how = if known.is_empty() { ": add [flows.NAME] and name it with `exec`" } else { "" };
    Err(options.document.refuse(&place, format_args!("there is no flow `{exec}`{known}{how}")))
}

fn segment(options: &Options, overrides: &Overrides) -> Result<Segment, ConfigurationError> {
    if let Some(segment) = &overrides.segment {
        return Ok(segment.clone());
    }
    let file = &options.file;
    let (segment, sequence) = (file.execution_segment.as_deref(), file.execution_segment_sequence.as_deref());
    let place = if segment.is_some() { "executionSegment" } else { "executionSegmentSequence" };
    Segment::parse(segment, sequence).map_err(|error| options.document.refuse(&[place], error))
}

fn target(options: &Options, overrides: &Overrides) -> Result<Option<Url>, ConfigurationError> {
    let refuse = |message: &str| match &overrides.target {
        Some(_) => ConfigurationError::command_line(format!("--target: {message}")),
        None => options.document.refuse(&["target"], message),
    };
    let url: Url = match (&overrides.target, &options.file.target) {
        (Some(url), _) => url.clone(),
        (None, Some(text)) => {
            text.parse().map_err(|error| refuse(&format!("{error}: write a URL such as http://127.0.0.1:8080")))?
        }
        (None, None) => return Ok(None),
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refuse("a target is an http:// or https:// URL with a host"));
    }
    Ok(Some(url))
}

fn summary_trend_stats(options: &Options) -> Result<Vec<Aggregation>, ConfigurationError> {
    const DEFAULT: [Aggregation; 6] = [
        Aggregation::Avg,
        Aggregation::Min,
        Aggregation::Med,
        Aggregation::Max,
        Aggregation::Percentile(90.0),
        Aggregation::Percentile(95.0),
    ];
    let Some(names) = &options.file.summary_trend_stats else { return Ok(DEFAULT.to_vec()) };
    let read = |(place, name): (usize, &String)| {
        let refuse = |message: String| options.document.refuse(&["summaryTrendStats", &place.to_string()], message);
        let aggregation: Aggregation = name.parse().map_err(|error| refuse(format!("{error}")))?;
        if MetricKind::Trend.has(aggregation) || aggregation == Aggregation::Count {
            return Ok(aggregation);
        }
        Err(refuse(format!("a trend has no `{name}`: use avg, min, med, max, count or p(N)")))
    };
    names.iter().enumerate().map(read).collect()
}

fn summary_time_unit(options: &Options) -> Result<Option<TimeUnit>, ConfigurationError> {
    match options.file.summary_time_unit.as_deref() {
        None | Some("") => Ok(None),
        Some("s") => Ok(Some(TimeUnit::Seconds)),
        Some("ms") => Ok(Some(TimeUnit::Milliseconds)),
        Some("us") => Ok(Some(TimeUnit::Microseconds)),
        Some(other) => {
            Err(options.document.refuse(&["summaryTimeUnit"], format_args!("`{other}` is none of s, ms, us")))
        }
    }
}
