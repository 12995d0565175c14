-- What a delivery must stay in order with; null for those that need no order.
ALTER TABLE deliveries ADD COLUMN order_key INTEGER;

-- Of each key with open deliveries the one that is on its way. Null only within the transaction that ends the last of them.
CREATE TABLE order_heads (
    key     INTEGER PRIMARY KEY,
    seq     INTEGER,
    ordinal INTEGER
);

-- The deliveries behind it (state 4).
CREATE TABLE order_queue (
    key     INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    PRIMARY KEY (key, seq, ordinal)
) WITHOUT ROWID;

-- Dead letters in the order of their ids, to list and to replay them without walking over all others.
CREATE INDEX deliveries_dead ON deliveries (seq, ordinal, destination, connection) WHERE state = 2;

-- Why an event was put into quarantine, until it is released.
ALTER TABLE events ADD COLUMN quarantine TEXT;
CREATE INDEX events_in_quarantine ON events (seq) WHERE quarantine IS NOT NULL;

-- cursor: the last delivery that was looked at. A node holds it until lease_until, under its generation.
CREATE TABLE replays (
    id          BLOB    NOT NULL PRIMARY KEY,
    selection   TEXT    NOT NULL,
    per_second  INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    total       INTEGER,
    retried     INTEGER NOT NULL,
    skipped     INTEGER NOT NULL,
    cursor      BLOB,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    generation  INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX replays_running ON replays (id) WHERE state = 0;

-- The oldest schema that a program may know and still work on this database. Migrations that only add leave it as it is.
CREATE TABLE schema_needs (
    one     INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    version INTEGER NOT NULL
);
INSERT INTO schema_needs (version) VALUES (3);
