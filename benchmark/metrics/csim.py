"""CSIM: cosine of aligned ArcFace embeddings of a generated frame and the true frame of the same index.

Both faces are found and aligned by five points in their own picture. The backbone is in the name, since
values of different backbones cannot be compared.
"""

from __future__ import annotations

import numpy as np

from ..face_features import ARCFACE, DETECT_EVERY, DETECTOR, embeddings
from ..records import protocol
from .metric import Metric, Pair, mean_of_found, mean_over_cases, per_case

AT_MOST_MISSING = 0.1


def _value(pair: Pair) -> float:
    truth, generated = embeddings(pair.truth), embeddings(pair.generated)
    seen = np.isfinite(truth[:, 0])
    cosines = (truth[seen].astype(np.float64) * generated[seen]).sum(axis=1)
    return mean_of_found(cosines, f"{pair.key}: identity", AT_MOST_MISSING)


METRIC = Metric(
    name="video/csim_w600k_mbf",
    title="CSIM",
    unit="",
    direction="higher",
    best=1.0,
    protocol=protocol(
        backbone="ArcFace MobileFaceNet w600k",
        detector="SCRFD-500M",
        alignment="5 points to 112x112",
        reference="true frame of the same index",
        every=DETECT_EVERY,
        missing_faces_allowed=AT_MOST_MISSING,
    ),
    weights=(DETECTOR, ARCFACE),
    about="Identity: cosine of face embeddings with the true frame (ArcFace MobileFaceNet).",
    symmetric=True,
    measure=per_case(_value),
    compute=mean_over_cases,
)
