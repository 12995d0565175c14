//! A running node, as its metrics tell.

use std::time::Duration;

use spillway_performance::alerts::AlertId;
use spillway_report::text::{bytes, count, percent, plain, span, time};

use super::Limits;
use super::level::Level;
use super::server::latency;
use super::wording::some;
use crate::scrape::{Histogram, Scrape};
use crate::{Check, Finding, Verdict};

/// Median time of an answer in milliseconds.
const ROUND_TRIP_MS: Level = Level::new(50.0, 1_000.0);
/// 99th percentile in seconds from request to acknowledgement: the promise is 50 ms.
const ACKNOWLEDGEMENT_S: Level = Level::new(0.05, 0.8);
/// 99th percentile of a commit in seconds.
const COMMIT_S: Level = Level::new(0.1, 0.5);
/// Fewer observations say nothing.
const NEEDED: f64 = 100.0;
/// Share of the queue of events that wait for their commit: those of the alert.
const INTAKE_QUEUE: Level = Level::new(0.5, 0.9);
/// Share of look-ups that the caches answered.
const HITS: Level = Level::new(0.5, f64::NEG_INFINITY);
const LOOKUPS_NEEDED: f64 = 1_000.0;
/// Share of the files that it may open.
const FILES: Level = Level::new(0.8, 0.95);

/// Nothing could be asked.
#[must_use]
pub fn no_gateway(url: Option<&str>, reason: &str) -> Finding {
    match url {
        None => Finding::unknown(Check::Gateway, reason).advise("Say where it is with --url, or SPILLWAY_URL."),
        Some(url) => Finding::new(Check::Gateway, Verdict::Critical, format!("{url}: {}", plain(reason, 200)))
            .run("If it should run here, start it and read its log:", "spillway serve")
            .advise("If it runs elsewhere, say where with --url, or SPILLWAY_URL."),
    }
}

/// How fast it answers over the network. `connected` is the first answer, with the connection.
#[must_use]
pub fn gateway_latency(trip: Duration, connected: Duration) -> Finding {
    let finding = latency(Check::GatewayLatency, trip, ROUND_TRIP_MS);
    finding.number("first_ms", connected.as_secs_f64() * 1e3)
}

/// What the metrics of a node come to. `now_s` is the time in seconds since the Unix epoch.
#[must_use]
pub fn gateway(scrape: &Scrape, url: &str, now_s: f64, limits: &Limits) -> Vec<Finding> {
    let mut findings = vec![running(scrape, url, now_s)];
    findings.extend(alerts(scrape));
    findings.extend([
        percentile(scrape, Check::Acknowledgement, "spillway_intake_ack_seconds", ACKNOWLEDGEMENT_S),
        percentile(scrape, Check::Commit, "spillway_commit_seconds", COMMIT_S),
        pool(scrape, limits),
        intake_queue(scrape, limits),
        breakers(scrape),
        coordination(scrape),
        cache(scrape),
        files(scrape),
        memory(scrape),
    ]);
    findings
}

fn running(scrape: &Scrape, url: &str, now_s: f64) -> Finding {
    let version = scrape.label("spillway_build_info", "version").unwrap_or_default();
    let uptime = scrape.value("process_start_time_seconds", &[]).map_or(f64::NAN, |start| (now_s - start).max(0.0));
    let since = if uptime.is_nan() { String::new() } else { format!(", up for {}", span(uptime * 1e3)) };
    let finding = Finding::ok(Check::Gateway, format!("{} at {url}{since}", plain(version, 30)));
    if uptime.is_nan() { finding } else { finding.number("uptime_s", uptime) }
}

/// One finding for each alert that is on; one that says so when none is.
fn alerts(scrape: &Scrape) -> Vec<Finding> {
    let is_on = |id: &&AlertId| scrape.value("spillway_alert_active", &[("alert", id.as_str())]) == Some(1.0);
    let on: Vec<Finding> = AlertId::ALL.iter().filter(is_on).map(|id| alert(*id)).collect();
    if on.is_empty() { vec![Finding::ok(Check::Alert, "no alert of this node is on")] } else { on }
}

fn alert(id: AlertId) -> Finding {
    Finding::new(Check::Alert, Verdict::Warning, format!("the alert {} is on", id.as_str()))
        .run("See its values and since when:", "spillway performance alerts")
        .see(format!("runbooks/alerts/{}.md", id.as_str()))
}

fn percentile(scrape: &Scrape, check: Check, name: &str, level: Level) -> Finding {
    let Some(histogram) = scrape.histogram(name) else {
        return Finding::unknown(check, format!("the node does not export {name}"));
    };
    let Histogram { count: n, .. } = histogram;
    if n < NEEDED {
        let few = match n as u64 {
            0 => "nothing was measured since the node started".to_owned(),
            n => format!("only {} since the node started, too few to say", some(n, "measurement", "measurements")),
        };
        return Finding::ok(check, few).number("count", n);
    }
    let (p50, p99) = (histogram.quantile(0.5), histogram.quantile(0.99));
    let verdict = level.above(p99);
    let summary =
        format!("p50 {}, p99 {} of {} since the node started", time(p50 * 1e3), time(p99 * 1e3), count(n as u64));
    let finding = Finding::new(check, verdict, summary).number("p50_s", p50).number("p99_s", p99).number("count", n);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .evidence(format!("look from p99 {}, act from {}", time(level.warning * 1e3), time(level.critical * 1e3)))
        .run("See whether it is so now, and what takes the time:", "spillway performance show")
        .run("And what would help:", "spillway performance recommendations")
}

