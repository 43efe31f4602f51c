"""What the benchmark reads and writes: cases in, scores and runs out; all frozen, one JSON codec."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from datapipe.records import Sample, Seconds

RUN_SCHEMA = "avatarsync-run/2"
GROUND_TRUTH = "ground truth"
"""The row that every table starts with: the reference videos scored against themselves."""

Direction = Literal["higher", "lower", "target"]
RowKind = Literal["truth", "control", "system"]
FailurePolicy = Literal["exclude", "worst", "truth"]
"""What stands for a failed clip: nothing (the row ranks last), the worst value of any row, the truth's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One held-out clip: what every system had to make."""

    key: str
    video: Path
    """Ground truth, with sound."""
    picture: Path | None = None
    """The reference picture that the systems were given."""
    sample: Sample | None = None
    """Phonemes and origin, when the clip came out of a shard."""
    other: Path | None = None
    """Video of another speaker, for the control row; None when there is no other clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one system took for one clip, as it wrote it into timing.json."""

    seconds: Seconds
    media_seconds: Seconds
    num_frames: int
    first_frame_seconds: Seconds | None = None
    peak_bytes: int | None = None
    """Most memory the system's processes held at once."""
    cpu_seconds: Seconds | None = None
    """Processor time of all its processes."""
    fps: float | None = None
    """Frames per second that the system itself makes, when it is not the video's rate."""
    stages: dict[str, Seconds] = field(default_factory=dict)
    """Seconds per stage, in the system's own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A folder with one video per case."""

    name: str
    folder: Path
    load_seconds: Seconds | None = None
    timings: dict[str, Timing] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """Case key to the system's own word on why it made no video."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """Everything a score depends on besides the videos; its hash decides what may share a column."""

    settings: tuple[tuple[str, str | int | float | bool], ...]

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits of the settings' sha256."""
        text = json.dumps(dict(self.settings), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def protocol(**settings: str | int | float | bool) -> Protocol:
    """Freeze named settings; their order does not matter."""
    return Protocol(tuple(sorted(settings.items())))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval; None where no interval can be given."""

    value: float
    low: float | None = None
    high: float | None = None
    replicates: tuple[float, ...] = ()
    """The number over resampled clips, under draws that all rows share; kept where clips have no values."""
    note: str = ""
    """What to know before quoting the number, such as the bias of a small sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricInfo:
    """A metric as a run records it: enough to read the table without our code."""

    name: str
    title: str
    unit: str
    direction: Direction
    target: float | None
    as_printed: Direction | None = None
    """The arrow that papers print, where it contradicts the definition; ranking goes by `direction`."""
    about: str
    protocol: dict[str, Any]
    protocol_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One cell of the table. No value is `None` with a reason, never 0."""

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    num_ok: int
    num_total: int
    failures: dict[str, str]
    """Case key to the reason why it has no value."""
    per_clip: dict[str, float]
    not_measured: str | None = None
    """Why nobody has a value: weights that are not here, or a metric that does not apply to this row."""
    replicates: tuple[float, ...] = ()
    """The value over resampled clips, under draws that all rows share; empty where clips have values."""
    note: str = ""
    """What to know before quoting the value."""
    imputed: tuple[str, ...] = ()
    """Cases whose failure was replaced by a value, as the run's failure policy says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRun:
    """One row of the table."""

    name: str
    kind: RowKind = "system"
    """Control rows show that the metrics work; they are never ranked."""
    scores: tuple[Score, ...]
    videos: dict[str, str]
    """Case key to the sha256 of the video that was scored."""
    notes: dict[str, str]
    """Case key to what was done to make the video comparable (resized, trimmed)."""
    load_seconds: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """System minus baseline over the clips that both have, with a paired interval."""

    metric: str
    system: str
    baseline: str
    value: float
    low: float | None
    high: float | None
    num_clips: int
    p_value: float | None = None
    """Two-sided sign-flip permutation test over clips; None below five clips."""
    p_adjusted: float | None = None
    """The same after Benjamini-Hochberg over all differences of the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Whether a control row came out as it must; a metric that fails its checks shows nothing."""

    metric: str
    row: str
    expected: str
    passed: bool | None
    """None when a value is missing."""
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished evaluation; tables are rendered from it and never typed."""

    created: str
    reference: dict[str, str]
    """Case key to the sha256 of its ground-truth video."""
    metrics: tuple[MetricInfo, ...]
    systems: tuple[SystemRun, ...]
    differences: tuple[Difference, ...]
    checks: tuple[Check, ...] = ()
    alignment: dict[str, Any] = field(default_factory=dict)
    """How videos were brought beside their ground truth; part of every score's protocol."""
    on_failure: FailurePolicy = "exclude"
    weights: dict[str, str]
    """Registry name to sha256 of every weight that was used."""
    environment: dict[str, str]
    conformant: tuple[str, ...] | None = None
    """What reproduced its published values on this machine just before; None when nobody asked."""
    seconds: dict[str, float]
    """Seconds of computing per metric and stage, summed over workers."""
    schema: str = RUN_SCHEMA

    @property
    def reference_hash(self) -> str:
        """Names the set of ground-truth videos; runs on different sets never share a table."""
        return hashlib.sha256(json.dumps(self.reference, sort_keys=True).encode()).hexdigest()[:12]
