"""Platform um: guest code that shares its address space with its kernel, and attacks it.

Only its own container may end, with a word on why; nothing may stay behind on the host.
"""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from drupe.jail.policy import NARROWED, WRITTEN, rules
from tests.integration.conftest import Cli

pytest_plugins = ["tests.integration.conftest"]

ATTACK = Path(__file__).parent / "programs/attack.c"
Result = TypeVar("Result")
LAST_CALL = 470
AT_ONCE = 4
ENDED = 137
SCRIBBLE_S = 15
REQUESTS = 20_000
MEMORY = 64 << 20
NUMBERS = {rule.name: rule.number for rule in rules(directories=False, traced=False)}
LISTED = {NUMBERS[name] for name in (*NARROWED, *WRITTEN)}
GETRANDOM = NUMBERS["getrandom"]

GATE_SITES = 0x0E20_0000
TEXT = 0x1000_0000
LAYER = 5
"""The descriptor of the writable layer, after null, console, control and status."""
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS = 1, 2, 0x10, 0x20


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the platforms, the one that this is about."""
    monkeypatch.setenv("DRUPE_PLATFORM", "um")
    return "um"


@pytest.fixture(scope="session")
def attack(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The attacking program."""
    program = tmp_path_factory.mktemp("attack") / "attack"
    header = Path(__file__).parents[2] / "kernel/files/arch/um/include/shared"
    flags = ("-static", "-O1", "-mno-red-zone", "-Wall", "-Werror", f"-I{header}")
    subprocess.run(["gcc", *flags, "-o", program, ATTACK], check=True)
    return program.read_bytes()


@pytest.fixture
def bystander(cli: Cli) -> Iterator[None]:
    """Another container, which must not notice."""
    cli("run", "-d", "--name", "bystander", "busybox", "sleep", "1000")
    yield
    assert cli.out("exec", "bystander", "echo", "still here") == "still here"
    cli("rm", "-f", "bystander")


class Attacks:
    """Runs the program in containers of its own."""

    def __init__(self, cli: Cli, program: bytes) -> None:
        self.cli = cli
        self.program = program

    def __call__(self, *args: object) -> subprocess.CompletedProcess[bytes]:
        return self.cli(*self.command(*args), status=None, input_bytes=self.program)

    def command(self, *args: object, options: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The verb that runs the program, which comes from standard input."""
        words = " ".join(map(str, args))
        script = f"cat >/attack; chmod +x /attack; exec /attack {words}"
        return ("run", "--rm", "-i", *options, "busybox", "sh", "-c", script)

    def ask(self, seed: int, volumes: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
        """Asks the broker of shares for anything."""
        options = ("-m", f"{MEMORY >> 20}m", *volumes)
        command = self.command("shares", seed, MEMORY, REQUESTS, options=options)
        return self.cli(*command, status=None, input_bytes=self.program)

    def scribble(self, seed: int) -> subprocess.CompletedProcess[bytes]:
        """Writes at random; what then goes on for ever must be ended as any container is."""
        name = f"scribble-{seed}"
        process = self.cli.start(*self.command("scribble", seed, options=("--name", name)))
        try:
            output = process.communicate(self.program, timeout=SCRIBBLE_S)
        except subprocess.TimeoutExpired:
            self.cli("rm", "--force", name)
            output = process.communicate(timeout=5)
        return subprocess.CompletedProcess(process.args, process.returncode, *output)

    def refused(self, *args: object) -> None:
        """A host call that ends the container, and is named."""
        done = self("call", *args)
        assert done.returncode == ENDED, (args, done)
        named = re.search(rb"not listed was refused: +(\d+)\n", done.stderr)
        assert named is not None, (args, done)
        assert int(named[1]) == args[0]


@pytest.fixture
def attacks(cli: Cli, attack: bytes) -> Attacks:
    """Runs attacks."""
    return Attacks(cli, attack)


def at_once(function: Callable[[int], Result], arguments: list[int]) -> list[Result]:
    """What it returns for each of them, some at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, arguments))


@pytest.mark.timeout(300)
def test_every_host_call_that_is_not_listed_ends_the_container(
    attacks: Attacks, bystander: None
) -> None:
    # uretprobe and uprobe are another matter, see below.
    outside = sorted(set(range(LAST_CALL)) - LISTED - {GETRANDOM, 335, 336})
    assert len(outside) > 430
    at_once(attacks.refused, outside)


def test_calls_that_pass_by_every_filter_do_nothing(attacks: Attacks) -> None:
    """The host's kernel refuses them itself, by an end or an error (ENXIO, ENOSYS)."""
    for number in (335, 336):
        done = attacks("call", number)
        assert done.returncode == ENDED or done.stdout in {b"-6\n", b"-38\n"}


