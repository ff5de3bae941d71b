"""A shell that runs on one side for the whole benchmark, and is given script after script."""

from __future__ import annotations

import time

from bench.compare import WrongError
from bench.conversation import Conversation

ARGS = ("/bin/sh", "-c", "echo ready; exec /bin/sh")
_END = "@end "
_SHOWN = 400


def wait_for(conversation: Conversation) -> None:
    """Waits for the shell, and takes it to where writing is allowed.

    Raises:
        WrongError: it says something else.
        BrokenError: it has ended.
    """
    line = conversation.line()
    if line != "ready":
        raise WrongError(f"not a shell that is ready: '{line}'")
    conversation.say("cd /tmp; export HOME=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C\n")


def run(conversation: Conversation, script: str) -> tuple[float, str]:
    """Runs a script that stops at the first failure; returns its seconds and its output.

    The time is this host's, from the script's start to the end of its output.

    Raises:
        WrongError: it failed; with the end of its output.
        BrokenError: the shell has ended.
    """
    begin = time.monotonic()
    conversation.say(f'(set -e\n{script}\n) </dev/null 2>&1; echo "{_END}$?"\n')
    lines = []
    while not (line := conversation.line()).startswith(_END):
        lines.append(line)
    seconds = time.monotonic() - begin
    output = "\n".join(lines)
    status = line.removeprefix(_END)
    if status != "0":
        raise WrongError(f"status {status}: {output[-_SHOWN:]}")
    return seconds, output
