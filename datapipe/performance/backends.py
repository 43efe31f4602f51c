"""(e) What a build costs by backend: clips a second, seconds per stage, and hours for the real corpora."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..config import BuildConfig
from ..console import track
from ..ledger import Row
from ..records import Seconds
from ..run import RunConfig
from ..table import read_table
from ..upscale import UpscaleConfig
from .corpus import fresh_build, sample_corpora
from .figures import Figure, Line, Measurement, Table
from .repeat import Sizes

CORPORA = {"CMLR": (87.5, "cmlr"), "HDTF": (17.07, "hdtf")}
"""Hours of video in the release, and the sample corpus that stands for it."""
CORES = (1, 8, 32, 128)
STAGES = (
    "probe",
    "decode",
    "understand",
    "align",
    "agree",
    "track_speaker",
    "crop_face",
    "choose_keyframes",
    "gather",
    "draft",
    "enhance",
    "pack",
)
"""In the order of the flow, which the ledger does not keep."""
METHOD = (
    "`build` of a few clips of each sample corpus into an empty folder. Seconds per stage are medians "
    "over the clips, so the first one, which loads the networks, does not show; clips per second are the "
    "whole build's, with start-up. Local is a LocalCluster of two workers; the rest is one process at a "
    "time. `recognised` is CMLR's clips without their transcripts. The projection is seconds of work per "
    "second of video times the corpus' hours over the cores, one worker each; the sample's pictures are "
    "256 x 256 (CMLR) and 480 x 360 (HDTF), and larger ones cost more to decode and to search for faces."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to build."""

    name: str
    source: str
    cluster: str = "inline"
    upscale: UpscaleConfig = field(default_factory=UpscaleConfig)
    recognised: bool = False
    """Whether the transcripts are taken away first."""


VARIANTS = (
    Variant(name="CMLR, released, no upscaling, inline", source="cmlr"),
    Variant(name="CMLR, released, no upscaling, local", source="cmlr", cluster="local"),
    Variant(name="CMLR, recognised, no upscaling, inline", source="cmlr", recognised=True),
    Variant(name="CMLR, released, lanczos, inline", source="cmlr", upscale=UpscaleConfig(backend="lanczos")),
    Variant(
        name="CMLR, released, realesrgan, inline", source="cmlr", upscale=UpscaleConfig(backend="realesrgan")
    ),
    Variant(name="HDTF, recognised, no upscaling, inline", source="hdtf"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one variant took."""

    variant: Variant
    rows: tuple[Row, ...]
    wall: Seconds
    video: dict[str, Seconds]
    """Length of each clip."""

    @property
    def stages(self) -> dict[str, Seconds]:
        """Seconds of every stage, median over the clips, in the order of the flow."""
        return {name: statistics.median(row.stages[name] for row in self.rows) for name in STAGES}

    @property
    def work(self) -> float:
        """Seconds of work per second of video, median over the clips."""
        return statistics.median(row.seconds / self.video[row.clip] for row in self.rows)


def measure_backends(sizes: Sizes, folder: Path) -> Measurement:
    """Build a few clips every way, and project the corpora from it."""
    corpora = sample_corpora(folder, sizes.backend_clips)
    costs = [_cost(variant, corpora, folder, sizes) for variant in track(VARIANTS, "(e) backends")]
    rates = tuple(
        Figure(name=f"{cost.variant.name}: whole build", unit="clips/s", values=(len(cost.rows) / cost.wall,))
        for cost in costs
    )
    return Measurement(
        name="e",
        title="Seconds per stage, by backend",
        method=METHOD,
        figures=rates,
        tables=(_by_stage(costs), _projection(costs)),
    )


def _cost(variant: Variant, corpora: Path, folder: Path, sizes: Sizes) -> Cost:
    root = corpora / variant.source
    if variant.recognised:
        root = folder / "without-text"
        shutil.copytree(corpora / variant.source, root, ignore=shutil.ignore_patterns("text"))
    out = folder / "shards"
    run = RunConfig(cluster=variant.cluster, limit=sizes.backend_clips)
    started = time.monotonic()
    rows = fresh_build(variant.source, root, out, BuildConfig(upscale=variant.upscale), run)
    wall = time.monotonic() - started
    table = read_table(out, ["id", "duration"])
    video = dict(zip(table["id"].to_pylist(), table["duration"].to_pylist(), strict=True))
    return Cost(variant=variant, rows=tuple(rows), wall=wall, video=video)


def _by_stage(costs: Sequence[Cost]) -> Table:
    lines = [
        Line(
            label=cost.variant.name,
            values=(*cost.stages.values(), sum(cost.stages.values()), cost.work),
        )
        for cost in costs
    ]
    columns = ("build", *(f"{stage} s" for stage in STAGES), "all stages s", "s per s of video")
    return Table(title="Seconds per clip and stage, median over clips", columns=columns, lines=tuple(lines))


def _projection(costs: Sequence[Cost]) -> Table:
    """Say how long all of CMLR and of HDTF would take."""
    lines = [
        Line(
            label=f"all of {corpus} ({hours:g} h): {cost.variant.name.partition(', ')[2]}",
            values=tuple(hours * cost.work / cores for cores in CORES),
        )
        for corpus, (hours, source) in CORPORA.items()
        for cost in costs
        if cost.variant.source == source and cost.variant.cluster == "inline"
    ]
    columns = ("projected", *(f"h on {cores} core{'s' if cores > 1 else ''}" for cores in CORES))
    return Table(title="Projected hours, not measured", columns=columns, lines=tuple(lines))
