"""What each image is made of, and how it is run: as the images that people know do it."""

from __future__ import annotations

from typing import NamedTuple

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SECOND_NS = 1_000_000_000


class Health(NamedTuple):
    """A health check, in seconds."""

    test: tuple[str, ...]
    interval_s: int = 5
    timeout_s: int = 5
    start_period_s: int = 60
    retries: int = 5


class Build(NamedTuple):
    """What is compiled elsewhere, in a root of its own, and copied into the image.

    Attributes:
        packages: what compiling takes.
        script: run with the image's own files in place; what it leaves in ``/out`` is copied.
    """

    packages: tuple[str, ...]
    script: str


class Recipe(NamedTuple):
    """One image.

    Attributes:
        packages: Debian packages, a layer.
        cmd, entrypoint, env, ports, user, volumes, workdir, stop_signal, health: as in a
            Dockerfile.
        setup: a shell script, run in the image after ``files/NAME`` has been laid over it; another
            layer.
        build: what is compiled for it.
        bare: it has no layers but that last one: no Debian below.
    """

    packages: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    env: tuple[str, ...] = (_PATH,)
    ports: tuple[str, ...] = ()
    user: str = ""
    volumes: tuple[str, ...] = ()
    workdir: str = ""
    stop_signal: str = ""
    health: Health | None = None
    setup: str = ""
    build: Build | None = None
    bare: bool = False

    def config(self) -> dict[str, object]:
        """The ``config`` of the image's configuration, without what is empty."""
        health = self.health and {
            "Test": list(self.health.test),
            "Interval": self.health.interval_s * _SECOND_NS,
            "Timeout": self.health.timeout_s * _SECOND_NS,
            "StartPeriod": self.health.start_period_s * _SECOND_NS,
            "Retries": self.health.retries,
        }
        all_there_is: dict[str, object] = {
            "Cmd": list(self.cmd),
            "Entrypoint": list(self.entrypoint),
            "Env": list(self.env),
            "ExposedPorts": {port: {} for port in self.ports},
            "Healthcheck": health,
            "StopSignal": self.stop_signal,
            "User": self.user,
            "Volumes": {volume: {} for volume in self.volumes},
            "WorkingDir": self.workdir,
        }
        return {name: value for name, value in all_there_is.items() if value}


_ENTRY = ("entrypoint.sh",)
_SERVE = "useradd --system --home-dir /data --create-home app"

