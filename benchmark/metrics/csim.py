"""CSIM: cosine of aligned face embeddings of a generated frame and the true frame of the same index.

Both faces are found and aligned by five points in their own picture. The backbone is in the name, since
values of different backbones cannot be compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from ..face_features import DETECT_EVERY, DETECTOR, MOST_MISSING, seen_in
from ..identity import BACKBONES, embeddings, identity_rows
from ..records import Protocol, protocol
from .metric import Metric, Pair, mean_over_cases, per_case


def cosines(pair: Pair, backbone: str, every: int = DETECT_EVERY) -> NDArray[np.float64]:
    """Cosine of each compared frame that has a face on both sides; `Rejected("no_face")` when too few do."""
    truth, generated = (embeddings(each, backbone, every) for each in (pair.truth, pair.generated))
    both = seen_in(truth, f"{pair.key}: ground truth") & seen_in(generated, f"{pair.key}: identity")
    if not both.any():
        raise Rejected("no_face", f"{pair.key}: no frame has a face on both sides; look at the video")
    first, second = (each[both].astype(np.float64) for each in (truth, generated))
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray(np.clip((first * second).sum(axis=1) / lengths, -1.0, 1.0))


def identity_protocol(backbone: str, every: int = DETECT_EVERY, **settings: str) -> Protocol:
    """What CSIM and ISS of a backbone depend on."""
    entry = BACKBONES[backbone]
    return protocol(
        backbone=entry.about,
        weight=entry.weight,
        detector="SCRFD-500M, followed",
        alignment=f"5 points to {entry.side}x{entry.side}",
        input=f"({entry.colour} - {entry.mean:g}) / {entry.scale:g}",
        reference="true frame of the same index",
        every=every,
        missing_faces_allowed=MOST_MISSING,
        **settings,
    )


def metric(backbone: str, every: int = DETECT_EVERY) -> Metric:
    """CSIM of one backbone over every `every`-th frame."""
    entry = BACKBONES[backbone]
    return Metric(
        name=f"video/csim_{backbone}",
        title=f"CSIM {entry.label}",
        unit="",
        direction="higher",
        best=1.0,
        protocol=identity_protocol(backbone, every, value="cosine"),
        weights=(DETECTOR, entry.weight),
        about=f"Identity: cosine of face embeddings with the true frame ({entry.about}).",
        symmetric=True,
        needs=(identity_rows(backbone, every),),
        measure=per_case(lambda pair: float(cosines(pair, backbone, every).mean())),
        compute=mean_over_cases,
    )
