"""Every metric by name. A new one is a file beside these and a line in `metrics_for`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from datapipe.records import Rejected

from ..identity import BACKBONES
from ..sync.judge import load_judge, placed_judge
from ..sync.syncnet import HOW_TO_GET
from . import (
    csim,
    efid,
    fid,
    flicker,
    fvd,
    iss,
    lmd,
    lpips,
    mouth,
    psnr,
    ssim,
    sync,
    sync_package,
    timing,
    warping,
)
from .metric import Metric, Pair, for_keyframes

__all__ = ["PRESETS", "Metric", "MetricConfig", "Pair", "Sampling", "metrics_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Which frames the costly metrics look at; part of their protocol."""

    fid_every: int = 1
    """FID uses every n-th frame."""
    fvd_windows: fvd.Windows = "all"
    """FVD uses all windows of a clip, or the one in its middle."""
    lpips_every: int = 1
    """LPIPS uses every n-th frame."""
    landmarks_every: int = 1
    """Mouth metrics use the landmarks of every n-th frame."""


PRESETS = {
    "full": Sampling(),
    "quick": Sampling(fid_every=15, fvd_windows="middle", lpips_every=3, landmarks_every=2),
}
"""`full` looks at every frame; `quick` is for a machine without an accelerator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricConfig:
    """Which columns a run has."""

    names: tuple[str, ...] = ("all",)
    """Names of metrics; `psnr` is short for `video/psnr`. `all` are those of the table."""
    preset: str = "quick"
    """Which frames the costly ones look at: full or quick."""
    judges: tuple[Path, ...] = ()
    """Judges of lip-sync: the published syncnet_v2.model, or folders that `bench train-sync` made."""


def metrics_for(config: MetricConfig = MetricConfig()) -> dict[str, Metric]:
    """Look metrics up; raises `Rejected("bad_input")` with the nearest names for an unknown one."""
    known = known_metrics(config)
    wanted = [_full(name) for each in config.names for name in each.split(",") if name]
    if "video/all" in wanted:
        extra = [name for name in wanted if name != "video/all"]
        wanted = [*(name for name in known if name in table_metrics(config)), *extra]
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or list(known)
            raise Rejected("bad_input", f"unknown metric `{name}`; did you mean {', '.join(near)}?")
    return {name: known[name] for name in dict.fromkeys(wanted)}


def _full(name: str) -> str:
    return name if "/" in name else f"video/{name}"


def table_metrics(config: MetricConfig) -> dict[str, Metric]:
    """What `all` stands for: the columns of the table, in its order."""
    sampling = PRESETS[config.preset]
    columns = (
        psnr.METRIC,
        mouth.mouth_psnr(sampling.landmarks_every),
        mouth.mouth_opening_r(sampling.landmarks_every),
        lmd.lmd_mouth(sampling.landmarks_every),
        ssim.METRIC,
        lpips.metric(sampling.lpips_every),
        fid.metric(sampling.fid_every),
        fvd.metric(sampling.fvd_windows),
        csim.metric("w600k_mbf"),
        efid.metric(sampling.landmarks_every),
        *sync_metrics(config.judges),
        flicker.FLICKER,
        flicker.RATIO,
        timing.LATENCY,
        timing.RTF,
        timing.FIRST_FRAME,
        timing.FRAME_RATE,
    )
    return {metric.name: metric for metric in columns}


def sync_metrics(judges: tuple[Path, ...]) -> tuple[Metric, ...]:
    """Columns of every judge; of the published one, where it is placed, when none is named."""
    columns = tuple(each for path in named_judges(judges) for each in sync.metrics(load_judge(path)))
    return columns or sync.not_here(HOW_TO_GET)


def sync_by_name(judges: tuple[Path, ...]) -> list[Metric]:
    """The published chain's lossy way, the one without the ends of the sound, and the package's own."""
    ways: tuple[sync.Protocol, ...] = ("strict", "masked")
    named = named_judges(judges)
    ours = [each for path in named for way in ways for each in sync.metrics(load_judge(path), way)]
    return ours + [each for path in named if path.is_file() for each in sync_package.metrics(path)]


def named_judges(judges: tuple[Path, ...]) -> tuple[Path, ...]:
    """The judges of a run: those it names, else the published one where it is placed."""
    placed = placed_judge()
    return judges or ((placed,) if placed else ())


def known_metrics(config: MetricConfig) -> dict[str, Metric]:
    """All metrics: those of the table, variants of them, and the keyframes' own."""
    table, sampling = table_metrics(config), PRESETS[config.preset]
    single = (psnr.METRIC, ssim.METRIC, lpips.metric(1), csim.metric("w600k_mbf", every=1), fid.metric(1))
    keyframes = [for_keyframes(each) for each in single]
    named = (
        timing.PEAK_MEMORY,
        *faces_by_name(sampling),
        *pictures_by_name(sampling),
        *sync_by_name(config.judges),
    )
    return {**table, **{metric.name: metric for metric in (*named, *keyframes)}}


def pictures_by_name(sampling: Sampling) -> list[Metric]:
    """Other definitions of the table's picture metrics, for a run that names them."""
    return [
        fid.metric(sampling.fid_every, fid.CLEAN),
        fvd.metric(sampling.fvd_windows, fvd.DEBIASED),
        lpips.metric(sampling.lpips_every, "vgg"),
        ssim.GREY,
    ]


def faces_by_name(sampling: Sampling) -> list[Metric]:
    """Metrics of the face and of flicker that a run has when it names them."""
    return [
        *(csim.metric(backbone) for backbone in BACKBONES),
        *(iss.metric(backbone) for backbone in BACKBONES),
        lmd.lmd_face(sampling.landmarks_every),
        mouth.mouth_ssim(sampling.landmarks_every),
        mouth.mouth_lpips(sampling.landmarks_every, sampling.lpips_every),
        flicker.MAP_L1,
        warping.METRIC,
    ]
