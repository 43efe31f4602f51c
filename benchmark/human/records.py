"""What a human study writes and reads: the key of a kit, a rater's answers, and the scores of people."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from datapipe.records import to_json

from ..records import RowKind

KEY_SCHEMA = "avatarsync-human-key/1"
ANSWERS_SCHEMA = "avatarsync-human-answers/1"
STUDY_SCHEMA = "avatarsync-human/1"
WORST, BEST = 1, 5
"""Ends of the Likert scale; higher is better on every dimension."""
OVERALL = "overall"
"""Name of the mean over all dimensions, in the scores only; nobody is asked for it."""

ItemKind = Literal["rating", "repeat", "told", "broken"]
"""An item counts, or shows an earlier one again, or says which answer to give, or shows a damaged clip."""
Language = Literal["en", "zh"]
Level = Literal["clip", "system"]
Method = Literal["spearman", "kendall"]
Status = Literal["kept", "excluded", "no answers"]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One question about every video."""

    name: str
    title: str


DIMENSIONS = (
    Dimension("flicker", "Flicker"),
    Dimension("coherence", "Temporal coherence"),
    Dimension("movement", "Body movement realism"),
    Dimension("lips", "Lip synchronisation"),
)
"""AvatarSync, Section 4 and Figure 9; what raters read is in texts/."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One video on a rater's page, with what only the key may know of it."""

    id: str
    """Place on the page: 001, 002, ..."""
    kind: ItemKind
    case: str
    system: str
    """Row that made the video; the ground truth for checks."""
    video: str
    """Name of the file in raters/videos, which says nothing."""
    again: str = ""
    """Of a repeat: the id of the item that it shows again."""
    choose: int = 0
    """Of a told item: the answer that it asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one rater is shown, in this order."""

    rater: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A video of the kit and where it came from."""

    case: str
    system: str
    source: str
    """sha256 of the video that was given; of the ground truth for a damaged clip."""
    file: str
    sha256: str
    """Of the file that raters see."""
    notes: tuple[str, ...] = ()
    """What was done to bring it beside its ground truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Which video is whose; it stays with whoever runs the study."""

    title: str
    seed: int
    """All that is random in the kit follows from it."""
    language: Language
    systems: tuple[str, ...]
    """Rows that are rated, the ground truth among them unless it was left out."""
    cases: tuple[str, ...]
    left_out: dict[str, str]
    """Case to the reason why not every system could show it."""
    dimensions: tuple[Dimension, ...]
    videos: tuple[Shown, ...]
    plans: tuple[Plan, ...]
    schema: str = KEY_SCHEMA

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that pages and answers carry; a changed key has another."""
        return hashlib.sha256(to_json(self).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What one rater's page saved, after it was checked against the key."""

    rater: str
    ratings: dict[str, dict[str, int]]
    """Item to dimension to answer; items may be missing, dimensions of an item may not."""
    unplayable: tuple[str, ...]
    """Items whose video the rater's browser could not play."""
    seconds: dict[str, float]
    """Item to the time that was spent on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What people say of one system on one dimension."""

    dimension: str
    mean: float | None
    """Mean over all ratings that count; None when there are none."""
    low: float | None
    """95 % interval when clips and raters are both drawn anew; None below three of either."""
    high: float | None
    deviation: float | None
    """Standard deviation (ddof 1) over the raters' own means, as the paper's Figure 9 prints it."""
    rating_deviation: float | None
    """Standard deviation (ddof 1) over single ratings."""
    num_ratings: int
    num_raters: int
    num_clips: int
    per_clip: dict[str, float]
    """Case to the mean over raters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """One row of the table of opinions."""

    name: str
    kind: RowKind
    opinions: tuple[Opinion, ...]
    """One per dimension in their order, then `overall`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rater:
    """Whether a rater counts, and why not."""

    name: str
    status: Status
    failed_checks: tuple[str, ...]
    """A sentence for each attention check that was failed."""
    num_checks: int
    num_answered: int
    """Items that count and have an answer."""
    num_asked: int
    unplayable: int
    median_seconds: float | None
    """Time per item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Krippendorff's alpha (ordinal) between the raters that count."""

    dimension: str
    alpha: float | None
    """None when fewer than two people rated the same video, or all gave one answer."""
    low: float | None
    """95 % interval over clips; None below three."""
    high: float | None
    num_units: int
    """Videos that two raters or more have rated."""
    num_ratings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retest:
    """How far people agree with themselves on an item that they saw twice."""

    dimension: str
    num_pairs: int
    same: float | None
    """Share of pairs with the same answer."""
    within_one: float | None
    """Share of pairs that differ by at most one step."""
    mean_distance: float | None
    """Mean absolute difference, in steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """How well a metric goes with people; +1 is full agreement whatever the metric's direction."""

    metric: str
    protocol_hash: str
    dimension: str
    level: Level
    """`clip`: over (system, clip); `system`: over the systems' means."""
    method: Method
    value: float | None
    low: float | None
    """95 % interval when clips are drawn anew; None below three clips, or where the metric has no clips."""
    high: float | None
    num: int
    """Points that were correlated."""
    why: str = ""
    """Why there is no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A finished human study: `human.json`."""

    title: str
    kit: str
    """Hash of the key."""
    seed: int
    dimensions: tuple[Dimension, ...]
    cases: tuple[str, ...]
    left_out: dict[str, str]
    raters: tuple[Rater, ...]
    systems: tuple[Rated, ...]
    agreement: tuple[Agreement, ...]
    retest: tuple[Retest, ...]
    run: str | None
    """sha256 of the run whose metrics were compared; None when none was given."""
    correlations: tuple[Correlation, ...]
    schema: str = STUDY_SCHEMA

    @property
    def num_raters(self) -> int:
        """Raters that count."""
        return sum(rater.status == "kept" for rater in self.raters)
