"""The overlay: files/ and the patch series, laid over a kernel tree in place.

Only the files that the overlay touches are copied aside and patched there; the tree sees a file
change only when its content differs. So a series that fails leaves the tree as it was, and after
an edit make rebuilds what the edit concerns and no more. ``originals/`` beside the tree holds
what a touched file was before, and ``overlay.json`` says which are touched.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from drupe import process
from drupe.errors import PatchError
from drupe.store import atomic

_NOTES = "overlay.json"
_ORIGINALS = "originals"


@dataclass(frozen=True, slots=True)
class Overlay:
    """An overlay, read.

    Attributes:
        files: contents by kernel path.
        patches: name and content, in the order of the series.
    """

    files: dict[str, bytes]
    patches: tuple[tuple[str, bytes], ...]

    def digest(self) -> str:
        """What the build key takes: the hash of all of it."""
        state = hashlib.sha256()
        for name, content in [*sorted(self.files.items()), *self.patches]:
            state.update(f"{name}\0{len(content)}\0".encode())
            state.update(content)
        return state.hexdigest()


def read_overlay(kernel: Path) -> Overlay:
    """Reads files/ and patches/ of the overlay's directory; either may be missing.

    Raises:
        PatchError: the series names a patch that is not there.
    """
    root = kernel / "files"
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
    patches = []
    for name in read_series(kernel / "patches" / "series"):
        try:
            patches.append((name, (kernel / "patches" / name).read_bytes()))
        except FileNotFoundError as error:
            raise PatchError(
                f"failed to read '{name}': the series names it, and there is no such file",
                hint="add the patch, or drop its line from kernel/patches/series",
            ) from error
    return Overlay(files, tuple(patches))


def read_series(path: Path) -> list[str]:
    """The patches that a series names, in order; a missing series is an empty one."""
    if not path.exists():
        return []
    lines = (line.split("#", 1)[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def apply(directory: Path, overlay: Overlay, *, version: str, hint: str = "") -> None:
    """Lays an overlay over ``directory/tree``, in place of the one that was there before.

    Args:
        directory: a source's directory in the cache; the caller holds its lock.
        overlay: what to lay over it.
        version: Linux's version, for messages.
        hint: which versions the series is known to apply to, for messages.

    Raises:
        PatchError: a patch does not apply, or a new file exists already; the tree is unchanged.
    """
    before = _touched(directory)
    with tempfile.TemporaryDirectory(prefix=".overlay.", dir=directory) as name:
        scratch = Path(name)
        for path, content in overlay.files.items():
            if _original(directory, before, path) is not None:
                raise PatchError(
                    f"failed to add '{path}': Linux {version} has such a file already",
                    hint="files/ is for new files; change this one with a patch",
                )
            _write(scratch / path, content)
        after = set(overlay.files)
        for patch, content in overlay.patches:
            for path in sorted(patched_paths(patch, content) - after):
                original = _original(directory, before, path)
                if original is not None:
                    (scratch / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(original, scratch / path)
                    shutil.copymode(original, scratch / path)
                after.add(path)
            _patch(scratch, patch, content, version, hint)
        _install(directory, scratch, before, after)


def restore(directory: Path) -> None:
    """Takes the overlay off ``directory/tree``; nothing where none is on it."""
    before = _touched(directory)
    for path in before:
        _put_back(directory, path)
    (directory / _NOTES).unlink(missing_ok=True)
    shutil.rmtree(directory / _ORIGINALS, ignore_errors=True)


def patched_paths(name: str, content: bytes) -> set[str]:
    """The files that a patch in git's form touches.

    Raises:
        PatchError: a path leads out of the tree, or there is none.
    """
    found = set()
    for line in content.decode(errors="replace").splitlines():
        for prefix in ("--- a/", "+++ b/"):
            if line.startswith(prefix):
                found.add(line.removeprefix(prefix).split("\t")[0].strip())
    bad = [path for path in found if ".." in PurePosixPath(path).parts or path.startswith("/")]
    if bad or not found:
        cause = f"'{bad[0]}' leads out of the tree" if bad else "it touches no file"
        raise PatchError(f"failed to read '{name}': {cause}", hint="use git format-patch")
    return found


def _patch(scratch: Path, name: str, content: bytes, version: str, hint: str) -> None:
    said: list[str] = []
    with tempfile.TemporaryDirectory() as other:
        rejects, given = Path(other) / "rejects", Path(other) / "patch"
        given.write_bytes(content)
        argv = ["patch", "-p1", "--fuzz=0", "--no-backup-if-mismatch", "--force", "--batch"]
        argv += [f"--input={given}", f"--reject-file={rejects}"]
        status = process.run_logged(argv, Path(other) / "log", cwd=scratch, on_line=said.append)
        reject = rejects.read_text(errors="replace").strip() if rejects.exists() else ""
    if status == 0:
        return
    where, why = "", "patch failed"
    for line in said:
        if line.startswith(("patching file ", "checking file ")):
            where = line.split(" ", 2)[2].strip("'")
        elif "FAILED" in line or "can't find file" in line or "malformed" in line:
            why = line.strip()
            break
    if "can't find file" in why:
        where = min(patched_paths(name, content) - _present(scratch), default=where)
        why = "there is no such file"
    raise PatchError(
        f"failed to apply '{name}': it does not fit '{where}' of Linux {version}: {why}"
        + (f"; rejected:\n{reject}" if reject else ""),
        hint=hint or None,
    )


def _present(scratch: Path) -> set[str]:
    found = (path for path in scratch.rglob("*") if path.is_file())
    return {path.relative_to(scratch).as_posix() for path in found}


def _touched(directory: Path) -> dict[str, bool]:
    """Which files the overlay on the tree touches, and whether they were there before."""
    try:
        return dict(atomic.read_json(directory / _NOTES))
    except FileNotFoundError:
        return {}


def _original(directory: Path, before: dict[str, bool], path: str) -> Path | None:
    """Where the content is that a file has without the overlay; None: it does not exist."""
    if path in before:
        return directory / _ORIGINALS / path if before[path] else None
    found = directory / "tree" / path
    return found if found.is_file() else None


def _install(directory: Path, scratch: Path, before: dict[str, bool], after: set[str]) -> None:
    """Brings the tree to what the scratch directory holds; any step can be the last before a crash.

    A file's original is saved before the notes name it, and the notes name it before it changes.
    """
    notes = dict(before)
    for path in after - before.keys():
        original = directory / "tree" / path
        notes[path] = original.is_file()
        if original.is_file():
            saved = directory / _ORIGINALS / path
            saved.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(original, saved)
    atomic.write_json(directory / _NOTES, notes)
    for path in before.keys() - after:
        _put_back(directory, path)
    for path in after:
        target = directory / "tree" / path
        if not (scratch / path).is_file():
            target.unlink(missing_ok=True)
            continue
        content = (scratch / path).read_bytes()
        if not target.is_file() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.utime(scratch / path)
            (scratch / path).replace(target)
    atomic.write_json(directory / _NOTES, {path: notes[path] for path in sorted(after)})


def _put_back(directory: Path, path: str) -> None:
    """Gives a file its original content, with a new time: what was built from it is stale."""
    target, saved = directory / "tree" / path, directory / _ORIGINALS / path
    if saved.is_file():
        temporary = target.with_name(f".{target.name}.original")
        shutil.copyfile(saved, temporary)
        shutil.copymode(saved, temporary)
        temporary.replace(target)
    else:
        target.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
