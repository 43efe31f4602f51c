"""Tables of an ablation: variants of one generator, each trained with several seeds, on the same clips.

`avatarsync model ablate` leaves OUT/GRID/VARIANT/seedN/ablation.json and OUT/GRID.run.json, in which every
variant and seed is a system. A cell is the mean over clips of the mean over seeds. Its interval resamples
clips; the draws are shared by all rows, so that differences to our configuration are taken draw by draw and
the difficulty of clips cancels. Clips that any variant lacks count for none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cattrs
import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected, from_dict

from .intervals import MIN_CLIPS, bounded, mean_estimate
from .leaderboard import ARROWS, NOT_MEASURED, escaped, number
from .records import MetricInfo, Run, Score
from .runs import read_run
from .stats import MIN_TEST_CLIPS

RECORD = "ablation.json"
COLUMNS = (
    *("keyframe/fid", "keyframe/lpips", "keyframe/psnr", "keyframe/ssim", "keyframe/csim"),
    *("video/fid", "video/fvd", "video/lpips", "video/psnr", "video/ssim", "video/csim"),
    *("video/sync_c", "video/sync_d", "video/mouth_psnr", "video/mouth_opening_r"),
)
"""Starts of the metrics' names: the columns of the paper's tables, then the mouth's."""
HOW = (
    "Mean over clips of the mean over seeds, [95 % interval over clips] by a bootstrap whose draws all rows "
    "share. ≠: the paired interval of the difference to ours leaves out 0 (not said below five clips)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One variant and seed, as its ablation.json says."""

    grid: str
    title: str
    variant: str
    label: str
    place: int
    is_ours: bool
    seed: int
    system: str
    run: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One number of the table."""

    value: float | None
    """None when it was not measured."""
    low: float | None = None
    high: float | None = None
    by_seed: tuple[float, ...] = ()
    """The mean over clips of each seed."""
    difference: float | None = None
    """To our configuration; None in its own row."""
    difference_low: float | None = None
    difference_high: float | None = None
    num_clips: int = 0

    @property
    def differs(self) -> bool:
        """Whether the paired interval leaves out 0; of few clips nothing is said."""
        if self.difference_low is None or self.difference_high is None or self.num_clips < MIN_TEST_CLIPS:
            return False
        return self.difference_low > 0 or self.difference_high < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One variant."""

    variant: str
    label: str
    is_ours: bool
    seeds: int
    seconds: float
    """Summed over seeds: training and making."""
    cells: dict[str, Cell]
    """Metric to number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """One grid, rendered from its run."""

    grid: str
    title: str
    num_clips: int
    columns: tuple[MetricInfo, ...]
    rows: tuple[Row, ...]
    how: str = HOW


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """A variant's number in one metric, with what resampling needs."""

    value: float
    by_seed: tuple[float, ...]
    clips_N: NDArray[np.float64]
    """Mean over seeds of each clip; empty for distances between sets."""
    replicates_D: NDArray[np.float64]
    """Mean over seeds of each draw, for distances between sets."""
    num_clips: int


def read_ablations(out: Path, grids: Sequence[str] = ()) -> tuple[Ablation, ...]:
    """Read the named grids of a folder, or all that it has; `Rejected("bad_input")` when there is none."""
    found = [path.name.removesuffix(".run.json") for path in sorted(out.glob("*.run.json"))]
    if missing := [name for name in grids or found[:1] or ["*"] if name not in found]:
        raise Rejected(
            "bad_input", f"{out} holds no scored grid {missing[0]}; make it with `avatarsync model ablate`"
        )
    tables = [ablation(read_run(out / f"{name}.run.json"), _read_made(out / name)) for name in grids or found]
    return tuple(sorted(tables, key=lambda table: table.title))


def _read_made(folder: Path) -> tuple[Made, ...]:
    files = sorted(folder.glob(f"*/seed*/{RECORD}"))
    try:
        made = [from_dict(_known(json.loads(file.read_text(encoding="utf-8"))), Made) for file in files]
    except (ValueError, TypeError, AttributeError, cattrs.BaseValidationError) as error:
        raise Rejected(
            "bad_input", f"{folder}: an {RECORD} cannot be read; run the ablation again"
        ) from error
    return tuple(sorted(made, key=lambda each: (each.place, each.seed)))


def _known(record: dict[str, object]) -> dict[str, object]:
    return {name: record[name] for name in Made.__dataclass_fields__ if name in record}


def ablation(run: Run, made: Sequence[Made]) -> Ablation:
    """Gather the systems of a run into variants; systems that the run lacks do not count."""
    systems = {system.name: {score.metric: score for score in system.scores} for system in run.systems}
    made = [each for each in made if each.system in systems]
    if not made:
        raise Rejected("bad_input", "the run holds none of the ablation's systems; run the ablation again")
    columns = _columns(run)
    variants = list(dict.fromkeys(each.variant for each in made))
    seeds = {name: [each for each in made if each.variant == name] for name in variants}
    ours = next((each.variant for each in made if each.is_ours), "")
    cells = {
        info.name: _column(
            {name: [systems[each.system].get(info.name) for each in seeds[name]] for name in variants}, ours
        )
        for info in columns
    }
    return Ablation(
        grid=made[0].grid,
        title=made[0].title,
        num_clips=len(run.reference),
        columns=columns,
        rows=tuple(
            Row(
                variant=name,
                label=seeds[name][0].label,
                is_ours=name == ours,
                seeds=len(seeds[name]),
                seconds=round(sum(each.seconds for each in seeds[name]), 1),
                cells={metric: column[name] for metric, column in cells.items()},
            )
            for name in variants
        ),
    )


def _columns(run: Run) -> tuple[MetricInfo, ...]:
    """The run's metrics that the table shows, in its order."""
    places = {
        info.name: next((k for k, start in enumerate(COLUMNS) if info.name.startswith(start)), None)
        for info in run.metrics
    }
    kept = [info for info in run.metrics if places[info.name] is not None]
    return tuple(sorted(kept, key=lambda info: places[info.name] or 0))


def _column(scores: dict[str, list[Score | None]], ours: str) -> dict[str, Cell]:
    """One metric of all variants."""
    common = _common_clips([score for each in scores.values() for score in each])
    drawn = {name: _drawn(each, common) for name, each in scores.items()}
    return {name: _cell(each, drawn.get(ours) if name != ours else None) for name, each in drawn.items()}


def _common_clips(scores: Sequence[Score | None]) -> tuple[str, ...]:
    """Clips on which every variant and seed has a value of its own."""
    sets = [set(score.per_clip) - set(score.imputed) for score in scores if score is not None]
    return tuple(sorted(set.intersection(*sets))) if sets else ()


def _drawn(scores: Sequence[Score | None], clips: Sequence[str]) -> _Drawn | None:
    """Average one variant's seeds; None where a seed was not measured."""
    told = [score for score in scores if score is not None and score.value is not None]
    if len(told) < len(scores) or not told:
        return None
    if clips:
        values_SN = np.array([[score.per_clip[key] for key in clips] for score in told])
        by_seed = tuple(float(mean) for mean in values_SN.mean(1))
        return _Drawn(float(np.mean(by_seed)), by_seed, values_SN.mean(0), np.empty(0), len(clips))
    if any(score.per_clip or score.num_ok < score.num_total for score in told):
        return None
    by_seed = tuple(float(score.value or 0.0) for score in told)
    lengths = {len(score.replicates) for score in told}
    replicates = np.mean([score.replicates for score in told], 0) if len(lengths) == 1 else np.empty(0)
    return _Drawn(float(np.mean(by_seed)), by_seed, np.empty(0), np.asarray(replicates), told[0].num_ok)


def _cell(mine: _Drawn | None, ours: _Drawn | None) -> Cell:
    if mine is None:
        return Cell(value=None)
    low, high = _interval(mine.value, mine.clips_N, mine.replicates_D)
    if ours is None:
        return Cell(value=mine.value, low=low, high=high, by_seed=mine.by_seed, num_clips=mine.num_clips)
    away = mine.value - ours.value
    same = mine.replicates_D.shape == ours.replicates_D.shape
    drawn = mine.replicates_D - ours.replicates_D if same else np.empty(0)
    away_low, away_high = _interval(away, mine.clips_N - ours.clips_N, drawn)
    return Cell(
        value=mine.value,
        low=low,
        high=high,
        by_seed=mine.by_seed,
        difference=away,
        difference_low=away_low,
        difference_high=away_high,
        num_clips=mine.num_clips,
    )


def _interval(
    value: float, clips_N: NDArray[np.float64], replicates_D: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    """Over clips where they have values, over the draws of a set distance elsewhere; None for too few."""
    if len(clips_N):
        estimate = mean_estimate(clips_N)
        return estimate.low, estimate.high
    return bounded(value, replicates_D) if len(replicates_D) >= MIN_CLIPS else (None, None)


def markdown(table: Ablation) -> str:
    """The table in Markdown; the best value of a column is bold."""
    return "\n".join(_lines(table)) + "\n"


def _lines(table: Ablation) -> Iterator[str]:
    yield f"### {escaped(table.title)}, ours\n"
    heads = [f"{escaped(info.title)} {ARROWS[info.direction]}" for info in table.columns]
    yield "| configuration | seeds | " + " | ".join(heads) + " |"
    yield "|---" * (len(heads) + 2) + "|"
    for name, seeds, *cells in texts(table):
        yield f"| {escaped(name)} | {seeds} | " + " | ".join(cells) + " |"
    yield f"\n{table.num_clips} clips. {escaped(table.how)}"


def texts(table: Ablation, bold: str = "**") -> list[tuple[str, ...]]:
    """Every row as plain cells: label, seeds, numbers; the best of a column between two marks."""
    best = {info.name: _best(table, info) for info in table.columns}
    return [
        (
            row.label + (" (ours)" if row.is_ours else ""),
            str(row.seeds),
            *(_text(row.cells[info.name], best[info.name], bold) for info in table.columns),
        )
        for row in table.rows
    ]


def _best(table: Ablation, info: MetricInfo) -> float | None:
    values = [value for row in table.rows if (value := row.cells[info.name].value) is not None]
    if not values or info.direction == "target":
        return None
    return max(values) if info.direction == "higher" else min(values)


def _text(cell: Cell, best: float | None, bold: str) -> str:
    if cell.value is None:
        return NOT_MEASURED
    shown = number(cell.value) + (" ≠" if cell.differs else "")
    shown = f"{bold}{shown}{bold}" if cell.value == best else shown
    if cell.low is None or cell.high is None:
        return shown
    return f"{shown} [{number(cell.low)}, {number(cell.high)}]"
