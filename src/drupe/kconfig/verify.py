"""The check that a kernel's ``.config`` honours every requested symbol, and why it does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from drupe.errors import KernelConfigError
from drupe.kconfig.expression import unmet
from drupe.kconfig.fragment import Option
from drupe.kconfig.tree import Definition, KconfigTree, read_kconfig

_SET = re.compile(r"CONFIG_(\w+)=(.*)")
_HEADER_ARCH = {"um": "x86"}


def parse_dotconfig(text: str) -> dict[str, str]:
    """The symbols that a ``.config`` sets; one that is absent or "not set" is left out."""
    found = {}
    for line in text.splitlines():
        if match := _SET.fullmatch(line.rstrip()):
            found[match[1]] = match[2]
    return found


def verify(
    requested: Mapping[str, Option],
    config: Mapping[str, str],
    tree: Path,
    *,
    srcarch: str,
) -> None:
    """Checks that every requested symbol has the requested value.

    Args:
        requested: what the fragments ask for.
        config: what kconfig made of it (``parse_dotconfig``).
        tree: the kernel tree; its Kconfig files are read only when something is amiss.
        srcarch: ``um`` or ``x86``.

    Raises:
        KernelConfigError: names every symbol that differs, with the dependency that is missing.
    """
    wrong = [
        option
        for option in requested.values()
        if not _same(option.value, config.get(option.name, "n"))
    ]
    if not wrong:
        return
    variables = {"SRCARCH": srcarch, "HEADER_ARCH": _HEADER_ARCH.get(srcarch, srcarch)}
    kconfig = read_kconfig(tree, variables)
    reasons = [_explain(option, config, kconfig) for option in wrong]
    names = ", ".join(f"CONFIG_{option.name}" for option in wrong[:3])
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    raise KernelConfigError(
        f"failed to configure '{names}{more}': " + "; ".join(reasons),
        hint="add what is missing to a fragment, or drop the line that asks for it",
    )


def _same(wanted: str, found: str) -> bool:
    if wanted == found:
        return True
    try:
        return int(wanted, 0) == int(found, 0)
    except ValueError:
        return False


def _explain(option: Option, config: Mapping[str, str], kconfig: KconfigTree) -> str:
    found = config.get(option.name, "n")
    head = f"CONFIG_{option.name}={option.value} ({option.origin})"
    definitions = kconfig.definitions.get(option.name)
    if not definitions:
        return f"{head}: no Kconfig file of this kernel defines it"
    if option.value == "n" or (found not in ("n", "") and option.value != "y"):
        selectors = [
            name
            for name, condition in kconfig.selectors.get(option.name, [])
            if config.get(name) in ("y", "m") and not (condition and unmet(condition, config))
        ]
        if selectors and option.value == "n":
            return f"{head} became {found}: selected by {', '.join(selectors)}"
        if option.value != "n":
            return f"{head} became {found}: out of range, or overruled by a default"
    needs = _least(definitions, lambda d: _unmet_all(d.depends, config))
    if needs:
        return f"{head} vanished: needs {', '.join(needs)}"
    with_prompt = [definition for definition in definitions if definition.prompt]
    if not with_prompt:
        names = [name for name, _ in kconfig.selectors.get(option.name, [])]
        by = f"selected by {', '.join(names[:5])}" if names else "set by its default"
        return f"{head} became {found}: it has no prompt, it is {by}"
    hidden = _least(with_prompt, lambda d: _unmet_all(d.prompt_if, config))
    if hidden:
        return f"{head} became {found}: its prompt needs {', '.join(hidden)}"
    return f"{head} became {found}: a choice, or a default at {with_prompt[0].origin}"


def _least(definitions: list[Definition], measure: Callable[[Definition], list[str]]) -> list[str]:
    """The shortest list of unmet symbols among several definitions: the nearest way out."""
    return min((measure(definition) for definition in definitions), key=len)


def _unmet_all(expressions: list[str], config: Mapping[str, str]) -> list[str]:
    found: dict[str, None] = {}
    for expression in expressions:
        found.update(dict.fromkeys(unmet(expression, config)))
    return list(found)
