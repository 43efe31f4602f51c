"""Every metric by name. A new one is a file beside these and a line in `metrics_for`."""

from __future__ import annotations

from dataclasses import dataclass

from . import csim, fid, flicker, lpips, mouth, psnr, ssim, timing
from .metric import Metric, Pair

__all__ = ["METRICS", "PRESETS", "Metric", "Pair", "Sampling", "metrics_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Which frames the costly metrics look at; part of their protocol."""

    fid_every: int = 1
    """FID uses every n-th frame."""
    lpips_every: int = 1
    """LPIPS uses every n-th frame."""
    landmarks_every: int = 1
    """Mouth metrics use the landmarks of every n-th frame."""


PRESETS = {
    "full": Sampling(),
    "quick": Sampling(fid_every=15, lpips_every=3, landmarks_every=2),
}
"""`full` looks at every frame; `quick` is for a machine without an accelerator."""


def metrics_for(sampling: Sampling) -> dict[str, Metric]:
    """The columns, in the order of the table."""
    columns = (
        psnr.METRIC,
        mouth.mouth_psnr(sampling.landmarks_every),
        mouth.mouth_opening_r(sampling.landmarks_every),
        ssim.METRIC,
        lpips.metric(sampling.lpips_every),
        fid.metric(sampling.fid_every),
        csim.METRIC,
        flicker.FLICKER,
        flicker.RATIO,
        timing.LATENCY,
        timing.RTF,
        timing.FIRST_FRAME,
    )
    return {metric.name: metric for metric in columns}


METRICS = metrics_for(PRESETS["quick"])
