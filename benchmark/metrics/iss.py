"""ISS: identity distance per backbone, 1 - cosine; lower is better, as tables of several backbones print it.

The pairs of frames, the alignment and the failures are CSIM's.
"""

from __future__ import annotations

from ..face_features import DETECTOR
from ..identity import BACKBONES, identity_rows
from .csim import cosines, identity_protocol
from .metric import Metric, mean_over_cases, per_case


def metric(backbone: str) -> Metric:
    """Identity distance by one backbone."""
    entry = BACKBONES[backbone]
    return Metric(
        name=f"video/iss_{backbone}",
        title=f"ISS {entry.label}",
        unit="",
        direction="lower",
        best=0.0,
        protocol=identity_protocol(backbone, value="1 - cosine"),
        weights=(DETECTOR, entry.weight),
        about=f"Identity distance: 1 - cosine of face embeddings with the true frame ({entry.about}).",
        symmetric=True,
        needs=(identity_rows(backbone),),
        measure=per_case(lambda pair: float((1 - cosines(pair, backbone)).mean())),
        compute=mean_over_cases,
    )
