"""Layers laid over each other: a tree of names, while the content goes straight to an image.

All happens in memory and in the image's file: no path of the host is ever touched, whatever a
layer calls its files.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator

from drupe.errors import SpecError
from drupe.image.entry import NAME_MOST, Entry, shown
from drupe.image.erofs import BITS, Placed, Writer
from drupe.image.tar import TarReader

ENTRIES_MOST = 1 << 22
"""Files in all layers of an image: each takes a few hundred bytes of memory here."""

_DEPTH_MOST = 512
_HOPS_MOST = 40
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_AUFS = b".wh..wh."


class Node:
    """A file in the tree: in the image already, unless it is a directory."""

    __slots__ = ("children", "entry", "first", "kind", "layer", "links", "number", "target")

    def __init__(self, kind: int, layer: int) -> None:
        self.kind = kind
        self.layer = layer  # the last one in which it, or anything below it, came about
        self.children: dict[bytes, Node] | None = None
        self.entry: Entry | None = None
        self.target = b""
        self.links = 1
        self.number = 0
        self.first: tuple[int, int] | None = None


class Tree:
    """An image's files as far as layers were applied."""

    def __init__(self, writer: Writer, drop: Callable[[int, int], None]) -> None:
        """``drop`` is told of data (offset and length in the image) that no file has any more."""
        self._writer = writer
        self._drop = drop
        self._layer = 0
        self._entries = 0
        self._linked: set[Node] = set()
        self._root = self._directory(Entry(b"/", stat.S_IFDIR))

    @property
    def entries(self) -> int:
        """How many files the layers had, those that others replaced included."""
        return self._entries

    def apply(self, archive: TarReader) -> None:
        """Lays a layer over what is there.

        Raises:
            SpecError: it is spoilt, or would do what no layer may.
        """
        self._layer += 1
        for entry in archive:
            self._entries += 1
            if self._entries > ENTRIES_MOST:
                raise SpecError(f"failed to make an image: more than {ENTRIES_MOST} files")
            parts = _parts(entry.path)
            if not parts:
                if entry.kind == stat.S_IFDIR:
                    self._root.entry = entry
                continue
            name = parts.pop()
            if name.startswith(_WHITEOUT):
                self._white_out(parts, name)
            else:
                self._add(archive, entry, parts, name)

    def finish(self) -> None:
        """Writes the directories."""
        writer = self._writer
        writer.close_files()
        for node in self._linked:
            if node.links > 1:
                writer.set_links(node.number, node.links)
        order: list[tuple[Node, Node, list[bytes], Placed]] = []
        waiting = [(self._root, self._root)]
        while waiting:
            node, parent = waiting.pop()
            children = node.children or {}
            names = sorted([*children, b".", b".."])
            entry = node.entry or Entry(b"", stat.S_IFDIR)
            placed = writer.place_directory(entry, names, root=node is self._root)
            node.number = placed.number
            order.append((node, parent, names, placed))
            waiting += [(child, node) for child in children.values() if child.children is not None]
        for node, parent, names, placed in order:
            children = {b".": node, b"..": parent, **(node.children or {})}
            entries = [(children[name].number, children[name].kind) for name in names]
            links = 2 + sum(kind == stat.S_IFDIR for _, kind in entries) - 2
            writer.write_directory(placed, entries, links)

    def _add(self, archive: TarReader, entry: Entry, parts: list[bytes], name: bytes) -> None:
        source = self._link_source(entry) if not entry.kind else None
        parent = self._parent(entry, parts)
        children = parent.children
        assert children is not None  # noqa: S101 (_parent returns directories)
        old = children.get(name)
        if entry.kind == stat.S_IFDIR:
            if old is not None and old.children is not None:
                old.entry, old.layer = entry, self._layer
                return
            node = self._directory(entry)
        elif source is not None:
            if source is old:
                return
            node = source
            node.links += 1
            node.layer = self._layer
            self._linked.add(node)
        else:
            node = self._file(archive, entry)
        if old is not None:
            self._release(old)
        children[name] = node

    def _file(self, archive: TarReader, entry: Entry) -> Node:
        node = Node(entry.kind, self._layer)
        writer = self._writer
        node.number, first, blocks = writer.add(entry)
        if blocks:
            node.first = first, blocks
        if entry.kind == stat.S_IFLNK:
            node.target = entry.target
        elif entry.segments is not None:
            writer.write_sparse(entry, archive.content(), first)
        elif entry.size:
            writer.write(archive.content())
        return node

    def _directory(self, entry: Entry) -> Node:
        node = Node(stat.S_IFDIR, self._layer)
        node.children = {}
        node.entry = entry
        return node

    def _link_source(self, entry: Entry) -> Node:
        """What a hard link links to: a file that is there already."""
        parts = _parts(entry.target)
        node = None
        if parts:
            parent = self._walk(parts[:-1], make=False)
            node = None if parent is None else (parent.children or {}).get(parts[-1])
        if node is None or node.children is not None:
            cause = "is not there" if node is None else "is a directory"
            raise _bad(entry, f"it is a hard link to '{shown(entry.target)}', which {cause}")
        return node

    def _parent(self, entry: Entry, parts: list[bytes]) -> Node:
        if len(parts) > _DEPTH_MOST:
            raise _bad(entry, f"it lies more than {_DEPTH_MOST} directories deep")
        node = self._walk(parts, make=True)
        if node is None:
            raise _bad(entry, "what it lies in is not a directory")
        return node

    def _walk(self, parts: Iterable[bytes], *, make: bool) -> Node | None:
        """The directory of these names; symbolic links are followed, within the image.

        ``make``: missing ones are made, and all on the way belong to this layer too.
        """
        trail = [self._root]
        waiting = list(parts)[::-1]
        hops = 0
        if make:
            self._root.layer = self._layer
        while waiting:
            name = waiting.pop()
            if name == b"..":
                if len(trail) > 1:
                    trail.pop()
                continue
            children = trail[-1].children
            assert children is not None  # noqa: S101 (the trail has directories only)
            child = children.get(name)
            if child is None:
                if not make or len(name) > NAME_MOST:
                    return None
                child = children[name] = self._directory(Entry(name, stat.S_IFDIR))
            if child.kind == stat.S_IFLNK:
                hops += 1
                if hops > _HOPS_MOST or len(waiting) > _DEPTH_MOST:
                    return None
                if child.target.startswith(b"/"):
                    del trail[1:]
                waiting += [p for p in child.target.split(b"/")[::-1] if p not in {b"", b"."}]
                continue
            if child.children is None:
                return None
            if make:
                child.layer = self._layer
            trail.append(child)
        return trail[-1]

    def _white_out(self, parts: list[bytes], name: bytes) -> None:
        parent = self._walk(parts, make=False)
        if parent is None or parent.children is None:
            return
        if name == _OPAQUE:
            self._purge(parent)
        elif not name.startswith(_AUFS):
            hidden = name[len(_WHITEOUT) :]
            node = parent.children.get(hidden)
            if node is None:
                return
            if node.layer < self._layer:
                del parent.children[hidden]
                self._release(node)
            else:
                self._purge(node)

    def _purge(self, directory: Node) -> None:
        """Takes away what lower layers put below a directory."""
        children = directory.children or {}
        for name, child in list(children.items()):
            if child.layer < self._layer:
                del children[name]
                self._release(child)
            else:
                self._purge(child)

    def _release(self, node: Node) -> None:
        """A name of a file has gone."""
        for gone in _below(node):
            gone.links -= 1
            if gone.links == 0 and gone.first is not None:
                first, blocks = gone.first
                self._drop(first << BITS, blocks << BITS)


def _below(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += (node.children or {}).values()


def _parts(path: bytes) -> list[bytes]:
    """The names of a path; ``..`` takes the one before it away.

    Raises:
        SpecError: it leads out of the image, or a name is too long.
    """
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part in {b"", b"."}:
            continue
        if part == b"..":
            if not parts:
                raise SpecError(f"failed to make an image: '{shown(path)}' leads out of it")
            parts.pop()
        elif len(part) > NAME_MOST:
            raise SpecError(
                f"failed to make an image: '{shown(path)}' has a name of {len(part)} bytes, "
                f"at most {NAME_MOST}"
            )
        else:
            parts.append(part)
    return parts


def _bad(entry: Entry, cause: str) -> SpecError:
    return SpecError(f"failed to make an image: '{shown(entry.path)}': {cause}")
