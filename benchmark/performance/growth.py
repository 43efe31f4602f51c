"""(d) Peak memory and (e) time of an evaluation as the number of its clips grows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from datapipe.console import track
from datapipe.performance.figures import Figure, Line, Measurement, Table

from .children import run_tool
from .corpus import FolderPair, folder_pair
from .sizes import Sizes

MEGABYTE = 1e6
FEATURE_DIM = 2048
CONFIDENCE = 0.95
WARM_UP_CLIPS = 3
"""Clips of the evaluation before the one that is timed; it stores nothing."""
MEMORY_METHOD = (
    "A folder pair of {frames}-frame clips, {side} x {side}, scored by PSNR, SSIM, LPIPS, FID and flicker "
    "at the preset full by one process, with an empty feature store and all cores; the most resident memory "
    "of that process, networks and libraries included, for the smallest and for the largest number of clips. "
    "Below it the end of such a run alone, where no network hides it: the Fréchet distance, with its "
    "interval, of stored features, {rows} rows of 2048 numbers for each clip and side."
)
TIME_METHOD = (
    "A folder pair of {frames}-frame clips, {side} x {side}, scored by PSNR, SSIM, FID (preset quick: one "
    "frame a clip) and flicker by one process, with an empty feature store and all cores: the seconds of the "
    "evaluation itself, intervals included, after a smaller one that loaded the network. The exponent is the "
    "slope of log seconds over log clips by least squares over all repeats, with its 95 % interval (t)."
)


def measure_memory(sizes: Sizes, folder: Path) -> Measurement:
    """Take the peak memory of whole evaluations and of distances of stored features."""
    pairs = _pairs(folder, sizes.memory_clips, sizes.memory_frames, sizes.small_side)
    names = ("psnr", "ssim", "lpips_alex", "fid", "flicker")
    whole = [
        _evaluated(pairs[count], None, names, "full", folder, sizes)["peak_bytes"]
        for count in track(sizes.memory_clips, "(d) peak memory")
    ]
    write_features(folder / "features", max(sizes.memory_clips), sizes.stored_rows)
    stored = [
        run_tool("distance", [folder / "features", count], folder / "distance.json", sizes.longest)[
            "peak_bytes"
        ]
        for count in sizes.memory_clips
    ]
    first, last = sizes.memory_clips[0], sizes.memory_clips[-1]
    figures = (
        Figure(
            name=f"peak memory of {last} clips over that of {first}",
            unit="x",
            values=(whole[-1] / whole[0],),
            expected="1.00 to 1.10",
            limit=1.15,
        ),
        Figure(
            name=f"stored features: more memory for {last} clips than for {sizes.memory_clips[-2]}",
            unit="MB",
            values=((stored[-1] - stored[-2]) / MEGABYTE,),
            expected="0 to 40",
        ),
    )
    lines = tuple(
        Line(label=str(count), values=(one / MEGABYTE, other / MEGABYTE))
        for count, one, other in zip(sizes.memory_clips, whole, stored, strict=True)
    )
    table = Table(
        title="Peak resident memory",
        columns=("clips", "whole evaluation, MB", "distance of stored features, MB"),
        lines=lines,
    )
    method = MEMORY_METHOD.format(frames=sizes.memory_frames, side=sizes.small_side, rows=sizes.stored_rows)
    return Measurement(name="d", title="Memory over clips", method=method, figures=figures, tables=(table,))


def measure_time(sizes: Sizes, folder: Path) -> Measurement:
    """Take the time of evaluations of growing numbers of clips, and fit its exponent."""
    counts = sizes.time_clips
    pairs = _pairs(folder, sorted({*counts, WARM_UP_CLIPS}), sizes.memory_frames, sizes.small_side)
    names = ("psnr", "ssim", "fid", "flicker")
    taken: dict[int, list[float]] = {count: [] for count in counts}
    for number in track(range(sizes.time_repeats), "(e) time over clips"):
        for count in counts[:: 1 if number % 2 else -1]:
            done = _evaluated(pairs[count], pairs[WARM_UP_CLIPS], names, "quick", folder, sizes)
            taken[count].append(done["seconds"])
    exponent, low, high = fitted_exponent(
        [count for count in counts for _ in taken[count]], [each for count in counts for each in taken[count]]
    )
    figures = (
        Figure(
            name="exponent of time over clips",
            unit="",
            values=(exponent,),
            expected="0.95 to 1.02",
            limit=1.05,
        ),
        *(
            Figure(name=f"{count} clips: wall time", unit="s", values=tuple(each))
            for count, each in taken.items()
        ),
    )
    line = Line(label="log seconds = c + k log clips", values=(exponent, low, high))
    table = Table(title="The fit", columns=("", "k", "from", "to (95 %)"), lines=(line,))
    method = TIME_METHOD.format(frames=sizes.memory_frames, side=sizes.small_side)
    return Measurement(name="e", title="Time over clips", method=method, figures=figures, tables=(table,))


def fitted_exponent(counts: Sequence[int], seconds: Sequence[float]) -> tuple[float, float, float]:
    """Slope of log seconds over log counts, and its 95 % interval."""
    fit = scipy.stats.linregress(np.log(counts), np.log(seconds))
    around = float(scipy.stats.t.ppf(0.5 + CONFIDENCE / 2, len(counts) - 2) * fit.stderr)
    return float(fit.slope), float(fit.slope) - around, float(fit.slope) + around


def write_features(folder: Path, num_clips: int, num_rows: int) -> None:
    """Write feature rows of clips, each clip about a centre of its own."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(num_clips):
        centre = random.gamma(0.5, 1.0, FEATURE_DIM)
        for side in ("generated", "truth"):
            rows = centre + 0.3 * random.normal(size=(num_rows, FEATURE_DIM))
            np.save(folder / f"{number}-{side}.npy", rows.astype(np.float32))


def _pairs(folder: Path, counts: Sequence[int], num_frames: int, side: int) -> dict[int, FolderPair]:
    """One folder pair for each number of clips: links to the clips of the largest."""
    everything = folder_pair(folder / "clips", max(counts), num_frames, side)
    pairs = {}
    for count in counts:
        pairs[count] = FolderPair(folder / str(count) / "truth", folder / str(count) / "generated")
        for source, target in zip(everything.folders, pairs[count].folders, strict=True):
            target.mkdir(parents=True)
            for video in sorted(source.glob("*.mp4"))[:count]:
                shutil.copyfile(video, target / video.name)
    return pairs


def _evaluated(
    pair: FolderPair,
    warm_up: FolderPair | None,
    names: Sequence[str],
    preset: str,
    folder: Path,
    sizes: Sizes,
) -> dict[str, Any]:
    """Run one evaluation in a process of its own, with an empty store."""
    store, plan = folder / "store", folder / "plan.json"
    shutil.rmtree(store, ignore_errors=True)
    content = {
        "truth": str(pair.truth),
        "generated": str(pair.generated),
        "store": str(store),
        "warm_up": [str(warm_up.truth), str(warm_up.generated)] if warm_up else None,
        "metrics": list(names),
        "preset": preset,
    }
    plan.write_text(json.dumps(content), encoding="utf-8")
    result = run_tool("evaluation", [plan], folder / "evaluation.json", sizes.longest)
    if any(value is None for value in result["scores"].values()):
        raise RuntimeError(f"not everything was measured, so the figures say nothing: {result['scores']}")
    return result
