-- How the worker slots share the deliveries: one row, or none while they do not.
CREATE TABLE worker_shares (
    one  boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (one),
    spec jsonb   NOT NULL
);
