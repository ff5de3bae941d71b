"""Directories of the host in containers: as a file system, between containers, and its walls."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from tests.integration.conftest import Cli

PROGRAM = Path(__file__).parent / "programs/volume.py"
KEPT = "user.containers.override_stat"
CHECKS = [
    "owners_and_modes", "attributes", "names", "data", "special_files", "locks_and_watches",
]  # fmt: skip


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """An empty directory."""
    directory = tmp_path / "volume"
    directory.mkdir()
    return directory


def run_program(cli: Cli, volume: Path, program: Path) -> list[str]:
    shares = ("-v", f"{volume}:/v", "-v", f"{program.parent}:/program:ro")
    return cli.out(
        "run", "--rm", "--rootfs", "/", *shares, "-w", "/v", "--", "python3", "/program/volume.py"
    ).split()


def test_a_volume_is_a_file_system_like_any_other(cli: Cli, volume: Path) -> None:
    assert run_program(cli, volume, PROGRAM) == CHECKS
    kept = volume / "owners_and_modes/d/own"
    assert os.getxattr(kept, KEPT) == b"1000:1001:0777:file"


def test_owners_need_no_right_on_the_host(user_cli: Cli) -> None:
    volume = Path(user_cli.env["HOME"]) / "volume"
    volume.mkdir()
    if user_cli.user is not None:
        os.chown(volume, user_cli.user, user_cli.user)
    program = user_cli.source.parent / "program"
    program.mkdir(exist_ok=True)
    shutil.copy(PROGRAM, program / "volume.py")
    try:
        assert run_program(user_cli, volume, program / "volume.py") == CHECKS
    finally:
        shutil.rmtree(program)
    owners = {path.lstat().st_uid for path in volume.rglob("*")}
    assert owners == {os.geteuid() if user_cli.user is None else user_cli.user}
    assert not [path for path in volume.rglob("*") if path.lstat().st_mode & 0o6000]


def test_two_containers_see_what_the_other_writes(cli: Cli, volume: Path) -> None:
    for name in ("one", "two"):
        cli("run", "-d", "--name", name, "-v", f"{volume}:/v", "busybox", "sleep", "1000")
    try:
        for turn in range(5):
            writer, reader = ("one", "two")[:: 1 if turn % 2 else -1]
            cli("exec", writer, "sh", "-c", f"echo {turn} >/v/f; mkdir -p /v/d; mv /v/d /v/d{turn}")
            assert cli.out("exec", reader, "sh", "-c", "cat /v/f; ls /v") .split() == [
                str(turn), *sorted([*(f"d{i}" for i in range(turn + 1)), "f"]),
            ]  # fmt: skip
    finally:
        cli("rm", "-f", "one", "two")


def test_changes_on_the_host_are_seen_within_a_moment(cli: Cli, volume: Path) -> None:
    (volume / "f").write_text("before")
    cli("run", "-d", "--name", "c", "-v", f"{volume}:/v", "busybox", "sleep", "1000")
    script = "cat /v/f; stat -c ' %s %n' /v/f; ls /v"
    try:
        assert cli.out("exec", "c", "sh", "-c", script) == "before 6 /v/f\nf"
        (volume / "f").write_text("afterwards")
        (volume / "g").touch()
        time.sleep(1.0)
        assert cli.out("exec", "c", "sh", "-c", script) == "afterwards 10 /v/f\nf\ng"
    finally:
        cli("rm", "-f", "c")


MANY = """
import os
held = []
for i in range(60):
    os.mkdir(f"o{i}")
    for j in range(300):
        os.mkdir(f"o{i}/d{j}")
    held.append(os.open(f"o{i}/d7", os.O_RDONLY))
os.rename("o0", "moved")
# The first ones have been closed meanwhile, and are found again from above.
for i in range(60):
    top = f"o{i}" if i else "moved"
    for j in range(0, 300, 3):
        with open(f"{top}/d{j}/f", "w") as file:
            file.write(f"{i} {j}")
    os.close(os.open("g", os.O_CREAT, dir_fd=held[i]))
    assert os.listdir(held[i]) == ["g"]
print(open("moved/d3/f").read(), len(os.listdir("o59")), os.path.exists("o0"))
"""


def test_more_directories_than_the_broker_has_open(cli: Cli, volume: Path) -> None:
    shares = ("-v", f"{volume}:/v", "-w", "/v")
    told = cli.out("run", "--rm", "--rootfs", "/", *shares, "--", "python3", "-c", MANY)
    assert told == "0 3 300 False"
    assert (volume / "o41/d297/f").read_text() == "41 297"
    assert (volume / "moved/d7/g").exists()


@pytest.mark.parametrize("inside", [False, True])
def test_a_race_for_a_link_leads_nowhere_outside(
    cli: Cli, volume: Path, tmp_path: Path, inside: bool
) -> None:
    """A directory becomes a link to one outside and back, while it is used."""
    outside = tmp_path / "outside"
    for directory in (volume / "d", outside):
        directory.mkdir(parents=True)
        (directory / "f").write_text(directory.name)
    (volume / "link").symlink_to(outside)
    swap = "mv -T d x; mv -T link d; mv -T d link; mv -T x d"
    use = "cat d/f; echo inside >d/new; mkdir d/sub; rmdir d/sub"
    loop = "i=0; while [ $((i += 1)) -le 300 ]; do {}; done 2>/dev/null"
    swaps = f"(cd /v; {loop.format(swap)}) & " if inside else ""
    stop = threading.Event()

    def race() -> None:
        while not stop.is_set():
            for old, new in (("d", "x"), ("link", "d"), ("d", "link"), ("x", "d")):
                (volume / old).rename(volume / new)

    racer = threading.Thread(target=race)
    if not inside:
        racer.start()
    try:
        script = f"{swaps}cd /v; {loop.format(use)}; wait"
        done = cli("run", "--rm", "-v", f"{volume}:/v", "busybox", "sh", "-c", script, status=None)
    finally:
        stop.set()
        if not inside:
            racer.join()
    # What changes on the host all the time may look for a second as it was: not the name it was.
    assert not inside or b"d" in done.stdout
    assert b"outside" not in done.stdout
    assert sorted(path.name for path in outside.iterdir()) == ["f"]
