"""FID (Heusel et al. 2017) between all generated and all true frames, with pytorch-fid's preprocessing.

Frames of one clip resemble each other, so the effective sample is about the number of clips: values of
different sample sizes cannot be compared, and small samples read high.
"""

from __future__ import annotations

import numpy as np

from datapipe.records import Rejected

from ..features import INCEPTION, inception
from ..frechet import frechet_distance
from ..intervals import frechet_estimate
from ..records import Estimate, protocol
from ..states import FeatureSets
from .metric import Metric, Pair


def metric(every: int) -> Metric:
    """FID over every `every`-th frame."""

    def measure(pair: Pair) -> FeatureSets:
        return FeatureSets({pair.key: (inception(pair.generated, every), inception(pair.truth, every))})

    return Metric(
        name="fid",
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
        kind=FeatureSets,
        measure=measure,
        compute=compute,
    )


def compute(state: FeatureSets) -> Estimate:
    """Distance over all frames, in the order of the case keys; interval by resampling clips."""
    clips = state.ordered()
    if min(sum(len(clip[side]) for clip in clips) for side in (0, 1)) < 2:
        raise Rejected(
            "too_short", "FID needs at least two frames on each side; add clips or use --preset full"
        )
    generated, truth = (np.concatenate([clip[side] for clip in clips]) for side in (0, 1))
    return frechet_estimate(max(0.0, frechet_distance(generated, truth)), clips)
