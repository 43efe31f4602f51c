"""LPIPS v0.1 (Zhang et al. 2018) on the AlexNet or the VGG16 trunk, at the size of the ground truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datapipe.networks import lpips as network
from datapipe.networks.lpips import Tower, TrunkName
from datapipe.records import Rejected

from ..footage import Footage
from ..records import protocol
from .metric import Metric, Pair, mean_over_cases, per_case

BYTES_TO_KEEP = 336_000_000
"""Ground truths with larger towers have their activations made anew for each system."""
TITLES: dict[TrunkName, str] = {"alex": "LPIPS", "vgg": "LPIPS (VGG)"}
SMALLEST: dict[TrunkName, int] = {"alex": 31, "vgg": 16}
"""Pixels of a side below which nothing is left after the trunk's pools."""
TRUNK_TITLES: dict[TrunkName, str] = {"alex": "AlexNet", "vgg": "VGG16"}


def distances(
    truth: Footage, generated: Footage, every: int, trunk: TrunkName = "alex"
) -> NDArray[np.float64]:
    """LPIPS of every `every`-th frame, (n,); the truth's activations are kept for the next system."""
    if min(truth.frames.shape[1:3]) < SMALLEST[trunk]:
        what = f"LPIPS needs pictures of at least {SMALLEST[trunk]} pixels, not {truth.frames.shape[1:3]}"
        raise Rejected("bad_input", f"{what}; leave the clip out")
    rows = []
    for index, frames in enumerate(network.batches(generated.frames[::every], trunk)):
        tower = _truth_tower(truth, every, index, trunk)
        other = tower if generated.picture == truth.picture else network.lpips_tower(frames, trunk)
        rows.append(network.lpips_distances(tower, other, trunk))
    return np.concatenate(rows)


def _truth_tower(truth: Footage, every: int, index: int, trunk: TrunkName) -> Tower:
    name = f"lpips_{trunk} {every} {index}"
    if name in truth.towers:
        known: Tower = truth.towers[name]
        return known
    frames = truth.frames[::every]
    tower = network.lpips_tower(network.batches(frames, trunk)[index], trunk)
    if frames[..., 0].size * network.TRUNKS[trunk].bytes_per_pixel <= BYTES_TO_KEEP:
        truth.towers[name] = tower
    return tower


def metric(every: int, trunk: TrunkName = "alex") -> Metric:
    """LPIPS over every `every`-th frame."""
    settings = protocol(
        version="0.1",
        trunk=trunk,
        input="RGB in [-1, 1]",
        spatial=False,
        every=every,
        mean="frames, then clips",
    )

    def value(pair: Pair) -> float:
        """Mean over the frames of a clip."""
        rows = pair.stored(
            f"lpips_{trunk}", settings, lambda: distances(pair.truth, pair.generated, every, trunk)
        )
        return float(rows.mean())

    return Metric(
        name=f"video/lpips_{trunk}",
        title=TITLES[trunk],
        unit="",
        direction="lower",
        best=0.0,
        protocol=settings,
        weights=(network.TRUNKS[trunk].weights,),
        about=f"Perceptual distance between frames ({TRUNK_TITLES[trunk]} trunk, 0 is identical).",
        symmetric=True,
        measure=per_case(value),
        compute=mean_over_cases,
    )
