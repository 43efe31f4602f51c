"""Figure 11: loss curves of a training."""

from __future__ import annotations

from matplotlib.figure import Figure

from .curves import Curve, Curves
from .document import Artefact, Cell, Column, Grid, Picture, Row, measured, missing
from .plots import COLOURS, dress, new_figure, safe, saver
from .sources import Found, Sources

WHERE = "AvatarSync, Figure 11, page 20"
OTHER = "‡ Ours: the sizes, steps, data and terms of this run; see its config.json."
PANEL = (2.5, 1.9)
NUM_COLUMNS = 4
LOG_RATIO = 30
"""A curve that falls by more than this factor has a logarithmic axis: its first steps would hide the rest."""


def fig11(sources: Sources) -> Artefact:
    """All terms of all parts."""
    found = sources.of(Curves)
    grids = [_grid(file, curves) for file, curves in found]
    return Artefact(
        name="fig11",
        title="Figure 11: loss curves",
        where=WHERE,
        grids=tuple(grids or [_nothing()]),
        pictures=tuple(_picture(number, curves) for number, (_, curves) in enumerate(found)),
        command="avatarsync bench paper fig11 --train-log RUN",
        is_measured=bool(found),
    )


def _paper() -> Row:
    return Row(label="six losses over 10,000 steps", origin="paper", cells=(Cell(text="a picture"),))


def _columns() -> tuple[Column, ...]:
    return tuple(Column(title=title) for title in ("first", "last tenth", "last step"))


def _nothing() -> Grid:
    rows = (_paper(), Row(label="any term", origin="ours", cells=(missing(),)))
    return Grid(name="curves", caption="Figure 11, in numbers", head="term", columns=_columns(), rows=rows)


def _grid(file: Found, curves: Curves) -> Grid:
    rows = [_row(file, each) for each in curves.curves]
    return Grid(
        name=file.path.stem,
        caption=f"Ours: {curves.run}",
        head="part: term",
        columns=_columns(),
        rows=(_paper(), *rows),
        notes=(OTHER,),
    )


def _row(file: Found, curve: Curve) -> Row:
    numbers = (curve.values[0], curve.last, curve.steps[-1])
    cells = tuple(measured(value, trace=file.trace()) for value in numbers)
    return Row(label=_name(curve), origin="ours", cells=cells)


def _name(curve: Curve) -> str:
    return f"{curve.part}: {curve.term.replace('_', ' ')}"


def _picture(number: int, curves: Curves) -> Picture:
    said = ", ".join(f"{_name(each)} {each.values[0]:.3g} to {each.last:.3g}" for each in curves.curves)
    return Picture(
        stem=f"fig11-{number + 1}" if number else "fig11",
        caption=f"Ours: every term of the training of {curves.run}, as its logs have it.",
        alt=f"Loss curves, first value to mean of the last tenth: {said}",
        draw=saver(lambda: _draw(curves)),
    )


def _draw(curves: Curves) -> Figure:
    num_rows = -(-len(curves.curves) // NUM_COLUMNS)
    figure = new_figure(PANEL[0] * NUM_COLUMNS, PANEL[1] * num_rows)
    panels = figure.subplots(num_rows, NUM_COLUMNS, squeeze=False).ravel()
    parts = list(dict.fromkeys(curve.part for curve in curves.curves))
    for panel in panels[len(curves.curves) :]:
        panel.set_axis_off()
    for panel, curve in zip(panels, curves.curves, strict=False):
        panel.plot(curve.steps, curve.values, color=COLOURS[parts.index(curve.part) % len(COLOURS)], lw=1.2)
        if min(curve.values) > 0 and max(curve.values) / min(curve.values) > LOG_RATIO:
            panel.set_yscale("log")
        dress(panel, safe(_name(curve), 34), "step")
    return figure
