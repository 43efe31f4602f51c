"""Motion fields of one face: smooth displacements that mouth, jaw and head parameters add up to."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from . import mesh as face
from .portrait import SIZE

GRID = 128
"""Side of the grid on which the fields are kept; the maps are enlarged to `SIZE`."""
PARAMETERS = ("jaw", "wide", "round", "raise", "tuck", "press")
"""What a mouth pose is made of, in the order of its vector."""
HEAD_PARAMETERS = ("tx", "ty", "rotation", "scale", "yaw", "pitch")
SMOOTHING = 0.5
BORDER_CELLS = 8
OPEN_GAP = 0.03
"""Inner lips of the portrait further apart than this (face units) are closed by a constant field."""

LOWER_ANCHORS = (
    *(*face.JAW, *face.JAW_MIRROR.values(), *face.CHIN),
    *(*face.CHEEKS, *face.OUTER_CORNERS, *face.INNER_CORNERS),
)
"""Points besides the lip that hold the lower layer; nose and cheekbones would stretch it twofold."""
UPPER_ANCHORS = (*LOWER_ANCHORS, *face.NOSTRILS, *face.UPPER_CHEEKS)

Points = NDArray[np.float64]
Field = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceFields:
    """Everything that moves a face, linear in its parameters."""

    mouth_B2HW2: Field
    """Seven basis fields (six parameters and the constant), for the upper and the lower layer, in pixels."""
    head_BHW2: Field
    """Six head fields, in pixels per unit of their parameter."""
    edges_BK2: Field
    """Displacement of the inner lip line, upper then lower edge, by the same basis."""
    edges_K2: Points
    """The inner lip line at rest."""
    unit: float
    """The face unit in pixels."""


def build_fields(mesh_478_3: Points) -> FaceFields:
    """Build the fields of a face from its mesh in pixels of the animated square."""
    moves = _lip_moves(mesh_478_3)
    upper = _fit(mesh_478_3, moves, (*face.OUTER_UPPER, *face.INNER_UPPER), UPPER_ANCHORS)
    lower = _fit(mesh_478_3, moves, (*face.OUTER_LOWER, *face.INNER_LOWER), LOWER_ANCHORS)
    grid = _grid_points()
    mask = _border_fade()
    layers = np.stack([_evaluate(layer, grid) * mask for layer in (upper, lower)], axis=1)
    edges = mesh_478_3[[*face.UPPER_EDGE, *face.LOWER_EDGE], :2]
    count = len(face.UPPER_EDGE)
    at_edges = np.concatenate([_at(upper, edges[:count]), _at(lower, edges[count:])], axis=1)
    return FaceFields(
        mouth_B2HW2=layers.astype(np.float32),
        head_BHW2=_head_fields(mesh_478_3),
        edges_BK2=at_edges.astype(np.float32),
        edges_K2=edges,
        unit=face.face_unit(mesh_478_3),
    )


def _lip_moves(mesh: Points) -> dict[int, Points]:
    """Displacement (7, 2) of every controlled point, in pixels: six parameters and the closing constant."""
    unit = face.face_unit(mesh)
    centre = mesh[[face.TOP_LIP, face.BOTTOM_LIP], 0].mean()
    left, right = (abs(centre - mesh[index, 0]) for index in face.OUTER_CORNERS)
    moves: dict[int, Points] = {}
    groups = {
        "outer_upper": face.OUTER_UPPER,
        "inner_upper": face.INNER_UPPER,
        "outer_lower": face.OUTER_LOWER,
        "inner_lower": face.INNER_LOWER,
        "corner": (*face.OUTER_CORNERS, *face.INNER_CORNERS),
    }
    for group, indices in groups.items():
        for index in indices:
            dx = mesh[index, 0] - centre
            t = float(np.clip(dx / (left if dx < 0 else right), -1, 1))
            moves[index] = _lip_pose(group, t) * unit
    _close_open_lips(mesh, moves, unit)
    _soft_tissue(moves, unit)
    return moves


def _lip_pose(group: str, t: float) -> Points:
    """Displacement (7, 2) of a lip point at position t of -1 (left corner) to 1, in face units."""
    c = float(np.sqrt(max(0.0, 1 - t * t)))
    jaw = {"upper": -0.026 * c + 0.040 * (1 - c), "lower": 0.185 * c + 0.045 * (1 - c), "corner": 0.046}
    kind = "corner" if group == "corner" else group.split("_")[1]
    round_y = {"outer_upper": -0.014, "inner_upper": 0.004, "outer_lower": 0.016, "inner_lower": -0.004}
    tuck_y = {"outer_lower": -0.022, "inner_lower": -0.030}
    press_y = {"outer_upper": 0.022, "outer_lower": -0.030}
    pose = np.zeros((7, 2))
    pose[0] = (-0.015 * t - (0.012 * np.sign(t) if group == "corner" else 0.0), jaw[kind])
    pose[1] = (0.055 * t, -0.012 * t * t)
    pose[2] = (-0.098 * t, round_y.get(group, 0.0) * c)
    pose[3] = (0.0, -0.05 * c if kind == "upper" else 0.0)
    pose[4] = (0.0, tuck_y.get(group, 0.0) * c)
    pose[5] = (0.0, press_y.get(group, 0.0) * c)
    return pose


def _close_open_lips(mesh: Points, moves: dict[int, Points], unit: float) -> None:
    """Bring the lips of a smiling portrait together: the rest pose of every face is a closed mouth."""
    gap = (mesh[face.BOTTOM_LIP, 1] - mesh[face.TOP_LIP, 1]) / unit
    if gap <= OPEN_GAP:
        return
    narrow = 0.05 * unit * min(1.0, gap / 0.12)
    for inner_up, inner_low, outer_up, outer_low in zip(
        face.INNER_UPPER, face.INNER_LOWER, face.OUTER_UPPER, face.OUTER_LOWER, strict=True
    ):
        half = (mesh[inner_low, 1] - mesh[inner_up, 1] + 0.006 * unit) / 2
        for index, amount in (
            (inner_up, half),
            (outer_up, 0.75 * half),
            (inner_low, -half),
            (outer_low, -half),
        ):
            moves[index][6, 1] += amount
    centre = mesh[[face.TOP_LIP, face.BOTTOM_LIP], 0].mean()
    span = abs(mesh[face.OUTER_CORNERS[1], 0] - mesh[face.OUTER_CORNERS[0], 0]) / 2
    for index, move in moves.items():
        move[6, 0] -= narrow * float(np.clip((mesh[index, 0] - centre) / span, -1, 1))


def _soft_tissue(moves: dict[int, Points], unit: float) -> None:
    """Add jaw line, chin, cheeks and nostrils."""
    for index, weight in face.JAW.items():
        for side in {index, face.JAW_MIRROR.get(index, index)}:
            moves[side] = _only(0, (0.0, 0.158 * weight * unit))
    for index, fall in face.CHIN.items():
        moves[index] = _only(0, (0.0, fall * unit))
    for order, index in enumerate(face.CHEEKS):
        sign = -1.0 if order % 2 == 0 else 1.0
        move = _only(0, (0.0, 0.018 * unit))
        move[1] = (0.018 * sign * unit, 0.0)
        move[2] = (-0.025 * sign * unit, 0.0)
        moves[index] = move
    for index in face.NOSTRILS:
        moves[index] = _only(3, (0.0, -0.008 * unit))


def _only(parameter: int, move: tuple[float, float]) -> Points:
    pose = np.zeros((7, 2))
    pose[parameter] = move
    return pose


def _still_points(mesh: Points) -> Points:
    """Places that never move: frame, neck, and the far rim of the face."""
    unit = face.face_unit(mesh)
    ring = np.linspace(0, SIZE - 1, 9)
    frame = [(x, y) for x in ring for y in (0.0, SIZE - 1.0)] + [
        (x, y) for y in ring for x in (0.0, SIZE - 1.0)
    ]
    neck = [mesh[index, :2] + (0.0, 0.45 * unit) for index in (152, 176, 400, 150, 379, 172, 397)]
    rim = [mesh[index, :2] for index in face.STILL if mesh[index, 1] < mesh[1, 1] - 0.2 * unit]
    return np.array([*frame, *neck, *rim], dtype=np.float64)


def _fit(
    mesh: Points, moves: dict[int, Points], lips: tuple[int, ...], anchors: tuple[int, ...]
) -> RBFInterpolator:
    """Thin-plate fit of the seven displacements (14 numbers a point) to lips, anchors and still points."""
    indices = list(dict.fromkeys([*lips, *anchors]))
    still = _still_points(mesh)
    places = np.concatenate([mesh[indices, :2], still])
    values = np.concatenate(
        [
            np.stack([moves.get(index, np.zeros((7, 2))).reshape(14) for index in indices]),
            np.zeros((len(still), 14)),
        ]
    )
    return RBFInterpolator(places, values, smoothing=SMOOTHING, kernel="thin_plate_spline")


def _at(fit: RBFInterpolator, points_K2: Points) -> Points:
    """Seven displacements (7, K, 2) at given points."""
    values = np.asarray(fit(points_K2), dtype=np.float64)
    return np.ascontiguousarray(values.reshape(-1, 7, 2).transpose(1, 0, 2))


def _evaluate(fit: RBFInterpolator, grid: Points) -> Points:
    return _at(fit, grid.reshape(-1, 2)).reshape(7, GRID, GRID, 2)


def _grid_points() -> Points:
    """Pixel positions (GRID, GRID, 2) of the grid's cells: each stands for the middle of two pixels."""
    line = np.arange(GRID) * (SIZE / GRID) + (SIZE / GRID - 1) / 2
    return np.stack(np.meshgrid(line, line), axis=-1)


