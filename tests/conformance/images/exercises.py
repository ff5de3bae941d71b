"""What is done with each application through its published port, with its own client.

``begin`` writes; ``check`` finds what was written, and is called again after a restart. Both may be
tried before the application is ready: they raise then, and are tried again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tests.conformance.images.clients import Client

PASSWORD = "correct horse"  # noqa: S105 (of a database that lives for a minute)
_NOTES = [f"note {number} äöü" for number in range(20)]


class Target(NamedTuple):
    """The application under exercise.

    Attributes:
        ports: the port of the container → the port of this host.
        client: runs the programs that talk to it.
        exec: runs a program in the container; returns its output.
    """

    ports: Mapping[int, int]
    client: Client
    exec: Callable[..., str]

    def url(self, port: int, path: str = "/") -> str:
        """An address of the application on this host."""
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def curl(self, port: int, path: str = "/", *options: str) -> str:
        """What an HTTP server answers; an error where it answers with one."""
        return self.client("curl", "-sS", "--fail-with-body", *options, self.url(port, path))


class Exercise(NamedTuple):
    """One application's.

    Attributes:
        begin: writes.
        check: finds what was written.
        options: of ``drupe run``.
        load: a load of some seconds whose results are checked, for the rate that it returns.
        log: what its log must have.
        memory: of the container.
        forgets: it keeps nothing over a restart, on any engine.
    """

    begin: Callable[[Target], None]
    check: Callable[[Target], None]
    log: str
    options: tuple[str, ...] = ()
    load: Callable[[Target], str] | None = None
    memory: str = "512m"
    forgets: bool = False


def _wrk(port: int, path: str = "/", clients: int = 16) -> Callable[[Target], str]:
    def load(target: Target) -> str:
        report = target.client("wrk", "-d3s", f"-c{clients}", "-t2", target.url(port, path))
        assert "Socket errors" not in report, report
        assert "Non-2xx" not in report, report
        (rate,) = (line.split()[1] for line in report.splitlines() if "Requests/sec" in line)
        return f"{float(rate):.0f} requests/s"

    return load


def _notes(port: int) -> Exercise:
    """Of the servers that keep notes: each word for word, in order."""

    def begin(target: Target) -> None:
        target.curl(port, "/", "--retry", "3")
        for note in _NOTES:
            assert target.curl(port, "/", "--data-raw", note) == "kept\n"

    def check(target: Target) -> None:
        assert target.curl(port).splitlines() == _NOTES

    return Exercise(begin, check, log="", load=_wrk(port))


def _redis(target: Target, *words: str, said: str = "") -> str:
    where = ("redis-cli", "-p", str(target.ports[6379]))
    return target.client(*where, *words, said=said).strip()


def _redis_begin(target: Target) -> None:
    assert _redis(target, "ping") == "PONG"
    commands = "".join(f"set key{n} value{n}\n" for n in range(1000))
    assert _redis(target, said=commands).split() == ["OK"] * 1000


def _redis_check(target: Target) -> None:
    assert _redis(target, "dbsize") == "1000"
    assert _redis(target, "get", "key777") == "value777"


def _redis_load(target: Target) -> str:
    bench = ("redis-benchmark", "-p", str(target.ports[6379]), "-n", "20000", "-q", "-t", "get")
    (rate,) = (line for line in target.client(*bench).replace("\r", "\n").splitlines()[-2:] if line)
    return f"{float(rate.split()[1]):.0f} GET/s"


def _page_begin(page: str) -> Callable[[Target], None]:
    def begin(target: Target) -> None:
        target.curl(80)
        target.exec("sh", "-c", f"echo written >{page}")

    return begin


def _page_check(target: Target) -> None:
    assert target.curl(80, "/written.txt") == "written\n"


def _psql(target: Target, sql: str) -> str:
    where = f"host=127.0.0.1 port={target.ports[5432]} user=postgres password='{PASSWORD}'"
    return target.client("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", where, said=sql).strip()


def _postgres_begin(target: Target) -> None:
    assert _psql(target, "select 1;") == "1"
    _psql(target, "create table fruit as select n, md5(n::text) from generate_series(1, 50000) n;")


def _postgres_check(target: Target) -> None:
    assert _psql(target, "select count(*), sum(n) from fruit;") == "50000|1250025000"


def _mariadb(target: Target, sql: str) -> str:
    where = ("-h127.0.0.1", f"-P{target.ports[3306]}", "-uroot", f"-p{PASSWORD}")
    return target.client("mariadb", *where, "-NB", said=sql).strip()


def _mariadb_begin(target: Target) -> None:
    assert _mariadb(target, "select 1;") == "1"
    _mariadb(
        target,
        "create or replace table drupe.fruit (n int primary key, name text);"
        "insert into drupe.fruit select seq, md5(seq) from drupe.seq_1_to_50000;",
    )


def _mariadb_check(target: Target) -> None:
    assert _mariadb(target, "select count(*), sum(n) from drupe.fruit;") == "50000\t1250025000"


def _memcached_begin(target: Target) -> None:
    where = f"--servers=127.0.0.1:{target.ports[11211]}"
    target.client("memcping", where)
    put = f"printf 'worth keeping' >/tmp/fruit; memccp {where} /tmp/fruit"
    target.client("sh", "-c", put)


def _memcached_check(target: Target) -> None:
    where = f"--servers=127.0.0.1:{target.ports[11211]}"
    assert target.client("memccat", where, "fruit").strip() == "worth keeping"


def _memcached_load(target: Target) -> str:
    where = f"--servers=127.0.0.1:{target.ports[11211]}"
    clients, each = 8, 2000
    often = (f"--concurrency={clients}", f"--execute-number={each}")
    begin = time.monotonic()
    target.client("memcslap", where, "--test=get", *often)
    return f"{clients * each / (time.monotonic() - begin):.0f} GET/s"


def _haproxy_begin(target: Target) -> None:
    answers = [target.curl(8080) for _ in range(4)]
    assert sorted(answers) == ["one\n", "one\n", "two\n", "two\n"]


def _haproxy_check(target: Target) -> None:
    assert target.curl(8080, "/self") == "from haproxy\n"
    assert "Statistics Report" in target.curl(8404)


def _amqp(target: Target, program: str, *words: str, said: str = "") -> str:
    where = f"amqp://guest:guest@127.0.0.1:{target.ports[5672]}"
    return target.client(f"amqp-{program}", f"--url={where}", *words, said=said)


def _rabbitmq_begin(target: Target) -> None:
    _amqp(target, "declare-queue", "-d", "-q", "fruit")
    for number in range(10):
        _amqp(target, "publish", "-r", "fruit", "-p", said=f"message {number}")


def _rabbitmq_check(target: Target) -> None:
    assert _amqp(target, "get", "-q", "fruit").startswith("message ")
    _amqp(target, "publish", "-r", "fruit", "-p", said="message again")
    queues = json.loads(target.curl(15672, "/api/queues", "-u", "guest:guest"))
    assert [queue["name"] for queue in queues] == ["fruit"]
    listed = target.exec(
        "rabbitmqctl", "-q", "list_queues", "name", "messages", "--no-table-headers"
    )
    assert listed.split() == ["fruit", "10"]


def _nothing(_: Target) -> None:
    pass


EXERCISES: Mapping[str, Exercise] = MappingProxyType(
    {
        "redis": Exercise(_redis_begin, _redis_check, "Ready to accept", load=_redis_load),
        "nginx": Exercise(
            _page_begin("/var/www/html/written.txt"),
            _page_check,
            "GET /written.txt",
            load=_wrk(80, "/4k"),
        ),
        "postgres": Exercise(
            _postgres_begin,
            _postgres_check,
            "ready to accept connections",
            options=("-e", f"POSTGRES_PASSWORD={PASSWORD}"),
        ),
        "mariadb": Exercise(
            _mariadb_begin,
            _mariadb_check,
            "ready for connections",
            options=(
                *("-e", f"MARIADB_ROOT_PASSWORD={PASSWORD}", "-e", "MARIADB_DATABASE=drupe"),
                *("-e", "MARIADB_USER=drupe", "-e", "MARIADB_PASSWORD=drupe"),
            ),
            memory="768m",
        ),
        # Its server lets five wait to be accepted.
        "python": _notes(8000)._replace(log="serving", load=_wrk(8000, clients=4)),
        "node": _notes(3000)._replace(log="serving"),
        # Its server closes each connection, which wrk takes for an error.
        "php": _notes(8080)._replace(log="Development Server", load=None),
        "memcached": Exercise(
            _memcached_begin, _memcached_check, "", load=_memcached_load, forgets=True
        ),
        "haproxy": Exercise(
            _haproxy_begin, _haproxy_check, "front back/", load=_wrk(8080, "/self")
        ),
        "rabbitmq": Exercise(
            _rabbitmq_begin,
            _rabbitmq_check,
            "Server startup complete",
            options=("--hostname", "rabbit"),
            memory="768m",
        ),
        "golang": _notes(8080)._replace(log="serving"),
        "openjdk": _notes(8080)._replace(log="serving"),
        "httpd": Exercise(
            _page_begin("/var/www/html/written.txt"),
            _page_check,
            "resuming normal operations",
            load=_wrk(80, "/written.txt"),
        ),
    }
)
