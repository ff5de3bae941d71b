"""The one exception tree: every error that drupe raises on purpose.

Families tell who can mend it. Messages read ``failed to <verb> '<object>': <cause>``; the hint
says the way out.
"""

from __future__ import annotations

from collections.abc import Sequence


class DrupeError(Exception):
    """Root of all of drupe's errors: a message, and a hint that names the way out."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class SpecError(DrupeError):
    """The input is wrong: an option, a file, a name, a value."""


class StateError(DrupeError):
    """The request does not fit the state that the object is in."""


class NotFoundError(DrupeError):
    """No such container, image, kernel or profile."""


class HostError(DrupeError):
    """The host lacks a feature or a right, or refused an operation."""


class KernelConfigError(DrupeError):
    """A kernel configuration cannot be met: a symbol vanished or conflicts."""


class PatchError(DrupeError):
    """A patch of the kernel overlay does not apply."""


class KernelBuildError(DrupeError):
    """The container kernel, or the guest's init, failed to build.

    Attributes:
        log: path of the full log, if one was written.
    """

    def __init__(self, message: str, *, log: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.log = log


class BootError(DrupeError):
    """The container kernel did not come up, or ended without saying why.

    Attributes:
        console: the last lines of its console.
    """

    def __init__(self, message: str, *, console: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.console = console


class GuestError(DrupeError):
    """The guest refused a request, or broke the protocol.

    Attributes:
        number: Linux errno that the guest gave, or 0.
        stage: where in the guest it came about (``drupe.guest.protocol.Stage``), or 0.
    """

    def __init__(
        self, message: str, *, number: int = 0, stage: int = 0, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.number = number
        self.stage = stage


class CommandError(DrupeError):
    """A program that drupe ran failed.

    Attributes:
        argv: what was run.
        status: exit status; negative: the signal that ended it.
        stderr: the end of what it wrote to standard error.
    """

    def __init__(
        self, argv: Sequence[str], status: int, stderr: str = "", *, hint: str | None = None
    ) -> None:
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        tail = stderr.strip().splitlines()[-1:] or [""]
        super().__init__(
            f"failed to run '{argv[0]}': {how}{': ' + tail[0] if tail[0] else ''}", hint=hint
        )
        self.argv = list(argv)
        self.status = status
        self.stderr = stderr


class ExitStatusError(DrupeError):
    """A command in a container ended with a status other than 0.

    Attributes:
        command: the program and its arguments.
        exit_status: as a shell counts it: 128 + N for signal N.
        stdout: what it wrote to standard output, unless that went elsewhere.
        stderr: the same of standard error.
    """

    def __init__(
        self, command: Sequence[str], exit_status: int, stdout: bytes = b"", stderr: bytes = b""
    ) -> None:
        lines = stderr.decode(errors="replace").strip().splitlines()
        last = "".join(c for c in lines[-1] if c.isprintable()) if lines else ""
        what = f"'{command[0]}'" if command else "the image's command"
        super().__init__(
            f"failed to run {what} in a container: exit status {exit_status}"
            f"{': ' + last if last else ''}"
        )
        self.command = tuple(command)
        self.exit_status = exit_status
        self.stdout = stdout
        self.stderr = stderr


class TimedOutError(DrupeError, TimeoutError):
    """Something in a container did not end in the time that it was given.

    Attributes:
        timeout_s: that time.
        stdout: what a command had written to standard output by then.
        stderr: the same of standard error.
    """

    def __init__(
        self, message: str, timeout_s: float, stdout: bytes = b"", stderr: bytes = b""
    ) -> None:
        super().__init__(message)
        self.timeout_s = timeout_s
        self.stdout = stdout
        self.stderr = stderr
