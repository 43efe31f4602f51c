"""A run seen through one corpus: what is a mean over clips is taken again over the corpus' clips alone."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from ..intervals import mean_estimate
from ..records import Estimate, Run, Score

OF_A_SET = (
    "a distance of whole sets, not known for a part of the clips; score this corpus in a run of its own"
)


def corpora_of(run: Run, corpus_of: Mapping[str, str]) -> dict[str, list[str]]:
    """Corpus to the run's clips of it; empty when every clip is of one corpus, or of none that is known."""
    found: dict[str, list[str]] = {}
    for key in sorted(run.reference):
        if key in corpus_of:
            found.setdefault(corpus_of[key], []).append(key)
    return dict(sorted(found.items())) if len(found) > 1 else {}


def restricted(run: Run, keys: Collection[str]) -> Run:
    """The run as if only these clips had been scored; differences and checks, over all clips, fall away."""
    kept = set(keys)
    systems = tuple(
        replace(
            system,
            scores=tuple(_restricted(score, kept) for score in system.scores),
            videos={key: sha for key, sha in system.videos.items() if key in kept},
        )
        for system in run.systems
    )
    reference = {key: sha for key, sha in run.reference.items() if key in kept}
    return replace(run, reference=reference, systems=systems, differences=(), checks=())


def _restricted(score: Score, kept: set[str]) -> Score:
    if score.value is not None and not _is_mean(score):
        return _without_value(score, len(kept), OF_A_SET)
    per_clip = {key: value for key, value in score.per_clip.items() if key in kept}
    if not per_clip:
        return _without_value(score, len(kept), score.not_measured or "every clip of this corpus failed")
    estimate: Estimate = mean_estimate(np.array([per_clip[key] for key in sorted(per_clip)]))
    imputed = tuple(key for key in score.imputed if key in kept)
    return replace(
        score,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        per_clip=per_clip,
        failures={key: why for key, why in score.failures.items() if key in kept},
        imputed=imputed,
        num_ok=len(per_clip) - len(set(imputed) & set(per_clip)),
        num_total=len(kept),
        replicates=(),
    )


def _is_mean(score: Score) -> bool:
    """Whether a value is the mean of its clips' values, so that a part of the clips has one too."""
    if not score.per_clip or score.value is None:
        return False
    mean = math.fsum(score.per_clip.values()) / len(score.per_clip)
    return math.isclose(mean, score.value, rel_tol=1e-9, abs_tol=1e-12)


def _without_value(score: Score, num_total: int, why: str) -> Score:
    return Score(
        metric=score.metric,
        value=None,
        num_ok=0,
        num_total=num_total,
        failures={},
        per_clip={},
        not_measured=why,
    )
