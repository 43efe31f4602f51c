"""LPIPS v0.1 with the AlexNet trunk (Zhang et al. 2018), at the size of the ground truth."""

from __future__ import annotations

from ..features import ALEX, lpips
from ..records import protocol
from .metric import Metric, Pair, mean_over_cases, per_case


def metric(every: int) -> Metric:
    """LPIPS over every `every`-th frame."""
    settings = protocol(
        version="0.1",
        trunk="alex",
        input="RGB in [-1, 1]",
        spatial=False,
        every=every,
        mean="frames, then clips",
    )

    def value(pair: Pair) -> float:
        distances = pair.stored("lpips_alex", settings, lambda: lpips(pair.truth, pair.generated, every))
        return float(distances.mean())

    return Metric(
        name="lpips_alex",
        title="LPIPS",
        unit="",
        direction="lower",
        best=0.0,
        protocol=settings,
        weights=(ALEX,),
        about="Perceptual distance between frames (AlexNet trunk, 0 is identical).",
        measure=per_case(value),
        compute=mean_over_cases,
    )