fn pool(scrape: &Scrape, limits: &Limits) -> Finding {
    let state = |state| scrape.value("spillway_store_pool_connections", &[("state", state)]);
    let (Some(used), Some(max)) = (state("used"), state("max")) else {
        return Finding::unknown(Check::Pool, "the node does not export its pool");
    };
    let exhausted = scrape.value("spillway_store_pool_exhausted_total", &[]).unwrap_or_default();
    let share = used / max.max(1.0);
    let now = Level::new(limits.pool_warning_ratio, limits.pool_critical_ratio).above(share);
    let verdict = if exhausted > 0.0 { now.max(Verdict::Warning) } else { now };
    let summary = format!(
        "{used:.0} of {max:.0} connections in use ({}), {} had to do without since the start",
        percent(share),
        some(exhausted as u64, "caller", "callers")
    );
    let finding = Finding::new(Check::Pool, verdict, summary)
        .number("used", used)
        .number("max", max)
        .number("exhausted", exhausted);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .advise("Look at locks, slow queries and the database's latency first: connections are held for as long as statements take.")
        .advise("Then raise store.pool_size, within what the database allows (check connections).")
}

fn intake_queue(scrape: &Scrape, limits: &Limits) -> Finding {
    let Some(depth) = scrape.value("spillway_intake_queue_depth", &[]) else {
        return Finding::ok(Check::IntakeQueue, "this node takes no webhooks");
    };
    let bound = limits.intake_queue.max(1) as f64;
    let verdict = INTAKE_QUEUE.above(depth / bound);
    let summary = format!("{depth:.0} of {bound:.0} events wait for their commit");
    let finding = Finding::new(Check::IntakeQueue, verdict, summary).number("depth", depth);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding.evidence("when it is full senders are answered 503 and send again").advise(
        "The database does not keep up: look at its latency, locks and disk. More api nodes help only if it is idle.",
    )
}

fn breakers(scrape: &Scrape) -> Finding {
    let open = scrape.value("spillway_breaker_open", &[]).unwrap_or_default();
    let waiting = scrape.value("spillway_budget_waiting", &[]).unwrap_or_default();
    let verdict = if open > 0.0 { Verdict::Warning } else { Verdict::Ok };
    let summary = match (open as u64, waiting as u64) {
        (0, 0) => "no destination rests".to_owned(),
        (0, n) => format!("no breaker is open, {} for a budget", some(n, "destination waits", "destinations wait")),
        (n, _) => format!("{} after failures in a row", some(n, "destination rests", "destinations rest")),
    };
    let finding =
        Finding::new(Check::Breakers, verdict, summary).number("open", open).number("budget_waiting", waiting);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .run("See which deliveries fail, and how:", "spillway deliveries list --state pending")
        .advise("Tell the owner of the destination; deliveries are kept and go out when it answers again.")
}

fn coordination(scrape: &Scrape) -> Finding {
    match scrape.value("spillway_coordination_degraded", &[]) {
        Some(degraded) if degraded > 0.0 => Finding::new(
            Check::Coordination,
            Verdict::Critical,
            "the node has lost Redis and goes through the database",
        )
        .number("degraded", 1.0)
        .run(
            "See why, in the node's log, and whether Redis answers from its machine:",
            "redis-cli -u \"$REDIS_URL\" PING",
        ),
        _ => Finding::ok(Check::Coordination, "the node coordinates as it is set to").number("degraded", 0.0),
    }
}

fn cache(scrape: &Scrape) -> Finding {
    let sum = |result| scrape.sum("spillway_cache_requests_total", &[("result", result)]);
    let (hits, misses) = (sum("hit"), sum("miss"));
    let lookups = hits + misses;
    let share = hits / lookups.max(1.0);
    let evicted = scrape.sum("spillway_cache_evictions_total", &[]);
    let verdict = if lookups < LOOKUPS_NEEDED { Verdict::Ok } else { HITS.below(share) };
    let summary = match lookups as u64 {
        0 => "nothing was looked up yet".to_owned(),
        n => format!(
            "{} of {} answered, {} made room",
            percent(share),
            some(n, "look-up", "look-ups"),
            some(evicted as u64, "value", "values")
        ),
    };
    let finding = Finding::new(Check::GatewayCache, verdict, summary)
        .number("hit_ratio", share)
        .number("lookups", lookups)
        .number("evicted", evicted);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding.advise("Lists and counts are asked for in ever new forms, or the configuration changes all the time: look at who uses the API.")
}

fn files(scrape: &Scrape) -> Finding {
    let value = |name| scrape.value(name, &[]);
    let (Some(open), Some(max)) = (value("process_open_fds"), value("process_max_fds")) else {
        return Finding::unknown(Check::GatewayFiles, "the node does not say");
    };
    let verdict = FILES.above(open / max);
    let summary = format!("{open:.0} of {} files open ({})", count(max as u64), percent(open / max));
    let finding = Finding::new(Check::GatewayFiles, verdict, summary).number("open", open).number("max", max);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding.advise("Raise the limit of the service (systemd: LimitNOFILE, containers: --ulimit nofile) and restart it.")
}

fn memory(scrape: &Scrape) -> Finding {
    match scrape.value("process_resident_memory_bytes", &[]) {
        None => Finding::unknown(Check::GatewayMemory, "the node does not say"),
        Some(resident) => Finding::ok(Check::GatewayMemory, format!("{} resident", bytes(resident)))
            .number("resident_bytes", resident),
    }
}
