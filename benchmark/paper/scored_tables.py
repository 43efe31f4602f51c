"""AvatarSync's Tables 1 and 2, and EARTalking's: methods beside methods."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .document import (
    Artefact,
    Cell,
    Column,
    Grid,
    Row,
    missing,
    printed_columns,
    printed_grid,
    printed_row,
    remarks,
    where,
)
from .quoted import QuotedTable, number_of, quoted
from .scores import Scored, cell, corpus_keys, differs, label, scored
from .sources import Sources
from .timing import timing_rows

EIGHT = ("FID", "FVD", "LPIPS", "PSNR", "SSIM", "CSIM", "Sync-C", "Sync-D")
SPELLINGS = {"haloo": "hallo", "haloo2": "hallo2"}
"""The paper's spelling to the method's own."""
LATENCY = "avatarsync bench latency --reference CASES --out OUT --name NAME --callable PACKAGE.MODULE:FACTORY"
MACHINE = (
    "‡ Ours: this machine, one query at a time, videos of the size of their cases; the paper: 512 px, "
    "hardware not stated."
)
SCORE = "avatarsync bench run --reference CASES --system NAME=VIDEOS --out run.json"


def same_method(printed: str, name: str) -> bool:
    """Whether a system of ours is a method of the paper, whatever its case, signs or spelling."""
    plain = [re.sub(r"[^a-z0-9]", "", text.lower()) for text in (printed, name)]
    return SPELLINGS.get(plain[0], plain[0]) == SPELLINGS.get(plain[1], plain[1])


def table1(sources: Sources) -> Artefact:
    """Eight metrics, two corpora, nine methods."""
    table = quoted().table("Table 1")
    grids = [_corpus_grid(table, corpus, scored(sources, corpus)) for corpus in ("CMLR", "HDTF")]
    mixed = [row for row in scored(sources) if not _is_of_one(row)]
    together = _together(table, mixed)
    return Artefact(
        name="table1",
        title="Table 1: comparison on CMLR and HDTF",
        where=where(table),
        grids=(*grids, *together),
        command=SCORE,
        is_measured=bool(scored(sources, "CMLR") or scored(sources, "HDTF") or mixed),
    )


def _is_of_one(row: Scored) -> bool:
    return any(corpus_keys(row.run, corpus) == row.keys for corpus in ("CMLR", "HDTF"))


def _corpus_grid(table: QuotedTable, corpus: str, rows: Sequence[Scored]) -> Grid:
    """Each method as printed and, below it, as measured; then what only we have."""
    names = tuple(each.title for each in table.columns if each.group == corpus)
    lines: list[Row] = []
    for each in table.rows:
        lines.append(printed_row(table, each, corpus))
        mine = [row for row in rows if same_method(each.name, row.system.name)]
        lines += [ours(row, rows, names) for row in mine] or [_not_ours(each.name)]
    known = [each.name for each in table.rows]
    extra = [row for row in rows if not any(same_method(name, row.system.name) for name in known)]
    lines += [ours(row, rows, names) for row in extra]
    return Grid(
        name=corpus,
        caption=f"{table.id}, {corpus}",
        head="method",
        columns=printed_columns(table, corpus),
        rows=tuple(lines),
        notes=remarks(table),
    )


def _together(table: QuotedTable, rows: Sequence[Scored]) -> tuple[Grid, ...]:
    if not rows:
        return ()
    columns = tuple(each for each in printed_columns(table, "CMLR"))
    return (
        Grid(
            name="both",
            caption="Ours over both corpora together, which the paper does not give",
            head="method",
            columns=columns,
            rows=tuple(ours(row, rows, EIGHT) for row in rows),
        ),
    )


def ours(row: Scored, rows: Sequence[Scored], names: Sequence[str]) -> Row:
    """A system of ours."""
    filled = tuple(cell(row, name) for name in names)
    return Row(label=label(row, rows), origin="ours", cells=filled, notes=(differs(row),))


def _not_ours(name: str) -> Row:
    return Row(label=name, origin="ours", cells=(missing(),))


def table2(sources: Sources) -> Artefact:
    """Latency and real-time factor."""
    table, joy = quoted().table("Table 2"), quoted("joyavatar").table("Abstract")
    timed = timing_rows(sources)
    lines: list[Row] = []
    for each in table.rows:
        lines.append(printed_row(table, each))
        mine = [row for name, row in timed if same_method(each.name, name)]
        lines += mine or [_not_ours(each.name)]
    known = [each.name for each in table.rows]
    lines += [row for name, row in timed if not any(same_method(each, name) for each in known)]
    grid = Grid(
        name="speed",
        caption="Table 2",
        head="method",
        columns=printed_columns(table),
        rows=tuple(lines),
        notes=(*remarks(table), *((MACHINE,) if timed else ())),
    )  # fmt: skip
    return Artefact(
        name="table2",
        title="Table 2: latency and real-time factor",
        where=where(table),
        grids=(grid, _frames_per_second(joy)),
        command=f"{LATENCY} --repeats 11",
        is_measured=bool(timed),
    )  # fmt: skip


def _frames_per_second(table: QuotedTable) -> Grid:
    """JoyAvatar's speed, which no table of AvatarSync has."""
    fps = number_of(table.rows[0].cells["FPS"])
    factor = Cell(text=f"{25 / fps:.2f}", value=25 / fps, notes=("25 over the printed FPS: computed here.",))
    shown = printed_row(table, table.rows[0])
    row = Row(label=shown.label, origin="paper", cells=(shown.cells[0], factor), notes=shown.notes)
    columns = (printed_columns(table)[0], Column(title="RTF at 25 fps", arrow="lower"))
    return Grid(name="joyavatar", caption="JoyAvatar, abstract", head="method", columns=columns, rows=(row,))


def eartalking(sources: Sources) -> Artefact:
    """EARTalking's Table 1 on HDTF, with ours, and its two ablations."""
    paper = quoted("eartalking")
    first, names = paper.table("Table 1"), ("Avg-R", "FID", "FVD", "Sync-C", "Sync-D", "E-FID")
    rows = scored(sources, "HDTF")
    lines = [printed_row(first, each, "HDTF") for each in first.rows]
    lines += [_ear_row(row, rows, names) for row in rows]
    top = Grid(
        name="HDTF",
        caption="Table 1, HDTF",
        head="method",
        columns=printed_columns(first, "HDTF"),
        rows=tuple(lines),
        notes=remarks(first),
    )
    mead = Grid(
        name="MEAD",
        caption="Table 1, MEAD (no adapter for it here: none of ours)",
        head="method",
        columns=printed_columns(first, "MEAD"),
        rows=tuple(printed_row(first, each, "MEAD") for each in first.rows),
    )
    rest = [printed_grid(paper.table(name), "variant") for name in ("Table 2", "Table 3")]
    return Artefact(
        name="eartalking",
        title="EARTalking, Tables 1 to 3",
        where="EARTalking, Tables 1, 2, 3",
        grids=(top, mead, *rest),
        command=SCORE,
        is_measured=bool(rows),
    )


def _ear_row(row: Scored, rows: Sequence[Scored], names: Sequence[str]) -> Row:
    rank = missing("Avg-R ranks systems on the same clips; see `avatarsync bench leaderboard`")
    filled = tuple(rank if name == "Avg-R" else cell(row, name) for name in names)
    return Row(label=label(row, rows), origin="ours", cells=filled, notes=(differs(row),))
