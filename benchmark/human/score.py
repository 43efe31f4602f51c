"""The whole way from a kit and its answers to a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datapipe.files import sha256_of
from datapipe.records import Rejected

from ..runs import read_run
from .answers import read_answers
from .correlate import correlations
from .kit import read_key
from .opinions import agreement_of, judge_raters, opinions_of, ratings_of, retest_of
from .records import Study


def score_study(kit: Path, answers: Sequence[Path], run: Path | None) -> Study:
    """Score a kit's answers, and compare the metrics of a run with them when one is given.

    Raises `Rejected("bad_input")` for answers, a key or a run that do not belong together, and when no rater
    passed the attention checks.
    """
    key = read_key(kit)
    given = read_answers(answers, key)
    raters = judge_raters(key, given)
    ratings = ratings_of(key, given, raters)
    if not ratings.raters:
        why = next(each for rater in raters for each in rater.failed_checks)
        raise Rejected("bad_input", f"no rater passed the attention checks (first: {why}); ask more people")
    systems = opinions_of(ratings)
    return Study(
        title=key.title,
        kit=key.hash,
        seed=key.seed,
        dimensions=key.dimensions,
        cases=key.cases,
        left_out=key.left_out,
        raters=raters,
        systems=systems,
        agreement=agreement_of(ratings),
        retest=retest_of(key, given, ratings),
        run=sha256_of(run) if run else None,
        correlations=correlations(read_run(run), systems, key.videos) if run else (),
    )
