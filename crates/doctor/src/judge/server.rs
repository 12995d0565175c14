//! The database server: whether it answers, how fast, and whether its clock is right.

use std::time::Duration;

use spillway_report::text::{count, span, time};
use spillway_store::examination::{Part, ServerFacts};
use spillway_store::{StoreError, StoreErrorKind};

use super::level::Level;
use super::wording::{chain, quoted};
use super::{Context, check_of};
use crate::{Check, Finding, Verdict};

/// Median round trip in milliseconds: a commit takes one, a claim two.
const ROUND_TRIP_MS: Level = Level::new(5.0, 50.0);
/// Difference of clocks in milliseconds: due times and leases are written by one machine and read by another.
pub(super) const CLOCK_MS: Level = Level::new(1_000.0, 10_000.0);
/// Age of the oldest row that was not frozen. PostgreSQL refuses writes near 2,147 million, and vacuums by force from 200 million on.
const TRANSACTIONS: Level = Level::new(500e6, 1_500e6);

/// The database cannot be opened.
#[must_use]
pub fn unreachable(shown: &str, error: &StoreError) -> Finding {
    let finding =
        Finding::new(Check::Database, Verdict::Critical, format!("{shown} cannot be opened: {}", chain(error)));
    let is_file = shown.starts_with("sqlite:");
    let finding = finding.see(format!("runbooks/errors/{}.md", error.code()));
    match error.kind() {
        StoreErrorKind::Unavailable if is_file => finding
            .run("Look which settings are in force, and whether the file is where they say.", "spillway check-config"),
        StoreErrorKind::Unavailable => finding
            .advise("Start the database, or correct store.url (DATABASE_URL): host, port, name, login.")
            .run("Look which settings are in force.", "spillway check-config"),
        _ => finding.run("Look which settings are in force.", "spillway check-config"),
    }
}

/// A part of the database could not be looked at.
#[must_use]
pub fn unreadable(part: Part, error: &StoreError, shown: &str) -> Finding {
    let finding = Finding::unknown(check_of(part), format!("not known: {}", chain(error)));
    if error.is_forbidden() {
        return finding.run(
            "The role may not read this. As the owner of the tables:",
            format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {};", role_in(shown)),
        );
    }
    match error.kind() {
        StoreErrorKind::Contention => {
            finding.advise("It took too long, or something held a lock: try again in a quiet moment.")
        }
        _ => finding,
    }
}

/// The role that a URL names, as SQL takes it.
fn role_in(shown: &str) -> String {
    let login = shown.split_once("://").and_then(|(_, rest)| rest.split_once('@')).map(|(login, _)| login);
    let name = login.and_then(|login| login.split(':').next()).filter(|name| !name.is_empty());
    name.map_or_else(|| "<role>".to_owned(), quoted)
}

/// What [`Part::Server`] comes to.
pub(super) fn server(facts: &ServerFacts, context: &Context) -> Vec<Finding> {
    let mut findings = vec![database(facts, context)];
    if let Some(trip) = facts.round_trip {
        findings.push(latency(Check::DatabaseLatency, trip, ROUND_TRIP_MS));
    }
    if let Some(offset) = facts.clock_offset_ms {
        findings.push(clock(Check::DatabaseClock, "the database", offset));
    }
    if let Some(age) = facts.transaction_age {
        let verdict = TRANSACTIONS.above(age as f64);
        let summary = format!("{} transactions since the oldest row was frozen", count(age));
        let finding = Finding::new(Check::TransactionIds, verdict, summary).number("age", age as f64);
        findings.push(if verdict == Verdict::Ok {
            finding
        } else {
            finding
                .advise("At 2,147 million the database takes no more writes. Look for what keeps vacuum from freezing: old transactions, slots.")
                .run("Then freeze, which reads every table:", "VACUUM (FREEZE, VERBOSE);")
        });
    }
    findings
}

fn database(facts: &ServerFacts, context: &Context) -> Finding {
    let ServerFacts { version, schema, known_schema, .. } = facts;
    let engine = if context.shown.starts_with("sqlite:") { "SQLite" } else { "PostgreSQL" };
    let what = format!("{engine} {version} at {}", context.shown);
    let finding = |verdict, text: String| Finding::new(Check::Database, verdict, format!("{what}{text}"));
    if !facts.supported {
        return finding(Verdict::Critical, "; version 15 or newer is needed".to_owned())
            .see("runbooks/errors/store_incompatible.md")
            .advise("Upgrade the server (pg_upgrade, or a dump and a restore), then start Spillway.");
    }
    if facts.is_standby {
        return finding(Verdict::Critical, " is a standby and takes no writes".to_owned())
            .advise("Set store.url to the primary, and store.replica_url to this one; or promote it.");
    }
    match schema {
        None => finding(Verdict::Critical, " has no schema".to_owned())
            .run("Make it; a start of the gateway does the same:", "spillway migrate"),
        Some(schema) if schema < known_schema => {
            finding(Verdict::Warning, format!(" has schema {schema}, and this program knows {known_schema}"))
                .number("schema", *schema as f64)
                .run("Bring it up to date; programs of older versions go on working:", "spillway migrate")
        }
        Some(schema) => finding(Verdict::Ok, format!(", schema {schema}")).number("schema", *schema as f64),
    }
}

/// A median round trip.
pub(super) fn latency(check: Check, trip: Duration, level: Level) -> Finding {
    let ms = trip.as_secs_f64() * 1e3;
    let verdict = level.above(ms);
    let summary = format!("{} for a round trip, median of 5", time(ms));
    let finding = Finding::new(check, verdict, summary).number("median_ms", ms);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .evidence(format!("look from {}, act from {}", time(level.warning), time(level.critical)))
        .advise("Look whether it is the network or the server: compare with a ping of its host, and with the processor of both machines.")
        .advise("Place both in one zone; every commit waits for a round trip.")
}

/// The difference between two clocks.
pub(super) fn clock(check: Check, whose: &str, offset_ms: i64) -> Finding {
    let distance = offset_ms.unsigned_abs() as f64;
    let verdict = CLOCK_MS.above(distance);
    let side = if offset_ms < 0 { "behind" } else { "ahead of" };
    let summary = match offset_ms {
        -2..=2 => format!("{whose} and this machine agree within 2 ms"),
        _ => format!("{whose} is {} {side} this machine", span(distance)),
    };
    let finding = Finding::new(check, verdict, summary).number("offset_ms", offset_ms as f64);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .evidence("due times, leases and signed times are compared across machines")
        .run("See which of the two is wrong, and whether its time is synchronised:", "timedatectl status")
        .run("With chrony, set it right at once:", "chronyc makestep")
}
