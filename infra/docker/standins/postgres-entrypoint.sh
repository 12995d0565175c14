#!/bin/bash
# What the official image's entry point does for the stack: at the first start it makes the database, with the user and the password of the
# environment, and runs /docker-entrypoint-initdb.d/*.sql; then it becomes the server.
set -o errexit -o nounset -o pipefail

if [[ ${1:-} == postgres && ! -s "$PGDATA/PG_VERSION" ]]; then
    # shellcheck disable=SC2086 # several options
    initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" ${POSTGRES_INITDB_ARGS:-}
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    # Only the socket until everything is there, so that nobody finds half a database.
    pg_ctl --wait --options="-c listen_addresses='' $(printf -- '%q ' "${@:2}")" start
    createdb --host=/var/run/postgresql --username="$POSTGRES_USER" "$POSTGRES_DB"
    for file in /docker-entrypoint-initdb.d/*.sql; do
        psql --host=/var/run/postgresql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --set=ON_ERROR_STOP=1 --file="$file"
    done
    pg_ctl --wait --mode=fast stop
fi
exec "$@" -c listen_addresses='*'
