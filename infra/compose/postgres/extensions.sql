-- Run once, when the database is made. Slow queries are found by it: `spillway doctor`, runbooks/.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
