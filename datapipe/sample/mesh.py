"""The face mesh: which of the 478 points are lips, jaw and eyes, and the stored meshes of the portraits.

The points follow the MediaPipe FaceMesh numbering. Their positions on the known portraits were measured once
and are numbers in `manifests/sample-portraits.json`; nothing of that software runs here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PORTRAITS_PATH = Path(__file__).parent.parent.parent / "manifests" / "sample-portraits.json"
UNITS_PER_PIXEL = 100
"""The stored coordinates are whole hundredths of a pixel of the portrait."""

OUTER_UPPER = (185, 40, 39, 37, 0, 267, 269, 270, 409)
OUTER_LOWER = (146, 91, 181, 84, 17, 314, 405, 321, 375)
INNER_UPPER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
INNER_LOWER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
OUTER_CORNERS = (61, 291)
INNER_CORNERS = (78, 308)
UPPER_EDGE = (78, *INNER_UPPER, 308)
LOWER_EDGE = (78, *INNER_LOWER, 308)

JAW = {152: 1.0, 148: 0.97, 176: 0.9, 149: 0.8, 150: 0.62, 136: 0.42, 172: 0.25, 58: 0.08}
"""How much of the chin's fall each point of the left half of the jaw line follows."""
JAW_MIRROR = {148: 377, 176: 400, 149: 378, 150: 379, 136: 365, 172: 397, 58: 288}
CHIN = {18: 0.18, 200: 0.165, 199: 0.16, 175: 0.158}
"""Fall of the points between lower lip and chin at full jaw, in units of the face."""
CHEEKS = (205, 425, 207, 427, 216, 436, 187, 411, 212, 432)
UPPER_CHEEKS = (50, 280, 117, 346, 118, 347, 101, 330)
NOSTRILS = (129, 358, 98, 327, 64, 294, 2)
STILL = (1, 5, 6, 168, 33, 133, 263, 362, 145, 374, 105, 334, 10, 234, 454, 127, 356, 132, 361, 54, 284)
LEFT_EYE = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133))
RIGHT_EYE = ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263))
LEFT_BROW = (46, 53, 52, 65, 55)
RIGHT_BROW = (285, 295, 282, 283, 276)
LEFT_CANTHUS, RIGHT_CANTHUS = 33, 263
LEFT_CHEEK, RIGHT_CHEEK = 234, 454
TOP_LIP, BOTTOM_LIP = 13, 14


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitEntry:
    """A portrait of the registry and what was measured on it."""

    name: str
    weight: str
    """Name in the weights registry."""
    voice: str
    """`f` or `m`: which recordings go with it."""
    displayable: bool
    """Only portraits that are in the public domain may appear in published pictures."""
    mesh_478_3: NDArray[np.float64]
    """x, y in pixels of the portrait; z in the same unit, smaller is nearer."""


@cache
def known_portraits() -> dict[str, PortraitEntry]:
    """The portraits whose meshes are stored, by name, in their order of use."""
    rows = json.loads(PORTRAITS_PATH.read_text(encoding="utf-8"))["portraits"]
    return {row["name"]: _entry(row) for row in rows}


def _entry(row: dict[str, object]) -> PortraitEntry:
    points = np.array(row["mesh"], dtype=np.float64).reshape(-1, 3) / UNITS_PER_PIXEL
    return PortraitEntry(
        name=str(row["name"]),
        weight=str(row["weight"]),
        voice=str(row["voice"]),
        displayable=bool(row["displayable"]),
        mesh_478_3=points,
    )


def face_unit(mesh_478_3: NDArray[np.float64]) -> float:
    """Distance of the outer eye corners: the unit in which all motion is given."""
    return float(np.linalg.norm(mesh_478_3[RIGHT_CANTHUS, :2] - mesh_478_3[LEFT_CANTHUS, :2]))
