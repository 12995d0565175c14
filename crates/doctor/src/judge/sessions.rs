//! Sessions of the server: who waits, what stays open, how many there are.

use spillway_report::text::{count, percent, plain};
use spillway_store::examination::{ConnectionFacts, LockFacts, Session, TransactionFacts, Wait};

use super::Limits;
use super::level::Level;
use super::wording::{grant, of, some};
use crate::{Check, Finding, Verdict};

/// Seconds that a session has waited for a lock.
const WAITED_S: Level = Level::new(1.0, 30.0);
/// Seconds that a transaction has been open: vacuum removes nothing that it could still see.
const OPEN_S: Level = Level::new(60.0, 1_800.0);
/// Share of the connections that ordinary clients may have.
const CONNECTIONS: Level = Level::new(0.8, 0.95);

pub(super) fn locks(facts: &LockFacts) -> Finding {
    let longest = facts.waits.iter().map(|wait| wait.waited).max().unwrap_or_default();
    let verdict = if facts.waits.is_empty() { Verdict::Ok } else { WAITED_S.above(longest.as_secs_f64()) };
    let summary = match facts.blocked {
        0 => "no session waits for another".to_owned(),
        n => format!("{} for a lock, the longest for {}", waits(n), of(longest)),
    };
    let finding = Finding::new(Check::Locks, verdict, summary)
        .number("blocked", facts.blocked as f64)
        .number("longest_wait_s", longest.as_secs_f64())
        .evidence_of(facts.waits.iter().map(describe));
    let holder = facts.waits.iter().max_by_key(|wait| wait.waited).map(|wait| wait.holder.pid).filter(|pid| *pid != 0);
    match (verdict, holder) {
        (Verdict::Ok, _) => finding,
        (_, None) => {
            finding.advise("Look again: the session that held the lock is gone, or is a prepared transaction.")
        }
        (_, Some(pid)) => finding
            .run(
                "Ask the session that holds the lock to end its statement:",
                format!("SELECT pg_cancel_backend({pid});"),
            )
            .run(
                "If it is idle in its transaction, end the session; its transaction is rolled back:",
                format!("SELECT pg_terminate_backend({pid});"),
            ),
    }
}

fn waits(n: u64) -> String {
    if n == 1 { "1 session waits".to_owned() } else { format!("{} sessions wait", count(n)) }
}

fn describe(wait: &Wait) -> String {
    let holder = &wait.holder;
    format!(
        "pid {} has waited {} for pid {} ({}, {}): {}",
        wait.pid,
        of(wait.waited),
        holder.pid,
        word(&holder.who),
        word(&holder.state),
        plain(&wait.query, 100)
    )
}

pub(super) fn transactions(facts: &TransactionFacts) -> Finding {
    let oldest = facts.open.iter().map(|session| session.age).max().unwrap_or_default();
    let open = OPEN_S.above(oldest.as_secs_f64());
    let verdict = if facts.prepared.is_empty() { open } else { open.max(Verdict::Warning) };
    let mut summary = match facts.open.first() {
        None => "none open for more than 30 s".to_owned(),
        Some(_) => format!("{} open for more than 30 s, the oldest for {}", facts.open.len(), of(oldest)),
    };
    if !facts.prepared.is_empty() {
        summary += &format!(", {} prepared and left", facts.prepared.len());
    }
    if facts.hidden > 0 {
        summary += &format!("; {} of other roles are hidden", some(facts.hidden, "session", "sessions"));
    }
    let mut finding = Finding::new(Check::Transactions, verdict, summary)
        .number("oldest_s", oldest.as_secs_f64())
        .number("hidden", facts.hidden as f64)
        .evidence_of(facts.open.iter().map(open_session))
        .evidence_of(facts.prepared.iter().map(|(name, age)| format!("prepared {} {} ago", plain(name, 60), of(*age))));
    let worst = facts.open.iter().max_by_key(|session| session.age);
    if let Some(Session { pid, .. }) = worst.filter(|_| open != Verdict::Ok) {
        finding = finding
            .advise("An open transaction keeps vacuum from removing what was deleted since. Mend the client that left it open.")
            .run("End it; it is rolled back:", format!("SELECT pg_terminate_backend({pid});"));
    }
    if let Some((name, _)) = facts.prepared.first() {
        finding = finding.run(
            "End what nobody will end any more, after asking who prepared it:",
            format!("ROLLBACK PREPARED '{}';", plain(name, 200).replace('\'', "''")),
        );
    }
    if facts.hidden > 0 {
        finding = finding.run("To see sessions of other roles, as a superuser:", grant(&facts.role));
    }
    finding
}

fn open_session(session: &Session) -> String {
    let (who, state) = (word(&session.who), word(&session.state));
    format!("pid {} ({who}, {state}) for {}: {}", session.pid, of(session.age), plain(&session.query, 100))
}

pub(super) fn connections(facts: &ConnectionFacts, limits: &Limits) -> Finding {
    let share = facts.total as f64 / facts.limit.max(1) as f64;
    let verdict = CONNECTIONS.above(share);
    let summary = format!(
        "{} of {} in use ({}), {} by Spillway, {} idle in a transaction",
        count(facts.total),
        count(facts.limit),
        percent(share),
        count(facts.spillway),
        count(facts.idle_in_transaction)
    );
    let finding = Finding::new(Check::Connections, verdict, summary)
        .number("used", facts.total as f64)
        .number("limit", facts.limit as f64)
        .number("spillway", facts.spillway as f64);
    let too_few = u64::from(limits.node_connections) > facts.limit;
    if too_few {
        let finding = Finding { verdict: verdict.max(Verdict::Warning), ..finding };
        return finding.evidence(format!("one node may open {}", count(limits.node_connections.into()))).advise(
            "Lower store.pool_size and store.max_overflow, or raise max_connections: a busy node is refused connections.",
        );
    }
    if verdict == Verdict::Ok {
        return finding;
    }
    finding
        .evidence(format!("one node may open {}", some(limits.node_connections.into(), "connection", "connections")))
        .run(
            "See who has them:",
            "SELECT usename, application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3 ORDER BY 4 DESC;",
        )
        .advise("Lower store.pool_size and store.max_overflow of the nodes, put pgbouncer between, or raise max_connections.")
}

fn word(text: &str) -> String {
    if text.is_empty() { "hidden".to_owned() } else { plain(text, 60) }
}
