#!/bin/sh
# As root, gives the data to the server's user and goes on as that one.
set -eu
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
	find . ! -user redis -exec chown redis:redis {} +
	exec setpriv --reuid=redis --regid=redis --init-groups "$@"
fi
exec "$@"
