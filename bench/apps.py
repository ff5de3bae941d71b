"""Applications of a Debian tree: redis, nginx, sqlite, a compiler, gzip; their results are checked.

Clients run on the side of their servers, over its loopback. Servers are started and stopped around
each sample. Throughputs are what redis-benchmark and wrk say, all else is timed on this host, from
handing a command to the shell that runs inside, to its end.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from bench import shell
from bench.compare import Figure, Rounds, WrongError, add_options, choose, conclude
from bench.conversation import Conversation
from bench.goals import RATE, Goal
from bench.material import INSERT_ROWS, INSERT_TRANSACTIONS, SELECTS, write_material
from bench.roots import debian_root, put
from bench.sides import find_sides

# Below the range from which kernels take clients' ports by default.
_REDIS_PORT = 21379
_NGINX_PORT = 21080
_VALUE_BYTES = 64
_REDIS_SECONDS = 0.7
_REDIS_FIRST_REQUESTS = 1600
_WRK_SECONDS = 1

_THROUGHPUT = Goal(0.75, pinned_only=True)
FIGURES = {
    "redis": [
        Figure("redis-set", RATE, _THROUGHPUT),
        Figure("redis-get", RATE, _THROUGHPUT),
        Figure("redis-set-pipelined", RATE, _THROUGHPUT),
        Figure("redis-get-pipelined", RATE, _THROUGHPUT),
    ],
    "nginx": [Figure("nginx", RATE, _THROUGHPUT)],
    "sqlite-insert": [Figure("sqlite-insert", RATE, _THROUGHPUT)],
    "sqlite-select": [Figure("sqlite-select", RATE, _THROUGHPUT)],
    "compile": [Figure("compile", goal=Goal(1.4))],
    "gzip": [Figure("gzip")],
}

_REDIS_START = f"""
redis-server --port {_REDIS_PORT} --bind 127.0.0.1 --save '' --appendonly no --dir /tmp \\
    >/tmp/redis.log 2>&1 &
echo $! >/tmp/redis.pid
until redis-cli -p {_REDIS_PORT} ping >/dev/null 2>&1; do
    kill -0 "$(cat /tmp/redis.pid)" || {{ tail -n 3 /tmp/redis.log; exit 1; }}
    sleep 0.05
done
"""
_NGINX_START = f"""
mkdir -p /tmp/nginx
nginx -c /bench/nginx.conf >/tmp/nginx.log 2>&1 &
echo $! >/tmp/nginx.pid
until curl -s -o /tmp/nginx/page http://127.0.0.1:{_NGINX_PORT}/page; do
    kill -0 "$(cat /tmp/nginx.pid)" || {{ tail -n 3 /tmp/nginx.log; exit 1; }}
    sleep 0.05
