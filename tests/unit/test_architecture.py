"""The rules of the house, read from the syntax trees: who imports whom, who may do what."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("_linux",),
    ("store", "process"),
    ("kconfig", "oci"),
    ("kbuild", "registry"),
    ("jail", "limits"),
    ("platform", "image", "net", "guest"),
    ("container",),
    ("attach", "fork"),
    ("api", "aio", ""),
    ("cli", "runtime"),
)
"""Rooms from the bottom; "" is the package itself, which re-exports the public API."""

FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

RUN_NEEDS = {"drupe.kbuild.kernels", "drupe.kbuild.initramfs"}
"""What a run may use of ``kbuild``: it is quick to import, and builds nothing."""

SPAWNERS = {"drupe.process", "drupe.jail.spawn"}

LINES_MOST = 400
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}


@dataclass(frozen=True)
class Module:
    """One module: its dotted name, its text, its tree."""

    name: str
    text: str
    package: bool = False

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        return room_of(self.name)


Rule = Callable[[Module], Iterator[str]]


def room_of(name: str) -> str:
    """The room of a module; ``api_run`` and the like belong to the public API."""
    room = name.split(".")[1] if "." in name else ""
    return "api" if room.startswith("api") else room


def load() -> list[Module]:
    modules = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if package else parts)
        modules.append(Module(name, path.read_text(), package))
    return modules


MODULES = load()
NAMES = {module.name for module in MODULES}


def imports(module: Module) -> Iterator[str]:
    """Every imported module, inside functions and TYPE_CHECKING too; names as far as known."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.name.split(".")
                package = package[: len(package) + module.package - node.level]
                base = ".".join([*package, base] if base else package)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                room = base == "drupe" and alias.name in FLOOR_OF
                yield full if room or full in NAMES else base


def calls(module: Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every name that is used, called or not."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.lineno, f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def imports_run_one_way(module: Module) -> Iterator[str]:
    if module.room not in FLOOR_OF:
        yield f"room '{module.room}' has no floor: add it to FLOORS"
        return
    own = FLOOR_OF[module.room]
    for name in imports(module):
        if name.split(".")[0] != "drupe":
            continue
        room = room_of(name)
        if name == "drupe":
            if own < FLOOR_OF["api"]:
                yield f"imports {name}"
        elif room not in FLOOR_OF:
            yield f"imports {name}, whose room has no floor"
        elif room != module.room and FLOOR_OF[room] >= own and own != FLOOR_OF["api"]:
            yield f"imports {name}, which lies not below it"
        elif FLOOR_OF[room] > own:
            yield f"imports {name}, which lies above it"


def a_run_needs_little_of_kbuild(module: Module) -> Iterator[str]:
    if module.room in {"container", "image", "attach", "fork"}:
        for name in imports(module):
            if name.startswith("drupe.kbuild") and name not in RUN_NEEDS:
                yield f"imports {name}; only {sorted(RUN_NEEDS)} are for it"


def ctypes_only_in_linux(module: Module) -> Iterator[str]:
    if module.room != "_linux":
        for name in imports(module):
            if name.split(".")[0] in {"ctypes", "_ctypes", "cffi"}:
                yield f"imports {name}"


def linux_needs_only_the_standard_library(module: Module) -> Iterator[str]:
    if module.room == "_linux":
        for name in imports(module):
            if name.startswith("drupe") and not name.startswith("drupe._linux"):
                yield f"imports {name}"


_SPAWNING = re.compile(
    r"os\.(system|popen|exec\w*|spawn\w*|posix_spawnp?|fork|forkpty)"
    r"|pty\.(fork|spawn)|asyncio\.create_subprocess_\w+"
)


def only_two_modules_spawn(module: Module) -> Iterator[str]:
    if module.name in SPAWNERS:
        return
    for name in imports(module):
        if name.split(".")[0] in {"subprocess", "_posixsubprocess", "multiprocessing"}:
            yield f"imports {name}"
    for line, name in calls(module):
        if _SPAWNING.fullmatch(name):
            yield f"line {line}: {name}"


def only_the_command_line_speaks(module: Module) -> Iterator[str]:
    if module.room in {"cli", "runtime"}:
        return
    for name in imports(module):
        if name.split(".")[0] in {"argparse", "optparse", "getopt", "click"}:
            yield f"imports {name}"
    # A parameter of that name is no call of the builtin: subprocess.run's "input".
    own = {node.arg for node in ast.walk(module.tree) if isinstance(node, ast.arg)}
    for line, name in calls(module):
        speaks = {"print", "input", "exit", "quit", "sys.exit", "os.abort", "SystemExit"} - own
        if name in speaks:
            yield f"line {line}: {name}"


def says_what_it_does(module: Module) -> Iterator[str]:
    text = ast.get_docstring(module.tree, clean=False) or ""
    if not text.split("\n", 1)[0].strip():
        yield "no docstring that begins on its first line"


def is_short(module: Module) -> Iterator[str]:
    count = len(module.text.splitlines())
    if count > LINES_MOST:
        yield f"{count} lines, at most {LINES_MOST}"


def has_a_name_that_says_something(module: Module) -> Iterator[str]:
    for part in module.name.split("."):
        if VAGUE & set(part.strip("_").split("_")):
            yield f"'{part}' says nothing"


def catches_what_it_means(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            yield f"line {node.lineno}: bare except"
            continue
        kinds = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)}
        if "Exception" in kinds and module.name != "drupe.cli.main":
            yield f"line {node.lineno}: except Exception"
        last = node.body[-1]
        again = isinstance(last, ast.Raise) and last.exc is None
        if "BaseException" in kinds and not again:
            yield f"line {node.lineno}: except BaseException that does not raise it again"


