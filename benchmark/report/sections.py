"""The report's plain tables: differences, failures, data, method. Every cell is escaped in one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from datapipe.ledger import Counts

from ..headlines import subject_and_baseline
from ..records import Run
from .sources import Ledger

MAX_OPEN = 20
"""Rows up to which a table is open."""
MAX_WARNED = 6
"""Failed checks that stand above the leaderboard; all stand in their table."""
CHECKS_MEAN = (
    "A metric that fails its checks shows nothing, or the clips are too few or too still for it: "
    "do not rank by it."
)
MARKS = {True: "✓ holds", False: "✗ fails", None: "– not measured"}
CHECK_ORDER = {False: 0, True: 1, None: 2}


def differences(run: Run) -> str:
    """Paired differences of the system in question to every other."""
    subject, _ = subject_and_baseline(run)
    infos = {info.name: info for info in run.metrics}
    rows = [
        (
            f"{d.system} − {d.baseline}",
            infos[d.metric].title,
            infos[d.metric].unit or "–",
            f"{d.value:+.3f}",
            _interval(d.low, d.high),
            _p(d.p_value),
            _p(d.p_adjusted),
            str(d.num_clips),
        )
        for d in sorted(run.differences, key=lambda each: each.baseline)
        if d.system == subject
    ]
    if not rows:
        return ""
    heads = ("systems", "metric", "unit", "difference", "95 % interval", "p", "p adjusted", "clips")
    whole = table(heads, rows, _caption(run))
    return _section("Paired differences", _folded(f"{len(rows)} differences", len(rows), whole))


def _caption(run: Run) -> str:
    tested = sum(each.p_value is not None for each in run.differences)
    return (
        "Means of the per-clip differences: the same clips on both sides, so their difficulty cancels. "
        "p: two-sided sign-flip test over clips; adjusted after Benjamini and Hochberg over the run's "
        f"{tested} tests. Differences of set distances (FID, FVD) have an interval and no test."
    )


def _p(value: float | None) -> str:
    return "–" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"[{low:+.3f}, {high:+.3f}]"


def warning(run: Run) -> str:
    """What stands above the leaderboard when a control came out wrong."""
    failed = failed_checks(run)
    if not failed:
        return ""
    lines = "".join(f"<li>{escape(line)}</li>" for line in failed[:MAX_WARNED])
    if len(failed) > MAX_WARNED:
        lines += f"<li>and {len(failed) - MAX_WARNED} more, below</li>"
    return (
        '<section class="warning" role="alert"><h2>Some controls came out wrong</h2>'
        f"<p>{escape(CHECKS_MEAN)}</p><ul>{lines}</ul></section>"
    )


def failed_checks(run: Run) -> list[str]:
    """A sentence for every check that does not hold."""
    titles = {info.name: info.title for info in run.metrics}
    return [
        f"{titles.get(each.metric, each.metric)} of {each.row}: {each.found}; expected: {each.expected}"
        for each in run.checks
        if each.passed is False
    ]


def counted_checks(run: Run) -> str:
    """How many checks hold, in words."""
    passed = [each.passed for each in run.checks]
    return (
        f"{passed.count(True)} of {len(passed)} checks hold, {passed.count(False)} fail, "
        f"{passed.count(None)} could not be made."
    )


def checks(run: Run) -> str:
    """What the control rows must show, and what they showed."""
    if not run.checks:
        return ""
    titles = {info.name: info.title for info in run.metrics}
    rows = [
        (MARKS[each.passed], titles.get(each.metric, each.metric), each.row, each.expected, each.found)
        for each in sorted(run.checks, key=lambda each: CHECK_ORDER[each.passed])
    ]
    heads = ("", "metric", "row", "expected", "found")
    every = table(
        heads, rows, "Whatever a control breaks must cost it the metric that is about it.", text=True
    )
    count = f"<p>{escape(counted_checks(run))}</p>"
    return _section("Do the metrics work here?", count, _details("All checks", every))


def failures(run: Run) -> str:
    """What has no value and why, and what was done to make videos comparable."""
    failed = {
        (system.name, key, why)
        for system in run.systems
        for score in system.scores
        for key, why in score.failures.items()
    }
    notes = [(system.name, key, note) for system in run.systems for key, note in system.notes.items()]
    parts = []
    if failed:
        heads = ("system", "clip", "why it has no value")
        lost = table(heads, sorted(failed), "Failures are counted, never scored as 0.", text=True)
        parts.append(_folded(f"{len(failed)} failures", len(failed), lost))
    if notes:
        heads = ("system", "clip", "what was done to compare it")
        changed = table(heads, notes, "Videos that were brought into line.", text=True)
        parts.append(_folded(f"{len(notes)} notes", len(notes), changed))
    return _section("Failures and notes", "".join(parts) or "<p>None: every system has every video.</p>")


def data(ledgers: Sequence[Ledger], previews: Sequence[str]) -> str:
    """What became of every clip of every corpus, and what some look like."""
    pictures = "".join(
        f'<figure><img src="{place}" alt="Keyframes of a clip over its sound, labelled with phonemes">'
        "<figcaption>Keyframes with their phonemes and times, and the sound.</figcaption></figure>"
        for place in previews
    )
    if not ledgers:
        return _section("Data", pictures) if pictures else ""
    rows = [(each.name, *map(str, _numbers(each.counts)), each.counts.sentence()) for each in ledgers]
    reasons = [
        (each.name, reason, str(number), each.examples.get(reason, ""))
        for each in ledgers
        for reason, number in each.counts.reasons.items()
    ]
    counts = table(("shards", "in", "out", "rejected", "failed", "sum"), rows)
    why = table(("shards", "reason", "clips", "for example"), reasons, "Why clips were rejected.", text=True)
    return _section("Data", counts + (why if reasons else "") + pictures)


def _numbers(counts: Counts) -> tuple[int, ...]:
    return counts.total, counts.done, counts.rejected, counts.failed


def method(run: Run) -> str:
    """Definitions with their protocols, weights, machine and time."""
    metrics = [(info.title, info.about, _settings(info.protocol), info.protocol_hash) for info in run.metrics]
    seconds = [(name, f"{value:.1f}") for name, value in run.seconds.items()]
    return _section(
        "How it was measured",
        f"<p>Reference set <code>{run.reference_hash}</code>. "
        "Videos are compared at 25 fps and at the size of the truth.</p>",
        table(("metric", "what it says", "protocol", "hash"), metrics, text=True),
        _details("Weights", table(("name", "sha256"), run.weights.items(), text=True)),
        _details("Environment", table(("what", "version"), run.environment.items(), text=True)),
        _details("Seconds, summed over workers; stages include those within", table(("stage", "s"), seconds)),
    )


def _settings(settings: dict[str, Any]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in settings.items())


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _details(title: str, inside: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def _folded(title: str, num_rows: int, inside: str) -> str:
    """A long table behind its title."""
    return inside if num_rows <= MAX_OPEN else _details(title, inside)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", text: bool = False) -> str:
    """A table of plain strings, escaped here; columns of numbers stand right unless it is `text`."""
    lines = list(rows)
    words = [text or not lines or not _is_number(value) for value in (lines[0] if lines else heads)]
    head = "".join(_cell(each, left, 'th scope="col"') for each, left in zip(heads, words, strict=True))
    body = "".join(f"<tr>{''.join(map(_cell, row, words))}</tr>" for row in lines)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    opening = '<div class="scroll" tabindex="0"><table>'
    return f"{opening}{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cell(value: str, left: bool, tag: str = "td") -> str:
    side = ' class="text"' if left else ""
    return f"<{tag}{side}>{escape(value)}</{tag[:2]}>"


def _is_number(value: str) -> bool:
    return value[:1] in "+-[0123456789–"