RECIPES = {
    "redis": Recipe(
        packages=("redis-server",),
        entrypoint=_ENTRY,
        cmd=("redis-server", "--bind", "*", "--protected-mode", "no", "--dir", "/data"),
        ports=("6379/tcp",),
        volumes=("/data",),
        workdir="/data",
        setup="mkdir /data; chown redis:redis /data",
    ),
    "nginx": Recipe(
        packages=("nginx-light",),
        cmd=("nginx", "-g", "daemon off;"),
        ports=("80/tcp",),
        stop_signal="SIGQUIT",
        setup="ln -sf /dev/stdout /var/log/nginx/access.log\n"
        "ln -sf /dev/stderr /var/log/nginx/error.log\n"
        "head -c 4096 /dev/zero | tr '\\0' x >/var/www/html/4k",
    ),
    "postgres": Recipe(
        packages=("postgresql-15",),
        entrypoint=_ENTRY,
        cmd=("postgres",),
        env=(
            f"{_PATH}:/usr/lib/postgresql/15/bin",
            "PGDATA=/var/lib/postgresql/data",
        ),
        ports=("5432/tcp",),
        volumes=("/var/lib/postgresql/data",),
        stop_signal="SIGINT",
        health=Health(("CMD", "pg_isready", "-h", "127.0.0.1")),
        setup="rm -rf /var/lib/postgresql/15\n"
        "install -d -o postgres -g postgres -m 700 /var/lib/postgresql/data",
    ),
    "mariadb": Recipe(
        packages=("mariadb-server",),
        entrypoint=_ENTRY,
        cmd=("mariadbd",),
        ports=("3306/tcp",),
        volumes=("/var/lib/mysql",),
        health=Health(("CMD-SHELL", "mariadb-admin ping --silent")),
        setup="rm -rf /var/lib/mysql; install -d -o mysql -g mysql -m 750 /var/lib/mysql\n"
        "sed -i 's/^bind-address.*/skip-name-resolve/' /etc/mysql/mariadb.conf.d/50-server.cnf",
    ),
    "python": Recipe(
        packages=("python3",),
        cmd=("python3", "server.py"),
        env=(_PATH, "PYTHONUNBUFFERED=1"),
        ports=("8000/tcp",),
        user="app",
        volumes=("/data",),
        workdir="/app",
        setup=_SERVE,
    ),
    "node": Recipe(
        packages=("nodejs",),
        cmd=("node", "server.js"),
        ports=("3000/tcp",),
        user="app:app",
        workdir="/app",
        setup=_SERVE,
    ),
    "php": Recipe(
        packages=("php-cli", "php-sqlite3"),
        cmd=("php", "-S", "0.0.0.0:8080", "-t", "/app"),
        ports=("8080/tcp",),
        user="1234",
        workdir="/app",
        stop_signal="SIGINT",
        setup="install -d -o 1234 -g 1234 /data",
    ),
    "memcached": Recipe(
        packages=("memcached",),
        cmd=("memcached", "-m", "32"),
        ports=("11211/tcp",),
        user="memcache",
    ),
    "haproxy": Recipe(
        packages=("haproxy",),
        cmd=("haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"),
        ports=("8080/tcp", "8404/tcp"),
        user="haproxy",
        stop_signal="SIGUSR1",
    ),
    "rabbitmq": Recipe(
        packages=("rabbitmq-server",),
        entrypoint=_ENTRY,
        cmd=("/usr/lib/rabbitmq/bin/rabbitmq-server",),
        env=(_PATH, "HOME=/var/lib/rabbitmq", "LANG=C.UTF-8", "RABBITMQ_LOGS=-"),
        ports=("5672/tcp", "15672/tcp"),
        volumes=("/var/lib/rabbitmq",),
        setup="rm -rf /var/lib/rabbitmq/.erlang.cookie /var/lib/rabbitmq/mnesia",
    ),
    "golang": Recipe(
        cmd=("/server",),
        env=("PATH=/",),
        ports=("8080/tcp",),
        bare=True,
        build=Build(
            ("golang-go",),
            "mkdir -p /out/data; cd /src; export CGO_ENABLED=0 GOCACHE=/tmp/go HOME=/tmp\n"
            "go build -trimpath -ldflags=-s -o /out/server server.go",
        ),
    ),
    "openjdk": Recipe(
        packages=("openjdk-17-jre-headless",),
        cmd=("java", "-Xmx128m", "-cp", "/app", "Server"),
        env=(_PATH, "LANG=C.UTF-8"),
        ports=("8080/tcp",),
        user="app",
        workdir="/data",
        setup=_SERVE,
        build=Build(("openjdk-17-jdk-headless",), "mkdir -p /out/app; javac -d /out/app /src/*"),
    ),
    "httpd": Recipe(
        packages=("apache2",),
        entrypoint=_ENTRY,
        cmd=("apache2", "-DFOREGROUND"),
        ports=("80/tcp",),
        stop_signal="SIGWINCH",
        setup="ln -sf /proc/self/fd/1 /var/log/apache2/access.log\n"
        "ln -sf /proc/self/fd/2 /var/log/apache2/error.log",
    ),
    "wordpress": Recipe(
        packages=("wordpress", "apache2", "libapache2-mod-php", "php-mysql", "php-gd"),
        entrypoint=_ENTRY,
        cmd=("apache2", "-DFOREGROUND"),
        ports=("80/tcp",),
        stop_signal="SIGWINCH",
        setup="ln -sf /proc/self/fd/1 /var/log/apache2/access.log\n"
        "ln -sf /proc/self/fd/2 /var/log/apache2/error.log\n"
        "sed -i 's#/var/www/html#/usr/share/wordpress#' /etc/apache2/sites-available/*.conf\n"
        "cp /src/wp-config.php /usr/share/wordpress/wp-config.php",
    ),
}
