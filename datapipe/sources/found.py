"""What an adapter hands over: clips, entries that cannot become one, and the doctor's report."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from ..records import Clip, Rejected, Seconds, printable
from ..segment import SegmentConfig
from ..shards import escape_key

LONGEST_KEY = 200
"""A sample's key names files when it is taken out, and a file name has 255 bytes."""
LONGEST_LINE = 1000
"""Characters of a line of a list that are looked at."""
MOST_TEXT = 1 << 16
"""Bytes; no transcript of a clip is longer."""

Memo = dict[str, list[tuple[Seconds, Seconds]]]
"""Cuts of long videos by `segment.py`, so that a second listing decodes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """How a corpus is read."""

    language: str | None = None
    """Language of a folder's clips (en, zh); None leaves it to the recogniser."""
    languages: dict[str, str] = field(default_factory=dict)
    """Language of the clips below a folder of the root, as pairs; the longest that fits counts."""
    licence: str | None = None
    """What the samples' `licence` says; None is what is known of the corpus."""
    consent: str | None = None
    """What the samples' `consent` says; None is what is known of the corpus."""
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    """How long videos are cut."""

    def __post_init__(self) -> None:
        for language in {self.language or "en", *self.languages.values()} - {"en", "zh"}:
            raise Rejected("bad_input", f"`{language}` is no language of this version; give en or zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """An entry of the corpus that cannot become a clip; it is counted as rejected."""

    id: str
    reason: str
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", printable(self.message))


Found = Clip | Unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a download holds against what its lists announce."""

    expected: int
    have: tuple[str, ...] = ()
    """Announced and there."""
    missing: tuple[str, ...] = ()
    """Announced, but not there."""
    broken: tuple[str, ...] = ()
    """There, but not readable, with the reason."""
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    """How many are there and how many are announced, by speaker, split or group."""
    notes: tuple[str, ...] = ()

    def summary(self) -> tuple[str, ...]:
        """Say the sums in lines."""
        head = f"{len(self.have)} of {self.expected} present, {len(self.broken)} broken"
        rows = [f"{name}: {have} of {announced}" for name, (have, announced) in self.counts.items()]
        return (head, *rows, *self.notes)


def clip_id(name: str) -> str:
    """Turn any name into an id: valid UTF-8 on one line, one id for one name, its key not too long.

    Odd bytes and control characters become backslash escapes. A name whose key would be too long for a file
    name keeps its beginning, and the first twelve digits of its sha256.
    """
    known = printable(name.replace("\\", "\\\\"))
    if len(escape_key(known)) <= LONGEST_KEY:
        return known
    tail = "-" + hashlib.sha256(known.encode()).hexdigest()[:12]
    head = known[:LONGEST_KEY]
    while len(escape_key(head)) > LONGEST_KEY - len(tail):
        head = head[:-1]
    return head + tail


def is_name(text: str) -> bool:
    """Tell whether an annotation's name is one: no path, nothing that cannot be printed."""
    return (
        0 < len(text) < 256
        and text not in (".", "..")
        and not set(text) & set("/\\")
        and printable(text) == text
    )


def read_lines(path: Path) -> list[str]:
    """Read a list's lines whatever its encoding; bytes that fit none become replacement characters.

    Raises `Rejected("bad_input")` when the file cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        message = f"{path.name} cannot be read ({error.strerror}); check the file"
        raise Rejected("bad_input", message) from error
    text = _decoded(raw)
    lines = (raw.decode("utf-8", errors="replace") if text is None else text).splitlines()
    return [line.replace("\ufeff", "")[:LONGEST_LINE] for line in lines]


def read_text(path: Path, legacy: str = "gb18030") -> str:
    """Read a transcript in UTF-8, UTF-16 or the language's legacy encoding.

    Raises `Rejected("bad_annotation")` when it is none of these, or too long to be one.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MOST_TEXT + 1)
    except OSError as error:
        message = f"{path.name} cannot be read ({error.strerror}); check the file"
        raise Rejected("bad_annotation", message) from error
    text = _decoded(raw, legacy) if len(raw) <= MOST_TEXT else None
    if text is None or "\0" in text:
        why = (
            f"is no text in UTF-8, UTF-16 or {legacy}"
            if len(raw) <= MOST_TEXT
            else "is longer than any clip's"
        )
        raise Rejected("bad_annotation", f"{path.name} {why}; replace the transcript or take it away")
    return text.replace("\ufeff", "")


def _decoded(raw: bytes, legacy: str = "gb18030") -> str | None:
    """Decode by the byte order mark, else by what fits."""
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", legacy):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None
