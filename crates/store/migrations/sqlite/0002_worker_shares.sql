-- How the worker slots share the deliveries: one row, or none while they do not.
CREATE TABLE worker_shares (
    one  INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    spec TEXT NOT NULL
);
