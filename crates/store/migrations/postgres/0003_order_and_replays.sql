-- What a delivery must stay in order with; null for those that need no order.
ALTER TABLE deliveries ADD COLUMN order_key bigint;

-- Of each key with open deliveries the one that is on its way. Whoever adds to a key or ends its head locks this row, so it is also the
-- key's lock; rows are locked in the order of their keys.
CREATE TABLE order_heads (
    key         bigint NOT NULL PRIMARY KEY,
    delivery_id uuid   NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.05);

-- The deliveries behind it (state 4).
CREATE TABLE order_queue (
    key         bigint NOT NULL,
    delivery_id uuid   NOT NULL,
    PRIMARY KEY (key, delivery_id)
) WITH (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02);

-- Dead letters in the order of their ids, to list and to replay them without walking over all others.
CREATE INDEX deliveries_dead ON deliveries (id) INCLUDE (destination_id, connection_id) WHERE state = 2;

-- Why an event was put into quarantine, until it is released.
ALTER TABLE events ADD COLUMN quarantine text;
CREATE INDEX events_in_quarantine ON events (id) WHERE quarantine IS NOT NULL;

-- cursor: the last delivery that was looked at. A node holds it until lease_until, under its generation.
CREATE TABLE replays (
    id          uuid     NOT NULL PRIMARY KEY,
    selection   text     NOT NULL,
    per_second  bigint   NOT NULL,
    state       smallint NOT NULL,
    total       bigint,
    retried     bigint   NOT NULL,
    skipped     bigint   NOT NULL,
    cursor      uuid,
    created_at  bigint   NOT NULL,
    updated_at  bigint   NOT NULL,
    generation  bigint   NOT NULL DEFAULT 0,
    lease_until bigint   NOT NULL DEFAULT 0
);
CREATE INDEX replays_running ON replays (id) WHERE state = 0;

-- The oldest schema that a program may know and still work on this database. Migrations that only add leave it as it is.
CREATE TABLE schema_needs (
    one     boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (one),
    version bigint  NOT NULL
);
INSERT INTO schema_needs (version) VALUES (3);
