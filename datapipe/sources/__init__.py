"""Adapters from corpora as they are downloaded to clips; each reads its root and never writes to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from ..records import Rejected
from .cmlr import UNSEEN_SPEAKERS, cmlr_clips, cmlr_doctor
from .folder import folder_clips, folder_doctor
from .found import Found, Memo, Report, SourceConfig, Unusable
from .hdtf import hdtf_clips
from .hdtf_doctor import hdtf_doctor
from .look import Look, looking

SOURCES: dict[str, Callable[[Path, SourceConfig, Look], list[Found]]] = {
    "cmlr": cmlr_clips,
    "hdtf": hdtf_clips,
    "folder": folder_clips,
}
"""What a root holds, as clips and entries that cannot become one."""
DOCTORS: dict[str, Callable[[Path, Look], Report]] = {
    "cmlr": cmlr_doctor,
    "hdtf": hdtf_doctor,
    "folder": folder_doctor,
}
"""What is there and what is missing, without decoding anything."""

__all__ = [
    "DOCTORS",
    "SOURCES",
    "UNSEEN_SPEAKERS",
    "Found",
    "Memo",
    "Report",
    "SourceConfig",
    "Unusable",
    "examine",
    "find_clips",
]


def find_clips(
    source: str, root: Path, config: SourceConfig, memo: Memo | None = None, isolate: bool = False
) -> list[Found]:
    """List the clips of a corpus in a fixed order; ids are unique, valid UTF-8 and on one line.

    `memo` holds the cuts of long videos from earlier listings, and takes those of this one: nothing is
    decoded for what it knows. With `isolate`, media are opened in a child process, so that a crash or a
    hang in native code costs one file. Raises `Rejected("bad_input")` for an unknown source or a root
    without anything of it, and nothing else, whatever the files hold.
    """
    with _readable(source, root), looking(memo, isolate) as look:
        found = sorted(SOURCES[source](root, config, look), key=lambda each: each.id)
    if not found:
        raise Rejected("bad_input", f"{root} holds nothing that looks like {source}; see docs/operations.md")
    return _unique(found)


def examine(source: str, root: Path, isolate: bool = False) -> Report:
    """Compare a download with its own lists; of the files, headers are read.

    Raises `Rejected("bad_input")` for an unknown source or a root that cannot be read.
    """
    with _readable(source, root), looking(None, isolate) as look:
        return DOCTORS[source](root, look)


@contextmanager
def _readable(source: str, root: Path) -> Iterator[None]:
    if source not in SOURCES:
        raise Rejected("bad_input", f"unknown source `{source}`; known: {', '.join(SOURCES)}")
    if not root.is_dir():
        raise Rejected("bad_input", f"{root} is not a folder; give the one that holds the {source} download")
    try:
        yield
    except OSError as error:
        message = f"{error.filename or root} cannot be read ({error.strerror}); check the disk"
        raise Rejected("bad_input", message) from error


def _unique(found: list[Found]) -> list[Found]:
    """Keep the first of several with one id; the others are unusable, under ids of their own."""
    ids = {each.id for each in found}
    if len(ids) == len(found):
        return found
    kept: dict[str, Found] = {}
    for each in found:
        if each.id not in kept:
            kept[each.id] = each
            continue
        new = next(name for number in count(2) if (name := f"{each.id}#{number}") not in ids)
        message = f"{each.id} is there more than once; rename one of the files"
        kept[new] = Unusable(id=new, reason="bad_annotation", message=message)
        ids.add(new)
    return sorted(kept.values(), key=lambda each: each.id)
