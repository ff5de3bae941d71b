"""An interactive shell under a PTY, driven as a person would."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.integration.conftest import Cli

PROMPT = re.compile(rb"[^\n]*[#$] $")


class Terminal:
    """A shell in a container, behind a terminal of 24 rows and 80 columns."""

    def __init__(self, cli: Cli, *args: str) -> None:
        command, *rest = cli.argv(*args)
        self.seen = io.BytesIO()
        env = {**cli.env, "TERM": "xterm"}
        self.child = pexpect.spawn(
            command, rest, env=env, timeout=20, dimensions=(24, 80), logfile=self.seen
        )

    def say(self, line: str, answer: str) -> None:
        self.child.sendline(line)
        self.child.expect(answer)

    def end(self) -> int:
        self.child.expect(pexpect.EOF)
        self.child.close()
        return int(self.child.exitstatus)


@pytest.fixture
def shell(cli: Cli) -> Iterator[Terminal]:
    terminal = Terminal(cli, "run", "--rm", "-it", "busybox", "sh")
    terminal.child.expect("# ")
    yield terminal
    terminal.child.close(force=True)


def test_it_is_a_terminal_of_the_right_size(shell: Terminal) -> None:
    shell.say("tty; stty size; echo $TERM", "/dev/pts/0\r\n24 80\r\nxterm\r\n")
    shell.child.setwinsize(50, 132)
    shell.say("sleep 0.3; stty size", "50 132\r\n")
    shell.say("exit 7", "exit|$")
    assert shell.end() == 7


def test_ctrl_c_interrupts(shell: Terminal) -> None:
    shell.child.sendline("sh -c 'echo $((1 + 1)) asleep; exec sleep 100'")
    shell.child.expect("2 asleep\r\n")
    shell.child.sendintr()
    shell.child.expect("# ")
    shell.say("exit", "$")
    assert shell.end() == 130


def test_ctrl_z_stops_and_fg_goes_on(shell: Terminal) -> None:
    shell.child.sendline("sh -c 'sleep 1; echo woke up'")
    shell.child.expect("woke up'\r\n")
    shell.child.send("\x1a")
    shell.child.expect("Stopped")
    shell.child.expect("# ")
    shell.say("jobs", "Stopped")
    shell.say("fg", "woke up\r\n")
    shell.child.expect("# ")
    shell.say("exit 0", "$")
    assert shell.end() == 0


def test_killed_from_inside(shell: Terminal) -> None:
    shell.child.sendline("kill -9 $$")
    assert shell.end() == 137


def test_ctrl_d_ends_the_shell(shell: Terminal) -> None:
    shell.say("true", "# ")
    shell.child.sendeof()
    assert shell.end() == 0


def test_detach_and_exec(cli: Cli) -> None:
    terminal = Terminal(cli, "run", "-it", "--name", "d", "busybox", "sh")
    terminal.child.expect("# ")
    terminal.say("echo $((40 + 2)) >/answer", "# ")
    terminal.child.send("\x10\x11")  # ctrl-p ctrl-q
    assert terminal.end() == 0
    assert "Up" in cli.out("ps")
    inner = Terminal(cli, "exec", "-it", "d", "sh")
    inner.child.expect("# ")
    inner.say("cat /answer; tty", "42\r\n/dev/pts/1\r\n")
    inner.child.expect("# ")
    inner.say("exit 5", "$")
    assert inner.end() == 5
    cli("rm", "-f", "d")


def test_the_callers_terminal_is_put_right_again(cli: Cli, tmp_path: Path) -> None:
    command = " ".join(f"'{arg}'" for arg in cli.argv("run", "--rm", "-it", "busybox", "true"))
    before = tmp_path / "before"
    script = f"stty -a >{before}; {command}; stty -a | cmp - {before} && echo same"
    child = pexpect.spawn("/bin/sh", ["-c", script], env=cli.env, timeout=20)
    child.expect("same")
    child.close()


def test_a_terminal_that_is_closed(cli: Cli, tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    command = shlex.join(cli.argv("run", "--rm", "-it", "busybox", "sh"))
    child = pexpect.spawn("sh", ["-c", f"exec {command} 2>{errors}"], env=cli.env, timeout=20)
    child.expect("# ")
    child.close(force=False)
    assert errors.read_text() == ""
    assert cli.out("ps", "-aq") == ""


def test_it_needs_a_terminal(cli: Cli) -> None:
    refused = cli("run", "--rm", "-it", "busybox", "true", status=125)
    assert b"failed to use -it: standard input is not a terminal" in refused.stderr


def test_a_shell_is_taken_up_again(cli: Cli) -> None:
    cli("run", "-dit", "--name", "again", "busybox", "sh")
    for word in ("first", "second"):
        terminal = Terminal(cli, "reattach", "again")
        terminal.say(f"echo $word {word}; word={word}; stty size", "24 80\r\n")
        terminal.child.send("\x10\x11")
        assert terminal.end() == 0
    assert "first second" in cli.out("logs", "again")
    terminal = Terminal(cli, "reattach", "again")
    terminal.say("exit 5", "exit")
    assert terminal.end() == 5
    cli("rm", "again")


def test_input_stays_open_for_a_later_caller(cli: Cli) -> None:
    cli("run", "-di", "--name", "open", "busybox", "sh", "-c", "read x; echo got $x; exit 4")
    done = cli("reattach", "open", input_bytes=b"word\n", status=4)
    assert done.stdout == b"got word\n"
    refused = cli("reattach", "open", status=125)
    assert b"it is exited, not running" in refused.stderr
    cli("rm", "open")
