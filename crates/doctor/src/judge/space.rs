//! Space of a server: what holds nothing, what is in memory, what is kept for standbys.

use spillway_report::text::{bytes, count, percent, plain};
use spillway_store::examination::{BloatFacts, DeadRows, Loose, ReplicaFacts, ReplicationFacts, StorageFacts};

use super::Context;
use super::level::Level;
use super::wording::{of, quoted, some};
use crate::{Check, Finding, Verdict};

/// Dead rows for each row that is seen.
const DEAD: Level = Level::new(0.5, 5.0);
/// Bytes that hold nothing, in one table or index.
const LOOSE: Level = Level::new(100e6, 10e9);
/// Share of pages that were in memory.
const HITS: Level = Level::new(0.95, 0.8);
/// Fewer pages say nothing.
const PAGES_NEEDED: u64 = 100_000;
/// Log that is kept for a slot that nobody reads.
const KEPT: Level = Level::new(1e9, 20e9);
/// Seconds that a standby is behind.
const BEHIND_S: Level = Level::new(30.0, 300.0);

pub(super) fn bloat(facts: &BloatFacts) -> Vec<Finding> {
    vec![vacuum(&facts.dead_rows), loose(&facts.loose)]
}

fn vacuum(tables: &[DeadRows]) -> Finding {
    let share = |table: &DeadRows| table.dead as f64 / table.live.max(1) as f64;
    let worst = tables.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
    let verdict = worst.map_or(Verdict::Ok, |table| DEAD.above(share(table)));
    let summary = match worst.filter(|_| verdict != Verdict::Ok) {
        None => "dead rows are removed in time".to_owned(),
        Some(table) => format!(
            "{} dead rows for {} live ones in {}",
            count(table.dead),
            count(table.live),
            plain(&table.table, 63)
        ),
    };
    let line = |table: &DeadRows| {
        let when = table.vacuumed.map_or("never vacuumed".to_owned(), |ago| format!("vacuumed {} ago", of(ago)));
        format!("{}: {} dead, {} live, {when}", plain(&table.table, 63), count(table.dead), count(table.live))
    };
    let finding = Finding::new(Check::Vacuum, verdict, summary)
        .number("worst_dead_per_live", worst.map_or(0.0, share))
        .evidence_of(tables.iter().map(line));
    match worst.filter(|_| verdict != Verdict::Ok) {
        None => finding,
        Some(table) => finding
            .advise("Look whether an old transaction or a replication slot holds vacuum back (checks transactions and replication).")
            .run("If not, vacuum now; reads and writes go on:", format!("VACUUM (VERBOSE, ANALYZE) {};", quoted(&table.table))),
    }
}

fn loose(found: &[Loose]) -> Finding {
    let waste = |it: &Loose| it.bytes.saturating_sub(it.needed) as f64;
    let worst = found.iter().max_by(|a, b| waste(a).total_cmp(&waste(b)));
    let verdict = worst.map_or(Verdict::Ok, |it| LOOSE.above(waste(it)));
    let total: f64 = found.iter().map(waste).sum();
    let summary = match found.len() {
        0 => "no table or index above 10 MiB is twice as large as what it holds".to_owned(),
        n => {
            format!("about {} in {} hold nothing", bytes(total), some(n as u64, "table or index", "tables and indexes"))
        }
    };
    let line = |it: &Loose| {
        let kind = if it.is_index { "index" } else { "table" };
        format!("{kind} {}: {}, about {} needed", plain(&it.name, 63), bytes(it.bytes as f64), bytes(it.needed as f64))
    };
    let finding =
        Finding::new(Check::Bloat, verdict, summary).number("loose_bytes", total).evidence_of(found.iter().map(line));
    match worst.filter(|_| verdict != Verdict::Ok) {
        None => finding,
        Some(it) if it.is_index => finding.run(
            "Build it anew beside the old one; it takes its size on the disk meanwhile:",
            format!("REINDEX INDEX CONCURRENTLY {};", quoted(&it.name)),
        ),
        Some(it) => finding
            .advise("New rows will use the space. To give it back to the system, pg_repack works beside running nodes.")
            .run("Or with the nodes stopped:", format!("VACUUM (FULL, ANALYZE) {};", quoted(&it.name))),
    }
}

