"""Platforms ``um`` and ``um-strict``: User-Mode Linux in the jail.

``um`` is the in-process mode: the container kernel is mapped into each host process that stands for
a guest address space, and a system call is a jump. In ``um-strict`` user and kernel are apart
inside the container too: the container kernel traces the host processes of its guest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from drupe._linux.privileges import CAP_DAC_OVERRIDE, CAP_FOWNER
from drupe.jail import enter, plan
from drupe.jail.spawn import spawn
from drupe.platform.base import Finding, GuestMount, MachineFiles, MachineSpec

_ROOT_EXTRA_BYTES = 16 << 20
"""The jail's root beyond the guest's memory: mount points, the run-time directory, checks."""

_BOGOMIPS_LOOPS = 10_000_000
"""Loops per 10 ms jiffy: skips a calibration that costs up to 50 ms of start-up. Nothing in a
container kernel waits by counting loops."""

_BYTES_A_DENTRY = 32 << 10
"""Of memory, for each bucket of the hash table of names. Linux reckons with 8 KiB, and touches all
of the table as it boots: 768 KiB with that of inodes, for 512 MiB."""


_OWNERS = (CAP_DAC_OVERRIDE, CAP_FOWNER)
"""What passes by owners and modes of files, and reaches no further than the jail's root."""


class UserMode:
    """User mode, in-process."""

    name = "um"
    traced = False

    def probe(self) -> list[Finding]:
        """Looks at this host, and tries a jail."""
        from drupe.platform.probe import probe_user_mode

        return probe_user_mode(traced=self.traced)

    def start(self, spec: MachineSpec, files: MachineFiles, on_pid: Callable[[int], None]) -> int:
        """Starts the container kernel as process 1 of a new jail."""
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        program = os.open(spec.kernel, os.O_RDONLY | os.O_CLOEXEC)
        try:
            handed = [files.control, files.status] + ([] if files.log is None else [files.log])
            if files.streams:
                # The guest knows them by their places, of which the log's is one.
                handed += ([null] if files.log is None else []) + list(files.streams)
            arguments = self._command_line(spec, range(3, 3 + len(handed)))
            if files.layer is not None:
                arguments.append(f"ubd1f={3 + len(handed)}")
                handed.append(files.layer)
            if files.wires:
                numbered = enumerate(files.wires, 3 + len(handed))
                wires = ",".join(f"{number}:{wire.framing}" for number, wire in numbered)
                arguments.append(f"hostnet.fds={wires}")
                handed += [wire.descriptor for wire in files.wires]
            return spawn(
                self._plan(spec),
                program,
                arguments,
                {"TMPDIR": "/"},
                [null, files.console, files.console, *handed],
                on_pid,
            )
        finally:
            os.close(null)
            os.close(program)

    def image_mount(self) -> GuestMount:
        """The first um block device."""
        return GuestMount("erofs", "/dev/ubda", "")

    def layer_mount(self) -> GuestMount:
        """The second um block device; what the guest frees there goes back to the host."""
        return GuestMount("ext4", "/dev/ubdb", "discard,noinit_itable")

    def share_mount(self, index: int) -> GuestMount:
        """A share that the container kernel's broker has, by its number."""
        return GuestMount("hostshare", str(index), "")

    def describe(self, spec: MachineSpec) -> Mapping[str, object]:
        """The jail's parts."""
        return enter.describe(self._plan(spec))

    def _plan(self, spec: MachineSpec) -> plan.JailPlan:
        uid, gid, all_ids = plan.choose_ids(spec.name, directories=bool(spec.shares))
        files = [("initramfs", spec.initramfs)]
        if spec.image is not None:
            files.append(("image", spec.image))
        return plan.JailPlan(
            root_bytes=spec.memory_bytes + _ROOT_EXTRA_BYTES,
            files=tuple(files),
            shares=spec.shares,
            uid=uid,
            gid=gid,
            all_ids=all_ids,
            traced=self.traced,
            layer_bytes=spec.layer_bytes,
            capabilities=_OWNERS if spec.any_owner and all_ids else (),
        )

    def _command_line(self, spec: MachineSpec, handed: range) -> list[str]:
        arguments = [
            "drupe-kernel",
            f"inproc={int(not self.traced)}",
            f"shares={len(spec.shares)}",
            f"mem={spec.memory_bytes >> 20}M",
            "initrd=/initramfs",
            "rdinit=/init",
            "uml_dir=/run",
            f"umid={spec.name[:12]}",
            "con=null",
            "con0=fd:0,fd:1",
            f"lpj={_BOGOMIPS_LOOPS}",
            f"dhash_entries={spec.memory_bytes // _BYTES_A_DENTRY}",
            f"ihash_entries={spec.memory_bytes // _BYTES_A_DENTRY // 2}",
            "panic=-1",
            "hostchan.fds=" + ",".join(map(str, handed)),
        ]
        if spec.image is not None:
            arguments.append("ubd0r=/image")
        return arguments


class UserModeStrict(UserMode):
    """User mode, ptrace."""

    name = "um-strict"
    traced = True
