"""FVD (Unterthiner et al. 2018): Fréchet distance between I3D logits of windows of 16 consecutive frames.

`fvd_styleganv` prepares windows as StyleGAN-V's detector does, `fvd_debiased` as the I3D path of
content-debiased-fvd does. Both tools draw one window a video at random; here windows are the same at every
run. Few windows (below 400) read high, and windows of one clip resemble each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from datapipe.records import Rejected

from ..extract import Extractor, kept_rows
from ..footage import Footage
from ..intervals import frechet_of_clips
from ..networks.i3d import BATCH, DIM, I3D, NUM_FRAMES, SIDE, i3d_logits
from ..records import protocol
from ..states import FeatureSets
from .metric import Metric, Pair

Windows = Literal["middle", "all"]
"""`middle`: one window a clip. `all`: as many as fit, one after the other from the first frame."""
WINDOWS: dict[Windows, str] = {"middle": "one a clip, in its middle", "all": "all that fit, without overlap"}
CROP_SIDE = 256
"""content-debiased-fvd's default resolution."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a window becomes the network's input."""

    name: str
    title: str
    resize: str
    prepare: Callable[[Tensor], Tensor]
    """Turn (T, 3, H, W) floats from 0 to 255 into (T, 3, 224, 224)."""


def squashed(window_T3HW: Tensor) -> Tensor:
    """Squash to 224x224 whatever the aspect: torch's bilinear without antialias."""
    return functional.interpolate(window_T3HW, (SIDE, SIDE), mode="bilinear", align_corners=False)


def cropped(window_T3HW: Tensor) -> Tensor:
    """Shorter side to 256 with antialias, centre crop, fractions cut off by a cast to bytes, then squash."""
    height, width = window_T3HW.shape[2:]
    scale = CROP_SIDE / min(height, width)
    wide = height < width
    size = (CROP_SIDE, math.ceil(width * scale)) if wide else (math.ceil(height * scale), CROP_SIDE)
    video = functional.interpolate(
        window_T3HW / 255, size, mode="bilinear", align_corners=False, antialias=True
    )
    top, left = ((side - CROP_SIDE) // 2 for side in size)
    video = video[:, :, top : top + CROP_SIDE, left : left + CROP_SIDE]
    return squashed((video * 255).to(torch.uint8).float())


STYLEGANV = Preparation(
    name="fvd_styleganv",
    title="FVD",
    resize="torch bilinear to 224x224, no antialias, aspect not kept",
    prepare=squashed,
)
DEBIASED = Preparation(
    name="fvd_debiased",
    title="FVD (cd)",
    resize="shorter side to 256 with antialias, centre crop, bytes, torch bilinear to 224x224",
    prepare=cropped,
)


def starts(num_frames: int, windows: Windows) -> range:
    """First frames of the windows of a clip; `Rejected("too_short")` when not one fits."""
    if num_frames < NUM_FRAMES:
        raise Rejected(
            "too_short",
            f"FVD looks at {NUM_FRAMES} frames in a row and the clip has {num_frames}; leave it out of FVD",
        )
    if windows == "all":
        return range(0, num_frames - NUM_FRAMES + 1, NUM_FRAMES)
    middle = (num_frames - NUM_FRAMES) // 2
    return range(middle, middle + 1)


def extractor(windows: Windows, preparation: Preparation = STYLEGANV) -> Extractor:
    """I3D logits of the windows of a clip."""

    def inputs(footage: Footage) -> Iterator[NDArray[np.float32]]:
        for start in starts(len(footage.frames), windows):
            frames_T3HW = footage.frames[start : start + NUM_FRAMES].transpose(0, 3, 1, 2)
            video = preparation.prepare(torch.from_numpy(frames_T3HW.astype(np.float32)))
            yield (2 * video / 255 - 1).transpose(0, 1).numpy()

    return Extractor(
        name="i3d",
        weights=(I3D,),
        settings=f"{preparation.name} {windows}",
        batch=BATCH,
        dim=DIM,
        inputs=inputs,
        run=i3d_logits,
    )


def metric(windows: Windows, preparation: Preparation = STYLEGANV) -> Metric:
    """FVD over the windows of all clips."""
    features = extractor(windows, preparation)

    def measure(pair: Pair) -> FeatureSets:
        """Logits of both videos."""
        return FeatureSets({pair.key: (kept_rows(pair.generated, features), kept_rows(pair.truth, features))})

    return Metric(
        name=f"video/{preparation.name}",
        title=preparation.title,
        unit="",
        direction="lower",
        best=0.0,
        protocol=protocol(
            network="I3D RGB Kinetics-400 (TF-Hub), logits",
            frames=NUM_FRAMES,
            stride=1,
            windows=WINDOWS[windows],
            resize=preparation.resize,
            input="2x/255-1",
            ddof=0,
        ),
        weights=(I3D,),
        about="Fréchet distance between I3D logits of 16-frame windows of generated and true videos.",
        symmetric=True,
        needs=(features,),
        kind=FeatureSets,
        measure=measure,
        compute=lambda state: frechet_of_clips(state.ordered(), preparation.title, ddof=0),
    )
