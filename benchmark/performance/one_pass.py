"""(b) All picture metrics of one folder pair in one pass, against the separate tools in turn."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from datapipe.machine import usable_cores
from datapipe.performance.figures import Figure, Line, Measurement, Table
from datapipe.performance.processes import run_module
from datapipe.performance.repeat import interleaved, ratios
from datapipe.records import Seconds

from ..face_features import DETECT_EVERY
from ..runs import read_run
from .children import run_tool, tools_beside
from .corpus import FolderPair, folder_pair
from .sizes import Sizes

Values = dict[str, float]
SYSTEM = "damaged"
COLUMNS = {
    "psnr": "video/psnr",
    "ssim": "video/ssim",
    "lpips_alex": "video/lpips_alex",
    "fid": "video/fid",
    "fvd": "video/fvd_styleganv",
    "csim": "video/csim_w600k_mbf",
}
"""What a tool calls a value, and our metric."""
METHOD = (
    "A folder pair of {clips} clips of {frames} frames, {side} x {side}, of a real face, and blurred and "
    "noisy copies, H.264. Ours: `avatarsync bench run --preset full --controls none` with an empty "
    "feature store: PSNR, SSIM, LPIPS (alex), FID, FVD (StyleGAN-V), CSIM, with all their intervals. "
    "Theirs, one after the other, each a process of its own that may use all cores: every frame is "
    "written as PNG, once for both tools that read pictures; pytorch-fid's command as it ships (batches "
    "of 50, a loader per core, sqrtm); the package lpips in its two-folder script's loop, as it ships; "
    "torchmetrics' PSNR and SSIM frame by frame; an FVD script with I3D in plain torch modules and sqrtm; "
    "insightface's chain (SCRFD at 640, ArcFace, onnxruntime's default threads) on the frames that CSIM "
    "compares, every tenth. Same weights, same frames; all decode with the same decoder. The start of "
    "every process counts, on both sides; downloads and the conversion of weights do not. The pair is "
    "small, so that starts and matrix roots weigh, which is where the tools lose most; on a larger one "
    "(the second figure, {larger} clips, once) both sides spend their time in the same float32 convolutions, "
    "ours at this processor's limit, and the ratio nears 2."
)
TOLERANCES = {
    "psnr": (1e-4, "relative; PNG and mp4 give equal pixels, torchmetrics works in float32"),
    "ssim": (5e-3, "relative; torchmetrics pads by reflection and counts the border, Wang et al. do not"),
    "lpips_alex": (1e-4, "relative; equal pixels and weights, float32"),
    "fid": (5e-4, "relative; sqrtm loses about 1e-4 with fewer frames than dimensions"),
    "fvd": (5e-4, "relative; sqrtm, as above"),
    "csim": (1e-2, "relative; the detector looks at 640 pixels instead of 320, so faces align otherwise"),
}
"""By how much a tool's value may differ, and why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the last round of either way said."""

    ours: Values = field(default_factory=dict)
    theirs: Values = field(default_factory=dict)
    seconds: dict[str, list[Seconds]] = field(default_factory=dict)
    """Wall time of each tool, per round."""


def measure_one_pass(sizes: Sizes, folder: Path) -> Measurement:
    """Run both ways in turns, compare their values, and take the ratio of their times."""
    weights = folder / "weights"
    run_module("benchmark.performance.tools.weights", [weights], sizes.longest, **tools_beside())
    times, outcome = _both_ways(sizes, folder / "small", weights, sizes.pair_clips, sizes.pair_repeats)
    num_pairs = sizes.pair_clips * sizes.pair_frames
    figures = (
        Figure(
            name="time of the separate tools over one pass",
            unit="x",
            values=ratios(times["separate tools"], times["one pass"]),
            expected="2.5 to 3.5",
            limit=3.0,
            sense="at least",
        ),
        *_larger(sizes, folder / "large", weights),
        *(Figure(name=f"{name}: wall time", unit="s", values=taken) for name, taken in times.items()),
        *(
            Figure(name=f"{name}: frame pairs", unit="per s", values=tuple(num_pairs / t for t in taken))
            for name, taken in times.items()
        ),
    )
    clips, larger = sizes.pair_clips, sizes.larger_pair_clips or "no"
    method = METHOD.format(clips=clips, frames=sizes.pair_frames, side=sizes.pair_side, larger=larger)
    return Measurement(
        name="b",
        title="One pass against separate tools",
        method=method,
        figures=figures,
        tables=(_values(outcome), _parts(outcome)),
    )


def _both_ways(
    sizes: Sizes, folder: Path, weights: Path, num_clips: int, repeats: int
) -> tuple[dict[str, tuple[Seconds, ...]], Outcome]:
    """Time both ways over a pair of so many clips, and compare what they say."""
    pair = folder_pair(folder / "pair", num_clips, sizes.pair_frames, sizes.pair_side)
    outcome = Outcome()
    ways: dict[str, Callable[[], object]] = {
        "separate tools": partial(by_tools, pair, folder, weights, sizes, outcome),
        "one pass": partial(by_one_pass, pair, folder, sizes, outcome),
    }
    times = interleaved(ways, repeats, f"(b) one pass, {num_clips} clips", warm_up=False)
    check_alike(outcome)
    return times, outcome


