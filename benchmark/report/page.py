"""The HTML page: everything that comes from outside is escaped, and a policy keeps scripts of others out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ..headlines import Headline, headlines
from ..records import Run
from .ablations import ablations
from .board import board
from .charts import loss_chart
from .sections import checks, data, differences, failures, method, warning
from .shell import asset, embedded, head, players
from .sources import Curve, Ledger, Sources, preview_places

CHOOSER = """<button type="button" id="previous" aria-label="Previous clip">‹</button>
<label>clip <select id="case"><!--options--></select></label>
<button type="button" id="next" aria-label="Next clip">›</button>"""


def page(
    sources: Sources, cases: list[dict[str, Any]], curves: Sequence[Curve], ledgers: Sequence[Ledger]
) -> str:
    """Put the page together."""
    script, run = asset("player.js"), sources.run
    parts = (
        head(sources.title, asset("style.css"), [script]),
        _top(sources.title, run),
        "<main>",
        _headlines(headlines(run)),
        _players(cases),
        warning(run),
        board(run),
        differences(run),
        ablations(sources.ablation),
        checks(run),
        failures(run),
        data(ledgers, preview_places(sources)),
        _curves(curves),
        method(run),
        "</main>",
        embedded("data", {"cases": cases}),
        f"<script>{script}</script>",
        "</body></html>\n",
    )
    return "\n".join(part for part in parts if part)


def _top(title: str, run: Run) -> str:
    names = ", ".join(escape(system.name) for system in run.systems if system.kind == "system")
    line = f"{len(run.reference)} held-out clips · systems: {names} · {escape(run.created)}"
    return f'<header><h1>{escape(title)}</h1><p class="soft">{line}</p></header>'


def _headlines(found: Sequence[Headline]) -> str:
    return f'<section class="bars" aria-label="Headline numbers">{"".join(map(_headline, found))}</section>'


def _headline(each: Headline) -> str:
    value = "not measured" if each.value is None else f"{each.value:+.2f}{each.unit}"
    bounded = each.low is not None and each.high is not None
    interval = f", 95 % interval {each.low:+.2f} to {each.high:+.2f}" if bounded else ""
    state, word = ("met", "✓ reached") if each.met else ("missed", "✗ not reached")
    return (
        f'<div class="bar"><p>{escape(each.title)}</p><strong>{value}</strong>'
        f'<p class="soft">{each.num_clips} clips{interval}</p>'
        f'<p class="{state}">bar: at least {each.at_least:g}{each.unit}: {word}</p></div>'
    )


def _players(cases: Sequence[dict[str, Any]]) -> str:
    options = "".join(f'<option value="{k}">{escape(case["name"])}</option>' for k, case in enumerate(cases))
    return players(CHOOSER.replace("<!--options-->", options))


def _curves(curves: Sequence[Curve]) -> str:
    if not curves:
        return ""
    charts = "".join(loss_chart(curve, 1 + k % 6) for k, curve in enumerate(curves))
    return f'<section><h2>Training</h2><div class="charts">{charts}</div></section>'
