"""What could come next on a command line: the answer to the scripts of ``drupe completion``.

All is read from the parsers of the verbs. What a value is follows from how it is named there
(``metavar``, else the name itself): CONTAINER, IMAGE, NETWORK, VOLUME, PROFILE, FILE, DIR.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import NamedTuple

from drupe.cli.aliases import ALIASES, shortened
from drupe.cli.parser import Parser, make_parser

FILES = ":files"
"""A line of the answer: names of files are possible, too."""

_BREAKS = "=:"
"""Where bash begins a new word within a word."""


class Candidate(NamedTuple):
    """A word that could come next, and what is said of it."""

    word: str
    about: str = ""


def answer(shell: str, arguments: Sequence[str], verbs: Mapping[str, str]) -> list[str]:
    """The lines for a shell: each a word, a tab, and what it is; or ``FILES``.

    ``arguments``: for bash the line and the cursor's place in it, for others the words of the
    command line, the one to be completed last.
    """
    words = _bash_words(*arguments) if shell == "bash" else list(arguments)
    if not words:
        return []
    found = candidates(words[1:], verbs)
    fitting = [c for c in found if c.word.startswith(words[-1]) and c.word != FILES]
    if shell == "bash":
        cut = max(words[-1].rfind(character) for character in _BREAKS) + 1
        lines = [c.word[cut:] for c in fitting]
    else:
        lines = [f"{c.word}\t{c.about}" for c in fitting]
    return list(dict.fromkeys(lines)) + [FILES] * any(c.word == FILES for c in found)


def candidates(words: Sequence[str], verbs: Mapping[str, str]) -> list[Candidate]:
    """All that could stand in the place of the last word; ``words`` begin behind "drupe"."""
    if words[0] == "--debug" and len(words) > 1:
        words = words[1:]
    words = shortened(words)
    if len(words) < 2:
        return [Candidate(*item) for item in verbs.items()] + [Candidate("--help")]
    verb = words[0]
    if verb not in verbs:
        return []
    parser: Parser = make_parser(verb, verbs[verb], import_module(f"drupe.cli.{verb}"))
    found = _in_verb(parser, list(words[1:-1]), words[-1])
    if len(words) == 2:
        found += [Candidate(name, verbs[meant]) for name, meant in ALIASES.get(verb, {}).items()]
    return found


def _in_verb(parser: Parser, before: list[str], word: str) -> list[Candidate]:
    positionals = [a for a in parser.declared if not a.option_strings]
    place, options_over = 0, False
    while before:
        given = before.pop(0)
        action = _at(positionals, place)
        if options_over or not given.startswith("-") or given == "-":
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 (no other name)
                sub = (action.choices or {}).get(given)
                return _in_verb(sub, before, word) if isinstance(sub, Parser) else []
            options_over = options_over or _takes_the_rest(positionals, place)
            place += 1
        elif given == "--":
            options_over = True
        else:
            option = _option(parser, given)
            if option is not None and option.nargs != 0 and "=" not in given:
                if not before:
                    return _values(option)
                before.pop(0)
    if word.startswith("--") and "=" in word and not options_over:
        name = word.partition("=")[0]
        option = _option(parser, name)
        values = [] if option is None else _values(option)
        return [v if v.word == FILES else Candidate(f"{name}={v.word}", v.about) for v in values]
    if word.startswith("-") and not options_over:
        return [
            Candidate(name, _about(action))
            for action in parser.declared
            for name in action.option_strings
            if action.help != argparse.SUPPRESS or name == "--help"
        ]
    action = _at(positionals, place)
    return [] if action is None else _values(action, place=place)


def _at(positionals: Sequence[argparse.Action], place: int) -> argparse.Action | None:
    """The positional argument of a word; the last one that may repeat takes the rest."""
    if place < len(positionals):
        return positionals[place]
    last = positionals[-1] if positionals else None
    return last if last is not None and last.nargs in {"*", "+", argparse.REMAINDER} else None


def _takes_the_rest(positionals: Sequence[argparse.Action], place: int) -> bool:
    """Whether what follows a word is the guest's affair: its options are not drupe's."""
    here, after = _at(positionals, place), _at(positionals, place + 1)
    return any(a is not None and a.nargs == argparse.REMAINDER for a in (here, after))


def _option(parser: Parser, given: str) -> argparse.Action | None:
    name = given.partition("=")[0]
    if not name.startswith("--"):
        name = name[:1] + name[-1:]  # of -it, the last one may take a value
    return next((a for a in parser.declared if name in a.option_strings), None)


def _values(action: argparse.Action, place: int = 0) -> list[Candidate]:
    if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 (no other name)
        return [Candidate(a.dest, _about(a)) for a in action._get_subactions()]  # noqa: SLF001
    if action.choices is not None:
        return [Candidate(str(choice)) for choice in action.choices]
    if action.nargs == argparse.REMAINDER and (action.dest != "words" or place):
        return [Candidate(FILES)]
    kind = str(action.metavar or action.dest).lower().removesuffix("s").partition("[")[0]
    return [
        candidate
        for word in kind.replace("|", ":").split(":")
        for candidate in _KINDS.get(word, lambda: ())()
    ]


def _about(action: argparse.Action) -> str:
    text = "" if action.help in {None, argparse.SUPPRESS} else str(action.help)
    return (text % {"default": action.default} if "%(" in text else text).partition(" (")[0]


def _containers() -> Iterable[Candidate]:
    from drupe.store.paths import state_home

    names = state_home() / "names"
    return [Candidate(path.name) for path in sorted(names.iterdir())] if names.is_dir() else []


def _images() -> Iterable[Candidate]:
    from drupe.image.find import EMBEDDED, stores

    found = {reference.familiar for store in stores() for reference, _ in store.names()}
    return [Candidate(name.removesuffix(":latest")) for name in sorted({*found, EMBEDDED})]


def _networks() -> Iterable[Candidate]:
    from drupe.net.named import Networks

    return [Candidate(network.name) for network in Networks().list()]


def _volumes() -> Iterable[Candidate]:
    from drupe.container.volumes import list_volumes

    return [Candidate(volume.name) for volume in list_volumes()]


def _profiles() -> Iterable[Candidate]:
    from drupe.kbuild.kernels import list_kernels

    return [Candidate(name) for kernel in list_kernels() for name in (kernel.profile, kernel.id)]


def _formats() -> Iterable[Candidate]:
    return [Candidate("table"), Candidate("json")]


def _files() -> Iterable[Candidate]:
    return [Candidate(FILES)]


_KINDS: Mapping[str, Callable[[], Iterable[Candidate]]] = {
    "container": _containers,
    "image": _images,
    "command": _files,
    "word": _images,  # of run: the image, then the guest's own words
    "network": _networks,
    "volume": _volumes,
    "source": lambda: [*_volumes(), *_files()],
    "profile": _profiles,
    "template": _formats,
    "file": _files,
    "dir": _files,
    "path": _files,
    "host": _files,
    "archive": _files,
}
"""By how a value is named."""


def _bash_words(line: str, point: str) -> list[str]:
    """The words of a line up to the cursor, by the shell's rules as far as quotes go."""
    text = line[: int(point)]
    try:
        words = shlex.split(text)
    except ValueError:  # a quote is open
        words = text.split()
    return words + [""] * (text[-1:].isspace() or not text)