def _border_fade() -> Points:
    distance = np.minimum(np.arange(GRID), np.arange(GRID)[::-1]) / BORDER_CELLS
    ramp = np.clip(distance, 0, 1)
    return np.minimum(ramp[:, None], ramp[None, :])[..., None]


def _head_fields(mesh: Points) -> Field:
    """Rigid motion and depth parallax, fading to nothing at the frame so that the background stands still."""
    grid = _grid_points()
    pivot = np.array([0.5, 0.6]) * SIZE
    offset = (grid - pivot) / SIZE
    depth = _depth(mesh, grid)
    fields = np.zeros((6, GRID, GRID, 2))
    fields[0, ..., 0] = 1.0
    fields[1, ..., 1] = 1.0
    fields[2] = np.stack([-offset[..., 1], offset[..., 0]], axis=-1) * SIZE
    fields[3] = offset * SIZE
    fields[4, ..., 0] = depth
    fields[5, ..., 1] = depth
    radius = np.hypot((grid[..., 0] / SIZE - 0.5) / 0.48, (grid[..., 1] / SIZE - 0.5) / 0.49)
    fade = 0.5 + 0.5 * np.cos(np.pi * np.clip((radius - 0.55) / 0.45, 0, 1))
    return (fields * fade[..., None]).astype(np.float32)


def _depth(mesh: Points, grid: Points) -> Points:
    """Height of the face over the plane of the ears, in pixels, smooth over the grid."""
    ears = mesh[[face.LEFT_CHEEK, face.RIGHT_CHEEK], 2].mean()
    step = mesh[::4]
    fit = RBFInterpolator(step[:, :2], step[:, 2:] - ears, smoothing=5.0, kernel="thin_plate_spline")
    values = np.asarray(fit(grid.reshape(-1, 2))).reshape(GRID, GRID)
    return np.asarray(cv2.GaussianBlur(np.clip(values, -90, 20), (0, 0), 2), dtype=np.float64)