def _larger(sizes: Sizes, folder: Path, weights: Path) -> Iterator[Figure]:
    if sizes.larger_pair_clips:
        times, _ = _both_ways(sizes, folder, weights, sizes.larger_pair_clips, 1)
        yield Figure(
            name=f"the same with {sizes.larger_pair_clips} clips",
            unit="x",
            values=ratios(times["separate tools"], times["one pass"]),
            expected="2.2 to 2.8",
        )


def by_one_pass(pair: FolderPair, folder: Path, sizes: Sizes, outcome: Outcome) -> None:
    """Score the pair with the command, from nothing."""
    store, out = folder / "features", folder / "run.json"
    shutil.rmtree(store, ignore_errors=True)
    names = ",".join(COLUMNS.values())
    arguments = ["--reference", pair.truth, "--system", f"{SYSTEM}={pair.generated}", "--out", out]
    options = ["--metrics", names, "--preset", "full", "--controls", "none", "--cache", store, "--replace"]
    out.with_suffix(".journal.jsonl").unlink(missing_ok=True)
    run_module("benchmark", ["run", *arguments, *options, "--workers", usable_cores()], sizes.longest)
    row = next(each for each in read_run(out).systems if each.name == SYSTEM)
    found = {score.metric: score.value for score in row.scores}
    values = {name: found.get(each) for name, each in COLUMNS.items()}
    outcome.ours.update({name: value for name, value in values.items() if value is not None})


def by_tools(pair: FolderPair, folder: Path, weights: Path, sizes: Sizes, outcome: Outcome) -> None:
    """Score the pair with each tool in turn."""
    pictures = FolderPair(folder / "pictures" / "truth", folder / "pictures" / "generated")
    shutil.rmtree(folder / "pictures", ignore_errors=True)
    videos, longest = pair.folders, sizes.longest
    run, beside = run_tool, tools_beside()
    tools: dict[str, Callable[[], Mapping[str, float]]] = {
        "PNG": lambda: _dumped(pair, pictures, longest),
        "fid": lambda: run(
            "fid", [*pictures.folders, weights / "inception.pth"], folder / "fid.json", longest, **beside
        ),
        "lpips": lambda: run(
            "lpips", [*pictures.folders, weights / "lpips.pth"], folder / "lpips.json", longest, **beside
        ),
        "frames": lambda: run("frames", videos, folder / "frames.json", longest),
        "fvd": lambda: run("fvd", [*videos, weights / "i3d.pth"], folder / "fvd.json", longest),
        "identity": lambda: run("identity", [*videos, DETECT_EVERY], folder / "csim.json", longest),
    }
    for name, tool in tools.items():
        started = time.perf_counter()
        outcome.theirs.update(tool())
        outcome.seconds.setdefault(name, []).append(time.perf_counter() - started)


def _dumped(pair: FolderPair, pictures: FolderPair, longest: Seconds) -> Values:
    for videos, folder in zip(pair.folders, pictures.folders, strict=True):
        run_module("benchmark.performance.tools.pictures", [videos, folder], longest)
    return {}


def check_alike(outcome: Outcome) -> None:
    """Raise when a value is missing or further from its tool's than the tolerance: then times say nothing."""
    for name, (most, why) in TOLERANCES.items():
        ours, theirs = outcome.ours.get(name), outcome.theirs.get(name)
        if ours is None or theirs is None:
            raise RuntimeError(f"{name}: ours is {ours}, the tool's {theirs}; nothing to compare")
        if abs(ours - theirs) > most * abs(theirs):
            raise RuntimeError(f"{name}: ours is {ours:.6g}, the tool's {theirs:.6g}; allowed: {most} {why}")


def _values(outcome: Outcome) -> Table:
    lines = [
        Line(
            label=f"{name} ({why})",
            values=(
                outcome.ours[name],
                outcome.theirs[name],
                1e6 * abs(outcome.ours[name] - outcome.theirs[name]) / abs(outcome.theirs[name]),
                1e6 * most,
            ),
        )
        for name, (most, why) in TOLERANCES.items()
    ]
    columns = ("metric", "ours", "tool's", "difference ppm", "allowed ppm")
    return Table(title="Values of both ways, and the tolerance", columns=columns, lines=tuple(lines))


def _parts(outcome: Outcome) -> Table:
    labels = {
        "PNG": "every frame as PNG",
        "fid": "pytorch-fid",
        "lpips": "lpips",
        "frames": "torchmetrics PSNR, SSIM",
        "fvd": "FVD script",
        "identity": "insightface's chain",
    }
    lines = [
        Line(label=labels[name], values=(statistics.median(each),)) for name, each in outcome.seconds.items()
    ]
    return Table(title="Where the tools' time goes", columns=("tool", "s"), lines=tuple(lines))
