"""The same report in Markdown, for places that show no HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..headlines import headlines
from ..leaderboard import escaped, markdown
from ..records import Run
from .ablations import ablation_lines
from .sections import CHECKS_MEAN, MARKS, counted_checks, failed_checks
from .sources import Curve, Ledger, Sources, preview_places


def summary(sources: Sources, curves: Sequence[Curve], ledgers: Sequence[Ledger], sheet: str) -> str:
    """Headline numbers, tables, counts and environment."""
    return "\n".join(_lines(sources, curves, ledgers, sheet)) + "\n"


def _lines(sources: Sources, curves: Sequence[Curve], ledgers: Sequence[Ledger], sheet: str) -> Iterator[str]:
    run = sources.run
    yield f"# {escaped(sources.title)}\n"
    yield from (f"- {escaped(each.sentence())}" for each in headlines(run))
    yield f"\n![frames of the truth and of each system]({sheet})\n"
    yield from _warning(run)
    yield markdown([run])
    yield from ablation_lines(sources.ablation)
    yield from _checks(run)
    if ledgers:
        yield "## Data\n\n| shards | in | out | rejected | failed |\n|---|---|---|---|---|"
    for each in ledgers:
        why = ", ".join(f"{number} {reason}" for reason, number in each.counts.reasons.items()) or "0"
        counts = (each.counts.total, each.counts.done, escaped(why), each.counts.failed)
        yield f"| {escaped(each.name)} | " + " | ".join(map(str, counts)) + " |"
    yield from (f"\n![keyframes, phonemes and sound of a clip]({place})" for place in preview_places(sources))
    if curves:
        yield "\n## Training\n\n| stage | steps | first loss | last loss |\n|---|---|---|---|"
    for curve in curves:
        first, last = curve.losses[0], curve.losses[-1]
        yield f"| {escaped(curve.name)} | {curve.steps[-1]:g} | {first:.4g} | {last:.4g} |"
    failures = {(s.name, why) for s in run.systems for score in s.scores for why in score.failures.values()}
    if failures:
        yield "\n## Failures\n"
    yield from (f"- {escaped(name)}: {escaped(why)}" for name, why in sorted(failures))
    yield "\n## Environment\n"
    yield from (f"- {escaped(name)}: {escaped(value)}" for name, value in run.environment.items())
    yield from (f"- weights {escaped(name)}: `{value}`" for name, value in run.weights.items())


def _warning(run: Run) -> Iterator[str]:
    failed = failed_checks(run)
    if failed:
        yield f"\n> **Some controls came out wrong.** {CHECKS_MEAN}\n>"
        yield from (f"> - {escaped(line)}" for line in failed)
        yield ""


def _checks(run: Run) -> Iterator[str]:
    """What the control rows must show, as a table."""
    if not run.checks:
        return
    titles = {info.name: info.title for info in run.metrics}
    yield f"## Checks of the controls\n\n{counted_checks(run)}\n"
    yield "| | metric | row | expected | found |\n|---|---|---|---|---|"
    for each in run.checks:
        metric = titles.get(each.metric, each.metric)
        cells = (MARKS[each.passed], *map(escaped, (metric, each.row, each.expected, each.found)))
        yield f"| {' | '.join(cells)} |"
    yield ""
