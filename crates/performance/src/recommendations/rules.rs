//! One function for each kind of advice.

use super::{Advice, Facts, MINUTES_FOR_SIZES, MINUTES_NEEDED, Recommendation, Urgency, Waiting, pool_for};
use crate::wording::{bytes, counted, number, percent, seconds};

/// From here on another node is worth its cost.
const SCALE_AT_CPU: f64 = 0.7;
const SCALE_AT_MEMORY: f64 = 0.8;
const SCALE_AT_LATENCY_S: f64 = 2.0;
const SCALE_AT_POOL: f64 = 0.8;
const SCALE_AT_ERRORS: f64 = 0.02;
/// Fewer requests say nothing about a share or a percentile.
const REQUESTS_NEEDED: u64 = 100;
/// What is added to what is used.
const CPU_HEADROOM: f64 = 0.2;
const MEMORY_HEADROOM: f64 = 0.5;
/// A size that is off by less is right.
const TOLERANCE: f64 = 0.2;
/// Processors are given out in steps, and nothing runs well with less.
const CPU_STEP: f64 = 0.1;
const LEAST_CPU: f64 = 0.1;
const MEBIBYTE: f64 = 1_048_576.0;
const LEAST_MEMORY: f64 = 64.0 * MEBIBYTE;
/// Look-ups that a cache must have had, and the share of hits below which its entries end too early.
const LOOKUPS_NEEDED: u64 = 1_000;
const POOR_HITS: f64 = 0.8;
/// Work on the store that takes longer is slow.
const SLOW_S: f64 = 0.1;

pub(super) fn pool_size(facts: &Facts, advice: &mut Advice) {
    let Some(current) = facts.pool_max else { return };
    if !enough(facts.observed_minutes, MINUTES_NEEDED, "pool_size", advice) {
        return;
    }
    let Some(rate) = facts.events_per_second else { return };
    let wanted = pool_for(rate);
    if wanted == current {
        return;
    }
    let verdict = if wanted > current { "which needs" } else { "for which are enough" };
    let text = format!(
        "Intake received {} events/s over the last hour, {verdict} {wanted} connections; the pool has at most {current}.",
        number(rate)
    );
    advice.recommendations.push(Recommendation {
        id: "pool_size".to_owned(),
        urgency: if wanted > current && facts.pool_ratio.is_some_and(|used| used >= SCALE_AT_POOL) {
            Urgency::Soon
        } else {
            Urgency::Advice
        },
        text,
        setting: Some("store.pool_size"),
        current: Some(f64::from(current)),
        recommended: Some(f64::from(wanted)),
        unit: Some("connections"),
        evidence: vec![("events_per_second", rate), ("observed_minutes", f64::from(facts.observed_minutes))],
    });
}

pub(super) fn scale_out(facts: &Facts, advice: &mut Advice) {
    if !enough(facts.observed_minutes, MINUTES_NEEDED, "scale_out", advice) {
        return;
    }
    let shares = [
        ("scale_out_cpu", facts.cpu_ratio, SCALE_AT_CPU, "of the processor time was in use", "cpu_ratio"),
        ("scale_out_memory", facts.memory_ratio, SCALE_AT_MEMORY, "of the memory was in use", "memory_ratio"),
        ("scale_out_pool", facts.pool_ratio, SCALE_AT_POOL, "of the store's pool was in use", "pool_ratio"),
    ];
    for (id, share, limit, what, name) in shares {
        if let Some(share) = share.filter(|share| *share > limit) {
            let text = format!("{} {what} over the last hour, more than {}", percent(share), percent(limit));
            advice.recommendations.push(another_node(id, text, name, share));
        }
    }
    let many = |(value, requests): &(f64, u64)| (*requests >= REQUESTS_NEEDED).then_some(*value);
    if let Some(p95) = facts.api_latency.as_ref().and_then(many).filter(|p95| *p95 > SCALE_AT_LATENCY_S) {
        let text = format!(
            "5 % of the API requests of the last hour took longer than {}, more than {}",
            seconds(p95),
            seconds(SCALE_AT_LATENCY_S)
        );
        advice.recommendations.push(another_node("scale_out_latency", text, "api_p95_seconds", p95));
    }
    if let Some(share) = facts.platform_errors.as_ref().and_then(many).filter(|share| *share > SCALE_AT_ERRORS) {
        let text = format!(
            "{} of the requests of the last hour failed by our fault, more than {}",
            percent(share),
            percent(SCALE_AT_ERRORS)
        );
        advice.recommendations.push(another_node("scale_out_errors", text, "platform_error_ratio", share));
    }
}

