"""What an adapter hands over: clips, entries that cannot become one, and the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..records import Clip
from ..segment import SegmentConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """How a corpus is read."""

    language: str | None = None
    """Language of a folder's clips (en, zh); None leaves it to the recogniser."""
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    """How long videos are cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """An entry of the corpus that cannot become a clip; it is counted as rejected."""

    id: str
    reason: str
    message: str


Found = Clip | Unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a download holds against what its lists announce."""

    expected: int
    present: int
    missing: tuple[str, ...] = ()
    """Announced, but not there."""
    broken: tuple[str, ...] = ()
    """There, but not readable, with the reason."""
    notes: tuple[str, ...] = ()
