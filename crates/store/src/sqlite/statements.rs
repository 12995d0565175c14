//! Texts of the writer's statements.
//!
//! A driver that prepares each new text anew must see few texts: batches are padded with nulls to a power of two, so that
//! every size is prepared once. Several statements in one text cost one round trip to the connection's thread.
//!
//! Values are given by place (`?`), twice where two statements need them: SQLite finds the name of a numbered one (`?12`) by
//! walking over all that come before it, which for a large batch takes longer than everything else.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use spillway_model::UnixMillis;

/// Rows in the largest statement. More are split over several statements of one transaction.
pub(super) const LARGEST: usize = 256;

/// The idempotency window is this many parts long; one more is kept, so that no record leaves early.
pub(super) const WINDOW_PARTS: i64 = 4;

/// Number of the part of the idempotency window in which `at` lies.
pub(super) fn idempotency_part(at: UnixMillis, window: Duration) -> i64 {
    let part = i64::try_from(window.as_millis()).unwrap_or(i64::MAX) / WINDOW_PARTS;
    at / part.max(1)
}

/// What a text does. The numbers are rows, already rounded up by [`size`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Values per row: part, high, low, seq, process. Inserts the records whose key is not taken.
    Keys(usize),
    /// Values as in `Keys`, which goes before. Reads the seq of each row whose key was taken, with seq and process of the owner.
    Owners(usize),
    /// Values per event: seq, process, source, type, headers, body, trace; then per delivery: seq, ordinal, process,
    /// destination, connection, at, generation. Either count may be zero.
    Append { events: usize, deliveries: usize },
    /// Deliveries with an order key, in the order of their ids. Values three times: per row key, seq, ordinal; seq, ordinal, process,
    /// destination, connection, at, generation, key; key, seq, ordinal.
    Ordered(usize),
    /// Deliveries with an order key that have ended. Values four times per row: key, seq, ordinal, at.
    Advance(usize),
    /// Values per attempt: seq, ordinal, generation, number, started_at, duration_us, class, status, response, error; then per
    /// settlement: seq, ordinal, generation, state, at, attempts made. There may be no attempts.
    Settle { attempts: usize, settlements: usize },
    /// Values: lease end, then per row: seq, ordinal; then now.
    Claim(usize),
    /// Values: lease end, then per row: seq, ordinal, generation.
    Renew(usize),
}

impl Kind {
    /// Statements in its text, without `BEGIN` and `COMMIT`.
    pub(super) const fn statements(self) -> u32 {
        match self {
            Self::Append { events, deliveries } => (events > 0) as u32 + (deliveries > 0) as u32,
            Self::Settle { attempts, .. } => (attempts > 0) as u32 + 1,
            Self::Ordered(_) => 3,
            Self::Advance(_) => 4,
            Self::Keys(_) | Self::Owners(_) | Self::Claim(_) | Self::Renew(_) => 1,
        }
    }
}

/// One text: what it does, and whether it begins and ends the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Text {
    pub(super) kind: Kind,
    pub(super) begin: bool,
    pub(super) commit: bool,
}

/// The size of the statement that holds `rows` rows: the next power of two.
pub(super) fn size(rows: usize) -> usize {
    debug_assert!(rows <= LARGEST, "batches are split before");
    if rows == 0 { 0 } else { rows.next_power_of_two() }
}

/// The texts made so far.
#[derive(Debug, Default)]
pub(super) struct Texts(HashMap<Text, Arc<str>>);

impl Texts {
    pub(super) fn get(&mut self, text: Text) -> Arc<str> {
        self.0.entry(text).or_insert_with(|| write(text).into()).clone()
    }
}

fn write(text: Text) -> String {
    let mut sql = String::new();
    if text.begin {
        sql.push_str("BEGIN IMMEDIATE;");
    }
    match text.kind {
        Kind::Keys(rows) => write_keys(&mut sql, rows),
        Kind::Owners(rows) => write_owners(&mut sql, rows),
        Kind::Append { events, deliveries } => write_append(&mut sql, events, deliveries),
        Kind::Settle { attempts, settlements } => write_settle(&mut sql, attempts, settlements),
        Kind::Ordered(rows) => write_ordered(&mut sql, rows),
        Kind::Advance(rows) => write_advance(&mut sql, rows),
        Kind::Claim(rows) => write_claim(&mut sql, rows),
        Kind::Renew(rows) => {
            let _ = write!(sql, "UPDATE deliveries SET at = ? FROM ({}) AS v WHERE {CURRENT};", values(rows, 3));
        }
    }
    if text.commit {
        sql.push_str("COMMIT;");
    }
    sql
}

/// Joins a delivery with the claim in `v` that is still current.
const CURRENT: &str = "deliveries.seq = v.column1 AND deliveries.ordinal = v.column2 \
     AND deliveries.generation = v.column3 AND deliveries.state = 0";

fn write_append(sql: &mut String, events: usize, deliveries: usize) {
    for (table, columns, rows) in [
        ("events (seq, process, source, type, headers, body, trace)", 7, events),
        ("deliveries (seq, ordinal, process, destination, connection, at, generation)", 7, deliveries),
    ] {
        if rows > 0 {
            let values = values(rows, columns);
            let _ = write!(sql, "INSERT INTO {table} SELECT * FROM ({values}) WHERE column1 IS NOT NULL;");
        }
    }
}