def public_means_documented(module: Module) -> Iterator[str]:
    def visit(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.If | ast.Try):
                yield from visit([*node.body, *node.orelse], prefix)
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if node.name.startswith("_") or "overload" in map(ast.unparse, node.decorator_list):
                continue
            if not ast.get_docstring(node):
                yield f"line {node.lineno}: {prefix}{node.name} has no docstring"
            if isinstance(node, ast.ClassDef):
                yield from visit(node.body, f"{node.name}.")

    if not any(part.startswith("_") and part != "_linux" for part in module.name.split(".")):
        yield from visit(module.tree.body, "")


RULES: list[tuple[Rule, str, str]] = [
    (imports_run_one_way, "drupe.store.x", "from drupe.cli import main"),
    (imports_run_one_way, "drupe.store.x", "from drupe import process"),
    (imports_run_one_way, "drupe.errors", "import drupe._linux.libc"),
    (imports_run_one_way, "drupe.guest.x", "def f() -> None:\n    import drupe.container.spec"),
    (imports_run_one_way, "drupe.jail.x", "if TYPE_CHECKING:\n    import drupe.platform.base"),
    (imports_run_one_way, "drupe.image.x", "from drupe.platform import base"),
    (imports_run_one_way, "drupe.kbuild.x", "from ..jail import plan"),
    (imports_run_one_way, "drupe.container.x", "from drupe import __version__"),
    (imports_run_one_way, "drupe.newroom.x", ""),
    (a_run_needs_little_of_kbuild, "drupe.container.x", "from drupe.kbuild import build"),
    (a_run_needs_little_of_kbuild, "drupe.container.x", "import drupe.kbuild"),
    (ctypes_only_in_linux, "drupe.jail.x", "def f() -> None:\n    from ctypes import CDLL"),
    (linux_needs_only_the_standard_library, "drupe._linux.x", "import drupe.errors"),
    (only_two_modules_spawn, "drupe.image.x", "import subprocess"),
    (only_two_modules_spawn, "drupe.jail.enter", "import os\nos.execve('/x', [], {})"),
    (only_two_modules_spawn, "drupe.image.x", "import os\nrun = os.system"),
    (only_two_modules_spawn, "drupe.image.x", "from os import posix_spawn"),
    (only_two_modules_spawn, "drupe.image.x", "from os import fork as f"),
    (only_the_command_line_speaks, "drupe.image.x", "print('hello')"),
    (only_the_command_line_speaks, "drupe.image.x", "import sys\nsys.exit(1)"),
    (only_the_command_line_speaks, "drupe.image.x", "raise SystemExit"),
    (only_the_command_line_speaks, "drupe.image.x", "from sys import exit as leave"),
    (only_the_command_line_speaks, "drupe.image.x", "from argparse import ArgumentParser"),
    (says_what_it_does, "drupe.image.x", "import os"),
    (says_what_it_does, "drupe.image.x", '"""\nLate.\n"""'),
    (is_short, "drupe.image.x", "\n" * (LINES_MOST + 1)),
    (has_a_name_that_says_something, "drupe.image.utils", ""),
    (has_a_name_that_says_something, "drupe.image.json_helpers", ""),
    (has_a_name_that_says_something, "drupe.common", ""),
    (catches_what_it_means, "drupe.image.x", "try:\n    f()\nexcept:\n    raise"),
    (catches_what_it_means, "drupe.image.x", "try:\n    f()\nexcept Exception:\n    raise"),
    (
        catches_what_it_means,
        "drupe.image.x",
        "try:\n    f()\nexcept (OSError, Exception):\n    g()",
    ),
    (catches_what_it_means, "drupe.cli.main", "try:\n    f()\nexcept BaseException:\n    g()"),
    (public_means_documented, "drupe.image.x", "def f() -> None:\n    g()"),
    (public_means_documented, "drupe.image.x", "class C:\n    x = 1"),
    (public_means_documented, "drupe.image.x", "class C:\n    'Doc.'\n    def f(self): ..."),
    (public_means_documented, "drupe._linux.x", "async def f() -> None: ..."),
]
"""(rule, name of a module, a text that breaks the rule there)."""

