"""Figure 5: what phoneme-level conditioning does to the losses, and to frames beside the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..records import Run
from .ablation_tables import ABLATE, ours_only
from .conditioning import NUM_FRAMES, SIDE, Conditioning, StripsOfClip, Trained
from .document import (
    Artefact,
    Cell,
    Column,
    Grid,
    Picture,
    Row,
    measured,
    missing,
    printed_grid,
    unmeasured,
    where,
)
from .grids import CONDITIONING, grid_of, scored_variants
from .maps import picture_of
from .plots import COLOURS, INK, dress, new_figure, safe, saver
from .quoted import quoted
from .sources import Found, Sources

NUM_COLUMNS = 3
INCHES = 0.75
"""Side of a frame in print: not many more pixels than the record keeps."""
HOW = (
    "‡ Ours: the mean of the last tenth of each term in training, averaged over seeds; in brackets the range "
    "over seeds, each against the same seed, which sees the same batches. The paper states neither what its "
    "losses are made of nor where it reads them."
)
SCORES = {"mouth_psnr"}
"""Terms of a log that are no losses: more of them is better."""


def fig5(sources: Sources) -> Artefact:
    """Reductions of the losses, curves and frames."""
    table, found = quoted().table("Figure 5"), sources.of(Conditioning)
    ours = [_grid(file, each) for file, each in found]
    runs = [(file, run) for file, run in sources.of(Run) if grid_of(run) == CONDITIONING]
    ours += [ours_only(CONDITIONING, file, scored_variants(CONDITIONING, run)) for file, run in runs]
    return Artefact(
        name="fig5",
        title="Figure 5: with and without phoneme-level conditioning",
        where=where(table),
        grids=(printed_grid(table, "configuration", unmeasured("PRL", bool(ours))), *ours),
        pictures=tuple(
            picture for number, (_, each) in enumerate(found) for picture in _pictures(number, each)
        ),
        command=f"{ABLATE} --grid conditioning --out ABLATIONS",
        is_measured=bool(ours),
    )


def _sides(each: Conditioning) -> tuple[list[Trained], list[Trained]]:
    """(phoneme-level, all others)."""
    ours = [trained for trained in each.trained if trained.is_ours]
    return ours, [trained for trained in each.trained if not trained.is_ours]


def _grid(file: Found, each: Conditioning) -> Grid:
    ours, others = _sides(each)
    label = ours[0].label if ours else "phonemes"
    other = others[0].label if others else "nothing"
    return Grid(
        name=file.path.stem,
        caption=f"Ours: losses in training, {label} against {other}",
        head="term",
        columns=(Column(title=other), Column(title=label), Column(title="lower by, %", arrow="higher")),
        rows=tuple(_row(file, term, ours, others) for term in _terms(ours)),
        notes=(HOW,),
    )


def _terms(trained: Sequence[Trained]) -> list[str]:
    names = dict.fromkeys(curve.term for each in trained for curve in each.curves)
    return [name for name in names if name not in SCORES]


def _lasts(trained: Sequence[Trained], term: str) -> dict[int, float]:
    """Seed -> the term's mean at the end."""
    return {each.seed: curve.last for each in trained for curve in each.curves if curve.term == term}


def _row(file: Found, term: str, ours: Sequence[Trained], others: Sequence[Trained]) -> Row:
    with_it, without = _lasts(ours, term), _lasts(others, term)
    cells = (_mean(file, without), _mean(file, with_it), _reduction(file, with_it, without))
    return Row(label=term.replace("_", " "), origin="ours", cells=cells)


def _mean(file: Found, values: Mapping[int, float]) -> Cell:
    if not values:
        return missing()
    seeds = f"{len(values)} {'seed' if len(values) == 1 else 'seeds'}"
    return measured(float(np.mean(list(values.values()))), count=seeds, trace=file.trace())


