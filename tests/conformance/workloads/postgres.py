"""PostgreSQL under pgbench: books that balance, a crash under load, checksums of all pages."""

import os
import pwd
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

SECONDS = int(sys.argv[1])
(BIN,) = Path("/usr/lib/postgresql").glob("*/bin")
USER = pwd.getpwnam("postgres")
DATA = Path("/tmp/pgdata")
DATA.mkdir(mode=0o700)
os.chown(DATA, USER.pw_uid, USER.pw_gid)


def run(*argv, check=True, **options):
    done = subprocess.run(
        [str(BIN / argv[0]), *argv[1:]],
        user=USER.pw_uid,
        group=USER.pw_gid,
        extra_groups=[],
        cwd="/tmp",
        env={**os.environ, "HOME": "/tmp", "PGHOST": "/tmp", "PGDATA": str(DATA)},
        text=True,
        capture_output=True,
        check=False,
        **options,
    )
    assert not check or done.returncode == 0, (argv, done.stdout, done.stderr)
    return done


def start():
    settings = "-k /tmp -c listen_addresses= -c shared_buffers=32MB -c max_wal_size=64MB"
    argv = ("pg_ctl", "-w", "-t", "120", "-l", "/tmp/pg.log", "-o", settings, "start")
    done = run(*argv, check=False)
    log = Path("/tmp/pg.log")
    assert done.returncode == 0, (done.stderr, log.read_text() if log.exists() else "")


def query(text):
    return run("psql", "-XAtq", "-c", text, "postgres").stdout.strip()


def check():
    sums = {
        query("select sum(abalance) from pgbench_accounts"),
        query("select sum(tbalance) from pgbench_tellers"),
        query("select sum(bbalance) from pgbench_branches"),
        query("select coalesce(sum(delta), 0) from pgbench_history"),
    }
    assert len(sums) == 1, sums
    assert query("select count(*) from pgbench_accounts") == "200000"
    assert query("select count(*) from (select aid from pgbench_accounts order by aid) a") == (
        "200000"
    )
    query("set enable_seqscan = off; select sum(aid) from pgbench_accounts where aid > 0")


run("initdb", "-k", "--no-sync", "-U", "postgres")
start()
run("pgbench", "-i", "-q", "-s", "2", "-U", "postgres", "postgres")
check()
run("pgbench", "-c", "8", "-j", "4", "-T", str(SECONDS), "-U", "postgres", "postgres")
check()
transactions = int(query("select count(*) from pgbench_history"))
assert transactions > 0
# A crash under load: every backend at once, and recovery from the log.
load = subprocess.Popen(
    [str(BIN / "pgbench"), "-n", "-c", "4", "-T", "30", "-h", "/tmp", "-U", "postgres", "postgres"],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
    cwd="/tmp",
)
time.sleep(3)
master = int((DATA / "postmaster.pid").read_text().split()[0])
os.kill(master, signal.SIGKILL)
load.wait(60)
with suppress(ChildProcessError):  # on the host this may be process 1, and must reap it
    os.waitpid(master, 0)
time.sleep(1)
start()
check()
assert int(query("select count(*) from pgbench_history")) >= transactions
run("pg_ctl", "-w", "-t", "120", "-m", "fast", "stop")
run("pg_checksums", "--check")
print(transactions, "transactions")
