"""What any Linux file system does: run as root in an empty directory, here and in a container."""

import concurrent.futures
import ctypes
import errno
import fcntl
import mmap
import os
import select
import socket
import stat
import struct
import sys
from collections.abc import Callable

libc = ctypes.CDLL(None, use_errno=True)


def write(path: str, data: bytes = b"x", mode: int = 0o644) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, mode)
    os.write(descriptor, data)
    os.close(descriptor)


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def fails(number: int, function: Callable[..., object], *args: object, **named: object) -> None:
    try:
        function(*args, **named)
    except OSError as error:
        assert error.errno == number, (function, args, error)
        return
    raise AssertionError((function, args))


def as_user(uid: int, gid: int, function: Callable[[], None]) -> None:
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        function()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def rename2(old: str, new: str, flags: int) -> None:
    if libc.renameat2(-100, old.encode(), -100, new.encode(), flags):
        raise OSError(ctypes.get_errno(), new)


def owners_and_modes() -> None:
    write("f")
    for uid, gid, mode in ((999, 998, 0o640), (0, 0, 0o4755), (7, 7, 0o000), (0, 0, 0o644)):
        os.chown("f", uid, gid)
        os.chmod("f", mode)
        status = os.stat("f")
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (uid, gid, mode)
        assert read("f") == b"x"
    os.chmod("f", 0o6755)
    os.chown("f", 5, 5)
    assert stat.S_IMODE(os.stat("f").st_mode) == 0o755
    os.chmod("f", 0o444)
    with open("f", "ab") as file:
        file.write(b"y")
    assert stat.S_IMODE(os.stat("f").st_mode) == 0o444
    os.mkdir("d")
    os.chown("d", 1000, 1001)
    os.chmod("d", 0o2700)

    def user() -> None:
        write("d/own", mode=0o600)
        os.mkdir("d/sub")
        fails(errno.EPERM, os.chown, "d/own", 0, 0)
        fails(errno.EACCES, os.open, "barred", os.O_RDONLY)

    write("barred", mode=0o600)
    as_user(1000, 1000, user)
    status = os.stat("d/own")
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1000, 1001, 0o600)
    assert os.stat("d/sub").st_mode == stat.S_IFDIR | 0o2755
    # Who may not have them takes away the set-id bits by writing.
    os.chmod("d/own", 0o6777)
    os.chmod("d", 0o755)
    as_user(2000, 2000, lambda: open("d/own", "w").close())
    assert stat.S_IMODE(os.stat("d/own").st_mode) == 0o777


def attributes() -> None:
    write("f")
    os.setxattr("f", "user.a", b"1")
    os.setxattr("f", "user.b", b"2" * 3000)
    os.chown("f", 12, 13)
    assert sorted(os.listxattr("f")) == ["user.a", "user.b"]
    assert os.getxattr("f", "user.b") == b"2" * 3000
    fails(errno.EEXIST, os.setxattr, "f", "user.a", b"2", os.XATTR_CREATE)
    os.removexattr("f", "user.a")
    fails(errno.ENODATA, os.getxattr, "f", "user.a")
    os.utime("f", ns=(1_000_000_001, 2_000_000_002))
    status = os.stat("f")
    assert (status.st_atime_ns, status.st_mtime_ns) == (1_000_000_001, 2_000_000_002)


def names() -> None:
    write("f")
    os.link("f", "g")
    assert os.stat("f").st_nlink == 2
    assert os.path.samefile("f", "g")
    os.unlink("f")
    assert os.stat("g").st_nlink == 1
    os.symlink("nowhere/" + "t" * 4000, "l")
    assert os.readlink("l") == "nowhere/" + "t" * 4000
    fails(errno.ENOENT, os.open, "l/x", os.O_RDONLY)
    os.lchown("l", 3, 4)
    long = b"\xff" + b"n" * 254
    write(os.fsdecode(long))
    assert long in os.listdir(b".")
    fails(errno.ENAMETOOLONG, os.stat, "n" * 256)
    os.makedirs("a/b")
    os.mkdir("c")
    write("a/b/f", b"a")
    write("c/f", b"c")
    rename2("a/b/f", "c/f", 2)
    assert (read("a/b/f"), read("c/f")) == (b"c", b"a")
    fails(errno.EEXIST, rename2, "g", "c/f", 1)
    fails(errno.ENOTEMPTY, os.rename, "a", "c")
    fails(errno.EINVAL, os.rename, "a", "a/b/x")
    fails(errno.EISDIR, os.rename, "g", "c")
    os.rename("g", "c/f")
    assert read("c/f") == b"x"
    inside = os.open("a/b", os.O_RDONLY)
    os.rename("a", "z")
    assert os.listdir(inside) == ["f"]
    os.stat("f", dir_fd=inside)
    os.mkdir("many")
    wanted = {f"{i:05}" for i in range(3000)}
    for name in wanted:
        write(f"many/{name}", b"")
    listed = os.listdir("many")
    assert len(listed) == len(wanted)
    assert set(listed) == wanted
    for name in os.listdir("many"):
        os.unlink(f"many/{name}")
    os.rmdir("many")


