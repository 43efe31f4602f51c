"""(b) A build on two workers against the same build on one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..config import BuildConfig
from ..run import RunConfig
from .corpus import fresh_build, sample_corpora
from .figures import Figure, Measurement
from .repeat import Sizes, interleaved, ratios

FEW = 2
METHOD = (
    "`build` of the sample's Mandarin corpus into an empty folder, on a LocalCluster of one and of two "
    "workers, from the listing of the corpus to the manifest. Starting workers and loading networks is "
    "part of the bar's time; it is taken out in the second ratio by subtracting a build of two clips."
)


def measure_workers(sizes: Sizes, folder: Path) -> Measurement:
    """Measure how much faster two workers are, with their start-up and without."""
    root = sample_corpora(folder, sizes.build_clips) / "cmlr"
    ways: dict[str, Callable[[], object]] = {
        f"{clips} clips on {workers} worker{'s' if workers > 1 else ''}": partial(
            fresh_build,
            "cmlr",
            root,
            folder / "shards",
            BuildConfig(),
            RunConfig(cluster="local", workers=workers, limit=clips),
        )
        for clips in (sizes.build_clips, FEW)
        for workers in (1, 2)
    }
    times = interleaved(ways, sizes.build_repeats, "(b) one and two workers", warm_up=False)
    one, two, few_one, few_two = times.values()
    without = ratios(_less(one, few_one), _less(two, few_two))
    figures = [
        Figure(
            name="time on one worker over that on two",
            unit="x",
            values=ratios(one, two),
            expected="1.8 to 1.9",
            limit=1.8,
            sense="at least",
        ),
        Figure(name="the same without start-up", unit="x", values=without, expected="1.85 to 1.98"),
        *(Figure(name=f"{name}: wall time", unit="s", values=taken) for name, taken in times.items()),
    ]
    return Measurement(name="b", title="Two workers against one", method=METHOD, figures=tuple(figures))


def _less(whole: tuple[float, ...], part: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(a - b for a, b in zip(whole, part, strict=True))
