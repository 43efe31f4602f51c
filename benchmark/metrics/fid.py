"""FID (Heusel et al. 2017) between all generated and all true frames.

`fid` prepares frames as pytorch-fid does (torch bilinear to 299, no antialias). Frames of one clip resemble
each other, so the effective sample is about the number of clips: values of different sample sizes cannot be
compared, and small samples read high.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.nn import functional

from ..extract import Extractor, kept_rows
from ..footage import Footage
from ..intervals import frechet_of_clips
from ..networks.inception import BATCH, DIM, INCEPTION, SIDE, inception_features
from ..networks.lpips import signed
from ..records import protocol
from ..states import FeatureSets
from .metric import Metric, Pair


def legacy_inputs(frames_THW3: NDArray[np.uint8], every: int) -> Iterator[NDArray[np.float32]]:
    """(3, 299, 299) in [-1, 1] of every `every`-th frame: x/255*2-1, then bilinear, align_corners False."""
    for frame in frames_THW3[::every]:
        batch = functional.interpolate(
            signed(frame[None]), (SIDE, SIDE), mode="bilinear", align_corners=False
        )
        yield batch[0].numpy()


def extractor(every: int) -> Extractor:
    """Inception features of every `every`-th frame."""

    def inputs(footage: Footage) -> Iterator[NDArray[np.float32]]:
        return legacy_inputs(footage.frames, every)

    return Extractor(
        name="inception",
        weights=(INCEPTION,),
        settings=f"legacy every {every}",
        batch=BATCH,
        dim=DIM,
        inputs=inputs,
        run=inception_features,
    )


def metric(every: int) -> Metric:
    """FID over every `every`-th frame."""
    features = extractor(every)

    def measure(pair: Pair) -> FeatureSets:
        """Features of both videos."""
        return FeatureSets({pair.key: (kept_rows(pair.generated, features), kept_rows(pair.truth, features))})

    return Metric(
        name="video/fid",
        title="FID",
        unit="",
        direction="lower",
        best=0.0,
        protocol=protocol(
            network="inception 2015-12-05 pool3",
            resize="torch bilinear to 299, no antialias, align_corners False",
            input="2x/255-1",
            ddof=1,
            every=every,
        ),
        weights=(INCEPTION,),
        about="Fréchet distance between Inception features of generated and true frames.",
        symmetric=True,
        needs=(features,),
        kind=FeatureSets,
        measure=measure,
        compute=lambda state: frechet_of_clips(state.ordered(), "FID", ddof=1),
    )
