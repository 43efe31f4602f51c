"""What the control rows must show: whatever a control breaks must cost it the metric that is about it.

The expectations are data. A check whose values are missing says so; one that fails means that the metric, as
it was measured here, shows nothing, or that the clips are too few or too still to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .controls import FROZEN, OTHER, REENCODED, SHIFT_FRAMES, SHIFTED
from .ranking import badness, rankable
from .records import GROUND_TRUTH, Check, MetricInfo, SystemRun

Relation = Literal["equals", "better", "worse", "lower", "higher", "within", "away", "near best"]
Cells = Mapping[str, Mapping[str, float]]
"""Row to metric to value; what is missing has no value."""

PAIRED = ("psnr", "ssim", "mouth_psnr", "mouth_ssim", "lpips", "mouth_lpips")
"""What compares each frame with the true frame."""
SILENT = (*PAIRED, "fid", "fvd", "csim", "iss", "efid", "lmd", "mouth_opening_r", "flicker", "warping_error")
"""What does not listen."""
SYNC_MARGIN = 0.2
"""Share by which the best system may be better on sync than the ground truth."""
MEDIAN_DISTANCES = (11.0, 17.0)
"""Where C + D, the median distance over shifts, lies for the published SyncNet: 5 to 95 % of 218 clips
are 11.7 to 16.2."""
PUBLISHED_JUDGE = "syncnet"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a row must show on the metrics whose names start so."""

    row: str
    starts: tuple[str, ...]
    relation: Relation
    others: tuple[str, ...] = ()
    """Rows that it is compared with: it must stand so to each."""
    bounds: tuple[float, float] = (0.0, 0.0)
    """Of `within`, the least and the largest value; of `away`, of the distance to the other row's value."""


EXPECTATIONS = (
    Expectation(REENCODED, (*PAIRED, "lmd", "mouth_opening_r"), "better", (FROZEN, OTHER)),
    Expectation(REENCODED, ("csim", "iss"), "better", (OTHER,)),
    # Sets are blind to what keeps the set: the other speakers are a permutation of the same videos, and FID
    # does not see time. FVD and E-FID see a frozen frame.
    Expectation(REENCODED, ("fvd", "efid"), "better", (FROZEN,)),
    Expectation(REENCODED, ("psnr",), "within", bounds=(28.0, np.inf)),
    Expectation(REENCODED, ("ssim",), "within", bounds=(0.85, 1.0)),
    Expectation(REENCODED, ("lpips",), "within", bounds=(0.0, 0.25)),
    Expectation(REENCODED, ("csim",), "within", bounds=(0.8, 1.0)),
    Expectation(REENCODED, ("flicker_ratio",), "within", bounds=(0.5, 1.5)),
    Expectation(SHIFTED, SILENT, "equals", (GROUND_TRUTH,)),
    # Sync-C and Sync-D look for the best shift, so they forgive a constant delay by their definition.
    Expectation(SHIFTED, ("sync_c0",), "lower", (GROUND_TRUTH,)),
    Expectation(
        SHIFTED, ("sync_offset",), "away", (GROUND_TRUTH,), bounds=(SHIFT_FRAMES - 1, SHIFT_FRAMES + 1)
    ),
    Expectation(FROZEN, ("flicker_ratio",), "within", bounds=(0.0, 0.01)),
    Expectation(FROZEN, ("mouth_opening_r",), "within", bounds=(-0.3, 0.3)),
    Expectation(FROZEN, ("sync_c",), "lower", (GROUND_TRUTH,)),
    Expectation(FROZEN, ("sync_d",), "higher", (GROUND_TRUTH,)),
    Expectation(FROZEN, ("csim", "iss"), "better", (OTHER,)),
    Expectation(OTHER, ("csim", "iss", "psnr", "lpips"), "worse", (REENCODED, SHIFTED, FROZEN)),
    Expectation(OTHER, ("sync_c",), "lower", (GROUND_TRUTH,)),
    Expectation(OTHER, ("sync_d",), "higher", (GROUND_TRUTH,)),
    Expectation(GROUND_TRUTH, ("sync_c", "sync_d"), "near best"),
)


def check_controls(metrics: Sequence[MetricInfo], rows: Sequence[SystemRun]) -> tuple[Check, ...]:
    """Compare the control rows with the ground truth and with each other, metric by metric."""
    cells = {row.name: {s.metric: s.value for s in row.scores if s.value is not None} for row in rows}
    systems = [row.name for row in rows if row.kind == "system"]
    checks: list[Check] = []
    for info in metrics:
        for expectation in EXPECTATIONS:
            if expectation.row in cells and _starts(info, expectation.starts):
                checks += [each for each in (_check(info, expectation, cells, systems),) if each]
    return (*checks, *_directions(metrics, cells))


