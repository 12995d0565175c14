-- What was granted of each destination's budget in a clock hour (Unix time divided by an hour).
CREATE TABLE budget_use (
    hour           bigint NOT NULL,
    destination_id uuid   NOT NULL,
    requests       bigint NOT NULL DEFAULT 0,
    cost_micros    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, destination_id)
);

-- Places at destinations, each holder's until its lease ends.
CREATE TABLE held_places (
    destination_id uuid    NOT NULL,
    holder         bigint  NOT NULL,
    places         integer NOT NULL,
    lease_until    bigint  NOT NULL,
    PRIMARY KEY (destination_id, holder)
);

CREATE TABLE documents (
    kind text COLLATE "C" NOT NULL,
    key  text COLLATE "C" NOT NULL,
    at   bigint NOT NULL,
    body bytea  NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX documents_by_time ON documents (kind, at, key);

-- How far retention has come. kind: 0 events, 1 payloads, 2 attempts. source_id: zero for all sources without a rule of their own; these
-- sources' ids are added up in excluded, so that another set of them is noticed. Nothing before done needs another look.
CREATE TABLE retention_progress (
    kind      smallint NOT NULL,
    source_id uuid     NOT NULL,
    excluded  uuid     NOT NULL,
    done      uuid     NOT NULL,
    PRIMARY KEY (kind, source_id)
);

-- Events that were old enough and had a delivery that has not ended: they are looked at again.
CREATE TABLE retention_left (
    kind      smallint NOT NULL,
    event_id  uuid     NOT NULL,
    source_id uuid     NOT NULL,
    looked_at bigint   NOT NULL,
    PRIMARY KEY (kind, event_id)
);
CREATE INDEX retention_left_by_look ON retention_left (looked_at);

-- Days whose partitions are to be dropped: how far their deliveries are removed, and whether one was found that has not ended.
CREATE TABLE retention_days (
    day      bigint  NOT NULL PRIMARY KEY,
    done     uuid    NOT NULL,
    has_open boolean NOT NULL
);
