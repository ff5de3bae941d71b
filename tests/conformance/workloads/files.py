"""Files under random operations, beside a model in memory: DIRECTORY SECONDS [SEED].

Four processes have a file each, in every way that a file can be read and changed; whatever is read
is compared. What fails says the seed, with which it fails again.
"""

import ctypes
import mmap
import os
import random
import sys
import time
from collections.abc import Callable

MOST = 1 << 20
PROCESSES = 4
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
libc = ctypes.CDLL(None, use_errno=True)


class File:
    """One file, and what must be in it."""

    def __init__(self, path: str, chance: random.Random) -> None:
        self.path = path
        self.chance = chance
        self.model = bytearray()
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def place(self) -> tuple[int, int]:
        """Where something is done, and how far it reaches."""
        start = self.chance.randrange(MOST)
        return start, min(self.chance.choice((1, 7, 512, 4096, 65536, 300_000)), MOST - start)

    def within(self) -> tuple[int, int]:
        """A part of what is there."""
        start, length = self.place()
        start %= max(1, len(self.model))
        return start, min(length, len(self.model) - start)

    def grow(self, size: int) -> None:
        self.model.extend(bytes(max(0, size - len(self.model))))

    def compare(self, found: bytes, start: int) -> None:
        wanted = self.model[start : start + len(found)]
        if found != wanted:
            at = next(
                i for i, pair in enumerate(zip(found, wanted, strict=True)) if len({*pair}) > 1
            )
            raise AssertionError(f"{self.path}: other data at {start + at} of {len(self.model)}")

    def read(self) -> None:
        start, length = self.place()
        found = os.pread(self.descriptor, length, start)
        assert len(found) == max(0, min(length, len(self.model) - start)), (start, length)
        self.compare(found, start)

    def write(self) -> None:
        start, length = self.place()
        data = self.chance.randbytes(length)
        assert os.pwrite(self.descriptor, data, start) == length
        self.grow(start + length)
        self.model[start : start + length] = data

    def append(self) -> None:
        if len(self.model) > MOST:
            return
        data = self.chance.randbytes(self.chance.randrange(1, 9000))
        with open(self.path, "ab", buffering=0) as file:
            file.write(data)
        self.model += data

    def truncate(self) -> None:
        size = self.chance.randrange(MOST)
        os.ftruncate(self.descriptor, size)
        self.grow(size)
        del self.model[size:]

    def map(self) -> None:
        start, length = self.within()
        if not length:
            return
        with mmap.mmap(self.descriptor, len(self.model)) as mapped:
            self.compare(mapped[start : start + length], start)
            data = self.chance.randbytes(length)
            mapped[start : start + length] = data
            if self.chance.random() < 0.5:
                mapped.flush()
        self.model[start : start + length] = data

    def allocate(self) -> None:
        start, length = self.place()
        mode = self.chance.choice((0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE))
        at, size = ctypes.c_long(start), ctypes.c_long(length)
        if libc.fallocate(self.descriptor, mode, at, size):
            assert ctypes.get_errno() == 95, ctypes.get_errno()  # not on this file system
            return
        if not mode & KEEP_SIZE:
            self.grow(start + length)
        if mode & (PUNCH_HOLE | ZERO_RANGE):
            stop = min(start + length, len(self.model))
            self.model[start:stop] = bytes(max(0, stop - start))

    def copy(self) -> None:
        start, length = self.within()
        into = (start + length + self.chance.randrange(9000)) % MOST
        if not length or abs(into - start) < length:
            return
        done = 0
        while done < length:
            done += os.copy_file_range(
                self.descriptor, self.descriptor, length - done, start + done, into + done
            )
        data = self.model[start : start + length]
        self.grow(into + length)
        self.model[into : into + length] = data

    def sync(self) -> None:
        os.fsync(self.descriptor)

    def open_again(self) -> None:
        os.close(self.descriptor)
        self.descriptor = os.open(self.path, os.O_RDWR)
        assert os.fstat(self.descriptor).st_size == len(self.model)

    def rename(self) -> None:
        old, self.path = self.path, f"{self.path.rpartition('.')[0]}.{self.chance.randrange(99)}"
        if old != self.path:
            os.link(old, f"{old}.link")
            os.rename(old, self.path)
            assert os.stat(f"{old}.link").st_nlink == 2
            os.unlink(f"{old}.link")

    def holes(self) -> None:
        """What is said to be a hole is zeros."""
        if not self.model:
            return
        hole = os.lseek(self.descriptor, 0, os.SEEK_HOLE)
        assert hole <= len(self.model)
        if hole < len(self.model):
            assert not any(self.model[hole : hole + 512])


def exercise(path: str, seconds: float, seed: int) -> int:
    chance = random.Random(seed)
    file = File(path, chance)
    verbs: list[Callable[[], None]] = [
        file.read, file.read, file.write, file.write, file.append, file.truncate, file.map,
        file.allocate, file.copy, file.sync, file.open_again, file.rename, file.holes,
    ]  # fmt: skip
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        chance.choice(verbs)()
        count += 1
    with open(file.path, "rb") as again:
        found = again.read()
    assert len(found) == len(file.model)
    file.compare(found, 0)
    os.unlink(file.path)
    return count


def main(directory: str, seconds: float, seed: int) -> int:
    children = []
    for number in range(PROCESSES):
        child = os.fork()
        if not child:
            try:
                count = exercise(f"{directory}/exercised-{number}.0", seconds, seed + number)
            except BaseException as error:
                print(f"seed {seed + number}: {error!r}", flush=True)
                os._exit(1)
            print(f"{count} operations", flush=True)
            os._exit(0)
        children.append(child)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


if __name__ == "__main__":
    given = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    sys.exit(main(sys.argv[1], float(sys.argv[2]), given))
