//! The Redis server.

use spillway_coordination::examination::{ExaminationError, ServerCounters, ServerFacts, ServerPart};
use spillway_report::text::{bytes, count, percent, plain};

use super::Limits;
use super::level::Level;
use super::server::{clock, latency};
use super::wording::some;
use crate::{Check, Finding, Verdict};

/// Median round trip in milliseconds: rate limits and cache let go after 50.
const ROUND_TRIP_MS: Level = Level::new(5.0, 25.0);
/// Share of the memory that it may use.
const MEMORY: Level = Level::new(0.8, 0.95);
/// Share of look-ups that found a key.
const HITS: Level = Level::new(0.5, f64::NEG_INFINITY);
/// Fewer look-ups say nothing.
const LOOKUPS_NEEDED: u64 = 1_000;
/// Share of the connections.
const CLIENTS: Level = Level::new(0.8, 0.95);
/// Share of the ready queue's bound.
const QUEUE: Level = Level::new(0.9, f64::INFINITY);

/// What a part of the server comes to.
#[must_use]
pub fn redis(facts: &ServerFacts, shown: &str, limits: &Limits) -> Vec<Finding> {
    match facts {
        ServerFacts::RoundTrip { round_trip, clock_offset_ms } => vec![
            latency(Check::RedisLatency, *round_trip, ROUND_TRIP_MS),
            clock(Check::RedisClock, "Redis", *clock_offset_ms),
        ],
        ServerFacts::Counters(counters) => {
            vec![server(counters, shown), memory(counters), evictions(counters), hits(counters), clients(counters)]
        }
        ServerFacts::Queues(queues) => vec![ready(queues, limits)],
    }
}

/// A part of the server could not be looked at.
#[must_use]
pub fn redis_failed(part: ServerPart, error: &ExaminationError, shown: &str) -> Finding {
    let reason = plain(&error.to_string(), 300);
    match error {
        ExaminationError::Unreachable(_) | ExaminationError::Login(_) => {
            let lost = "nodes go on without it: deliveries go through the database, rate limits are open";
            Finding::new(Check::Redis, Verdict::Critical, format!("{shown}: {reason}"))
                .evidence(lost)
                .advise("Start it, or correct redis.url (REDIS_URL): host, port, user, password.")
                .run("Look which settings are in force.", "spillway check-config")
        }
        ExaminationError::Forbidden { command, .. } => Finding::unknown(check_of(part), reason)
            .run("As Redis's administrator:", format!("ACL SETUSER <user> +{}", command.to_ascii_lowercase())),
        ExaminationError::Refused { .. } => Finding::unknown(check_of(part), reason),
    }
}

/// The check that stands for a part which could not be looked at.
pub(crate) fn check_of(part: ServerPart) -> Check {
    match part {
        ServerPart::RoundTrip => Check::RedisLatency,
        ServerPart::Counters => Check::RedisMemory,
        ServerPart::Queues => Check::ReadyQueue,
    }
}

fn server(counters: &ServerCounters, shown: &str) -> Finding {
    let what = format!("Redis {} at {shown}", plain(&counters.version, 20));
    if counters.is_primary {
        return Finding::ok(Check::Redis, what);
    }
    Finding::new(Check::Redis, Verdict::Critical, format!("{what} is a replica and takes no writes")).advise(
        "Set redis.url to the master, or to the sentinels that know it (redis+sentinel://host:26379,…/service).",
    )
}

fn memory(counters: &ServerCounters) -> Finding {
    let used = counters.memory_bytes as f64;
    let policy = plain(&counters.policy, 30);
    let (verdict, summary) = match counters.memory_limit {
        None => (Verdict::Ok, format!("{} used, no limit is set", bytes(used))),
        Some(limit) => {
            let share = used / limit as f64;
            let summary = format!("{} of {} used ({}), {policy}", bytes(used), bytes(limit as f64), percent(share));
            (MEMORY.above(share), summary)
        }
    };
    let finding = Finding::new(Check::RedisMemory, verdict, summary)
        .number("used_bytes", used)
        .number("limit_bytes", counters.memory_limit.unwrap_or_default() as f64)
        .number("fragmentation_ratio", counters.fragmentation);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .evidence("when it is full it refuses writes or drops keys: nodes then go through the database")
        .run("See what takes the memory:", "redis-cli --bigkeys")
        .advise("Raise maxmemory, or give other programs a server of their own.")
}

fn evictions(counters: &ServerCounters) -> Finding {
    let verdict = if counters.evicted > 0 { Verdict::Warning } else { Verdict::Ok };
    let summary = match counters.evicted {
        0 => "no key was dropped for want of memory".to_owned(),
        n => format!("{} dropped for want of memory since its start", some(n, "key", "keys")),
    };
    let finding = Finding::new(Check::RedisEvictions, verdict, summary).number("evicted", counters.evicted as f64);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding.advise("Raise maxmemory: what is dropped are cached answers, limits and deliveries on their way, which then take the way through the database.")
}

fn hits(counters: &ServerCounters) -> Finding {
    let lookups = counters.hits + counters.misses;
    let share = counters.hits as f64 / lookups.max(1) as f64;
    let verdict = if lookups < LOOKUPS_NEEDED { Verdict::Ok } else { HITS.below(share) };
    let summary = match lookups {
        0 => "nothing was looked up yet".to_owned(),
        _ => format!("{} of {} found", percent(share), some(lookups, "look-up", "look-ups")),
    };
    let finding =
        Finding::new(Check::RedisHits, verdict, summary).number("hit_ratio", share).number("lookups", lookups as f64);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding.advise("Keys expire or are dropped before they are asked for again: look at evictions and memory, and at other programs that use this server.")
}

fn clients(counters: &ServerCounters) -> Finding {
    let share = counters.clients as f64 / counters.clients_limit.max(1) as f64;
    let refused = if counters.rejected > 0 { Verdict::Warning } else { Verdict::Ok };
    let verdict = CLIENTS.above(share).max(refused);
    let summary = format!(
        "{} of {} connected, {} refused since its start",
        count(counters.clients),
        count(counters.clients_limit),
        count(counters.rejected)
    );
    let finding = Finding::new(Check::RedisClients, verdict, summary)
        .number("clients", counters.clients as f64)
        .number("rejected", counters.rejected as f64);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .run("See who is connected:", "redis-cli CLIENT LIST")
        .advise("Raise maxclients, or end clients that leak connections.")
}

fn ready(queues: &[(String, u64)], limits: &Limits) -> Finding {
    let bound = limits.ready_queue.max(1) as f64;
    let worst = queues.iter().map(|(_, length)| *length).max().unwrap_or_default();
    let verdict = QUEUE.above(worst as f64 / bound);
    let total: u64 = queues.iter().map(|(_, length)| length).sum();
    let summary = format!(
        "{} in the ready queues, at most {} in each",
        some(total, "delivery", "deliveries"),
        count(limits.ready_queue as u64)
    );
    let lines = queues.iter().filter(|(_, length)| *length > 0);
    let finding = Finding::new(Check::ReadyQueue, verdict, summary)
        .number("deliveries", total as f64)
        .evidence_of(lines.map(|(name, length)| format!("{}: {}", plain(name, 30), count(*length))));
    if verdict == Verdict::Ok {
        return finding;
    }
    finding.advise(
        "Workers do not keep up; the rest waits in the database. Start more workers, or look for slow destinations.",
    )
}
