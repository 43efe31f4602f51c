"""Places in a table, how sure they are, and their mean over metrics.

Ranking goes by the metric's own direction. A system with failed clips stands behind all that have none,
unless the run's failure policy gave those clips the worst value of any row: failing cannot win a place.
Ground truth and controls are not ranked; where they would stand is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .intervals import MIN_CLIPS, NUM_FRECHET_RESAMPLES, bounded, clip_draws
from .records import MetricInfo, RowKind, Score

AVERAGED = ("video/fid", "video/fvd", "video/sync_c", "video/sync_d", "video/efid")
"""Avg-R's metrics, as EARTalking (arXiv 2603.20307, Table 1) names them; of each the first column counts."""
BEHIND, LACKING = 1, 2
"""Tiers of a ranking after the whole rows: rows with failed clips, rows without a value."""


@dataclass(frozen=True, slots=True)
class Places:
    """The ranking of one column."""

    ranks: dict[str, int]
    """System to place, 1 is best; ties share the better place."""
    ranges: dict[str, tuple[int, int]]
    """System to the places that hold 95 % of its ranks when clips are drawn anew; empty without intervals."""
    would_stand: dict[str, int]
    """Ground truth and controls: the place that each would take among the systems."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """What decides places: tier first, then badness."""

    names: tuple[str, ...]
    tiers_S: NDArray[np.int64]
    badness_S: NDArray[np.float64]
    drawn_BS: NDArray[np.float64] | None
    """Badness over drawn clips, the same draws for all; None when a row has none."""


def rankable(info: MetricInfo) -> bool:
    """Whether values of a metric can be better or worse."""
    return info.direction != "target" or info.target is not None


def badness(info: MetricInfo, value: float) -> float:
    """How bad a value is; less is better."""
    if info.direction == "higher":
        return -value
    return value if info.direction == "lower" or info.target is None else abs(value - info.target)


def whole(info: MetricInfo, score: Score) -> bool:
    """Whether no clip is missing, or the failure policy made every missing one cost the worst value."""
    counted = score.num_ok + (len(score.imputed) if info.protocol.get("on_failure") == "worst" else 0)
    return counted >= score.num_total


def places(
    info: MetricInfo, cells: Mapping[str, Score], kinds: Mapping[str, RowKind], keys: Sequence[str]
) -> Places:
    """Rank the systems of a column; `cells` are row to score, `keys` all cases of the reference set."""
    valued = {name: score for name, score in cells.items() if score.value is not None}
    if not rankable(info):
        return Places({}, {}, {})
    systems = {name: score for name, score in valued.items() if kinds[name] == "system"}
    standing = _standing(info, systems, keys)
    ranks = _ranked(standing.tiers_S, standing.badness_S[None], "min")[0]
    by_name = {name: int(rank) for name, rank in zip(standing.names, ranks, strict=True)}
    others = {name: score for name, score in valued.items() if kinds[name] != "system"}
    stand = {name: _would_stand(info, score, standing) for name, score in others.items()}
    return Places(by_name, _ranges(standing, by_name), stand if systems else {})


def _would_stand(info: MetricInfo, score: Score, standing: _Standing) -> int:
    if score.value is None:
        raise ValueError(f"{score.metric} has no value to place")
    better = (standing.tiers_S == 0) & (standing.badness_S < badness(info, score.value))
    return 1 + int(better.sum())


def _standing(info: MetricInfo, scores: Mapping[str, Score | None], keys: Sequence[str]) -> _Standing:
    names = tuple(scores)
    tiers, values, drawn = [], [], []
    for score in scores.values():
        value = score.value if score else None
        lacking = score is None or value is None
        tiers.append(LACKING if lacking else 0 if score is not None and whole(info, score) else BEHIND)
        values.append(0.0 if score is None or value is None else badness(info, value))
        drawn.append(np.zeros(NUM_FRECHET_RESAMPLES) if lacking else _drawn(info, score, keys))
    complete = [each for each in drawn if each is not None]
    stacked = np.stack(complete, axis=1) if complete and len(complete) == len(drawn) else None
    return _Standing(names, np.array(tiers, np.int64), np.array(values, np.float64), stacked)


def _drawn(info: MetricInfo, score: Score | None, keys: Sequence[str]) -> NDArray[np.float64] | None:
    """Badness over drawn clips; from replicates where clips have no values of their own."""
    if score is None or (not score.per_clip and len(score.replicates) != NUM_FRECHET_RESAMPLES):
        return None
    if not score.per_clip:
        values = np.array(score.replicates)
    elif len(keys) < MIN_CLIPS:
        return None
    else:
        values = _drawn_means(score, keys)
    return np.array([badness(info, value) for value in values])


def _drawn_means(score: Score, keys: Sequence[str]) -> NDArray[np.float64]:
    """Means over drawn clips of the reference set that have a value; the row's mean where none was drawn."""
    values = np.array([score.per_clip.get(key, np.nan) for key in keys])
    there = np.isfinite(values)
    drawn = clip_draws(len(keys), NUM_FRECHET_RESAMPLES)
    counts = there[drawn].sum(axis=1)
    sums = np.where(there, values, 0.0)[drawn].sum(axis=1)
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), score.value), np.float64)


