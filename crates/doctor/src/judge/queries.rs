//! Statements that take long.

use spillway_report::text::{count, plain, span, time};
use spillway_store::SLOW_STATEMENT_MS;
use spillway_store::examination::{Statement, StatementFacts};

use super::level::Level;
use super::wording::{grant, quoted};
use crate::{Check, Finding, Verdict};

/// Mean time in milliseconds.
const MEAN_MS: Level = Level::new(SLOW_STATEMENT_MS, 1_000.0);
/// A statement that ran less often is no habit.
const OFTEN: u64 = 10;

const INSTALL: &str = "CREATE EXTENSION pg_stat_statements;";
const LOAD: &str = "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';";

pub(super) fn statements(facts: &StatementFacts) -> Finding {
    let unknown = |why: &str| Finding::unknown(Check::SlowQueries, format!("not recorded: {why}"));
    match facts {
        StatementFacts::Recorded { slow, hidden, role } => recorded(slow, *hidden, role),
        StatementFacts::NotInstalled { loaded: true } => {
            unknown("the extension pg_stat_statements is not in this database")
                .run("As a superuser, in this database:", INSTALL)
        }
        StatementFacts::NotInstalled { loaded: false } => unknown("the server has not loaded pg_stat_statements")
            .run("As a superuser (keep what is in the setting already), then restart the server:", LOAD)
            .run("After the restart, in this database:", INSTALL),
        StatementFacts::NotLoaded => {
            unknown("pg_stat_statements is in this database, but the server has not loaded it")
                .run("As a superuser (keep what is in the setting already), then restart the server:", LOAD)
        }
        StatementFacts::Forbidden { role, schema } => {
            unknown("the role may not read pg_stat_statements").run("As a superuser:", {
                let role = quoted(role);
                format!(
                    "GRANT pg_read_all_stats TO {role}; GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON \
                     {schema}.pg_stat_statements TO {role};"
                )
            })
        }
    }
}

fn recorded(slow: &[Statement], hidden: u64, role: &str) -> Finding {
    let verdict_of = |statement: &Statement| match MEAN_MS.above(statement.mean_ms) {
        Verdict::Critical if statement.calls < OFTEN => Verdict::Warning,
        verdict => verdict,
    };
    let seen = slow.iter().map(verdict_of).max().unwrap_or(Verdict::Ok);
    // What is hidden is slow, too, and nobody knows which it is.
    let verdict = if seen == Verdict::Ok && hidden > 0 { Verdict::Unknown } else { seen };
    let limit = time(SLOW_STATEMENT_MS);
    let summary = match (slow.first(), hidden) {
        (None, 0) => format!("none above {limit} on average"),
        (None, hidden) => format!("{} above {limit} on average, of other roles and hidden", count(hidden)),
        (Some(worst), hidden) => {
            let hidden = if hidden > 0 { format!(", and {} hidden", count(hidden)) } else { String::new() };
            let spent = span(worst.total_ms);
            format!("{} above {limit} on average{hidden}; the first took {spent} altogether", slow.len())
        }
    };
    let finding = Finding::new(Check::SlowQueries, verdict, summary)
        .number("slow", slow.len() as f64)
        .number("hidden", hidden as f64)
        .evidence_of(slow.iter().map(describe));
    let finding = match slow.first() {
        None => finding,
        Some(_) => finding
            .advise("See its plan with EXPLAIN (ANALYZE, BUFFERS) on a copy of the data; an index or fresh statistics (ANALYZE) are the usual cure.")
            .run("After it is mended, count afresh:", "SELECT pg_stat_statements_reset();"),
    };
    if hidden > 0 { finding.run("To see statements of other roles, as a superuser:", grant(role)) } else { finding }
}

fn describe(statement: &Statement) -> String {
    format!(
        "{} on average, {} at most, {} times: {}",
        time(statement.mean_ms),
        time(statement.max_ms),
        count(statement.calls),
        plain(&statement.text, 120)
    )
}
