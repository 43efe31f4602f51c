"""Figure 9: what people say."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from ..human.records import Opinion, Rated, Study
from .document import (
    Artefact,
    Cell,
    Grid,
    Picture,
    Row,
    measured,
    missing,
    printed_columns,
    printed_row,
    remarks,
    where,
)
from .plots import COLOURS, dress, new_figure, safe, saver
from .quoted import QuotedTable, deviation_of, number_of, quoted
from .sources import Found, Sources

DIMENSIONS = {
    "Flicker": "flicker",
    "Body Movement Realism": "movement",
    "Temporal Coherence": "coherence",
    "Lip Synchronization": "lips",
}
"""The paper's dimension to the study's."""
FORM = "Ours are mean ± standard deviation over raters [95 % interval over clips and raters]."
WIDTH = 0.8
"""Share of a dimension's place that its bars fill."""


def fig9(sources: Sources) -> Artefact:
    """The paper's four means and every study of ours."""
    table, found = quoted().table("Figure 9"), sources.of(Study)
    return Artefact(
        name="fig9",
        title="Figure 9: human evaluation",
        where=where(table),
        grids=(_grid(table, found),),
        pictures=(_picture(table, [study for _, study in found]),),
        command="avatarsync bench human score --kit KIT --answers ANSWERS --run run.json --out human.json",
        is_measured=bool(found),
    )


def _grid(table: QuotedTable, found: Sequence[tuple[Found, Study]]) -> Grid:
    rows = [printed_row(table, row) for row in table.rows]
    for file, study in found:
        rows += [_row(file, study, rated) for rated in study.systems]
    rows += [] if found else [Row(label="any system", origin="ours", cells=(missing(),))]
    ours = tuple(
        f"‡ {file.path.name}: {study.num_raters} of {len(study.raters)} raters passed the attention checks, "
        f"{len(study.cases)} clips. {FORM}"
        for file, study in found
    )
    return Grid(
        name="people", caption=f"{table.id}. {table.caption}", head="method",
        columns=printed_columns(table), rows=tuple(rows), notes=(*remarks(table), *ours),
    )  # fmt: skip


def _row(file: Found, study: Study, rated: Rated) -> Row:
    opinions = {each.dimension: each for each in rated.opinions}
    cells = tuple(_cell(file, opinions.get(name)) for name in DIMENSIONS.values())
    return Row(label=f"{rated.name} ({file.path.stem})", origin="ours", cells=cells)


def _cell(file: Found, opinion: Opinion | None) -> Cell:
    if opinion is None or opinion.mean is None:
        return missing("nobody rated it")
    spread = "" if opinion.deviation is None else f" ± {opinion.deviation:.2f}"
    shown = measured(
        opinion.mean, opinion.low, opinion.high, count=f"{opinion.num_raters} raters", trace=file.trace()
    )
    return Cell(
        text=f"{opinion.mean:.2f}{spread}", value=shown.value, low=shown.low, high=shown.high,
        count=shown.count, trace=shown.trace,
    )  # fmt: skip


Bars = tuple[str, list[float | None], list[float]]


def _picture(table: QuotedTable, studies: Sequence[Study]) -> Picture:
    bars = _bars(table, studies)
    said = "; ".join(
        f"{name} " + ", ".join("none" if mean is None else f"{mean:.1f}" for mean in means)
        for name, means, _ in bars
    )
    return Picture(
        stem="fig9",
        caption="Means and standard deviations over participants. Hatched: as the paper prints them.",
        alt=f"Mean opinion of {', '.join(DIMENSIONS)}: {said}",
        draw=saver(lambda: _draw(bars)),
    )  # fmt: skip


def _bars(table: QuotedTable, studies: Sequence[Study]) -> list[Bars]:
    printed = table.rows[0]
    texts = [printed.cells[name] for name in DIMENSIONS]
    bars: list[Bars] = [
        ("the paper: AvatarSync", [number_of(t) for t in texts], [deviation_of(t) or 0.0 for t in texts])
    ]
    for study in studies:
        for rated in study.systems:
            found = {each.dimension: each for each in rated.opinions}
            kept = [found.get(name) for name in DIMENSIONS.values()]
            means = [each.mean if each else None for each in kept]
            if all(mean is None for mean in means):
                continue
            bars.append(
                (f"ours: {rated.name}", means, [(each.deviation if each else None) or 0.0 for each in kept])
            )
    return bars


def _draw(bars: Sequence[Bars]) -> Figure:
    figure = new_figure(9.0, 3.4)
    axes = figure.subplots()
    width = WIDTH / len(bars)
    for number, (name, means, deviations) in enumerate(bars):
        places = [k - WIDTH / 2 + (number + 0.5) * width for k in range(len(DIMENSIONS))]
        kept = [(p, m, d) for p, m, d in zip(places, means, deviations, strict=True) if m is not None]
        axes.bar(
            [p for p, _, _ in kept], [m - 1 for _, m, _ in kept], 0.92 * width,
            bottom=1, yerr=[d for *_, d in kept],
            color=COLOURS[number % len(COLOURS)], hatch="" if number else "//", edgecolor="white",
            capsize=2, error_kw={"lw": 0.8}, label=safe(name),
        )  # fmt: skip
    axes.set_xticks(range(len(DIMENSIONS)), list(DIMENSIONS))
    axes.set_ylim(1, 5.4)
    axes.legend(
        fontsize=7, frameon=False, ncols=min(4, len(bars)), loc="upper center", bbox_to_anchor=(0.5, 1.16)
    )
    dress(axes, "", "", "mean opinion, 1 to 5")
    return figure
