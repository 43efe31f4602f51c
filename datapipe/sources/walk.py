"""List the files below a root: every one once, links never followed out of it, loops never entered.

Adapters look names up in this list; no path is ever put together from what an annotation says.
"""

# ruff: noqa: PTH112, PTH113, PTH118
# a corpus has 300,000 names, and a string costs a tenth of a Path
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ..places import is_remote, list_files
from ..records import printable

Kind = Literal["file", "folder", "link", "special", "outside", "hidden", "unreadable"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Entry = tuple[Kind, str]
"""What it is, and its path relative to the root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The files below a root, by sorted paths relative to it, and what was left out."""

    files: tuple[str, ...] = ()
    special: tuple[str, ...] = ()
    """Pipes, devices, and links that lead nowhere or to a file outside the root."""
    outside: tuple[str, ...] = ()
    """Links to folders outside the root."""
    hidden: tuple[str, ...] = ()
    """Folders that begin with a dot, and what macOS leaves beside files."""
    unreadable: tuple[str, ...] = ()
    """Folders that could not be listed."""

    def notes(self) -> tuple[str, ...]:
        """Say what was left out, for a report."""
        kinds = (
            ("links out of the root, not followed", self.outside),
            ("links to nothing or out of the root, pipes, devices", self.special),
            ("hidden folders and files, left out", self.hidden),
            ("folders that cannot be read", self.unreadable),
        )
        return tuple(f"{len(names)} {what}: {some(names)}" for what, names in kinds if names)


class _Folders:
    """The folders that were entered, and where they really are."""

    def __init__(self) -> None:
        self._entered: set[str] = set()
        self._places: dict[str, str] = {}

    def enter(self, folder: str, real: str) -> bool:
        """Note a folder; False when it was entered before, by this or another name."""
        if real in self._entered:
            return False
        self._entered.add(real)
        self._places[folder] = real
        return True

    def real(self, path: str) -> str:
        """Say where a listed file really is."""
        folder, name = os.path.split(path)
        return os.path.join(self._places[folder], name)


def some(names: tuple[str, ...] | list[str], count: int = 3) -> str:
    """Name the first few."""
    return ", ".join(map(printable, names[:count])) + (" ..." if len(names) > count else "")


def is_inside(root: Path, name: str) -> bool:
    """Tell whether a name is that of a file which really lies below the root."""
    if is_remote(root):
        return (root / name).is_file()
    target = os.path.realpath(root / name)
    return os.path.isfile(target) and _inside(target, os.path.realpath(root))


def walk(root: Path, below: str = "") -> Tree:
    """List the regular files in a folder of the root, to any depth.

    A link to a folder of the root is followed, if that folder is not on the way in its own right; a link to
    a file of the root counts as a file, if the file itself is not listed. A remote root is listed once.
    """
    if is_remote(root):
        return _remote_tree(root, below)
    start = os.path.realpath(root)
    if not _inside(os.path.realpath(os.path.join(start, below)), start):
        return Tree(outside=(below,))
    folders = _Folders()
    found = _sorted(_descend(start, below, folders))
    _follow(start, found, folders)
    return Tree(
        files=tuple(sorted(found["file"])),
        special=tuple(sorted(found["special"])),
        outside=tuple(sorted(found["outside"])),
        hidden=tuple(sorted(found["hidden"])),
        unreadable=tuple(sorted(found["unreadable"])),
    )


def _remote_tree(root: Path, below: str) -> Tree:
    """Sort the names of a store's files by what they may be; one that no folder could have is special."""
    files, special, hidden = list[str](), list[str](), list[str]()
    for name in list_files(root, below):
        parts = name.split("/")
        if not {"", ".", ".."}.isdisjoint(parts):
            special.append(name)
        elif any(each.startswith(".") or each == "__MACOSX" for each in parts[:-1]) or parts[-1][:2] == "._":
            hidden.append(name)
        else:
            files.append(name)
    return Tree(files=tuple(files), special=tuple(special), hidden=tuple(hidden))


def _descend(start: str, below: str, folders: _Folders) -> Iterator[Entry]:
    """Yield what a folder holds, to any depth, links as links; note each folder and where it really is."""
    pending = [(below, os.path.realpath(os.path.join(start, below)))]
    while pending:
        folder, real = pending.pop()
        if not folders.enter(folder, real):
            continue
        try:
            with os.scandir(real) as listing:
                entries = [(_kind(entry), entry.name) for entry in listing]
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                yield "unreadable", folder
            continue
        for kind, name in entries:
            path = os.path.join(folder, name)
            if kind == "folder":
                pending.append((path, os.path.join(real, name)))
            else:
                yield kind, path


def _kind(entry: os.DirEntry[str]) -> Kind:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "hidden" if entry.name.startswith(".") or entry.name == "__MACOSX" else "folder"
    if entry.name.startswith("._"):
        return "hidden"
    return "file" if entry.is_file(follow_symlinks=False) else "special"


def _sorted(entries: Iterable[Entry]) -> dict[Kind, list[str]]:
    found: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
    for kind, path in entries:
        found[kind].append(path)
    return found


def _follow(start: str, found: dict[Kind, list[str]], folders: _Folders) -> None:
    """Add what the links lead to, in the order of their names; each target once."""
    pending = sorted(found["link"], reverse=True)
    files = {folders.real(path) for path in found["file"]} if pending else set()
    while pending:
        link = pending.pop()
        target = os.path.realpath(os.path.join(start, link))
        if os.path.isdir(target) and _inside(target, start):
            more = _sorted(_descend(start, link, folders))
            files |= {folders.real(path) for path in more["file"]}
            pending += sorted(more.pop("link"), reverse=True)
            for kind, paths in more.items():
                found[kind] += paths
        elif target not in files:
            found[_link_kind(target, start)].append(link)
            files.add(target)


def _link_kind(target: str, start: str) -> Kind:
    if os.path.isdir(target):
        return "outside"
    return "file" if os.path.isfile(target) and _inside(target, start) else "special"


def _inside(target: str, start: str) -> bool:
    return target == start or target.startswith(start.rstrip(os.sep) + os.sep)
