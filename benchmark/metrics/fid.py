"""FID (Heusel et al. 2017) between all generated and all true frames.

`fid` prepares frames as pytorch-fid does (torch bilinear to 299, no antialias), `fid_clean` as clean-fid does
(Parmar et al. 2022: Pillow's bicubic with antialias, in floats). Frames of one clip resemble each other, so
the effective sample is about the number of clips: values of different sample sizes cannot be compared, and
small samples read high.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from datapipe.networks.lpips import signed

from ..extract import Extractor, kept_rows
from ..footage import Footage
from ..intervals import frechet_of_clips
from ..networks.inception import BATCH, DIM, INCEPTION, SIDE, inception_features
from ..records import protocol
from ..states import FeatureSets
from .metric import Metric, Pair

Picture = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a frame becomes the network's input."""

    suffix: str
    """What the metric's name has after `fid`."""
    title: str
    resize: str
    scale: str
    prepare: Callable[[NDArray[np.uint8]], Picture]
    """Turn an (H, W, 3) frame into a (3, 299, 299) input."""


def legacy_input(frame_HW3: NDArray[np.uint8]) -> Picture:
    """(3, 299, 299) in [-1, 1]: 2x/255-1, then torch's bilinear (pytorch-fid resizes inside its network)."""
    batch = functional.interpolate(
        signed(frame_HW3[None]), (SIDE, SIDE), mode="bilinear", align_corners=False
    )
    picture: Picture = batch[0].numpy()
    return picture


def clean_input(frame_HW3: NDArray[np.uint8]) -> Picture:
    """(3, 299, 299): each channel by Pillow in floats, overshoot cut, nothing rounded; then (x-128)/128."""
    channels = (Image.fromarray(channel) for channel in frame_HW3.astype(np.float32).transpose(2, 0, 1))
    small = [np.asarray(each.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for each in channels]
    picture: Picture = (np.stack(small).clip(0, 255) - np.float32(128)) / np.float32(128)
    return picture


LEGACY = Preparation(
    suffix="",
    title="FID",
    resize="torch bilinear to 299, no antialias, align_corners False",
    scale="2x/255-1",
    prepare=legacy_input,
)
CLEAN = Preparation(
    suffix="_clean",
    title="FID (clean)",
    resize="Pillow bicubic to 299 with antialias, float, per channel, cut to 0..255, not rounded",
    scale="(x-128)/128",
    prepare=clean_input,
)


def extractor(every: int, preparation: Preparation = LEGACY) -> Extractor:
    """Inception features of every `every`-th frame."""

    def inputs(footage: Footage) -> Iterator[Picture]:
        return (preparation.prepare(frame) for frame in footage.frames[::every])

    return Extractor(
        name="inception",
        weights=(INCEPTION,),
        settings=f"{preparation.scale} {preparation.resize} every {every}",
        batch=BATCH,
        dim=DIM,
        inputs=inputs,
        run=inception_features,
    )


def metric(every: int, preparation: Preparation = LEGACY) -> Metric:
    """FID over every `every`-th frame."""
    features = extractor(every, preparation)

    def measure(pair: Pair) -> FeatureSets:
        """Features of both videos."""
        return FeatureSets({pair.key: (kept_rows(pair.generated, features), kept_rows(pair.truth, features))})

    return Metric(
        name=f"video/fid{preparation.suffix}",
        title=preparation.title,
        unit="",
        direction="lower",
        best=0.0,
        protocol=protocol(
            network="inception 2015-12-05 pool3",
            resize=preparation.resize,
            input=preparation.scale,
            ddof=1,
            every=every,
        ),
        weights=(INCEPTION,),
        about="Fréchet distance between Inception features of generated and true frames.",
        symmetric=True,
        needs=(features,),
        kind=FeatureSets,
        measure=measure,
        compute=lambda state: frechet_of_clips(state.ordered(), preparation.title, ddof=1),
    )
