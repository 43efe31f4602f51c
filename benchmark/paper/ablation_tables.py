"""Tables 3, 5 and 6: variants of one generator, as printed and as `avatarsync model ablate` measured them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ablation import Ablation
from ..ablation import Cell as Counted
from ..ablation import Row as Variant
from ..records import MetricInfo, Run
from .document import (
    NOT_PRINTED,
    Artefact,
    Cell,
    Column,
    Grid,
    Row,
    measured,
    missing,
    printed_columns,
    printed_row,
    remarks,
    where,
)
from .grids import ALLOCATION, LOSSES, MASKS, GridOfPaper, grid_of, scored_variants
from .quoted import QuotedTable, quoted
from .scores import METRICS, origin
from .sources import Found, Sources

ABLATE = "avatarsync model ablate --run RUN --data SHARDS --cases CASES"
ALL_PAIRED = "≠: the paired interval of the difference to ours leaves out 0, over the same clips."


EIGHT = ("FID", "FVD", "LPIPS", "PSNR", "SSIM", "CSIM", "Sync-C", "Sync-D")
TITLES = {
    "table3": "Table 3: phonemes that a keyframe may see",
    "table5": "Table 5: frames between keyframes",
    "table6": "Table 6: terms of the loss",
}


def table3(sources: Sources) -> Artefact:
    """Attention masks."""
    return _artefact("table3", MASKS, sources)


def table5(sources: Sources) -> Artefact:
    """Allocation of frames."""
    return _artefact("table5", ALLOCATION, sources)


def table6(sources: Sources) -> Artefact:
    """Terms of the loss."""
    return _artefact("table6", LOSSES, sources)


def _artefact(name: str, grid: GridOfPaper, sources: Sources) -> Artefact:
    table = quoted().table(grid.table)
    runs = [(found, run) for found, run in sources.of(Run) if grid_of(run) == grid]
    grids = [_grid(grid, table, found, scored_variants(grid, run)) for found, run in runs]
    return Artefact(
        name=name,
        title=TITLES[name],
        where=where(table),
        grids=tuple(grids or [_grid(grid, table, None, None)]),
        command=f"{ABLATE} --grid {grid.grid} --out ABLATIONS",
        is_measured=bool(runs),
    )


def _grid(grid: GridOfPaper, table: QuotedTable, found: Found | None, scored: Ablation | None) -> Grid:
    """Each row as printed and below it as measured; columns that only we have stand last."""
    infos = scored.columns if scored else ()
    titles = tuple(each.title for each in table.columns) or EIGHT
    chosen = {title: _info(infos, grid.level, title) for title in titles}
    extra = [info for info in infos if info not in chosen.values()]
    measured_rows = {row.variant: row for row in scored.rows} if scored else {}
    lines: list[Row] = []
    for variant, name in grid.variants.items():
        row = table.row(name)
        shown = printed_row(table, row)
        cells = shown.cells or tuple(NOT_PRINTED for _ in titles)
        lines.append(
            Row(label=name, origin="paper", cells=(*cells, *(NOT_PRINTED for _ in extra)), notes=shown.notes)
        )
        lines.append(_ours(name, measured_rows.get(variant), [*chosen.values(), *extra], found))
    flags = (_differs(found, scored),) if scored and found else ()
    return Grid(
        name=found.path.stem if found else grid.grid,
        caption=f"{table.id}. {table.caption}",
        head="configuration",
        columns=(*_columns(table, chosen), *(_column(info.title, info) for info in extra)),
        rows=tuple(lines),
        notes=(*remarks(table), *flags),
    )


def ours_only(grid: GridOfPaper, found: Found, scored: Ablation) -> Grid:
    """What was measured of a comparison that the paper has no table of."""
    rows = {row.variant: row for row in scored.rows}
    return Grid(
        name=found.path.stem,
        caption=f"Ours: scores of {grid.grid}",
        head="configuration",
        columns=tuple(_column(info.title, info) for info in scored.columns),
        rows=tuple(
            _ours(label, rows.get(name), scored.columns, found) for name, label in grid.variants.items()
        ),
        notes=(_differs(found, scored),),
    )


def _differs(found: Found, scored: Ablation) -> str:
    clips = f"{scored.num_clips} clips of {found.path.name}, {origin(found.record)}"
    return f"‡ Ours: {clips}; the paper: CMLR at 512 px, on clips that it does not name. {scored.how}"


def _columns(table: QuotedTable, chosen: Mapping[str, MetricInfo | None]) -> tuple[Column, ...]:
    """The printed columns; of a table that is a picture in the text, our metrics' own."""
    return printed_columns(table) or tuple(_column(title, info) for title, info in chosen.items())


def _column(title: str, info: MetricInfo | None) -> Column:
    return Column(title=title, arrow=info.direction if info else None)


def _info(infos: Sequence[MetricInfo], level: str, title: str) -> MetricInfo | None:
    start = f"{level}/{METRICS[title]}"
    return next((i for i in infos if i.name == start or i.name.startswith(f"{start}_")), None)


def _ours(name: str, row: Variant | None, infos: Sequence[MetricInfo | None], found: Found | None) -> Row:
    if row is None or found is None:
        return Row(label=name, origin="ours", cells=(missing(),))
    seeds = f"{row.seeds} {'seed' if row.seeds == 1 else 'seeds'}"
    cells = tuple(_cell(row.cells[info.name], info, found) if info else missing() for info in infos)
    return Row(label=f"{name} ({seeds})", origin="ours", cells=cells)


def _cell(counted: Counted, info: MetricInfo, found: Found) -> Cell:
    notes = (ALL_PAIRED,) if counted.differs else ()
    trace = found.trace(info.protocol_hash)
    shown = measured(counted.value, counted.low, counted.high, notes=notes, trace=trace)
    sign = " ≠" if counted.differs else ""
    return Cell(
        text=shown.text + sign,
        value=shown.value,
        low=shown.low,
        high=shown.high,
        notes=notes,
        trace=shown.trace,
    )
