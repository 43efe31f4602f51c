"""Whether a run can be what it says: names that are only names, and scores that follow from their own values.

Means, intervals, differences and checks are computed again from the values per clip. Distances of sets (FID,
FVD) have none: of those only the form is checked, and a board shows who submitted them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import NoReturn

import numpy as np

from datapipe.records import Rejected, printable

from ..checks import check_controls
from ..intervals import mean_estimate
from ..metrics import MetricConfig
from ..metrics import known_metrics as metrics_known
from ..records import MetricInfo, Protocol, Run, Score, SystemRun
from ..runs import faults
from ..stats import differences

LONGEST_NAME = 200
TOLERANCE = 1e-9
"""Relative; another machine may add in another order."""
OF_A_JUDGE = re.compile(r"video/sync_(c|d|c0|offset)_[A-Za-z0-9._-]+")
"""Sync metrics carry the name of their judge, which may be anyone's."""
SHA256 = re.compile(r"[0-9a-f]{64}")


def audit(run: Run, name: str) -> None:
    """Check a run; raises `Rejected("bad_input")` that names `name` and the field that does not fit."""
    try:
        for field, problem in faults(run):
            _wrong(f"{field} {problem}")
        _names(run)
        for info in run.metrics:
            _metric(info)
        for row in run.systems:
            _row(run, row)
        _derived(run)
    except _Wrong as wrong:
        what = f"{name}: run, {wrong}"
        raise Rejected("bad_input", f"{what}; score the videos again with `avatarsync bench run`") from wrong


class _Wrong(Exception):
    """What does not fit, without the name of the file."""


def _wrong(why: str) -> NoReturn:
    raise _Wrong(why)


def _names(run: Run) -> None:
    if not run.reference or not run.metrics or not run.systems:
        _wrong("reference, metrics and systems must not be empty")
    _printable("systems", [row.name for row in run.systems])
    _printable("reference", run.reference)
    for case in run.reference:
        if "/" in case or "\\" in case or case.startswith("."):
            _wrong(f"reference: {case} is a path, a case's name is none")
    for row, videos in [("reference", run.reference), *((row.name, row.videos) for row in run.systems)]:
        if not all(SHA256.fullmatch(video) for video in videos.values()):
            _wrong(f"{row}: a video's hash is no sha256")


def _printable(field: str, names: Iterable[str]) -> None:
    for name in names:
        if not name.strip() or len(name) > LONGEST_NAME or printable(name) != name:
            _wrong(f"{field}: a name is empty, longer than {LONGEST_NAME} or not printable")


def _metric(info: MetricInfo) -> None:
    known = metrics_known(MetricConfig()).get(info.name)
    if known is None and not OF_A_JUDGE.fullmatch(info.name):
        _wrong(f"metrics: {info.name} is no metric of this benchmark")
    if known and (info.direction, info.target, info.unit) != (known.direction, known.target, known.unit):
        _wrong(f"metrics, {info.name}: direction, target or unit are not those of the metric")
    if Protocol(tuple(sorted(info.protocol.items()))).hash != info.protocol_hash:
        _wrong(f"metrics, {info.name}, protocol_hash: it does not follow from the protocol")


def _row(run: Run, row: SystemRun) -> None:
    if not row.videos.keys() <= run.reference.keys():
        _wrong(f"systems, {row.name}, videos: a case is not in the reference")
    for score in row.scores:
        where = f"systems, {row.name}, {score.metric}"
        _cases(run, where, score)
        _numbers(where, score)


def _cases(run: Run, where: str, score: Score) -> None:
    if score.num_total != len(run.reference):
        _wrong(f"{where}, num_total: {score.num_total}, the reference has {len(run.reference)} clips")
    if not set(score.imputed) <= score.failures.keys() & score.per_clip.keys():
        _wrong(f"{where}, imputed: a case did not fail, or has no value")
    if score.per_clip and score.num_ok != len(score.per_clip) - len(score.imputed):
        _wrong(f"{where}, num_ok: {score.num_ok}, but {len(score.per_clip)} clips have a value")
    if score.value is not None and score.num_ok + len(score.failures) != score.num_total:
        _wrong(f"{where}, failures: a clip neither has a value nor failed")


def _numbers(where: str, score: Score) -> None:
    if not all(map(math.isfinite, score.replicates)):
        _wrong(f"{where}, replicates: one is not finite")
    if (score.value is None) == (score.not_measured is None):
        _wrong(f"{where}: it needs a value or a reason why there is none")
    if score.per_clip and score.value is not None:
        found = mean_estimate(np.array([score.per_clip[case] for case in sorted(score.per_clip)]))
        for field in ("value", "low", "high"):
            _same(f"{where}, {field}", getattr(score, field), getattr(found, field))
    bounds = [each for each in (score.low, score.value, score.high) if each is not None]
    if bounds != sorted(bounds):
        _wrong(f"{where}: low, value and high are not in order")


def _same(where: str, said: float | None, found: float | None) -> None:
    if said is None or found is None:
        equal = said is found
    else:
        equal = math.isclose(said, found, rel_tol=TOLERANCE, abs_tol=1e-12)
    if not equal:
        _wrong(f"{where}: {said} does not follow from the values per clip, which give {found}")


def _derived(run: Run) -> None:
    _like("differences", run.differences, differences(run.systems))
    if run.checks:
        _like("checks", run.checks, check_controls(run.metrics, run.systems))


def _like(field: str, said: Sequence[object], found: Sequence[object]) -> None:
    """Compare records field by field, numbers within the tolerance."""
    if len(said) != len(found):
        _wrong(f"{field}: {len(said)} are there, the scores give {len(found)}")
    for one, other in zip(said, found, strict=True):
        for name in type(other).__dataclass_fields__:  # type: ignore[attr-defined]
            ours, theirs = getattr(one, name), getattr(other, name)
            if isinstance(ours, float) and isinstance(theirs, float):
                _same(f"{field}, {name}", ours, theirs)
            elif ours != theirs:
                _wrong(f"{field}, {name}: {ours} does not follow from the scores, which give {theirs}")
