"""The leaderboard of the page: tables by group, control rows that can be folded away, charts, footnotes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from ..leaderboard import (
    Table,
    cell,
    column_id,
    conformance,
    footnotes,
    grouped,
    heading,
    number,
    rank_text,
    tables,
)
from ..records import MetricInfo, Run, Score
from .charts import interval_chart

CHARTED = (
    "avg_r",
    "video/psnr",
    "video/ssim",
    "video/lpips_alex",
    "video/fid",
    "video/fvd_",
    "video/mouth_psnr",
    "video/mouth_opening_r",
    "video/lmd_mouth",
    "video/csim_w600k_mbf",
    "video/iss_w600k_mbf",
    "video/efid",
    "video/sync_c",
    "video/sync_d",
    "video/flicker_ratio",
    "video/warping_error",
)
"""Names of metrics with a chart, or their starts."""
LEGEND = (
    "#k is the place among the systems, with the range that holds 95 % of its places when clips are drawn "
    "anew; (k/n) says how many clips count. ★ best; ↑ higher is better, ↓ lower, → near the truth. Ground "
    "truth and controls are not ranked: (#k) is where they would stand."
)
MAX_REASONS = 4
"""Reasons that a cell shows on hovering; all are listed further down."""


def board(run: Run) -> str:
    """Everything between the players and the differences."""
    return "".join(_section(table, run, place) for place, table in enumerate(tables([run])))


def _section(table: Table, run: Run, place: int) -> str:
    toggle = f"controls-{place}"
    controls = "control" in table.kinds.values()
    switch = (
        f'<input type="checkbox" class="fold" id="{toggle}" checked>'
        f'<label for="{toggle}">show the control rows, made from the ground truth</label>'
    )
    groups = "".join(_group(table, title, infos) for title, infos in grouped(table))
    notes = "".join(f"<li>{escape(note)}</li>" for note in footnotes(table))
    charts = "".join(interval_chart(table, info) for info in table.columns if info.name.startswith(CHARTED))
    return (
        f'<section class="board"><h2>Leaderboard</h2>'
        f"<p>Mean over {table.num_clips} clips with its 95 % interval over clips. {LEGEND}</p>"
        f'{switch if controls else ""}<div class="groups">{groups}</div>'
        f'<ul class="notes">{notes}<li>{escape(conformance([run]))}</li></ul>'
        f'<details open><summary>Charts</summary><div class="charts">{charts}</div></details></section>'
    )


def _group(table: Table, title: str, infos: Sequence[MetricInfo]) -> str:
    heads = "".join(_head(info, table) for info in infos)
    rows = "".join(_row(table, name, scores, infos) for name, scores in table.rows)
    label = escape(title or "Leaderboard")
    return (
        f'<div class="group">{f"<h3>{escape(title)}</h3>" if title else ""}'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f'<thead><tr><th scope="col">system</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div></div>'
    )


def _head(info: MetricInfo, table: Table) -> str:
    return f'<th scope="col" title="{escape(info.about)}">{escape(heading(info, table.columns))}</th>'


def _row(table: Table, name: str, scores: Mapping[str, Score], infos: Sequence[MetricInfo]) -> str:
    cells = "".join(_cell(table, column_id(info), name, scores.get(column_id(info))) for info in infos)
    return f'<tr class="{table.kinds[name]}"><th scope="row">{escape(name)}</th>{cells}</tr>'


def _cell(table: Table, column: str, name: str, score: Score | None) -> str:
    if score is None or score.value is None:
        why = (score.not_measured if score else None) or "not in this run"
        return f'<td class="none" title="{escape(why)}">{escape(cell(score))}</td>'
    best = ' class="best"' if table.is_best(column, name) else ""
    about = _about(score)
    title = f' title="{escape(about)}"' if about else ""
    bounded = score.low is not None and score.high is not None
    interval = f"[{number(score.low or 0.0)}, {number(score.high or 0.0)}] " if bounded else ""
    rank = f" <i>{rank_text(table, column, name)}</i>"
    return f"<td{best}{title}>{number(score.value)}{rank}<small>{interval}{_clips(score)}</small></td>"


def _clips(score: Score) -> str:
    """How many clips count, marked where some are lost."""
    given = f" + {len(score.imputed)} given" if score.imputed else ""
    counted = f"({score.num_ok}/{score.num_total}{given})"
    return f'<b class="lost">{counted}</b>' if score.num_ok < score.num_total else counted


def _about(score: Score) -> str:
    """What hovering says: a note, and why clips have no value."""
    reasons = list(dict.fromkeys(score.failures.values()))
    more = [f"and {len(reasons) - MAX_REASONS} more"] if len(reasons) > MAX_REASONS else []
    return "\n".join([*([score.note] if score.note else []), *reasons[:MAX_REASONS], *more])
