"""Figure 4b: inter-frame differences as heat-maps, the truth's beside them on the same scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from datapipe.shards import unescape_key

from .document import Artefact, Cell, Column, Grid, Picture, Row, measured, missing
from .maps import DifferenceMap, DifferenceMaps, picture_of
from .plots import INK, QUIET, new_figure, safe, saver
from .scores import Scored, label, scored
from .sources import Found, Sources

WHERE = "AvatarSync, Figure 4b, page 8"
PANEL = 1.55
"""Inches of a map."""
PICTURE = "The figure is a picture in the text at hand; the paper gives no numbers for it."


def fig4b(sources: Sources) -> Artefact:
    """Maps as a picture, and the means over all clips of every run as a table."""
    maps = sources.of(DifferenceMaps)
    rows = [row for row in scored(sources) if _has(row)]
    return Artefact(
        name="fig4b",
        title="Figure 4b: inter-frame differences",
        where=WHERE,
        grids=(*(_of_maps(found, each) for found, each in maps), _of_runs(rows, bool(maps))),
        pictures=tuple(_picture(number, each) for number, (_, each) in enumerate(maps)),
        command="avatarsync bench paper fig4b --runs run.json --cases CASES --system NAME=VIDEOS",
        is_measured=bool(rows or maps),
    )


def _has(row: Scored) -> bool:
    return any(each.metric == "video/flicker" and each.value is not None for each in row.system.scores)


def _of_runs(rows: Sequence[Scored], has_maps: bool) -> Grid:
    names = ("video/flicker", "video/flicker_ratio", "video/flicker_map_l1")
    paper = Row(label="all methods", origin="paper", cells=(Cell(text="a picture"),))
    lines = [
        Row(label=label(row, rows), origin="ours", cells=tuple(_score(row, n) for n in names)) for row in rows
    ]
    nothing = [] if lines or has_maps else [Row(label="any system", origin="ours", cells=(missing(),))]
    return Grid(
        name="runs",
        caption="Mean inter-frame difference over all clips of a run",
        head="method",
        columns=(
            Column(title="difference, levels of 255"),
            Column(title="ratio to the truth (1 is right)"),
            Column(title="distance of the maps, levels", arrow="lower"),
        ),
        rows=(paper, *lines, *nothing),
        notes=(PICTURE, "A frozen picture has no difference at all and is no good video: read the ratio."),
    )


def _score(row: Scored, name: str) -> Cell:
    score = next((each for each in row.system.scores if each.metric == name), None)
    if score is None or score.value is None:
        return missing(
            f"{name} is not in {row.found.path.name}" if score is None else score.not_measured or ""
        )
    protocol = next(info.protocol_hash for info in row.run.metrics if info.name == name)
    return measured(score.value, score.low, score.high, trace=row.found.trace(protocol))


def _of_maps(found: Found, maps: DifferenceMaps) -> Grid:
    names = [each.system for each in maps.clips[0].maps]
    rows = [
        _map_row(found, name, [m for clip in maps.clips for m in clip.maps if m.system == name])
        for name in names
    ]
    return Grid(
        name=found.path.stem,
        caption="Mean inter-frame difference of the clips shown, levels of 255",
        head="method",
        columns=tuple(Column(title=unescape_key(clip.key)) for clip in maps.clips),
        rows=tuple(rows),
        notes=(f"All maps share one scale: white is {maps.scale:.1f} levels.",),
    )


def _map_row(found: Found, name: str, maps: Sequence[DifferenceMap]) -> Row:
    cells = [
        missing(each.why) if each.mean is None else measured(each.mean, trace=found.trace()) for each in maps
    ]
    return Row(label=name, origin="ours", cells=tuple(cells))


def _picture(number: int, maps: DifferenceMaps) -> Picture:
    said = "; ".join(
        f"{clip.key}: "
        + ", ".join(f"{m.system} {'no video' if m.mean is None else f'{m.mean:.2f}'}" for m in clip.maps)
        for clip in maps.clips
    )
    return Picture(
        stem=f"fig4b-{number + 1}" if number else "fig4b",
        caption=f"Ours: a frame of the truth, then mean |I_t - I_t+1|, one scale to {maps.scale:.1f} of 255.",
        alt=f"Heat-maps of inter-frame differences, mean levels. {said}",
        draw=saver(lambda: _draw(maps)),
    )  # fmt: skip


def _draw(maps: DifferenceMaps) -> Figure:
    width = 1 + len(maps.clips[0].maps)
    figure = new_figure(PANEL * width + 0.7, (PANEL + 0.25) * len(maps.clips) + 0.3)
    panels = figure.subplots(len(maps.clips), width, squeeze=False)
    shown = None
    for line, clip in zip(panels, maps.clips, strict=True):
        line[0].imshow(picture_of(clip.frame_png, colour=True))
        line[0].set_title("a frame of the truth", fontsize=7.5, color=INK)
        for panel, each in zip(line[1:], clip.maps, strict=True):
            mean = "no video" if each.mean is None else f"mean {each.mean:.2f}"
            panel.set_title(safe(f"{each.system}: {mean}", 30), fontsize=7.5, color=INK)
            if each.png:
                levels = picture_of(each.png) * (maps.scale / 255)
                shown = panel.imshow(levels, cmap="inferno", vmin=0, vmax=maps.scale)
            else:
                panel.imshow(np.full((1, 1, 3), 0.93))
        for panel in line:
            panel.set_xticks([])
            panel.set_yticks([])
            panel.spines[:].set_visible(False)
    if shown is not None:
        bar = figure.colorbar(shown, ax=panels, shrink=0.9, pad=0.01)
        bar.set_label("mean |I_t - I_t+1|, levels of 255", fontsize=7.5, color=QUIET)
        bar.ax.tick_params(labelsize=7, colors=QUIET)
    return figure