/// The first of a key that has none on its way is its head and pending; the others are queued behind it.
fn write_ordered(sql: &mut String, rows: usize) {
    let (places, deliveries) = (values(rows, 3), values(rows, 8));
    let _ = write!(
        sql,
        "INSERT OR IGNORE INTO order_heads (key, seq, ordinal) SELECT * FROM ({places}) WHERE column1 IS NOT NULL;\
         INSERT INTO deliveries (seq, ordinal, process, destination, connection, at, generation, order_key, state) \
         SELECT v.*, CASE WHEN EXISTS (SELECT 1 FROM order_heads h WHERE h.key = v.column8 AND h.seq = v.column1 \
         AND h.ordinal = v.column2) THEN 0 ELSE 4 END FROM ({deliveries}) AS v WHERE column1 IS NOT NULL;\
         INSERT INTO order_queue SELECT v.* FROM ({places}) AS v WHERE column1 IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM order_heads h WHERE h.key = v.column1 AND h.seq = v.column2 AND h.ordinal = v.column3);"
    );
}

/// Where one that ended was its key's head, the next one that is queued takes its place and becomes pending; without a next one the key is
/// free.
fn write_advance(sql: &mut String, rows: usize) {
    let ended = values(rows, 4);
    let _ = write!(
        sql,
        "UPDATE order_heads SET (seq, ordinal) = (SELECT q.seq, q.ordinal FROM order_queue q CROSS JOIN deliveries d \
         WHERE q.key = order_heads.key AND d.seq = q.seq AND d.ordinal = q.ordinal AND d.state = 4 \
         ORDER BY q.seq, q.ordinal LIMIT 1) FROM ({ended}) AS v \
         WHERE order_heads.key = v.column1 AND order_heads.seq = v.column2 AND order_heads.ordinal = v.column3;\
         WITH n (seq, ordinal, at) AS MATERIALIZED (SELECT h.seq, h.ordinal, v.column4 \
         FROM ({ended}) AS v CROSS JOIN order_heads h WHERE h.key = v.column1) \
         UPDATE deliveries SET state = 0, at = n.at FROM n \
         WHERE deliveries.seq = n.seq AND deliveries.ordinal = n.ordinal AND deliveries.state = 4;\
         DELETE FROM order_queue WHERE (key, seq, ordinal) IN \
         (SELECT h.key, h.seq, h.ordinal FROM ({ended}) AS v CROSS JOIN order_heads h WHERE h.key = v.column1);\
         DELETE FROM order_heads WHERE key IN (SELECT column1 FROM ({ended})) AND seq IS NULL;"
    );
}

/// Each part is looked up by a condition of its own: a list of parts would become a temporary table for each row.
fn write_keys(sql: &mut String, rows: usize) {
    let values = values(rows, 5);
    let _ = write!(sql, "INSERT OR IGNORE INTO idempotency SELECT * FROM ({values}) AS v WHERE column1 IS NOT NULL");
    for n in 1..=WINDOW_PARTS {
        let _ = write!(
            sql,
            " AND NOT EXISTS (SELECT 1 FROM idempotency i \
             WHERE i.part = v.column1 - {n} AND i.high = v.column2 AND i.low = v.column3)"
        );
    }
    sql.push(';');
}

fn write_owners(sql: &mut String, rows: usize) {
    let values = values(rows, 5);
    let earlier = (1..=WINDOW_PARTS).map(|n| format!("v.column1 - {n}")).collect::<Vec<_>>().join(", ");
    let _ = write!(
        sql,
        "SELECT v.column4, i.seq, i.process FROM ({values}) AS v CROSS JOIN idempotency i \
         WHERE i.part IN (v.column1, {earlier}) AND i.high = v.column2 AND i.low = v.column3 AND i.seq <> v.column4;"
    );
}

/// A delivery that becomes due again gets a new generation: its claim is over, and naming it again changes nothing.
fn write_settle(sql: &mut String, attempts: usize, settlements: usize) {
    if attempts > 0 {
        let _ = write!(
            sql,
            "INSERT INTO attempts (seq, ordinal, number, started_at, duration_us, class, status, response, error) \
             SELECT v.column1, v.column2, v.column4, v.column5, v.column6, v.column7, v.column8, v.column9, v.column10 \
             FROM ({}) AS v CROSS JOIN deliveries WHERE {CURRENT};",
            values(attempts, 10)
        );
    }
    let _ = write!(
        sql,
        "UPDATE deliveries SET state = v.column4, at = v.column5, attempts = attempts + v.column6, \
         generation = generation + (v.column4 = 0) FROM ({}) AS v WHERE {CURRENT};",
        values(settlements, 6)
    );
}

fn write_claim(sql: &mut String, rows: usize) {
    let _ = write!(
        sql,
        "UPDATE deliveries SET at = ?, generation = generation + 1 FROM ({}) AS v \
         WHERE deliveries.seq = v.column1 AND deliveries.ordinal = v.column2 AND deliveries.state = 0 AND deliveries.at <= ? \
         RETURNING deliveries.seq, process, ordinal, (SELECT id FROM known_ids WHERE key = destination), \
         (SELECT id FROM known_ids WHERE key = connection), state, at, generation, attempts, order_key;",
        values(rows, 2)
    );
}

fn values(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    format!("VALUES {}", vec![row; rows].join(","))
}
