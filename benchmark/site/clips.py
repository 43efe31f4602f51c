"""One clip under every system: values, places among the systems, and how bad it is among a system's clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..leaderboard import column_id, grouped
from ..ranking import rankable
from ..records import MetricInfo, Score
from .boards import KINDS, Board, column_head, intern, short, with_main


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPage:
    """A clip of a whole reference set."""

    number: int
    """Its page is clips/NUMBER.html."""
    key: str
    board: int
    """The board of its reference set."""
    place: int
    """Its place among the clips of the board."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipColumn:
    """A metric's values of single clips: rows R by clips C; NaN where there is none."""

    info: MetricInfo
    scores: tuple[Score | None, ...]
    values_RC: NDArray[np.float64]
    ranks_RC: NDArray[np.float64]
    """Place of the row on the clip, 1 is best; ties share the better place. NaN for what is not ranked."""
    from_worst_RC: NDArray[np.float64]
    """Place of the clip among the row's clips, 1 is worst."""


def clip_pages(boards: Sequence[Board]) -> tuple[ClipPage, ...]:
    """Number the clips of all whole reference sets."""
    found = [
        (number, place, key)
        for number, board in enumerate(boards)
        if not board.corpus
        for place, key in enumerate(board.keys)
    ]
    return tuple(
        ClipPage(number=page, key=key, board=board, place=place)
        for page, (board, place, key) in enumerate(found)
    )


def clip_columns(board: Board) -> tuple[ClipColumn, ...]:
    """The columns of a board that have values of single clips."""
    return tuple(_column(board, info) for info in board.table.columns if _has_clips(board, info))


def _has_clips(board: Board, info: MetricInfo) -> bool:
    scores = (row.get(column_id(info)) for _, row in board.table.rows)
    return any(score is not None and score.per_clip for score in scores)


def _column(board: Board, info: MetricInfo) -> ClipColumn:
    scores = tuple(row.get(column_id(info)) for _, row in board.table.rows)
    values = np.array([_values(score, board.keys) for score in scores]).reshape(len(scores), len(board.keys))
    is_system = np.array([board.table.kinds[name] == "system" for name, _ in board.table.rows], bool)
    bad = _badness(info, values)
    ranked = np.where(is_system[:, None], bad, np.nan)
    return ClipColumn(
        info=info,
        scores=scores,
        values_RC=values,
        ranks_RC=rankdata(ranked, method="min", axis=0, nan_policy="omit"),
        from_worst_RC=rankdata(-bad, method="min", axis=1, nan_policy="omit"),
    )


def _values(score: Score | None, keys: Sequence[str]) -> list[float]:
    per_clip = score.per_clip if score else {}
    return [per_clip.get(key, np.nan) for key in keys]


def _badness(info: MetricInfo, values_RC: NDArray[np.float64]) -> NDArray[np.float64]:
    """As `ranking.badness`, of many; NaN for a metric without better and worse."""
    if not rankable(info):
        return np.full_like(values_RC, np.nan)
    if info.direction == "target" and info.target is not None:
        return np.asarray(np.abs(values_RC - info.target))
    return -values_RC if info.direction == "higher" else values_RC


def clip_data(
    page: ClipPage,
    board: Board,
    columns: Sequence[ClipColumn],
    texts: dict[str, int],
    tips: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """The table of one clip, in the form that `boards.board_data` has for whole sets."""
    groups = {column_id(info): title or "Metrics" for title, infos in grouped(board.table) for info in infos}
    made = []
    for column in columns:
        name = column_id(column.info)
        head = column_head(column.info, board.table, groups[name], texts, tips[name])
        made.append({**head, **_cells(column, page, texts)})
    return {
        "label": board.label,
        "rows": [name for name, _ in board.table.rows],
        "kinds": [KINDS[board.table.kinds[name]] for name, _ in board.table.rows],
        "runs": list(board.runs),
        "total": 1,
        "columns": with_main(made),
    }


def _cells(column: ClipColumn, page: ClipPage, texts: dict[str, int]) -> dict[str, Any]:
    ranks = column.ranks_RC[:, page.place]
    said = (
        (row, _said(column, row, page) if np.isfinite(value) else _why(column.scores[row], page.key))
        for row, value in enumerate(column.values_RC[:, page.place])
    )
    return {
        "values": [short(float(v)) if np.isfinite(v) else None for v in column.values_RC[:, page.place]],
        "lows": [],
        "highs": [],
        "ranks": [int(rank) if np.isfinite(rank) else None for rank in ranks],
        "from": [],
        "to": [],
        "lost": {},
        "said": {row: [intern(line, texts)] for row, line in said if line},
    }


def _said(column: ClipColumn, row: int, page: ClipPage) -> str:
    place, values = column.from_worst_RC[row, page.place], column.values_RC[row]
    if not np.isfinite(place):
        return ""
    return f"among this row's {np.isfinite(values).sum()} clips, number {int(place)} from the worst"


def _why(score: Score | None, key: str) -> str:
    if score is None:
        return "not measured: this metric was not in its run"
    why = score.failures.get(key, score.not_measured or "this clip has no value")
    return why if why.startswith("not applicable") else f"not measured: {why}"
