"""Turns the jail's list into a classic BPF program. Source: seccomp(2), linux/bpf_common.h."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from drupe.jail.policy import REFUSED, Argument, Rule

_LD_ABS = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JEQ = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JGE = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_RET = 0x06  # BPF_RET | BPF_K

_ALLOW = 0x7FFF_0000
KILL_PROCESS = 0x8000_0000
"""SECCOMP_RET_KILL_PROCESS: the process ends."""
TRAP = 0x0003_0000
"""SECCOMP_RET_TRAP: the call is not carried out; SIGSYS tells the program which one it was."""
_ERRNO_ENOSYS = 0x0005_0000 | 38

_AUDIT_ARCH_X86_64 = 0xC000_003E
_X32_BIT = 0x4000_0000
_OFFSET_NUMBER = 0
_OFFSET_ARCH = 4
_OFFSET_ARGUMENTS = 16

Instruction = tuple[int, int, int, int]
"""(code, jump if true, jump if false, constant)."""


def assemble(rules: Iterable[Rule], *, otherwise: int = KILL_PROCESS) -> bytes:
    """The filter for a list of rules; any other ABI kills the process.

    Args:
        rules: what is let through.
        otherwise: what happens to calls that are not: ``KILL_PROCESS`` or ``TRAP``.
    """
    program: list[Instruction] = [
        (_LD_ABS, 0, 0, _OFFSET_ARCH),
        (_JEQ, 1, 0, _AUDIT_ARCH_X86_64),
        (_RET, 0, 0, KILL_PROCESS),
        (_LD_ABS, 0, 0, _OFFSET_NUMBER),
        (_JGE, 0, 1, _X32_BIT),
        (_RET, 0, 0, KILL_PROCESS),
    ]
    for rule in rules:
        program += _rule(rule, otherwise)
    program.append((_RET, 0, 0, otherwise))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _rule(rule: Rule, otherwise: int) -> list[Instruction]:
    """Falls through to the next rule where the number differs."""
    if rule.name in REFUSED:
        body: list[Instruction] = [(_RET, 0, 0, _ERRNO_ENOSYS)]
    elif not rule.alternatives:
        body = [(_RET, 0, 0, _ALLOW)]
    else:
        body = []
        for conditions in rule.alternatives:
            body += _alternative(conditions)
        body.append((_RET, 0, 0, otherwise))
    return [(_JEQ, 0, len(body), rule.number), *body]


def _alternative(conditions: tuple[Argument, ...]) -> list[Instruction]:
    """Allows if all conditions hold, else falls through to the next alternative."""
    code: list[Instruction] = [(_RET, 0, 0, _ALLOW)]
    for condition in reversed(conditions):
        offset = _OFFSET_ARGUMENTS + 8 * condition.position
        for half in (1, 0):
            mask = (condition.mask >> (32 * half)) & 0xFFFF_FFFF
            value = (condition.value >> (32 * half)) & 0xFFFF_FFFF
            if mask == 0:
                continue
            test: list[Instruction] = [(_LD_ABS, 0, 0, offset + 4 * half)]
            if mask != 0xFFFF_FFFF:
                test.append((_AND, 0, 0, mask))
            code = [*test, (_JEQ, 0, len(code), value), *code]
    return code
