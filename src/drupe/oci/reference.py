"""References to images: what people type, and what it means.

Source: the grammar and the defaults of the reference implementation of registries (distribution).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from drupe.errors import SpecError

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
_OFFICIAL = "library/"
_OLD_DEFAULT = f"index.{DEFAULT_REGISTRY}"

_NAME_MOST = 255
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"{_PART}(?:/{_PART})*"
_TAG = r"[\w][\w.-]{0,127}"
_DIGEST = r"sha256:[0-9a-f]{64}"


class Reference(NamedTuple):
    """An image at a registry, by tag, by digest, or by both.

    Attributes:
        registry: host[:port]; ``docker.io`` where none was named.
        repository: path at the registry; ``library/`` was added where that is Docker Hub's way.
        tag: None only where there is a digest.
        digest: ``sha256:`` and 64 hexadecimal digits, or None.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar_name(self) -> str:
        """The name as people say it: without what is the default."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        return self.repository.removeprefix(_OFFICIAL)

    @property
    def familiar(self) -> str:
        """All of it as people say it."""
        return self.familiar_name + self._suffix

    @property
    def _suffix(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        return tag + ("" if self.digest is None else f"@{self.digest}")

    def __str__(self) -> str:
        return self.name + self._suffix


def parse_reference(text: str) -> Reference:
    """The reference that a text stands for; ``latest`` where it has neither tag nor digest.

    Raises:
        SpecError: it cannot be one.
    """
    rest, at, digest = text.partition("@")
    if at and not re.fullmatch(_DIGEST, digest, re.ASCII):
        raise _bad(text, f"'{digest[:80]}' is not a digest", "sha256: and 64 hexadecimal digits")
    head, slash, tail = rest.rpartition("/")
    last, colon, tag = tail.partition(":")
    if colon and not re.fullmatch(_TAG, tag, re.ASCII):
        raise _bad(
            text, f"'{tag[:80]}' is not a tag", "letters, digits, '_', '.', '-', 128 at most"
        )
    registry, repository = _split(head + slash + last)
    if len(registry) + 1 + len(repository) > _NAME_MOST:
        raise _bad(text[:60] + "...", "too long", f"{_NAME_MOST} characters at most")
    if not re.fullmatch(_REPOSITORY, repository, re.ASCII):
        raise _bad(
            text, "not an image's name", "small letters, digits, and single '/', '.', '_', '-'"
        )
    if not re.fullmatch(_REGISTRY, registry, re.ASCII):
        raise _bad(text, f"'{registry}' is not a registry", "HOST or HOST:PORT")
    if not slash and re.fullmatch(r"[0-9a-f]{64}", last):
        raise _bad(text, "64 hexadecimal digits are an image's id, not its name")
    chosen = tag if colon else (None if at else DEFAULT_TAG)
    return Reference(registry, repository, chosen, digest if at else None)


def is_digest(text: object) -> bool:
    """Whether this is the digest of something: of SHA-256, the one algorithm that is in use."""
    return isinstance(text, str) and re.fullmatch(_DIGEST, text, re.ASCII) is not None


def _split(name: str) -> tuple[str, str]:
    """Registry and repository of a name."""
    first, slash, rest = name.partition("/")
    names_host = first == "localhost" or any(c in ".:[" or c.isupper() for c in first)
    registry, repository = (first, rest) if slash and names_host else (DEFAULT_REGISTRY, name)
    if registry == _OLD_DEFAULT:
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = _OFFICIAL + repository
    return registry, repository


def _bad(text: str, cause: str, hint: str | None = None) -> SpecError:
    return SpecError(f"failed to use image reference '{text}': {cause}", hint=hint)