pub(super) fn storage(facts: &StorageFacts) -> Vec<Finding> {
    let pages = facts.hits + facts.reads;
    let share = facts.hits as f64 / pages.max(1) as f64;
    let verdict = if pages < PAGES_NEEDED { Verdict::Ok } else { HITS.below(share) };
    let summary = match pages {
        0 => "no page was read yet".to_owned(),
        _ => format!("{} of {} page reads found in memory", percent(share), count(pages)),
    };
    let memory = Finding::new(Check::DatabaseMemory, verdict, summary).number("hit_ratio", share);
    let memory = if verdict == Verdict::Ok {
        memory
    } else {
        memory.advise("Raise shared_buffers to a quarter of the server's memory, or give the server more memory.")
    };
    let size = Finding::ok(
        Check::DatabaseSize,
        format!(
            "{}, {} in temporary files, {} since statistics began",
            bytes(facts.bytes as f64),
            bytes(facts.temporary_bytes as f64),
            some(facts.deadlocks, "deadlock", "deadlocks")
        ),
    );
    vec![memory, size.number("bytes", facts.bytes as f64).number("deadlocks", facts.deadlocks as f64)]
}

pub(super) fn replication(facts: &ReplicationFacts) -> Finding {
    let lags = facts.standbys.iter().filter_map(|(.., time)| *time);
    let behind = lags.map(|time| BEHIND_S.above(time.as_secs_f64())).max().unwrap_or(Verdict::Ok);
    let abandoned = facts.slots.iter().filter(|(_, active, _)| !active).max_by_key(|(.., kept)| *kept);
    let kept = abandoned.map_or(Verdict::Ok, |(.., kept)| KEPT.above(*kept as f64).max(Verdict::Warning));
    let summary = match (facts.standbys.len(), facts.slots.len()) {
        (0, 0) => "no standby and no slot".to_owned(),
        (standbys, slots) => {
            format!("{}, {}", some(standbys as u64, "standby", "standbys"), some(slots as u64, "slot", "slots"))
        }
    };
    let standby = |(name, distance, time): &(String, Option<u64>, Option<std::time::Duration>)| {
        let distance = distance.map_or("an unknown distance".to_owned(), |n| bytes(n as f64));
        let time = time.map_or(String::new(), |time| format!(", {}", of(time)));
        format!("standby {}: {distance} behind{time}", plain(name, 63))
    };
    let slot = |(name, active, kept): &(String, bool, u64)| {
        let read = if *active { "read" } else { "not read by anybody" };
        format!("slot {}: {read}, {} of log kept for it", plain(name, 63), bytes(*kept as f64))
    };
    let mut finding = Finding::new(Check::Replication, behind.max(kept), summary)
        .number("standbys", facts.standbys.len() as f64)
        .number("abandoned_slots", facts.slots.iter().filter(|(_, active, _)| !active).count() as f64)
        .evidence_of(facts.standbys.iter().map(standby))
        .evidence_of(facts.slots.iter().map(slot));
    if behind != Verdict::Ok {
        finding = finding
            .advise("Look at the standby's disk and network, and for long queries on it that hold its replay up.");
    }
    if let Some((name, ..)) = abandoned {
        finding = finding.run(
            "A slot that nobody reads fills the disk. If its reader will not come back:",
            format!("SELECT pg_drop_replication_slot('{}');", plain(name, 63).replace('\'', "''")),
        );
    }
    finding
}

pub(super) fn replica(facts: &ReplicaFacts, context: &Context) -> Finding {
    let max = context.limits.replica_max_lag;
    if !facts.is_standby {
        return Finding::new(Check::Replica, Verdict::Critical, format!("{} is not a standby", context.shown))
            .advise("Set store.replica_url to a streaming standby of store.url: this server has data of its own, and lists would show it.");
    }
    let Some(lag) = facts.lag else {
        return Finding::new(Check::Replica, Verdict::Warning, "it does not say how far it is behind")
            .run("Look whether it receives anything:", "SELECT status, latest_end_time FROM pg_stat_wal_receiver;");
    };
    let summary = format!("{} behind; it is used up to {}", of(lag), of(max));
    let verdict = if lag > max { Verdict::Warning } else { Verdict::Ok };
    let finding = Finding::new(Check::Replica, verdict, summary).number("lag_s", lag.as_secs_f64());
    if verdict == Verdict::Ok {
        return finding;
    }
    finding.advise("Lists are read from the primary meanwhile. Look at the replica's disk and network, and for long queries on it.")
}
