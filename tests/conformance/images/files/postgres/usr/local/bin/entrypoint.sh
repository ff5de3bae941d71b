#!/bin/sh
# Makes a database at the first start; POSTGRES_PASSWORD is its superuser's.
set -eu
if [ "$1" != postgres ]; then
	exec "$@"
fi
if [ "$(id -u)" = 0 ]; then
	install -d -o postgres -g postgres -m 700 "$PGDATA"
	find "$PGDATA" ! -user postgres -exec chown postgres {} +
	install -d -o postgres -g postgres -m 3775 /var/run/postgresql
	exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	echo "${POSTGRES_PASSWORD:?is not set}" >/tmp/password
	initdb --username=postgres --pwfile=/tmp/password --auth-local=trust \
		--auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
	rm /tmp/password
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
fi
exec "$@"
