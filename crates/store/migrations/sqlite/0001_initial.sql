-- Identifiers of sources, destinations and connections, each as a small number: the hot tables hold only numbers.
-- Rows are never removed, so that old events keep naming their source.
CREATE TABLE known_ids (
    key INTEGER PRIMARY KEY,
    id  BLOB NOT NULL UNIQUE
);

-- seq is the time-ordered half of the event's id. It is unique because one process writes, and that process never makes an
-- id older than the newest in this table. process is the other half.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    process INTEGER NOT NULL,
    source  INTEGER NOT NULL,
    type    TEXT,
    headers BLOB NOT NULL,
    body    BLOB NOT NULL,
    trace   BLOB
);
CREATE INDEX events_by_source ON events (source);

-- at: while pending (state 0), when it is due or its lease ends; afterwards, when it ended.
CREATE TABLE deliveries (
    seq         INTEGER NOT NULL,
    ordinal     INTEGER NOT NULL,
    process     INTEGER NOT NULL,
    destination INTEGER NOT NULL,
    connection  INTEGER NOT NULL,
    state       INTEGER NOT NULL DEFAULT 0,
    at          INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (seq, ordinal)
) WITHOUT ROWID;
CREATE INDEX deliveries_by_destination ON deliveries (destination, state, at);

CREATE TABLE attempts (
    seq         INTEGER NOT NULL,
    ordinal     INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    class       INTEGER NOT NULL,
    status      INTEGER,
    response    BLOB,
    error       TEXT,
    PRIMARY KEY (seq, ordinal, number)
) WITHOUT ROWID;

-- A record belongs to the part of the idempotency window in which its event came: new ones gather in one place, and old
-- ones are removed as one range.
CREATE TABLE idempotency (
    part    INTEGER NOT NULL,
    high    INTEGER NOT NULL,
    low     INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    process INTEGER NOT NULL,
    PRIMARY KEY (part, high, low)
) WITHOUT ROWID;

CREATE TABLE configuration_version (
    version INTEGER NOT NULL
);
INSERT INTO configuration_version VALUES (0);

CREATE TABLE sources (
    id   BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    spec TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE destinations (
    id   BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    spec TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE connections (
    id          BLOB PRIMARY KEY,
    source      BLOB NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    destination BLOB NOT NULL REFERENCES destinations (id) ON DELETE CASCADE,
    spec        TEXT NOT NULL,
    UNIQUE (source, destination)
) WITHOUT ROWID;
CREATE INDEX connections_by_destination ON connections (destination);

CREATE TABLE keys (
    id   BLOB PRIMARY KEY,
    spec TEXT NOT NULL
) WITHOUT ROWID;
