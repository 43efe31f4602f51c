"""A study as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..leaderboard import escaped
from .records import OVERALL, Correlation, Opinion, Study

NOTHING = "not measured"
SHOWN_METHOD = "spearman"
"""The page shows one coefficient; the other is in the JSON."""


def as_markdown(study: Study) -> str:
    """Write opinions, raters, agreement, test-retest and correlations, each with what it rests on."""
    parts = (_head(study), _opinions(study), _raters(study), _agreement(study), _correlations(study))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(study: Study) -> Iterator[str]:
    excluded = sum(rater.status == "excluded" for rater in study.raters)
    silent = sum(rater.status == "no answers" for rater in study.raters)
    yield f"# {escaped(study.title)}\n"
    yield f"{study.num_raters} raters count; {excluded} excluded by attention checks, {silent} sent none. "
    yield f"{len(study.cases)} clips, {len(study.systems)} rows. Kit `{study.kit}`, seed {study.seed}."
    for case, why in study.left_out.items():
        yield f"- left out: {escaped(case)}: {escaped(why)}"


def _titles(study: Study) -> dict[str, str]:
    return {each.name: each.title for each in study.dimensions} | {OVERALL: "Overall"}


def _opinions(study: Study) -> Iterator[str]:
    yield "## Opinions\n"
    yield "Mean ± deviation over the raters' own means, then the 95 % interval; 1 to 5, higher is better.\n"
    yield from _row(["system", *_titles(study).values()])
    yield from _row(["---"] * (len(study.dimensions) + 2))
    for row in study.systems:
        name = escaped(row.name) if row.kind == "system" else f"*{escaped(row.name)}*"
        yield from _row([name, *map(_opinion, row.opinions)])
    yield "\nIntervals: percentile bootstrap, 2000 draws; clips and raters are drawn anew, each by "
    yield "themselves. None below three clips or three raters. Repeated items count once, checks never."


def _row(cells: Sequence[str]) -> Iterator[str]:
    yield f"| {' | '.join(cells)} |"


def _opinion(opinion: Opinion) -> str:
    if opinion.mean is None:
        return NOTHING
    deviation = "" if opinion.deviation is None else f" ± {opinion.deviation:.2f}"
    return f"{opinion.mean:.2f}{deviation}{_interval(opinion.low, opinion.high)} (n={opinion.num_ratings})"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"


def _raters(study: Study) -> Iterator[str]:
    yield "## Raters\n"
    yield from _row(["rater", "", "answered", "did not play", "median s per item", "failed checks"])
    yield from _row(["---"] * 6)
    for rater in study.raters:
        spent = "–" if rater.median_seconds is None else f"{rater.median_seconds:.1f}"
        failed = escaped("; ".join(rater.failed_checks)) or "–"
        answered = f"{rater.num_answered}/{rater.num_asked}"
        yield from _row([rater.name, rater.status, answered, str(rater.unplayable), spent, failed])


def _agreement(study: Study) -> Iterator[str]:
    yield "## Agreement\n"
    yield "Krippendorff's alpha (ordinal) between raters, and each rater's agreement with themselves on "
    yield "repeated items.\n"
    yield from _row(["dimension", "alpha", "videos", "ratings", "same again", "within one step", "pairs"])
    yield from _row(["---"] * 7)
    for each, again in zip(study.agreement, study.retest, strict=True):
        alpha = NOTHING if each.alpha is None else f"{each.alpha:.3f}{_interval(each.low, each.high)}"
        shares = (NOTHING if share is None else f"{share:.0%}" for share in (again.same, again.within_one))
        counts = [str(each.num_units), str(each.num_ratings)]
        yield from _row([_titles(study)[each.dimension], alpha, *counts, *shares, str(again.num_pairs)])
    yield "\nThe interval of alpha draws clips anew (1000 draws)."


def _correlations(study: Study) -> Iterator[str]:
    yield "## Metrics and people\n"
    if study.run is None:
        yield f"{NOTHING}: give `--run RUN.json`, the run that scored the same videos."
        return
    yield f"Spearman's coefficient over (system, clip) and over systems, of run `{study.run[:12]}`; +1 is "
    yield "full agreement whatever the metric's direction. Intervals draw clips anew (500 draws). The ground "
    yield "truth is left out. Kendall's tau-b and every dimension: `human.json`.\n"
    titles = _titles(study)
    yield from _row(["metric", "overall, systems", *(f"{title}, clips" for title in titles.values())])
    yield from _row(["---"] * (len(titles) + 2))
    shown = {
        (each.metric, each.level, each.dimension): each
        for each in study.correlations
        if each.method == SHOWN_METHOD
    }
    for metric in dict.fromkeys(metric for metric, _, _ in shown):
        found = [shown[metric, "system", OVERALL], *(shown[metric, "clip", name] for name in titles)]
        yield from _row([f"`{metric}`", *map(_correlation, found)])


def _correlation(each: Correlation) -> str:
    if each.value is None:
        return f"– ({each.why})"
    return f"{each.value:+.2f}{_interval(each.low, each.high)} (n={each.num})"