def test_calls_that_are_answered_do_not_happen(attacks: Attacks) -> None:
    """The kernel does without: random numbers were seeded before, no console is a terminal."""
    assert attacks("call", GETRANDOM, TEXT, 8).stdout == b"-1\n"
    tcgets = 0x5401
    assert attacks("call", NUMBERS["ioctl"], 0, tcgets).stdout == b"-25\n"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("mmap", (0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
        ("mmap", (0x2000_0000, 4096, 3, MAP_SHARED | MAP_FIXED, 3, 0)),
        ("mmap", (0x2000_0000, 4096, 3, MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS, -1, 0)),
        ("madvise", (TEXT, 4096, 4)),  # DONTNEED
        ("madvise", (GATE_SITES, 4096, 14)),  # HUGEPAGE
        ("clone", (17,)),
        ("clone", (0x1100_0611 | 0x1000_0000,)),  # CLONE_NEWUSER
        ("clone", (0x0010_0100,)),  # CLONE_VM
        ("prctl", (59, 0)),  # SYSCALL_USER_DISPATCH off
        ("prctl", (59, 1, 0, 0)),
        ("prctl", (22, 2)),  # SET_SECCOMP
        ("prctl", (4, 1)),  # SET_DUMPABLE
        ("fcntl", (0, 0, 0)),  # F_DUPFD
        ("fcntl", (0, 4, 0x4000)),  # F_SETFL, O_DIRECT
        ("fcntl", (0, 8, 7)),  # F_SETOWN, another process
        ("fcntl", (0, 10, 9)),  # F_SETSIG, SIGKILL
        ("pwrite64", (1, TEXT, 8, 0)),  # the console, which is not the layer
        ("pwrite64", (LAYER + 1, TEXT, 8, 0)),
        ("fdatasync", (LAYER - 1,)),
        ("fallocate", (LAYER - 1, 3, 0, 4096)),
        ("fallocate", (LAYER, 0, 0, 4096)),  # allocates
        ("fallocate", (LAYER, 8, 0, 4096)),  # COLLAPSE_RANGE
        ("ioctl", (0, 0x5412)),  # TIOCSTI
    ],
)
def test_arguments_that_are_not_listed_end_the_container(
    attacks: Attacks, name: str, arguments: tuple[int, ...]
) -> None:
    attacks.refused(NUMBERS[name], *arguments)


@pytest.mark.timeout(300)
def test_listed_calls_at_random_end_only_the_container(attacks: Attacks, bystander: None) -> None:
    """It attacks the host's kernel with all that the list lets through."""
    seeds = [random.randrange(1 << 32) for _ in range(8)]
    # Those that do nothing but end or wait would end each attempt early.
    tame = {"exit_group", "rt_sigreturn", "read", "wait4", "ppoll", "futex", "accept4"}
    numbers = [NUMBERS[name] for name in (*NARROWED, *WRITTEN) if name not in tame]
    endless = [*numbers, *(NUMBERS[name] for name in ("read", "futex", "ppoll"))]

    def fuzz(seed: int) -> None:
        done = attacks("fuzz", seed, *(numbers if seed % 4 else endless))
        assert done.returncode != 0, (seed, done)

    at_once(fuzz, seeds)


@pytest.mark.timeout(300)
def test_a_guest_that_writes_over_its_kernel_ends_only_itself(
    attacks: Attacks, bystander: None
) -> None:
    seeds = [random.randrange(1 << 32) for _ in range(8)]

    ended = at_once(attacks.scribble, seeds)
    # Some hit nothing that matters before they hit themselves.
    assert [done for done in ended if done.returncode == ENDED], ended


def test_the_broker_of_shares_survives_what_it_is_asked(
    attacks: Attacks, bystander: None, tmp_path: Path
) -> None:
    """The other containers' files are not in its share; those are all that it can reach."""
    volume, secret = tmp_path / "volume", tmp_path / "secret"
    for directory in (volume, secret):
        directory.mkdir()
        (directory / "f").write_text(directory.name)
    (volume / "link").symlink_to(secret)
    before = sorted(secret.iterdir()), (secret / "f").stat()

    def ask(seed: int) -> None:
        done = attacks.ask(seed, ("-v", f"{volume}:/v", "-v", f"{secret}:/ro:ro"))
        assert done.returncode in {0, ENDED}, (seed, done)
        assert b"asked" in done.stdout, (seed, done)
        assert b"broker of shares has ended" not in done.stderr, (seed, done)

    at_once(ask, [random.randrange(1 << 32) for _ in range(4)])
    assert (sorted(secret.iterdir()), (secret / "f").stat()) == before


@pytest.mark.timeout(200)
def test_a_kernel_that_makes_no_progress_is_ended(attacks: Attacks) -> None:
    """A host process that waits for ever, and is taken to be in the kernel."""
    done = attacks("wait", NUMBERS["futex"])
    assert done.returncode == ENDED
    assert b"the kernel has made no progress for a minute" in done.stderr