def sync(descriptor: int) -> int:
    written = os.write(descriptor, b"x" * 4096)
    os.fsync(descriptor)
    return written


def data() -> None:
    with open("f", "w+b") as file:
        file.truncate(1 << 20)
        file.seek(500_000)
        file.write(b"middle")
        file.flush()
        fd = file.fileno()
        assert os.fstat(fd).st_blocks < 100
        assert 0 < os.lseek(fd, 0, os.SEEK_DATA) <= 500_000
        assert os.lseek(fd, 500_000, os.SEEK_HOLE) < 1 << 20
        with mmap.mmap(fd, 1 << 20) as mapped:
            assert mapped[500_000:500_006] == b"middle"
            mapped[0:5] = b"first"
            mapped.flush()
        assert os.pread(fd, 5, 0) == b"first"
        os.posix_fallocate(fd, 1 << 20, 4096)
        assert os.fstat(fd).st_size == (1 << 20) + 4096
        with open("copy", "wb") as copy:
            assert os.copy_file_range(fd, copy.fileno(), 100_000, 450_000) == 100_000
        assert read("copy")[50_000:50_006] == b"middle"
        os.unlink("f")
        os.pwrite(fd, b"still", 10)
        os.fchmod(fd, 0o600)
        os.ftruncate(fd, 100)
        os.utime(fd, ns=(1, 2))
        status = os.fstat(fd)
        assert (status.st_nlink, status.st_size, status.st_mtime_ns) == (0, 100, 2)
        assert os.pread(fd, 5, 10) == b"still"
        os.fsync(fd)
    with open("many", "wb") as file:
        file.write(big := os.urandom(3_000_001))
    with open("many", "rb") as file, open("copied", "wb") as copy:
        at = 0
        while at < len(big):
            at += os.copy_file_range(file.fileno(), copy.fileno(), len(big) - at)
    assert read("copied") == big
    # More at once than there are slots for requests.
    files = [os.open(f"sync{i}", os.O_CREAT | os.O_WRONLY) for i in range(24)]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        for done in [pool.submit(sync, descriptor) for descriptor in files * 4]:
            assert done.result() == 4096
    one = os.open("log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    two = os.open("log", os.O_WRONLY | os.O_APPEND)
    for _ in range(10):
        os.write(one, b"1")
        os.write(two, b"2")
    assert read("log") == b"12" * 10
    write("big", big)
    assert read("big") == big
    os.truncate("big", 1000)
    assert read("big") == big[:1000]
    fails(errno.EINVAL, os.pwrite, one, b"", -1)


def special_files() -> None:
    os.mkfifo("fifo", 0o640)
    reader = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open("fifo", os.O_WRONLY)
    os.write(writer, b"through")
    assert os.read(reader, 10) == b"through"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        listener.bind("socket")
        listener.listen()
        os.chown("socket", 10, 20)
        caller.connect("socket")
        assert stat.S_ISSOCK(os.stat("socket").st_mode)
        assert os.stat("socket").st_uid == 10
    os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert os.stat("null").st_rdev == os.makedev(1, 3)
    assert read("null") == b""
    assert os.listxattr("null") == []


def locks_and_watches() -> None:
    write("f")
    one, two = (os.open("f", os.O_RDWR) for _ in range(2))
    fcntl.flock(one, fcntl.LOCK_EX)
    fails(errno.EAGAIN, fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(one, fcntl.LOCK_UN)
    fcntl.lockf(one, fcntl.LOCK_EX)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    created, modified, moved = 0x100, 0x2, 0x80
    assert libc.inotify_add_watch(watch, b".", created | modified | moved) > 0
    write("new")
    os.rename("new", "newer")
    assert select.select([watch], [], [], 5)[0]
    events, seen = os.read(watch, 4096), []
    while events:
        _, mask, _, size = struct.unpack_from("iIII", events)
        seen.append((mask, events[16 : 16 + size].rstrip(b"\0")))
        events = events[16 + size :]
    assert seen == [(created, b"new"), (modified, b"new"), (moved, b"newer")]


if __name__ == "__main__":
    os.umask(0o022)
    for check in (owners_and_modes, attributes, names, data, special_files, locks_and_watches):
        os.mkdir(check.__name__)
        os.chdir(check.__name__)
        check()
        os.chdir("..")
        print(check.__name__, file=sys.stdout, flush=True)
