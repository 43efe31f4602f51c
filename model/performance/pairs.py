"""(e) One more frame of an encoded pair, against encoding the pair again for it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from datapipe.performance.figures import Figure, Measurement
from datapipe.performance.repeat import interleaved, ratios

from ..presets import preset_named
from .seeded import seeded_avatar
from .sizes import Sizes

PAIR_FRAMES = 8
METHOD = (
    "{frames} frames of one pair of keyframes, {size} x {size}, by the interpolator of the preset {preset} "
    "with seeded weights, one thread. Encoded once: the pair's features are there, and the frames are "
    "rendered from them in one batch. Encoded anew: each frame encodes the pair for itself and is then "
    "rendered, as by a network without shared features. The pictures of both must be equal to 1e-4."
)


@torch.no_grad()
def measure_pairs(sizes: Sizes, folder: Path) -> Measurement:
    """Compare the pictures, then the time per frame."""
    torch.set_num_threads(1)
    model = seeded_avatar(preset_named(sizes.preset)).interpolator
    config = model.config
    left, right = 2 * torch.rand(2, 1, 3, config.size, config.size) - 1
    t = (torch.arange(PAIR_FRAMES) + 0.5) / PAIR_FRAMES
    seconds = torch.tensor([PAIR_FRAMES / 25])
    features = model.pairs(left, right, seconds)
    at = torch.zeros(PAIR_FRAMES, dtype=torch.long)

    def once() -> Tensor:
        return model.render(features.at(at), left[at], right[at], t)

    def anew() -> Tensor:
        return torch.cat([model(left, right, seconds, each) for each in torch.split(t, 1)])

    if not torch.allclose(once(), anew(), atol=1e-4):
        raise RuntimeError("frames from one encoding differ from frames with their own: times say nothing")
    times = interleaved({"once": once, "anew": anew}, 5 * sizes.repeats, "(e) pairs")
    figures = (
        Figure(
            name="time of a frame with the pair encoded anew over one more frame of an encoded pair",
            unit="x",
            values=ratios(times["anew"], times["once"]),
            expected="5 to 7",
            limit=5.0,
            sense="at least",
        ),
        *(
            Figure(name=f"{name}: per frame", unit="ms", values=tuple(1e3 * t / PAIR_FRAMES for t in each))
            for name, each in times.items()
        ),
    )
    method = METHOD.format(frames=PAIR_FRAMES, size=config.size, preset=sizes.preset)
    return Measurement(name="e", title="One more frame between two keyframes", method=method, figures=figures)
