#!/bin/sh
# The environment that Debian's configuration of apache2 expects.
set -e
# shellcheck source=/dev/null
. /etc/apache2/envvars
mkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR"
rm -f "$APACHE_PID_FILE"
exec "$@"
