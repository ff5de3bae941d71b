"""SQLite: several processes move money, some are killed; nothing is lost."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

SECONDS = float(sys.argv[1])
ACCOUNTS, EACH = 200, 1000


def transfer(name, number):
    chance = random.Random(number)
    connection = sqlite3.connect(name, timeout=60, isolation_level=None)
    while True:
        source, target = chance.sample(range(ACCOUNTS), 2)
        amount = chance.randrange(1, 100)
        connection.execute("begin immediate")
        change = "update account set sum = sum + ? where id = ?"
        connection.execute(change, (-amount, source))
        connection.execute(change, (amount, target))
        connection.execute("insert into log values (?, ?, ?)", (source, target, amount))
        connection.execute("commit")


def spawn(name, number):
    pid = os.fork()
    if not pid:
        try:
            transfer(name, number)
        finally:
            os._exit(1)
    return pid


def check(name):
    connection = sqlite3.connect(name, timeout=60)
    assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    (total,) = connection.execute("select sum(sum) from account").fetchone()
    assert total == ACCOUNTS * EACH, total
    sums = dict.fromkeys(range(ACCOUNTS), EACH)
    for source, target, amount in connection.execute("select * from log"):
        sums[source] -= amount
        sums[target] += amount
    assert sums == dict(connection.execute("select id, sum from account"))
    return connection.execute("select count(*) from log").fetchone()[0]


transactions = 0
for mode in ("wal", "delete", "truncate"):
    name = f"/tmp/{mode}.db"
    connection = sqlite3.connect(name)
    connection.execute(f"pragma journal_mode = {mode}")
    connection.execute("create table account (id integer primary key, sum integer)")
    connection.execute("create table log (source integer, target integer, amount integer)")
    rows = [(number, EACH) for number in range(ACCOUNTS)]
    connection.executemany("insert into account values (?, ?)", rows)
    connection.commit()
    connection.close()
    children = [spawn(name, number) for number in range(4)]
    end = time.monotonic() + SECONDS / 3
    number = 4
    while time.monotonic() < end:
        time.sleep(min(1.0, max(0.05, SECONDS / 12)))
        victim = random.randrange(4)
        os.kill(children[victim], signal.SIGKILL)
        os.waitpid(children[victim], 0)
        children[victim] = spawn(name, number)
        number += 1
    for child in children:
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    transactions += check(name)
    shell = ["sqlite3", name, "reindex; vacuum; pragma integrity_check; select count(*) from log"]
    assert subprocess.run(shell, capture_output=True, check=True, text=True).stdout.startswith("ok")
    check(name)
assert transactions > 10
print(transactions, "transactions")
