"""E-FID: Fréchet distance between the expressions of all generated and all true frames.

Papers take expressions from a fitted 3D face model (BFM with 64 or 79 numbers, FLAME with 50), whose
fitters no package registry carries, and whose scales differ. The basis here is `lmk106`: 58 landmarks of
eyes, brows and lips with the head's pose taken out, in percent of the eye distance. The basis is in the
name, since values of two bases cannot be compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datapipe import faces
from datapipe.crop import STABLE_POINTS
from datapipe.pose import MODEL_K3

from ..extract import Rows
from ..face_features import DETECTOR, LANDMARKS, MOST_MISSING, landmark_rows, landmarks, seen_in
from ..footage import Footage, key_of
from ..intervals import frechet_of_clips
from ..records import protocol
from ..states import FeatureSets
from .metric import Metric, Pair

EYES, BROWS, MOUTH = (
    [*range(106)[faces.LEFT_EYE], *range(106)[faces.RIGHT_EYE]],
    [*range(106)[faces.LEFT_BROW], *range(106)[faces.RIGHT_BROW]],
    [*range(106)[faces.MOUTH]],
)
EXPRESSIVE = [*EYES, *BROWS, *MOUTH]
DEPTHS = np.array([0.0] * len(EYES) + [-0.1] * len(BROWS) + [-0.15] * len(MOUTH))
"""How far the points stand before the eyes (negative: nearer), in eye distances.

Those at which the pose explains least of the expression's variance over a real clip that turns by 30 degrees.
"""
VERSION = 1


def expressions(landmarks_NK2: NDArray[np.float32]) -> NDArray[np.float32]:
    """Expression (N, 116) of each face: the 58 points as a frontal camera would see them.

    Unit: percent of the eye distance, about the middle between the eyes.
    """
    rows = [_frontal(points.astype(np.float64)).ravel() for points in landmarks_NK2]
    return np.array(rows, np.float32).reshape(-1, 2 * len(EXPRESSIVE)) * np.float32(100)


def _frontal(points_K2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Undo turn, size and shift of a head under scaled orthography, points (58, 2) in eye distances."""
    model = np.column_stack([MODEL_K3, np.ones(len(MODEL_K3))])
    fitted_24 = np.linalg.lstsq(model, points_K2[list(STABLE_POINTS)], rcond=None)[0].T
    left, stretch, right = np.linalg.svd(fitted_24[:, :3], full_matrices=False)
    camera_23 = left @ right * stretch.mean()  # the nearest turn with one scale
    flat = points_K2[EXPRESSIVE] - fitted_24[:, 3] - np.outer(DEPTHS, camera_23[:, 2])
    return np.asarray(np.linalg.solve(camera_23[:, :2], flat.T).T)


def expression_rows(footage: Footage, every: int, whose: str) -> Rows:
    """Where the expressions of a video are kept; `Rejected("no_face")` when too many frames have none."""
    found = landmarks(footage, every)
    seen = seen_in(found, whose)
    name, settings = "expressions", f"{VERSION} {landmark_rows(every).key(footage)}"
    rows = footage.array(name, settings, lambda: expressions(found[seen]))
    path = footage.store.path(key_of(footage.picture, name, settings))
    return Rows(len(rows), None, path) if path else Rows(len(rows), rows)


def metric(every: int) -> Metric:
    """E-FID over every `every`-th frame."""

    def measure(pair: Pair) -> FeatureSets:
        """Expressions of both videos."""
        generated = expression_rows(pair.generated, every, f"{pair.key}: expressions")
        return FeatureSets(
            {pair.key: (generated, expression_rows(pair.truth, every, f"{pair.key}: ground truth"))}
        )

    return Metric(
        name="video/efid_lmk106",
        title="E-FID lmk106",
        unit="",
        direction="lower",
        best=0.0,
        protocol=protocol(
            basis="58 landmarks of eyes, brows and lips (2d106det), 116 numbers",
            pose="removed: scaled orthography of 11 stable points, a depth for eyes, brows and lips",
            scale="percent of the eye distance",
            ddof=1,
            every=every,
            missing_faces_allowed=MOST_MISSING,
            version=VERSION,
        ),
        weights=(DETECTOR, LANDMARKS),
        about="Fréchet distance between expressions (58 landmarks without the head's pose), not a BFM basis.",
        symmetric=True,
        needs=(landmark_rows(every),),
        kind=FeatureSets,
        measure=measure,
        compute=lambda state: frechet_of_clips(state.ordered(), "E-FID", ddof=1),
    )
