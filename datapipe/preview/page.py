"""The page: one file without requests to anywhere; whatever comes from the data is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd

from ..ledger import Row
from ..records import REASONS, Manifest
from ..stats import summarise
from ..webpage import page_head
from .worst import quality_section

HERE = Path(__file__).parent
MOST_EXAMPLES = 5
"""Clips that are shown for each reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What was drawn of the samples."""

    strips: tuple[str, ...]
    """HTML of the samples that are shown whole."""
    thumbnails: Mapping[str, str]
    """Key to URI of the samples that are among the worst by some column."""
    worst: int
    """How many of the worst are shown for a column."""


def page(
    manifest: Manifest, rows: pd.DataFrame, looks: Looks, ledger: Sequence[Row], leakage: str = ""
) -> str:
    """Put the page together."""
    lost = [row for row in ledger if row.status != "done"]
    script = _asset("player.js")
    parts = (
        page_head(f"{manifest.name}: preview", _asset("style.css"), [script], media="data:"),
        _top(manifest, rows, lost),
        "<main>",
        _splits(rows, leakage),
        _samples(looks, len(rows)),
        quality_section(rows, looks.thumbnails, looks.worst) if len(rows) else "",
        _rejects(lost, len(ledger)),
        "</main>",
        f"<script>{script}</script></body></html>\n",
    )
    return "\n".join(part for part in parts if part)


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _top(manifest: Manifest, rows: pd.DataFrame, lost: Sequence[Row]) -> str:
    facts = summarise(rows)
    cards = {
        "samples": f"{facts['samples']:,}",
        "speech": _time(facts["seconds"]),
        "speaker labels": f"{facts['speakers']:,}",
        "keyframes": f"{facts['keyframes']:,}",
        "clips left out": f"{len(lost):,}",
    }
    tiles = "".join(
        f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for name, value in cards.items()
    )
    versions = " · ".join(escape(f"{name} {value}") for name, value in manifest.versions.items())
    links = "".join(
        f'<a href="#{place}">{name}</a>'
        for place, name in (
            ("splits", "Splits"), ("samples", "Samples"), ("quality", "Quality"), ("rejects", "Rejects"),
        )
    )  # fmt: skip
    return (
        f'<header><h1>{escape(manifest.name)}</h1><p class="soft">{versions}</p>'
        f'<div class="tiles">{tiles}</div><nav aria-label="Sections">{links}</nav></header>'
    )


def _time(seconds: float) -> str:
    hours, minutes = seconds / 3600, seconds / 60
    return f"{hours:.1f} h" if hours >= 1 else f"{minutes:.1f} min"


def _splits(rows: pd.DataFrame, leakage: str) -> str:
    groups = rows.groupby(["split", "language"])
    lines = "".join(
        f"<tr><td>{escape(str(split) or 'none')}</td><td>{escape(str(language))}</td><td>{len(group)}</td>"
        f"<td>{_time(group['duration'].sum())}</td><td>{group['speaker'].nunique()}</td></tr>"
        for (split, language), group in groups
    )
    heads = "".join(
        f'<th scope="col">{name}</th>' for name in ("split", "language", "samples", "time", "speakers")
    )
    said = f"<p>{escape(leakage)}</p>" if leakage else ""
    return (
        f'<section id="splits"><h2>Splits</h2>{said}<div class="scroll"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div></section>"
    )


def _samples(looks: Looks, total: int) -> str:
    if not looks.strips:
        return '<section id="samples"><h2>Samples</h2><p>There are none.</p></section>'
    all_of = "All" if len(looks.strips) == total else f"{len(looks.strips)} of {total}, at even distances"
    shown = f"{all_of}. Press a keyframe or the wave to go there."
    return (
        f'<section id="samples"><h2>Samples</h2><p class="soft">{shown}</p>{"".join(looks.strips)}</section>'
    )


def _rejects(lost: Sequence[Row], total: int) -> str:
    if not lost:
        return (
            f'<section id="rejects"><h2>Rejects</h2><p>None: all {total} clips became samples.</p></section>'
        )
    by: dict[str, list[Row]] = {}
    for row in sorted(lost, key=lambda row: (row.status == "failed", row.reason, row.clip)):
        by.setdefault(row.reason, []).append(row)
    groups = "".join(
        _reason(reason, rows) for reason, rows in sorted(by.items(), key=lambda pair: -len(pair[1]))
    )
    return (
        f'<section id="rejects"><h2>Rejects</h2><p class="soft">{len(lost)} of {total} clips, by reason.</p>'
        f"{groups}</section>"
    )


def _reason(reason: str, rows: Sequence[Row]) -> str:
    failed = rows[0].status == "failed"
    meaning = "an error of the software" if failed else REASONS.get(reason, "")
    items = "".join(map(_example, rows[:MOST_EXAMPLES]))
    more = len(rows) - MOST_EXAMPLES
    rest = f'<p class="soft">and {more} more in ledger.jsonl</p>' if more > 0 else ""
    return (
        f'<details class="reason"><summary><b>{len(rows)}</b> {escape(reason)} '
        f'<span class="soft">{escape(meaning)}</span></summary><ul>{items}</ul>{rest}</details>'
    )


def _example(row: Row) -> str:
    command = f"<pre><code>{escape(row.reproduce)}</code></pre>" if row.reproduce else ""
    trace = (
        f"<details><summary>trace</summary><pre>{escape(row.traceback)}</pre></details>"
        if row.traceback
        else ""
    )
    return f"<li><b>{escape(row.clip)}</b>: {escape(row.message)}{command}{trace}</li>"
