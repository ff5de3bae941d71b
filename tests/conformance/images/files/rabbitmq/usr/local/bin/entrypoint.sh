#!/bin/sh
# As root, gives the data to the server's user and goes on as that one.
set -eu
if [ "$(id -u)" = 0 ]; then
	install -d -o rabbitmq -g rabbitmq "$HOME" /var/log/rabbitmq
	find "$HOME" ! -user rabbitmq -exec chown rabbitmq:rabbitmq {} +
	exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups "$0" "$@"
fi
exec "$@"
