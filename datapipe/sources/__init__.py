"""Adapters from corpora as they are downloaded to clips; each reads its root and never writes to it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from ..records import Rejected
from .cmlr import cmlr_clips, cmlr_doctor
from .folder import folder_clips, folder_doctor
from .found import Found, Report, SourceConfig, Unusable
from .hdtf import hdtf_clips, hdtf_doctor

SOURCES: dict[str, Callable[[Path, SourceConfig], list[Found]]] = {
    "cmlr": cmlr_clips,
    "hdtf": hdtf_clips,
    "folder": folder_clips,
}
"""What a root holds, as clips and entries that cannot become one."""
DOCTORS: dict[str, Callable[[Path], Report]] = {
    "cmlr": cmlr_doctor,
    "hdtf": hdtf_doctor,
    "folder": folder_doctor,
}
"""What is there and what is missing, without decoding anything."""

__all__ = ["DOCTORS", "SOURCES", "Found", "Report", "SourceConfig", "Unusable", "find_clips"]


def find_clips(source: str, root: Path, config: SourceConfig) -> list[Found]:
    """List the clips of a corpus in a fixed order; ids are unique.

    Raises `Rejected("bad_input")` for an unknown source or a root without anything of it.
    """
    if source not in SOURCES:
        raise Rejected("bad_input", f"unknown source `{source}`; known: {', '.join(SOURCES)}")
    if not root.is_dir():
        raise Rejected("bad_input", f"{root} is not a folder; give the one that holds the {source} download")
    found = sorted(SOURCES[source](root, config), key=lambda each: each.id)
    if not found:
        raise Rejected("bad_input", f"{root} holds nothing that looks like {source}; see docs/operations.md")
    twice = [a.id for a, b in pairwise(found) if a.id == b.id]
    if twice:
        raise Rejected("bad_input", f"{root} names `{twice[0]}` twice; rename one of the two files")
    return found