fn another_node(id: &str, text: String, name: &'static str, value: f64) -> Recommendation {
    Recommendation {
        id: id.to_owned(),
        urgency: Urgency::Soon,
        text: format!("{text}: add a node, or make this one larger."),
        setting: None,
        current: None,
        recommended: None,
        unit: None,
        evidence: vec![(name, value)],
    }
}

pub(super) fn sizes(facts: &Facts, advice: &mut Advice) {
    if let (Some(limit), Some(used)) = (facts.cpu_cores, facts.cpu_cores_used)
        && enough(facts.observed_minutes_of_day, MINUTES_FOR_SIZES, "cpu_size", advice)
    {
        let wanted = round_up((used * (1.0 + CPU_HEADROOM)).max(LEAST_CPU), CPU_STEP);
        let text = format!(
            "95 % of the minutes of the last day used at most {} processors; with 20 % more that is {}, and there are {}.",
            number(used),
            number(wanted),
            number(limit)
        );
        advice.recommendations.extend(size("cpu_size", text, limit, wanted, "processors", ("cpu_cores_p95", used)));
    }
    if let (Some(limit), Some(used)) = (facts.memory_limit, facts.memory_used)
        && enough(facts.observed_minutes_of_day, MINUTES_FOR_SIZES, "memory_size", advice)
    {
        let wanted = round_up((used * (1.0 + MEMORY_HEADROOM)).max(LEAST_MEMORY), MEBIBYTE);
        let text = format!(
            "95 % of the minutes of the last day used at most {}; with 50 % more that is {}, and there are {}.",
            bytes(used),
            bytes(wanted),
            bytes(limit)
        );
        advice.recommendations.extend(size("memory_size", text, limit, wanted, "bytes", ("memory_bytes_p95", used)));
    }
}

/// Advice about a size, unless it is right already.
fn size(
    id: &str,
    text: String,
    limit: f64,
    wanted: f64,
    unit: &'static str,
    evidence: (&'static str, f64),
) -> Option<Recommendation> {
    let off = (wanted - limit).abs() / limit.max(f64::MIN_POSITIVE);
    (off > TOLERANCE).then(|| Recommendation {
        id: id.to_owned(),
        urgency: if wanted > limit { Urgency::Soon } else { Urgency::Advice },
        text,
        setting: None,
        current: Some(limit),
        recommended: Some(wanted),
        unit: Some(unit),
        evidence: vec![evidence],
    })
}

pub(super) fn caches(facts: &Facts, advice: &mut Advice) {
    for (name, lookups, hits) in facts.caches.iter().filter(|(_, lookups, _)| *lookups >= LOOKUPS_NEEDED) {
        let ratio = *hits as f64 / *lookups as f64;
        if ratio >= POOR_HITS {
            continue;
        }
        let text = format!(
            "The cache of {name} answered {} of {} in the last hour, less than {}: let its entries live twice as long, if they may be \
             that old.",
            percent(ratio),
            counted(*lookups, "look-up"),
            percent(POOR_HITS)
        );
        advice.recommendations.push(Recommendation {
            id: format!("cache_ttl_{name}"),
            urgency: Urgency::Advice,
            text,
            setting: None,
            current: None,
            recommended: None,
            unit: None,
            evidence: vec![("hit_ratio", ratio), ("lookups", *lookups as f64)],
        });
    }
}

pub(super) fn slow_queries(facts: &Facts, advice: &mut Advice) {
    let slow = facts.queries.iter().filter(|(_, p95, n)| *n >= REQUESTS_NEEDED && *p95 > SLOW_S);
    for (metric, p95, n) in slow {
        let kind = metric.name().trim_start_matches("store_");
        let text = format!(
            "5 % of the {n} times that the store did \"{kind}\" in the last hour took longer than {}, more than {}: look at its disk, and at \
             what else the database does.",
            seconds(*p95),
            seconds(SLOW_S)
        );
        advice.recommendations.push(Recommendation {
            id: format!("slow_query_{kind}"),
            urgency: if *p95 > 10.0 * SLOW_S { Urgency::Soon } else { Urgency::Advice },
            text,
            setting: None,
            current: None,
            recommended: None,
            unit: None,
            evidence: vec![("p95_seconds", *p95), ("count", *n as f64)],
        });
    }
}

fn enough(observed: u32, needed: u32, id: &'static str, advice: &mut Advice) -> bool {
    let is_enough = observed >= needed;
    if !is_enough {
        let reason = format!("needs {} of observation, has {observed}", counted(u64::from(needed), "minute"));
        advice.waiting.push(Waiting { id, reason });
    }
    is_enough
}

fn round_up(value: f64, step: f64) -> f64 {
    // What is a multiple but for the last bits stays one.
    let steps = (value / step - 1e-9).ceil();
    // A tenth has no exact binary form; dividing by ten gives the nearest one.
    if step < 1.0 { steps / (1.0 / step).round() } else { steps * step }
}
