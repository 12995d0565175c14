//! The embedded database: its files, and whether they are sound.

use spillway_report::text::{bytes, percent, plain, time};
use spillway_store::examination::{FileFacts, IntegrityFacts};

use super::level::Level;
use crate::{Check, Finding, Verdict};

/// Bytes of the log: the checkpointer keeps it at some megabytes.
const LOG: Level = Level::new(256e6, 2e9);
/// Share of the file that holds nothing.
const FREE: Level = Level::new(0.5, f64::INFINITY);
/// A smaller file is not worth a thought.
const SMALL_BYTES: u64 = 100_000_000;

pub(super) fn files(facts: &FileFacts) -> Vec<Finding> {
    vec![log(facts), size(facts)]
}

fn log(facts: &FileFacts) -> Finding {
    let verdict = LOG.above(facts.wal_bytes as f64);
    let summary = format!("{} to be folded into the file", bytes(facts.wal_bytes as f64));
    let finding = Finding::new(Check::DatabaseLog, verdict, summary).number("wal_bytes", facts.wal_bytes as f64);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .advise("Something reads the database for long, so that the log cannot be folded in: end other programs that have the file open.")
        .advise("If none has, restart the gateway: closing folds the log into the file.")
}

fn size(facts: &FileFacts) -> Finding {
    let share = facts.free_pages as f64 / facts.pages.max(1) as f64;
    let size = facts.pages.saturating_mul(facts.page_bytes);
    let verdict = if size < SMALL_BYTES { Verdict::Ok } else { FREE.above(share) };
    let summary = format!("{} in pages of {}, {} of them free", bytes(size as f64), facts.page_bytes, percent(share));
    let finding =
        Finding::new(Check::DatabaseSize, verdict, summary).number("bytes", size as f64).number("free_ratio", share);
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .advise("New events will use the free pages. To give them back to the system, stop the gateway; it takes as much room again meanwhile.")
        .run("Then:", "sqlite3 spillway-data/spillway.db VACUUM")
}

pub(super) fn integrity(facts: &IntegrityFacts) -> Finding {
    let took = time(facts.took.as_secs_f64() * 1e3);
    let finding = |verdict, summary: String| {
        Finding::new(Check::Integrity, verdict, summary).number("problems", facts.problems.len() as f64)
    };
    match (facts.problems.len(), facts.finished) {
        (0, true) => finding(Verdict::Ok, format!("the whole file is sound (quick_check, {took})")),
        (0, false) => finding(Verdict::Ok, format!("no damage in what could be read in {took}; the file is larger"))
            .run(
                "To look at all of it, in a quiet hour:",
                "sqlite3 -readonly spillway-data/spillway.db 'PRAGMA quick_check'",
            ),
        (n, _) => finding(Verdict::Critical, format!("the file is damaged: {n} problems"))
            .evidence_of(facts.problems.iter().map(|line| plain(line, 200)))
            .advise("Stop the gateway and copy the folder away as it is before anything else.")
            .run("Save what can be read into a new file:", {
                "sqlite3 spillway-data/spillway.db .recover | sqlite3 recovered.db"
            }),
    }
}
