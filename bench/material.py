"""What the applications work on, made the same everywhere, with what must come out of it."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.roots import put

INSERT_TRANSACTIONS = 500
INSERT_ROWS = 50
SELECTS = 9000
_SELECT_ROWS = 50_000
_TEXT_LINES = 500_000
_PAGE_BYTES = 4096
_MODULES = 20
_STEPS = 12
_WORD = 0xFFFFFFFF

_STEP = """
uint32_t step_{module}_{step}(uint32_t value)
{{
	uint32_t table[16];

	for (uint32_t i = 0; i < 16; i++)
		table[i] = value * {factor}u + i * {addend}u;
	for (uint32_t i = 0; i < 16; i++)
		value = (value << 5 | value >> 27) ^ table[(value + i) % 16];
	return value;
}}
"""
_MAIN = """\
#include "steps.h"

int main(void)
{{
	uint32_t value = 1;

{calls}	printf("%u\\n", value);
	return 0;
}}
"""
_MAKEFILE = """\
MODULES := $(patsubst %,module%.o,$(shell seq 0 {last}))
program: main.o $(MODULES)
	gcc -o $@ $^
%.o: $(SOURCES)/%.c $(SOURCES)/steps.h
	gcc -O2 -Wall -c -o $@ $<
"""


@dataclass(frozen=True)
class Step:
    """One generated function: its place, its numbers."""

    module: int
    step: int
    factor: int
    addend: int

    def source(self) -> str:
        """The function in C."""
        return _STEP.format(**vars(self))

    def apply(self, value: int) -> int:
        """What the function returns."""
        table = [value * self.factor + index * self.addend & _WORD for index in range(16)]
        for index in range(16):
            value = (value << 5 | value >> 27) & _WORD ^ table[(value + index) % 16]
        return value


def write_material(root: Path) -> None:
    """Writes everything to ``/bench`` of a tree."""
    put(root, "www/page", _scattered_text(_PAGE_BYTES // 32).encode()[:_PAGE_BYTES])
    put(root, "text", _scattered_text(_TEXT_LINES).encode())
    for name, text in {**_project(), **_inserts(), **_selects()}.items():
        put(root, name, text.encode())
    put(root, "select.db", _database())


def scattered(index: int) -> int:
    """A number that looks random: the 32 low bits of a product (Knuth's multiplicative hash)."""
    return index * 2654435761 & _WORD


def steps() -> list[Step]:
    """The functions of the project that is compiled."""
    numbers = [(module, step) for module in range(_MODULES) for step in range(_STEPS)]
    return [
        Step(module, step, scattered(2 * index + 1) | 1, scattered(2 * index + 2))
        for index, (module, step) in enumerate(numbers)
    ]


def _project() -> dict[str, str]:
    """The sources of a program, and what it must print."""
    every = steps()
    headers = "#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
    names = [f"step_{step.module}_{step.step}" for step in every]
    declarations = "".join(f"uint32_t {name}(uint32_t value);\n" for name in names)
    calls = "".join(f"\tvalue = {name}(value);\n" for name in names)
    files = {
        "project/steps.h": f"{headers}\n{declarations}",
        "project/main.c": _MAIN.format(calls=calls),
        "project/Makefile": _MAKEFILE.format(last=_MODULES - 1),
    }
    for module in range(_MODULES):
        source = "".join(step.source() for step in every if step.module == module)
        files[f"project/module{module}.c"] = f'#include "steps.h"\n{source}'
    value = 1
    for step in every:
        value = step.apply(value)
    return {**files, "project.expected": f"{value}\n"}


def _scattered_text(lines: int) -> str:
    return "".join(f"{index} {scattered(index):08x} is what comes out\n" for index in range(lines))


def _inserts() -> dict[str, str]:
    """Statements that fill a database and ask what is in it; the answer."""
    rows = [(index, scattered(index)) for index in range(INSERT_TRANSACTIONS * INSERT_ROWS)]
    script = ["CREATE TABLE entry (id INTEGER PRIMARY KEY, name TEXT, size INTEGER);"]
    script.append("CREATE INDEX entry_size ON entry (size);")
    for first in range(0, len(rows), INSERT_ROWS):
        script.append("BEGIN;")
        script += [
            f"INSERT INTO entry VALUES ({index}, 'name {size:x}', {size});"
            for index, size in rows[first : first + INSERT_ROWS]
        ]
        script.append("COMMIT;")
    script.append("SELECT count(*), sum(size), sum(length(name)) FROM entry;")
    letters = sum(len(f"name {size:x}") for _, size in rows)
    answer = f"{len(rows)}|{sum(size for _, size in rows)}|{letters}"
    return {"insert.sql": "\n".join(script) + "\n", "insert.expected": f"{answer}\n"}


def _filled() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, kind INTEGER, size INTEGER)")
    database.execute("CREATE INDEX entry_kind ON entry (kind)")
    database.executemany(
        "INSERT INTO entry VALUES (?, ?, ?)",
        ((index, index % 500, scattered(index)) for index in range(_SELECT_ROWS)),
    )
    database.commit()
    return database


def _database() -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".db") as file:
        disk = sqlite3.connect(file.name)
        _filled().backup(disk)
        disk.close()
        return Path(file.name).read_bytes()


def _queries() -> Iterator[str]:
    """By key, by index, and by reading a range: most of them small, as applications' are."""
    for index in range(SELECTS):
        row = scattered(index) % _SELECT_ROWS
        if index % 10 == 9:
            yield f"SELECT count(*), sum(size) FROM entry WHERE id BETWEEN {row} AND {row + 1000}"
        elif index % 2:
            yield f"SELECT max(size), count(*) FROM entry WHERE kind = {row % 500}"
        else:
            yield f"SELECT kind, size FROM entry WHERE id = {row}"


def _selects() -> dict[str, str]:
    """Queries, and their answers as the sqlite3 shell prints them."""
    database = _filled()
    queries = list(_queries())
    answers = ["|".join(map(str, row)) for query in queries for row in database.execute(query)]
    return {
        "select.sql": "".join(f"{query};\n" for query in queries),
        "select.expected": "".join(f"{answer}\n" for answer in answers),
    }
