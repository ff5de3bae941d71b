#!/bin/sh
# Makes a database at the first start; MARIADB_ROOT_PASSWORD is its superuser's, and
# MARIADB_DATABASE, MARIADB_USER, MARIADB_PASSWORD are those of an application.
set -eu
if [ "$1" != mariadbd ]; then
	exec "$@"
fi
data=/var/lib/mysql
if [ "$(id -u)" = 0 ]; then
	install -d -o mysql -g mysql "$data" /run/mysqld
	find "$data" ! -user mysql -exec chown mysql:mysql {} +
	exec setpriv --reuid=mysql --regid=mysql --init-groups "$0" "$@"
fi
if [ ! -d "$data/mysql" ]; then
	mariadb-install-db --skip-test-db --rpm \
		--auth-root-authentication-method=normal
	{
		echo 'FLUSH PRIVILEGES;'
		echo "CREATE USER root@'%' IDENTIFIED BY '${MARIADB_ROOT_PASSWORD:?is not set}';"
		echo "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
		if [ -n "${MARIADB_DATABASE:-}" ]; then
			echo "CREATE DATABASE $MARIADB_DATABASE;"
			echo "CREATE USER $MARIADB_USER@'%' IDENTIFIED BY '$MARIADB_PASSWORD';"
			echo "GRANT ALL ON $MARIADB_DATABASE.* TO $MARIADB_USER@'%';"
		fi
	} | mariadbd --bootstrap
fi
exec "$@"
