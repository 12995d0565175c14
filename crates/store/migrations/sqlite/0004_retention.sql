-- What was granted of each destination's budget in a clock hour (Unix time divided by an hour).
CREATE TABLE budget_use (
    hour        INTEGER NOT NULL,
    destination BLOB    NOT NULL,
    requests    INTEGER NOT NULL DEFAULT 0,
    cost_micros INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, destination)
) WITHOUT ROWID;

-- Places at destinations, each holder's until its lease ends.
CREATE TABLE held_places (
    destination BLOB    NOT NULL,
    holder      INTEGER NOT NULL,
    places      INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    PRIMARY KEY (destination, holder)
) WITHOUT ROWID;

CREATE TABLE documents (
    kind TEXT    NOT NULL,
    key  TEXT    NOT NULL,
    at   INTEGER NOT NULL,
    body BLOB    NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX documents_by_time ON documents (kind, at, key);

-- How far retention has come. kind: 0 events, 1 payloads, 2 attempts. source: zero for all sources without a rule of their own; these
-- sources' ids are added up in excluded, so that another set of them is noticed. Nothing before done needs another look.
CREATE TABLE retention_progress (
    kind     INTEGER NOT NULL,
    source   BLOB    NOT NULL,
    excluded BLOB    NOT NULL,
    done     INTEGER NOT NULL,
    PRIMARY KEY (kind, source)
) WITHOUT ROWID;

-- Events that were old enough and had a delivery that has not ended: they are looked at again.
CREATE TABLE retention_left (
    kind      INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    process   INTEGER NOT NULL,
    source    BLOB    NOT NULL,
    looked_at INTEGER NOT NULL,
    PRIMARY KEY (kind, seq)
) WITHOUT ROWID;
CREATE INDEX retention_left_by_look ON retention_left (looked_at);