EACH = list(dict.fromkeys(rule for rule, _, _ in RULES))

ALLOWED: list[tuple[Rule, str, str]] = [
    (imports_run_one_way, "drupe.cli.x", "from drupe import __version__, process"),
    (imports_run_one_way, "drupe.container.x", "from drupe.container.spec import Volume"),
    (imports_run_one_way, "drupe.kbuild.x", "from drupe.kconfig import tree\nimport os"),
    (a_run_needs_little_of_kbuild, "drupe.container.x", "from drupe.kbuild import kernels"),
    (a_run_needs_little_of_kbuild, "drupe.cli.kernel", "from drupe.kbuild import build"),
    (catches_what_it_means, "drupe.x", "try:\n    f()\nexcept BaseException:\n    g()\n    raise"),
    (only_the_command_line_speaks, "drupe.runtime.x", "print('hello')"),
    (public_means_documented, "drupe.image.x", "def _f() -> None: ..."),
    (public_means_documented, "drupe.image.x", "@overload\ndef f() -> None: ..."),
]


@pytest.mark.parametrize("rule", EACH, ids=lambda rule: rule.__name__)
def test_all_modules_keep(rule: Rule) -> None:
    broken = [f"{module.name}: {text}" for module in MODULES for text in rule(module)]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("rule", "name", "text"), RULES, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_violation_is_caught(rule: Rule, name: str, text: str) -> None:
    assert list(rule(Module(name, text)))


@pytest.mark.parametrize(
    ("rule", "name", "text"), ALLOWED, ids=lambda value: getattr(value, "__name__", None)
)
def test_what_is_right_passes(rule: Rule, name: str, text: str) -> None:
    assert not list(rule(Module(name, text)))


def test_all_modules_are_read() -> None:
    assert {"drupe", "drupe.errors", "drupe.cli.main", "drupe.jail.spawn"} <= NAMES
    assert any("drupe.errors" in imports(module) for module in MODULES)


# Texts of every kind: nothing of the machine that they were written on.

_PLACES = [re.compile(rf"(?<![\w.)}}-])/{part}/") for part in ("work", "tmp/w")]
_HOSTS = [
    re.compile(rf"\b{re.escape(f'{name}.{domain}')}\b")
    for domain, names in {
        "debian.org": ("deb", "security", "ftp", "snapshot"),
        "ubuntu.com": ("archive", "security"),
        "docker.io": ("registry-1", "auth", "index"),
        "pythonhosted.org": ("files",),
        "npmjs.org": ("registry",),
        "golang.org": ("proxy",),
        "crates.io": ("static", "index"),
        "kernel.org": ("cdn", "mirrors"),
    }.items()
    for name in names
] + [re.compile(r"\bpypi" + r"\.org\b")]


_FOREIGN = "deb debian org,registry-1 docker io,pypi org,files pythonhosted org"


def foreign(text: str) -> Iterator[str]:
    for pattern in (*_PLACES, *_HOSTS):
        for match in pattern.finditer(text):
            yield f"line {text.count(chr(10), 0, match.start()) + 1}: {match[0]}"


def texts() -> Iterator[Path]:
    for entry in sorted(ROOT.iterdir()):
        if entry.name.startswith(".") and entry.name not in {".ci", ".gitignore"}:
            continue
        for path in sorted(entry.rglob("*")) if entry.is_dir() else [entry]:
            if path.is_file() and "__pycache__" not in path.parts and "results" not in path.parts:
                yield path


def test_no_text_names_the_machine_it_was_written_on() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in texts()
        for found in foreign(path.read_text(errors="replace"))
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    "text",
    [
        *(f"cd {place}".replace("|", "/") for place in ("|work|main", "'|tmp|w|x'")),
        *(f"https://{host}/".replace(" ", ".") for host in _FOREIGN.split(",")),
    ],
)
def test_a_foreign_name_is_caught(text: str) -> None:
    assert list(foreign(text))


@pytest.mark.parametrize(
    "text", ["network/working/x", "/workdir", "docker.io/library/busybox", "/tmp/workspace"]
)
def test_an_innocent_name_passes(text: str) -> None:
    assert not list(foreign(text))