done
cmp /tmp/nginx/page /bench/www/page
"""
_STOP = """
[ -e /tmp/{name}.pid ] || exit 0
kill "$(cat /tmp/{name}.pid)" 2>/dev/null || true
while kill -0 "$(cat /tmp/{name}.pid)" 2>/dev/null; do sleep 0.05; done
rm /tmp/{name}.pid
"""
_NGINX_CONFIGURATION = f"""
daemon off;
worker_processes 1;
user root;
pid /tmp/nginx/pid;
error_log /tmp/nginx/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path /tmp/nginx/body;
    proxy_temp_path /tmp/nginx/proxy;
    fastcgi_temp_path /tmp/nginx/fastcgi;
    uwsgi_temp_path /tmp/nginx/uwsgi;
    scgi_temp_path /tmp/nginx/scgi;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{_NGINX_PORT};
        root /bench/www;
    }}
}}
"""
_INSERT = """
rm -f /tmp/insert.db
sqlite3 /tmp/insert.db </bench/insert.sql | cmp - /bench/insert.expected
"""
_SELECT = "sqlite3 /tmp/select.db </bench/select.sql | cmp - /bench/select.expected"
_COMPILE = "make -s -C /tmp/build -f /bench/project/Makefile SOURCES=/bench/project"


def main(arguments: list[str]) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench apps", description=__doc__)
    add_options(parser, rounds=5)
    options = parser.parse_args(arguments)
    notes: list[str] = []
    try:
        root = debian_root(print)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        print(f"failed to make what is to be measured: {error}")
        return 1
    write_material(root)
    put(root, "nginx.conf", _NGINX_CONFIGURATION.encode())
    parts = choose(parser, "parts", list(FIGURES), options.only)
    with ExitStack() as stack:
        sides = find_sides(stack, root, shell.ARGS, notes.append)
        names = choose(parser, "sides", [side.name for side in sides], options.sides)
        sides = [side for side in sides if side.name in names]
        measure = Applications().measure
        result = Rounds(sides, measure, shell.wait_for).run(
            parts, options.rounds, options.minutes * 60
        )
    result.absent += notes
    figures = [figure for part in parts for figure in FIGURES[part]]
    return conclude("apps", figures, sides, result, options)


class Applications:
    """Runs the parts; remembers how many requests filled the time on which side."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str], int] = {}
        self._parts: dict[str, Callable[[Conversation], Mapping[str, float]]] = {
            "redis": self._redis,
            "nginx": _nginx,
            "sqlite-insert": _insert,
            "sqlite-select": _select,
            "compile": _compile,
            "gzip": _gzip,
        }

    def measure(self, side: Conversation, part: str) -> Mapping[str, float]:
        """The figures of one part; see ``bench.compare.Measure``."""
        return self._parts[part](side)

    def _redis(self, side: Conversation) -> dict[str, float]:
        try:
            shell.run(side, _REDIS_START)
            return {
                f"redis-{test}{suffix}": self._redis_test(side, test, options)
                for suffix, options in (("", "-c 10"), ("-pipelined", "-c 10 -P 16"))
                for test in ("set", "get")
            }
        finally:
            shell.run(side, _STOP.format(name="redis"))

    def _redis_test(self, side: Conversation, test: str, options: str) -> float:
        key = (side.name, f"{test} {options}")
        requests = self._requests.get(key, _REDIS_FIRST_REQUESTS)
        client = f"redis-cli -p {_REDIS_PORT}"
        _, output = shell.run(
            side,
            f"{client} config resetstat >/tmp/redis.reset\n"
            f"redis-benchmark -p {_REDIS_PORT} -t {test} {options} -n {requests} "
            f"-d {_VALUE_BYTES} --csv\n"
            f"echo length $({client} strlen key:__rand_int__)\n"
            f"{client} info commandstats",
        )
        rate = parse_redis(output, test, requests)
        # Whole batches of the pipelines of all clients.
        self._requests[key] = max(int(rate * _REDIS_SECONDS) // 160, 1) * 160
        return rate


def parse_redis(output: str, test: str, requests: int) -> float:
    """Requests per second, of what redis-benchmark, and the server's statistics, say.

    Raises:
        WrongError: the server has not done as many, or holds something else.
    """
    rate = re.search(rf'^"{test.upper()}","([0-9.]+)"', output, re.MULTILINE)
    calls = re.search(rf"^cmdstat_{test}:calls=(\d+),.*failed_calls=0", output, re.MULTILINE)
    if rate is None or float(rate[1]) <= 0:
        raise WrongError(f"redis-benchmark gave no figure: {output[-200:]}")
    if calls is None or int(calls[1]) != requests:
        raise WrongError(f"redis did not do {requests} times {test}: {output[-200:]}")
    if f"length {_VALUE_BYTES}\n" not in output:
        raise WrongError(f"redis does not hold {_VALUE_BYTES} bytes: {output[-200:]}")
    return float(rate[1])


def _nginx(side: Conversation) -> dict[str, float]:
    try:
        shell.run(side, _NGINX_START)
        url = f"http://127.0.0.1:{_NGINX_PORT}/page"
        _, output = shell.run(side, f"wrk -t1 -c10 -d{_WRK_SECONDS}s {url}")
        return {"nginx": parse_wrk(output)}
    finally:
        shell.run(side, _STOP.format(name="nginx"))


def parse_wrk(output: str) -> float:
    """Requests per second, of what wrk says.

    Raises:
        WrongError: an answer was an error, or never came.
    """
    rate = re.search(r"^Requests/sec: +([0-9.]+)$", output, re.MULTILINE)
    if rate is None or float(rate[1]) <= 0:
        raise WrongError(f"wrk gave no figure: {output[-200:]}")
    for bad in ("Socket errors", "Non-2xx"):
        if bad in output:
            raise WrongError(f"wrk was not served: {output[-200:]}")
    return float(rate[1])


def _insert(side: Conversation) -> dict[str, float]:
    seconds, _ = shell.run(side, _INSERT)
    return {"sqlite-insert": INSERT_TRANSACTIONS * INSERT_ROWS / seconds}


def _select(side: Conversation) -> dict[str, float]:
    shell.run(side, "[ -e /tmp/select.db ] || cp /bench/select.db /tmp/select.db")
    seconds, _ = shell.run(side, _SELECT)
    return {"sqlite-select": SELECTS / seconds}


def _compile(side: Conversation) -> dict[str, float]:
    shell.run(side, "rm -rf /tmp/build; mkdir /tmp/build")
    seconds, _ = shell.run(side, _COMPILE)
    shell.run(side, "/tmp/build/program | cmp - /bench/project.expected")
    return {"compile": seconds * 1e9}


def _gzip(side: Conversation) -> dict[str, float]:
    seconds, _ = shell.run(side, "gzip -6 -c /bench/text >/tmp/text.gz")
    shell.run(side, "gzip -dc /tmp/text.gz | cmp - /bench/text")
    return {"gzip": seconds * 1e9}
