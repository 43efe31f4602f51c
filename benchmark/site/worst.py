"""The clips on which each metric is worst, over all systems and for each of the first ones."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import Any

from ..leaderboard import column_id
from ..ranking import badness, rankable
from ..records import MetricInfo
from .boards import Board, short

NUM_WORST = 5
MAX_LISTED = 50
"""Systems with a list of their own; the rest are in the list over all."""


def worst_clips(board: Board, pages: Mapping[str, int]) -> dict[str, dict[str, list[list[Any]]]]:
    """Column to row (or `all`) to [row, page, value], worst first; `pages` are the clips' pages by key."""
    found = {}
    for info in board.table.columns:
        lists = _of_column(board, info, pages) if rankable(info) else {}
        if lists:
            found[column_id(info)] = lists
    return found


def _of_column(board: Board, info: MetricInfo, pages: Mapping[str, int]) -> dict[str, list[list[Any]]]:
    by_row = {
        row: heapq.nlargest(NUM_WORST, _cells(board, row, info, pages), key=lambda cell: cell[0])
        for row, (name, _) in enumerate(board.table.rows)
        if board.table.kinds[name] == "system"
    }
    listed = {row: cells for row, cells in by_row.items() if cells}
    if not listed:
        return {}
    every = heapq.nlargest(
        NUM_WORST, (cell for cells in listed.values() for cell in cells), key=lambda cell: cell[0]
    )
    shown = {"all": every, **{str(row): listed[row] for row in list(listed)[:MAX_LISTED]}}
    return {
        name: [[row, page, short(value)] for _, row, page, value in cells] for name, cells in shown.items()
    }


def _cells(
    board: Board, row: int, info: MetricInfo, pages: Mapping[str, int]
) -> Iterator[tuple[float, int, int, float]]:
    """(badness, row, page, value) of every clip that has a page."""
    score = board.table.rows[row][1].get(column_id(info))
    for key, value in (score.per_clip if score else {}).items():
        if key in pages:
            yield badness(info, value), row, pages[key], value
