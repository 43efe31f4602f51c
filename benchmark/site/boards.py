"""A table as the page's script wants it: column by column, numbers short, sentences kept once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..leaderboard import ARROWS, Table, column_id, conformance, footnotes, grouped, heading, tables
from ..ranking import rankable
from ..records import MetricInfo, Run, Score
from ..runs import RunFile
from .corpora import corpora_of, restricted

KINDS = {"truth": 0, "control": 1, "system": 2}
MAIN = (
    *("avg_r", "video/mouth_psnr", "video/mouth_opening_r", "video/psnr", "video/ssim", "video/lpips_alex"),
    *("video/fid", "video/fvd_styleganv", "video/csim_w600k_mbf", "video/iss_w600k_mbf", "video/efid"),
    *("video/sync_c_", "video/sync_d_", "video/rtf"),
)
"""Names, or their starts, of the columns that are shown first."""
MAX_REASONS = 4
"""Reasons for lost clips that one cell tells."""
DIGITS = 5
"""Significant digits of a number in the page; the run file has them all. Places are made from all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One table of the site: a set of reference clips, or the part of it that is of one corpus."""

    label: str
    corpus: str
    """Empty for a whole reference set."""
    table: Table
    keys: tuple[str, ...]
    runs: tuple[int, ...]
    """The run file of each row; -1 for rows that several runs share."""
    files: tuple[int, ...]
    """All run files that the table is from."""
    notes: tuple[str, ...]


def make_boards(files: Sequence[RunFile], corpus_of: Mapping[str, str]) -> tuple[Board, ...]:
    """Make a board of every reference set and, where it has several, of every corpus in it."""
    whole = list(enumerate(file.run for file in files))
    parts: dict[str, list[tuple[int, Run]]] = {}
    for number, run in whole:
        for corpus, keys in corpora_of(run, corpus_of).items():
            parts.setdefault(corpus, []).append((number, restricted(run, keys)))
    boards = _boards(whole, "", corpus_of)
    for corpus, runs in sorted(parts.items()):
        boards += _boards(runs, corpus, corpus_of)
    return tuple(boards)


def _boards(runs: Sequence[tuple[int, Run]], corpus: str, corpus_of: Mapping[str, str]) -> list[Board]:
    groups: dict[str, list[tuple[int, Run]]] = {}
    for number, run in runs:
        groups.setdefault(run.reference_hash, []).append((number, run))
    made = tables([run for _, run in runs])
    twins = len(made) > 1
    return [_board(table, groups[table.reference_hash], corpus, corpus_of, twins) for table in made]


def _board(
    table: Table, runs: Sequence[tuple[int, Run]], corpus: str, corpus_of: Mapping[str, str], twins: bool
) -> Board:
    keys = tuple(sorted(runs[0][1].reference))
    about = corpus or _corpora_in(keys, corpus_of)
    clips = f"{table.num_clips} clip{'s' if table.num_clips != 1 else ''}"
    label = f"{about}, {clips}" + (f", set {table.reference_hash}" if twins else "")
    notes = (*footnotes(table), *([] if corpus else [conformance([run for _, run in runs])]))
    return Board(
        label=label,
        corpus=corpus,
        table=table,
        keys=keys,
        runs=_origins(table, runs),
        files=tuple(number for number, _ in runs),
        notes=notes,
    )


def _corpora_in(keys: Iterable[str], corpus_of: Mapping[str, str]) -> str:
    names = sorted({corpus_of[key] for key in keys if key in corpus_of})
    return " + ".join(names) if names else "All clips"


def _origins(table: Table, runs: Sequence[tuple[int, Run]]) -> tuple[int, ...]:
    """The run of each row: `tables` keeps the systems in the order of the runs."""
    of_systems = iter([number for number, run in runs for each in run.systems if each.kind == "system"])
    return tuple(next(of_systems) if table.kinds[name] == "system" else -1 for name, _ in table.rows)


def board_data(board: Board, texts: dict[str, int], tips: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Everything that the script shows of a board; `texts` gathers sentences, by their place.

    `tips` has the lines about a column by its id.
    """
    groups = {column_id(info): title or "Metrics" for title, infos in grouped(board.table) for info in infos}
    columns = [
        {
            **column_head(info, board.table, groups[column_id(info)], texts, tips[column_id(info)]),
            **_cells(board.table, info, texts),
        }
        for info in board.table.columns
    ]
    return {
        "label": board.label,
        "corpus": board.corpus,
        "set": board.table.reference_hash,
        "total": board.table.num_clips,
        "rows": [name for name, _ in board.table.rows],
        "kinds": [KINDS[board.table.kinds[name]] for name, _ in board.table.rows],
        "runs": list(board.runs),
        "notes": [intern(note, texts) for note in board.notes],
        "columns": with_main(columns),
    }


