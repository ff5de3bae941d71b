"""What a network's tables take: a program that fills some, goes to the background, and tells."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "netpolicy"
PAGE = 4096
MIB = 1 << 20

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned char zeros[4 << 20], same[4 << 20], own[64 << 10];
static volatile unsigned char untouched[4 << 20];

static unsigned long sum(void)
{
	unsigned long n = 0;

	for (size_t i = 0; i < sizeof(zeros); i++)
		n += (unsigned long)(i + 1) * (zeros[i] + same[i] + 3 * own[i % sizeof(own)]);
	return n;
}

static void tell(const char *name)
{
	char line[128];
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	unsigned long kib = 0;

	while (fgets(line, sizeof(line), file))
		sscanf(line, "Anonymous: %lu", &kib);
	printf("\"%s\": %lu, ", name, kib << 10);
	fclose(file);
}

int main(int argc, char **argv)
{
	int status = 0;
	unsigned long before, after;

	memset(zeros, 0, sizeof(zeros));
	memset(same, 0xff, sizeof(same));
	for (size_t i = 0; i < sizeof(own); i += 1 + i % 7)
		own[i] = atoi(argv[1]) + i;
	for (size_t i = 0; i < 64; i++)		/* as headers between buffers */
		zeros[i << 16] = 7;
	before = sum();
	setvbuf(stdout, NULL, _IONBF, 0);
	if (!fork()) {
		tell("anonymous");
		after = sum();
		memset(same + 100, 9, 100000);
		printf("\"kept\": %d, ", before == after && same[99] == 0xff && same[100] == 9);
		printf("\"untouched\": %d", untouched[argc] + untouched[sizeof(untouched) - 1]);
		_exit(0);
	}
	wait(&status);
	return status;
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("netpolicy")
    subprocess.run(["make", "-s", "-C", str(SOURCE), f"O={out}"], check=True)
    (out / "tables.c").write_text(PROGRAM)
    subprocess.run(["cc", "-O1", "-o", out / "tables", out / "tables.c"], check=True)
    return out


def run(built: Path, tables: Path | None, seed: int = 1) -> dict[str, Any]:
    env = {
        **os.environ,
        "LD_PRELOAD": str(built / "netpolicy.so"),
        "DRUPE_NET_POLICY": "",
    }
    descriptors = []
    if tables is not None:
        descriptors = [os.open(tables, os.O_RDWR | os.O_CREAT)]
        env["DRUPE_NET_TABLES"] = str(descriptors[0])
    done = subprocess.run(
        [built / "tables", str(seed)],
        env=env,
        pass_fds=descriptors,
        capture_output=True,
        text=True,
        check=True,
    )
    for descriptor in descriptors:
        os.close(descriptor)
    told: dict[str, Any] = json.loads("{" + done.stdout + "}")
    return told


def test_pages_of_zeros_are_given_back(built: Path) -> None:
    told = run(built, None)
    assert told["kept"]
    assert told["untouched"] == 0
    assert 4 * MIB < told["anonymous"] < 5 * MIB


def test_pages_that_are_alike_are_shared(built: Path, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    for seed in (1, 1, 2):
        told = run(built, tables, seed)
        assert told["kept"], seed
        assert told["anonymous"] < MIB, seed
    pages, rest = divmod(tables.stat().st_size, PAGE + 1)
    assert rest == 0
    assert pages * PAGE > 12 * MIB
    assert tables.stat().st_blocks * 512 < 6 * MIB


@pytest.mark.parametrize("content", ["one byte", "other tables", "zeros"])
def test_a_file_that_is_not_right_is_of_no_harm(built: Path, tmp_path: Path, content: str) -> None:
    tables = tmp_path / "tables"
    run(built, tables)
    size = tables.stat().st_size
    if content == "one byte":
        tables.write_bytes(b"x")
    elif content == "zeros":
        tables.write_bytes(bytes(size))
    else:
        tables.write_bytes(b"\xff" * size)
    told = run(built, tables)
    assert told["kept"]
    assert told["untouched"] == 0