def _starts(info: MetricInfo, starts: Sequence[str]) -> bool:
    space, _, name = info.name.partition("/")
    return space == "video" and any(name == start or name.startswith(f"{start}_") for start in starts)


def _check(info: MetricInfo, expectation: Expectation, cells: Cells, systems: Sequence[str]) -> Check | None:
    """One check; None when the run has none of the rows that it needs."""
    others = systems if expectation.relation == "near best" else expectation.others
    present = [row for row in others if row in cells]
    if not present and expectation.relation != "within":
        return None
    if expectation.relation in ("better", "worse") and not rankable(info):
        return None
    value = cells[expectation.row].get(info.name)
    compared = {row: cells[row][info.name] for row in present if info.name in cells[row]}
    complete = value is not None and len(compared) == len(present)
    if expectation.relation == "near best":
        complete = value is not None and bool(compared)
    return Check(
        metric=info.name,
        row=expectation.row,
        expected=_sentence(expectation, present),
        passed=_holds(info, expectation, value, compared) if complete and value is not None else None,
        found=_found(value, compared),
    )


def _holds(info: MetricInfo, expectation: Expectation, value: float, others: Mapping[str, float]) -> bool:
    """Whether the value stands to each other as it must."""
    low, high = expectation.bounds
    bad = badness(info, value)
    match expectation.relation:
        case "within":
            return low <= value <= high
        case "near best":
            return bad <= min(badness(info, each) for each in others.values()) + SYNC_MARGIN * abs(value)
        case "away":
            return all(low <= abs(value - each) <= high for each in others.values())
        case "equals":
            return all(value == each for each in others.values())
        case "better" | "worse" as relation:
            sign = 1 if relation == "worse" else -1
            return all(sign * (bad - badness(info, each)) > 0 for each in others.values())
        case relation:
            sign = 1 if relation == "higher" else -1
            return all(sign * (value - each) > 0 for each in others.values())


def _sentence(expectation: Expectation, present: Sequence[str]) -> str:
    low, high = expectation.bounds
    rows = " and ".join(present)
    match expectation.relation:
        case "within":
            return f"at least {low:g}" if np.isinf(high) else f"from {low:g} to {high:g}"
        case "near best":
            return f"not worse than the best system by more than {SYNC_MARGIN:.0%}"
        case "away":
            return f"{low:g} to {high:g} away from {rows}"
        case "equals":
            return f"exactly as {rows}"
        case relation:
            return f"{relation} than {rows}"


def _found(value: float | None, others: Mapping[str, float]) -> str:
    said = "not measured" if value is None else f"{value:.4g}"
    return "; ".join([said, *(f"{row} {each:.4g}" for row, each in others.items())])


def _directions(metrics: Sequence[MetricInfo], cells: Cells) -> Iterator[Check]:
    """Lint of Sync-C and Sync-D of each judge: a swapped column or a turned arrow shows here."""
    names = {info.name for info in metrics}
    for name in sorted(names):
        confidence, distance = name, name.replace("video/sync_c", "video/sync_d")
        if confidence == distance or distance not in names:
            continue
        both = {
            row: (values[confidence], values[distance])
            for row, values in cells.items()
            if confidence in values and distance in values
        }
        yield _opposed(confidence, both)
        if confidence.removeprefix("video/sync_c_").partition("_")[0] == PUBLISHED_JUDGE:
            yield _sums(confidence, both)


def _opposed(metric: str, both: Mapping[str, tuple[float, float]]) -> Check:
    """C and D must go against each other over the rows."""
    pairs = np.array(list(both.values()), np.float64).reshape(-1, 2)
    varied = len(pairs) >= MIN_ROWS and bool((pairs.std(axis=0) > 0).all())
    correlation = float(np.atleast_2d(np.corrcoef(pairs.T))[0, 1]) if varied else None
    return Check(
        metric=metric,
        row="all rows",
        expected="correlation with Sync-D below 0",
        passed=None if correlation is None else correlation < 0,
        found="too few rows" if correlation is None else f"{correlation:.2f} over {len(pairs)} rows",
    )


MIN_ROWS = 3
"""Rows that a correlation needs."""


def _sums(metric: str, both: Mapping[str, tuple[float, float]]) -> Check:
    """C + D is the median distance, nearly the same for all video that SyncNet can read."""
    low, high = MEDIAN_DISTANCES
    sums = {row: confidence + distance for row, (confidence, distance) in both.items()}
    outside = {row: total for row, total in sums.items() if not low <= total <= high}
    shown = outside or sums
    return Check(
        metric=metric,
        row="all rows",
        expected=f"Sync-C + Sync-D from {low:g} to {high:g}",
        passed=not outside if sums else None,
        found="; ".join(f"{row} {total:.2f}" for row, total in shown.items()) or "not measured",
    )