def _reduction(file: Found, with_it: Mapping[int, float], without: Mapping[int, float]) -> Cell:
    """By how many percent the term is lower over the seeds that both sides have, and the range over them."""
    seeds = [seed for seed in with_it if without.get(seed, 0) > 0]
    if not seeds:
        return missing()
    lower = [100 * (1 - with_it[seed] / without[seed]) for seed in seeds]
    value = 100 * (1 - sum(with_it[seed] for seed in seeds) / sum(without[seed] for seed in seeds))
    bounds = (min(lower), max(lower)) if len(lower) > 1 else (None, None)
    return measured(value, *bounds, trace=file.trace())


def _pictures(number: int, each: Conditioning) -> Iterator[Picture]:
    end = f"-{number + 1}" if number else ""
    ours, others = _sides(each)
    if ours and others and ours[0].curves:
        said = ", ".join(
            f"{trained.label} seed {trained.seed} {trained.curves[0].last:.3g}"
            for trained in each.trained
            if trained.curves
        )
        yield Picture(
            stem=f"fig5{end}", caption="Ours: losses of the keyframe transformer in training.",
            alt=f"Losses with and without phonemes; last tenth of the loss: {said}",
            draw=saver(lambda: _draw_curves(each.trained)),
        )  # fmt: skip
    if each.clips:
        names = ", ".join(strip.row for strip in each.clips[0].strips)
        yield Picture(
            stem=f"fig5-frames{end}", caption="Ours: held-out clips, each frame in the middle of a phoneme.",
            alt=f"Rows from above: {names}", draw=saver(lambda: _draw_frames(each.clips)),
        )  # fmt: skip


def _draw_curves(trained: Sequence[Trained]) -> Figure:
    terms = _terms(trained)
    num_rows = -(-len(terms) // NUM_COLUMNS)
    figure = new_figure(3.0 * NUM_COLUMNS, 2.4 * num_rows)
    labels = list(dict.fromkeys(each.label for each in trained))
    panels = figure.subplots(num_rows, NUM_COLUMNS, squeeze=False).ravel()
    for axes in panels[len(terms) :]:
        axes.set_axis_off()
    for axes, term in zip(panels, terms, strict=False):
        for each in trained:
            for curve in (curve for curve in each.curves if curve.term == term):
                place = labels.index(each.label)
                style = {"color": COLOURS[place % len(COLOURS)], "ls": ("-", "--", ":")[place % 3], "lw": 1.2}
                axes.plot(
                    curve.steps, curve.values, label=None if each.seed else safe(each.label, 28), **style
                )
        dress(axes, safe(term.replace("_", " ")), "step")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize=8, frameon=False
    )
    return figure


def _draw_frames(clips: Sequence[StripsOfClip]) -> Figure:
    num_rows = sum(len(clip.strips) for clip in clips)
    figure = new_figure(INCHES * NUM_FRAMES + 1.6, INCHES * num_rows + 0.35 * len(clips))
    panels = iter(figure.subplots(num_rows, 1, squeeze=False)[:, 0])
    for clip in clips:
        for number, strip in enumerate(clip.strips):
            axes = next(panels)
            _draw_strip(axes, strip.png, strip.row)
            if not number:
                axes.set_xticks(
                    [SIDE * (k + 0.5) for k in range(NUM_FRAMES)], [safe(s, 6) for s in clip.said]
                )
                axes.xaxis.tick_top()
                axes.tick_params(length=0, labelsize=8, colors=INK)
    return figure


def _draw_strip(axes: Any, png: str, name: str) -> None:
    axes.imshow(picture_of(png, colour=True) if png else np.full((SIDE, NUM_FRAMES * SIDE, 3), 240, np.uint8))
    if not png:
        axes.text(SIDE, SIDE / 2, "no video", fontsize=8, va="center")
    axes.set_yticks([SIDE / 2], [fill(safe(name), 14)])
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=8, colors=INK)
    axes.spines[:].set_visible(False)
