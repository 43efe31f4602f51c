"""Paired differences between systems, with tests that know how many of them there are.

Pairs: all, while the systems are few; else the system in question against each other, so that the work and
the correction for many tests grow with the systems and not with their square.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from .headlines import subject_of
from .intervals import CHUNK, MIN_CLIPS, SEED, bounded, mean_estimate
from .records import Difference, Score, SystemRun

MAX_ALL_PAIRS = 8
"""Systems up to which every pair is compared."""
MIN_TEST_CLIPS = 5
"""Below, no p-value: with four clips none can be under 0.125."""
MAX_EXACT_CLIPS = 12
"""Clips up to which all 2^n signs are tried."""
NUM_PERMUTATIONS = 10_000


def differences(rows: Sequence[SystemRun]) -> tuple[Difference, ...]:
    """System minus baseline for every metric and pair; p-values are adjusted over all that are returned.

    Clips whose failure was replaced by a value do not count: only what both systems made is compared.
    """
    systems = {
        row.name: {score.metric: score for score in row.scores} for row in rows if row.kind == "system"
    }
    metrics = dict.fromkeys(metric for scores in systems.values() for metric in scores)
    found = []
    for metric, (system, baseline) in product(metrics, pairs(tuple(systems))):
        ours, theirs = systems[system].get(metric), systems[baseline].get(metric)
        each = difference(system, ours, baseline, theirs) if ours and theirs else None
        found += [each] if each else []
    return adjusted(found)


def pairs(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(system, baseline): the system in question first; of two others only while there are few."""
    if not names:
        return
    subject = subject_of(names)
    ordered = (subject, *(name for name in names if name != subject))
    few = len(names) <= MAX_ALL_PAIRS
    yield from combinations(ordered, 2) if few else ((subject, other) for other in ordered[1:])


def difference(system: str, ours: Score, baseline: str, theirs: Score) -> Difference | None:
    """One difference; None when no clip, or for a metric of sets no whole set, is common to both."""
    return _of_clips(system, ours, baseline, theirs) or _of_sets(system, ours, baseline, theirs)


def _of_clips(system: str, ours: Score, baseline: str, theirs: Score) -> Difference | None:
    """Mean over the clips that both made, with a bootstrap interval and a sign-flip test."""
    made = (ours.per_clip.keys() & theirs.per_clip.keys()) - {*ours.imputed, *theirs.imputed}
    if not made:
        return None
    values = np.array([ours.per_clip[key] - theirs.per_clip[key] for key in sorted(made)])
    estimate = mean_estimate(values)
    return Difference(
        metric=ours.metric,
        system=system,
        baseline=baseline,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        num_clips=len(values),
        p_value=sign_flip_p(values),
    )


def _of_sets(system: str, ours: Score, baseline: str, theirs: Score) -> Difference | None:
    """Difference of two set distances over the same clips, with an interval from draws that both share."""
    complete = ours.num_ok == ours.num_total == theirs.num_ok == theirs.num_total
    if ours.per_clip or not complete or ours.value is None or theirs.value is None:
        return None
    value = ours.value - theirs.value
    low, high = None, None
    if len(ours.replicates) == len(theirs.replicates) >= MIN_CLIPS:
        low, high = bounded(value, np.array(ours.replicates) - np.array(theirs.replicates))
    return Difference(
        metric=ours.metric,
        system=system,
        baseline=baseline,
        value=value,
        low=low,
        high=high,
        num_clips=ours.num_ok,
    )


def sign_flip_p(values_N: NDArray[np.float64]) -> float | None:
    """Two-sided p of a mean of 0 when each clip's difference might as well have the other sign.

    All signs are tried up to 12 clips; else 10,000 seeded draws and the observed one (Phipson, Smyth 2010),
    so that p is never 0. None below five clips.
    """
    num = len(values_N)
    if num < MIN_TEST_CLIPS:
        return None
    sums = np.concatenate([block @ values_N for block in sign_blocks(num)])
    reached = int((np.abs(sums) >= abs(float(values_N.sum())) - 1e-12 * float(np.abs(values_N).sum())).sum())
    return reached / len(sums) if num <= MAX_EXACT_CLIPS else (reached + 1) / (len(sums) + 1)


@lru_cache(maxsize=2)
def sign_blocks(num_clips: int) -> tuple[NDArray[np.int8], ...]:
    """Signs (rows, num_clips) in blocks: every combination up to 12 clips, else seeded draws."""
    if num_clips <= MAX_EXACT_CLIPS:
        bits = np.arange(2**num_clips)[:, None] >> np.arange(num_clips) & 1
        return ((2 * bits - 1).astype(np.int8),)
    random = np.random.default_rng(SEED)
    rows = max(1, CHUNK // num_clips)
    sizes = [min(rows, NUM_PERMUTATIONS - start) for start in range(0, NUM_PERMUTATIONS, rows)]
    return tuple(2 * random.integers(0, 2, (size, num_clips), np.int8) - 1 for size in sizes)


def false_discovery_rates(p_values: Sequence[float]) -> list[float]:
    """Each p times the number of tests over its rank, never above that of a larger p.

    As `scipy.stats.false_discovery_control`, whose import takes as long as the scoring of a clip.
    """
    values = np.array(p_values)
    order = np.argsort(-values)
    raised = values[order] * len(values) / np.arange(len(values), 0, -1)
    rates = np.empty(len(values))
    rates[order] = np.minimum.accumulate(raised).clip(max=1.0)
    return [float(rate) for rate in rates]


def adjusted(found: Sequence[Difference]) -> tuple[Difference, ...]:
    """Add p-values after Benjamini and Hochberg (1995) over all that have one."""
    values = iter(false_discovery_rates([each.p_value for each in found if each.p_value is not None]))
    return tuple(each if each.p_value is None else replace(each, p_adjusted=next(values)) for each in found)
