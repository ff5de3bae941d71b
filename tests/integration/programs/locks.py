"""Does with a file's locks, or with a database, what it is told: a line each, an answer each."""

import errno
import fcntl
import os
import sqlite3
import struct
import sys

MODES = {"ex": fcntl.LOCK_EX, "sh": fcntl.LOCK_SH, "un": fcntl.LOCK_UN}
TYPES = {fcntl.F_RDLCK: "sh", fcntl.F_WRLCK: "ex", fcntl.F_UNLCK: "un"}


def lock(kind: str, mode: str, *place: str) -> str:
    """KIND is flock or posix, with "-wait" where it may wait; PLACE is START and LENGTH."""
    function = fcntl.flock if kind.startswith("flock") else fcntl.lockf
    wait = 0 if kind.endswith("-wait") or mode == "un" else fcntl.LOCK_NB
    length, start = (int(place[1]), int(place[0])) if place else (0, 0)
    function(descriptor, MODES[mode] | wait, *([length, start] if place else []))
    return "ok"


def held(start: str, length: str) -> str:
    """What others have there."""
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, int(start), int(length), 0)
    answer = struct.unpack("hhqqi4x", fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return " ".join(map(str, (TYPES[answer[0]], *answer[2:4])))


def read(length: str) -> str:
    return os.pread(descriptor, int(length), 0).decode()


def write(text: str) -> str:
    os.pwrite(descriptor, text.encode(), 0)
    return "ok"


def count(path: str, turns: str) -> str:
    """Adds one to a number in a database, again and again."""
    database = sqlite3.connect(path, timeout=60, isolation_level=None)
    database.execute("PRAGMA synchronous=OFF")
    database.execute("CREATE TABLE IF NOT EXISTS t (n)")
    for _ in range(int(turns)):
        database.execute("BEGIN IMMEDIATE")
        ((before,),) = database.execute("SELECT coalesce(max(n), 0) FROM t").fetchall()
        database.execute("INSERT INTO t VALUES (?)", (before + 1,))
        database.execute("COMMIT")
    return "ok"


if __name__ == "__main__":
    descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
    for line in sys.stdin:
        verb, *arguments = line.split()
        try:
            answer = {f.__name__: f for f in (lock, held, read, write, count)}[verb](*arguments)
        except OSError as error:
            answer = errno.errorcode[error.errno or 0]
        print(answer, flush=True)
