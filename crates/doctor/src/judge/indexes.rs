//! Indexes that are missing, broken or useless.

use std::time::Duration;

use spillway_report::text::{bytes, count, plain};
use spillway_store::examination::{IndexFacts, ScannedTable, UnusedIndex};

use super::wording::{of, quoted, some};
use crate::{Check, Finding, Verdict};

/// Uses that were counted for less say nothing of an index.
const COUNTED_LONG_ENOUGH: Duration = Duration::from_secs(86_400);

pub(super) fn indexes(facts: &IndexFacts) -> Vec<Finding> {
    let mut findings = vec![missing(facts), unused(facts)];
    if facts.counts_uses {
        findings.push(scans(&facts.scanned));
    }
    findings
}

fn missing(facts: &IndexFacts) -> Finding {
    let IndexFacts { missing, invalid, .. } = facts;
    let verdict = match (missing.is_empty(), invalid.is_empty()) {
        (true, true) => Verdict::Ok,
        (true, false) => Verdict::Warning,
        (false, _) => Verdict::Critical,
    };
    let summary = match verdict {
        Verdict::Ok => "every index of the schema is there".to_owned(),
        _ => format!("{} of the schema missing, {} not made to the end", missing.len(), invalid.len()),
    };
    let mut finding = Finding::new(Check::MissingIndexes, verdict, summary)
        .number("missing", missing.len() as f64)
        .number("invalid", invalid.len() as f64)
        .evidence_of(missing.iter().map(|(name, _)| format!("{name} is missing")))
        .evidence_of(
            invalid.iter().map(|(name, table)| format!("{} on {} is invalid", plain(name, 63), plain(table, 63))),
        );
    for (_, statement) in missing {
        finding = finding.run("Make it in a quiet moment, as writes to the table wait meanwhile:", statement);
    }
    for (name, _) in invalid {
        finding = finding.run("Make it again:", format!("REINDEX INDEX CONCURRENTLY {};", quoted(name)));
    }
    finding
}

fn unused(facts: &IndexFacts) -> Finding {
    let unused = &facts.unused;
    let counted = facts.counted_for.map_or("all the time".to_owned(), of);
    let too_early = facts.counted_for.is_some_and(|counted| counted < COUNTED_LONG_ENOUGH);
    let (verdict, summary) = match (unused.is_empty(), too_early, facts.counts_uses) {
        (true, ..) => (Verdict::Ok, "none beside those of the schema".to_owned()),
        (false, true, _) => {
            let n = some(unused.len() as u64, "index", "indexes");
            (Verdict::Ok, format!("{n} not used yet, but uses were counted for {counted} only"))
        }
        (false, false, true) => {
            let size: u64 = unused.iter().filter_map(|index| index.bytes).sum();
            (
                Verdict::Warning,
                format!("{} never used, {}; uses were counted for {counted}", unused.len(), bytes(size as f64)),
            )
        }
        (false, false, false) => (Verdict::Warning, format!("{} that are not of Spillway's schema", unused.len())),
    };
    let finding = Finding::new(Check::UnusedIndexes, verdict, summary)
        .number("unused", unused.len() as f64)
        .evidence_of(unused.iter().map(describe));
    match unused.first().filter(|_| verdict != Verdict::Ok) {
        None => finding,
        Some(first) if facts.counts_uses => finding
            .advise("Each index makes every write dearer. Look on replicas, too, where uses are counted apart, and ask who made it.")
            .run("Then drop it:", format!("DROP INDEX CONCURRENTLY {};", quoted(&first.name))),
        Some(first) => finding
            .advise("Each index makes every write dearer. Ask who made it.")
            .run("With the gateway stopped, drop it:", format!("DROP INDEX {};", quoted(&first.name))),
    }
}

fn describe(index: &UnusedIndex) -> String {
    let size = index.bytes.map_or(String::new(), |size| format!(", {}", bytes(size as f64)));
    format!("{} on {}{size}", plain(&index.name, 63), plain(&index.table, 63))
}

fn scans(scanned: &[ScannedTable]) -> Finding {
    let verdict = if scanned.is_empty() { Verdict::Ok } else { Verdict::Warning };
    let summary = match scanned.len() {
        0 => "no large table is read from end to end".to_owned(),
        1 => "1 large table is often read from end to end".to_owned(),
        n => format!("{n} large tables are often read from end to end"),
    };
    let line = |table: &ScannedTable| {
        let each = table.rows / table.scans.max(1);
        format!(
            "{}: {} times, {} rows each; {} reads through an index",
            plain(&table.table, 63),
            count(table.scans),
            count(each),
            count(table.index_scans)
        )
    };
    let finding = Finding::new(Check::TableScans, verdict, summary)
        .number("tables", scanned.len() as f64)
        .evidence_of(scanned.iter().map(line));
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .advise("Spillway reads its tables through indexes. Look for other programs, reports or backups that read this database.")
        .advise("Let these read a replica, or give their statements an index.")
}