def column_head(
    info: MetricInfo, table: Table, group: str, texts: dict[str, int], tip: Sequence[str]
) -> dict[str, Any]:
    """Title, direction, group and what hovering tells of a column."""
    return {
        "id": column_id(info),
        "name": info.name,
        "title": info.title,
        "heading": heading(info, table.columns),
        "arrow": ARROWS[info.direction],
        "direction": info.direction if rankable(info) else "none",
        "unit": info.unit,
        "group": group,
        "tip": [intern(line, texts) for line in tip],
    }


def with_main(columns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mark the columns that are shown first; all of them when none of the usual ones is there."""
    main = [any(each["name"].startswith(start) for start in MAIN) for each in columns]
    return [{**each, "main": yes or not any(main)} for each, yes in zip(columns, main, strict=True)]


def intern(text: str, texts: dict[str, int]) -> int:
    """Place of a sentence in the list that the page carries once."""
    return texts.setdefault(text, len(texts))


def short(value: float | None) -> float | None:
    """A number to as many digits as anybody reads; whole ones without a fraction."""
    if value is None:
        return None
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def _cells(table: Table, info: MetricInfo, texts: dict[str, int]) -> dict[str, Any]:
    column = column_id(info)
    found, places = [scores.get(column) for _, scores in table.rows], table.places[column]
    names = [name for name, _ in table.rows]
    ranges = [places.ranges.get(name) for name in names]
    cells: dict[str, Any] = {
        "values": [short(score.value) if score else None for score in found],
        "lows": [short(score.low) if score else None for score in found],
        "highs": [short(score.high) if score else None for score in found],
        "ranks": [places.ranks.get(name) or places.would_stand.get(name) for name in names],
        "from": [each[0] if each else None for each in ranges],
        "to": [each[1] if each else None for each in ranges],
        "lost": _lost(found, table.num_clips),
        "said": {
            row: [intern(line, texts) for line in lines]
            for row, lines in ((row, _said(score)) for row, score in enumerate(found))
            if lines
        },
    }
    return {name: [] if _is_empty(values) else values for name, values in cells.items()}


def _is_empty(values: Any) -> bool:
    return isinstance(values, list) and all(value is None for value in values)


def _lost(found: Sequence[Score | None], num_clips: int) -> dict[int, list[int]]:
    """Rows whose cell does not rest on every clip: how many count, of how many, how many were given."""
    return {
        row: [score.num_ok, score.num_total, len(score.imputed)]
        for row, score in enumerate(found)
        if score and score.value is not None and not score.num_ok == score.num_total == num_clips
    }


def _said(score: Score | None) -> list[str]:
    """Why there is no value, what to know of it, and why clips are lost."""
    if score is None:
        return ["not measured: this metric was not in its run"]
    why = score.not_measured or ("" if score.value is not None else "no reason is recorded")
    nothing = why if why.startswith("not applicable") else f"not measured: {why}"
    reasons = Counter(score.failures.values())
    lines = [
        f"{count} of {score.num_total} clips: {text}" for text, count in reasons.most_common(MAX_REASONS)
    ]
    more = [f"and {len(reasons) - MAX_REASONS} more reasons"] if len(reasons) > MAX_REASONS else []
    return [*([nothing] if why else []), *([score.note] if score.note else []), *lines, *more]
