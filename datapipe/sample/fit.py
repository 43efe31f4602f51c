"""A mesh for any portrait: the mean mesh, bent so that its landmarks meet the ones that were detected.

The mean face is that of the frontal stored portraits; both its mesh and its 106 landmarks are known, so no
table of which landmark is which mesh point is needed.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from ..faces import detect, landmarks, similarity
from ..records import Rejected
from .mesh import PORTRAITS_PATH, UNITS_PER_PIXEL, known_portraits
from .portrait import upright

SMOOTHING = 0.5
"""Of the thin-plate fit, in the units of the normalised face: detected landmarks are a pixel or two off."""
SMALLEST_FACE = 60
"""Width in pixels under which a portrait would only give a blur."""
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}

Points = NDArray[np.float64]


def own_portraits(folder: Path | None) -> dict[str, Path]:
    """List the pictures of a user's folder, by a name made of the file's."""
    if folder is None:
        return {}
    if not folder.is_dir():
        raise Rejected("bad_input", f"{folder} is no folder; give one with a picture per person")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise Rejected("bad_input", f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))}); add some")
    return {f"own-{re.sub(r'[^A-Za-z0-9-]+', '-', path.stem)}": path for path in files}


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) RGB."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise Rejected("bad_input", f"{path.name} cannot be read as a picture; take it out of the folder")
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


def fit_mesh(photo_HW3: NDArray[np.uint8], name: str) -> Points:
    """Fit the mean mesh (478, 3) to the face of a photo, in its pixels; `Rejected("no_face")` without one."""
    faces = detect(photo_HW3)
    if not faces:
        raise Rejected("no_face", f"no face was found in {name}; give a frontal portrait")
    face = max(faces, key=lambda each: each.box[2] - each.box[0])
    width = face.box[2] - face.box[0]
    if width < SMALLEST_FACE:
        raise Rejected("no_face", f"the face in {name} is {width:.0f} px wide; {SMALLEST_FACE} are needed")
    return bend_mean_mesh(landmarks(photo_HW3, face).astype(np.float64))


def bend_mean_mesh(landmarks_106_2: Points) -> Points:
    """Bend the mean mesh (478, 3) onto 106 landmarks, in their pixels; depth is scaled only."""
    mesh, marks = mean_face()
    rough = similarity(marks, landmarks_106_2)
    scale = float(np.hypot(rough[0, 0], rough[1, 0]))
    placed = mesh[:, :2] @ rough[:, :2].T + rough[:, 2]
    expected = marks @ rough[:, :2].T + rough[:, 2]
    bend = RBFInterpolator(
        expected / scale,
        (landmarks_106_2 - expected) / scale,
        smoothing=SMOOTHING,
        kernel="thin_plate_spline",
    )
    moved = placed + scale * np.asarray(bend(placed / scale))
    return np.concatenate([moved, mesh[:, 2:] * scale], axis=1)


@cache
def mean_face() -> tuple[Points, Points]:
    """Mean mesh (478, 3) and its 106 landmarks (106, 2), in pixels of the animated square."""
    stored = json.loads(PORTRAITS_PATH.read_text(encoding="utf-8"))
    marks = np.array(stored["landmarks_106"], dtype=np.float64).reshape(-1, 2) / UNITS_PER_PIXEL
    meshes = []
    for name in stored["frontal"]:
        mesh = known_portraits()[name].mesh_478_3
        matrix, scale = upright(mesh)
        meshes.append(
            np.concatenate([mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2], mesh[:, 2:] * scale], axis=1)
        )
    return np.asarray(np.mean(meshes, axis=0), dtype=np.float64), marks