def _ranked(
    tiers_S: NDArray[np.int64], badness_BS: NDArray[np.float64], ties: Literal["min", "average"]
) -> NDArray[np.float64]:
    """Places by tier, then by badness, (B, S); by sorting, so that thousands of systems can be ranked."""
    from scipy.stats import rankdata  # here, so that no options page waits for it

    within_BS = rankdata(badness_BS, method="dense", axis=1)
    return np.asarray(rankdata(tiers_S * (badness_BS.shape[1] + 1) + within_BS, method=ties, axis=1))


def _ranges(standing: _Standing, ranks: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    if standing.drawn_BS is None:
        return {}
    drawn = _ranked(standing.tiers_S, standing.drawn_BS, "min")
    lows = np.percentile(drawn, 2.5, axis=0, method="lower")
    highs = np.percentile(drawn, 97.5, axis=0, method="higher")
    found = zip(standing.names, lows, highs, strict=True)
    return {name: (min(int(low), ranks[name]), max(int(high), ranks[name])) for name, low, high in found}


@dataclass(frozen=True, slots=True)
class AverageRank:
    """Mean of a system's ranks over the stated metrics."""

    value: float
    low: float | None
    high: float | None
    lacking: tuple[str, ...]
    """Titles of the metrics where it has no value and so stands last."""


def averaged_columns(
    columns: Mapping[str, MetricInfo], cells: Mapping[str, Mapping[str, Score]]
) -> dict[str, MetricInfo]:
    """Columns that Avg-R is over: of each of its metrics the first that any system has; none below two."""
    chosen: dict[str, MetricInfo] = {}
    for start in AVERAGED:
        for column, info in columns.items():
            valued = any(column in scores and scores[column].value is not None for scores in cells.values())
            if valued and rankable(info) and (info.name == start or info.name.startswith(f"{start}_")):
                chosen[column] = info
                break
    return chosen if len(chosen) > 1 else {}


def average_ranks(
    columns: Mapping[str, MetricInfo], cells: Mapping[str, Mapping[str, Score]], keys: Sequence[str]
) -> dict[str, AverageRank]:
    """Mean rank of each system over columns; ties share the mean of their places, no value stands last.

    The interval is over clips, drawn alike for all systems and columns; None where a column has none.
    """
    standings = [
        _standing(info, {name: scores.get(column) for name, scores in cells.items()}, keys)
        for column, info in columns.items()
    ]
    values = np.mean(
        [_ranked(each.tiers_S, each.badness_S[None], "average")[0] for each in standings], axis=0
    )
    drawn = [_ranked(s.tiers_S, s.drawn_BS, "average") for s in standings if s.drawn_BS is not None]
    resampled = np.mean(drawn, axis=0) if len(drawn) == len(standings) else None
    found = {}
    for number, name in enumerate(cells):
        value = float(values[number])
        low, high = (None, None) if resampled is None else bounded(value, resampled[:, number])
        lacks = [
            i.title for i, s in zip(columns.values(), standings, strict=True) if s.tiers_S[number] == LACKING
        ]
        found[name] = AverageRank(value, low, high, tuple(lacks))
    return found
