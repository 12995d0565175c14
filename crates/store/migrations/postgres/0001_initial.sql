-- Identifiers are UUIDv7: id order is time order, and a day is a range of ids. The ids of deliveries and attempts begin with
-- the bits of their event's id, so the children of an event, and the attempts of a delivery, are a range of the primary key.

-- Partitioned by day. Bodies are kept as they came: compressing them would cost more processor time than it saves.
CREATE TABLE events (
    id         uuid  NOT NULL PRIMARY KEY,
    source_id  uuid  NOT NULL,
    event_type text,
    trace      bytea,
    headers    bytea NOT NULL,
    body       bytea NOT NULL
) PARTITION BY RANGE (id);
ALTER TABLE events ALTER COLUMN headers SET STORAGE EXTERNAL, ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX events_by_source ON events (source_id, id);

-- Partitioned by the day of the event.
CREATE TABLE attempts (
    id          uuid     NOT NULL PRIMARY KEY,
    started_at  bigint   NOT NULL,
    duration_us bigint   NOT NULL,
    class       smallint NOT NULL,
    status      integer,
    response    bytea    NOT NULL,
    error       text
) PARTITION BY RANGE (id);
ALTER TABLE attempts ALTER COLUMN response SET STORAGE EXTERNAL;

-- What has no partition of its day goes here: an event is never refused because one is missing.
CREATE TABLE events_default PARTITION OF events DEFAULT WITH (toast_tuple_target = 4080);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

-- at: while pending (state 0), when it is due or its lease ends; afterwards, when it ended.
-- Half of each page is left free, because nearly every row is rewritten once: the new version stays on its page.
CREATE TABLE deliveries (
    id             uuid     NOT NULL PRIMARY KEY,
    destination_id uuid     NOT NULL,
    connection_id  uuid     NOT NULL,
    at             bigint   NOT NULL,
    generation     integer  NOT NULL,
    attempts       integer  NOT NULL,
    state          smallint NOT NULL
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 1
);
CREATE INDEX deliveries_by_destination ON deliveries (destination_id, state, at, id);

CREATE TABLE idempotency (
    hash     uuid NOT NULL PRIMARY KEY,
    event_id uuid NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX idempotency_by_event ON idempotency (event_id);

CREATE TABLE configuration_version (
    version bigint NOT NULL
);
INSERT INTO configuration_version VALUES (0);

CREATE TABLE sources (
    id   uuid  NOT NULL PRIMARY KEY,
    name text  NOT NULL UNIQUE,
    spec jsonb NOT NULL
);

CREATE TABLE destinations (
    id   uuid  NOT NULL PRIMARY KEY,
    name text  NOT NULL UNIQUE,
    spec jsonb NOT NULL
);

CREATE TABLE connections (
    id             uuid  NOT NULL PRIMARY KEY,
    source_id      uuid  NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    destination_id uuid  NOT NULL REFERENCES destinations (id) ON DELETE CASCADE,
    spec           jsonb NOT NULL,
    UNIQUE (source_id, destination_id)
);
CREATE INDEX connections_by_destination ON connections (destination_id);

CREATE TABLE keys (
    id   uuid  NOT NULL PRIMARY KEY,
    spec jsonb NOT NULL
);
