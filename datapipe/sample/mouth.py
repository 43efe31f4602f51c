"""What shows between open lips: a dark cavity, teeth that stay with the skull, a hint of the tongue."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from . import mesh as face
from .field import OPEN_GAP
from .portrait import SIZE

Image = NDArray[np.uint8]
Points = NDArray[np.float64]
MARGIN = 6
SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours of one mouth, RGB."""

    cavity: Points
    tongue: Points
    teeth: Points
    open_smile: bool
    """The portrait shows teeth; closing it leaves no lip line, so one is drawn."""


def read_palette(image_HW3: Image, mesh_478_3: Points, open_smile: bool) -> Palette:
    """Take the mouth's colours from lips and skin of the portrait."""
    lip = _mean_colour(image_HW3, mesh_478_3[[84, 17, 314, 181, 405], :2])
    skin = _mean_colour(image_HW3, mesh_478_3[[50, 280, 205, 425], :2])
    return Palette(
        cavity=lip * (0.12, 0.065, 0.07) + (7.0, 3.0, 3.0),
        tongue=lip * (0.62, 0.50, 0.52),
        teeth=np.clip(1.1 * skin + 35.0, 120.0, 225.0).mean() * np.array([1.04, 0.97, 0.86]),
        open_smile=open_smile,
    )


def _mean_colour(image_HW3: Image, points_K2: Points) -> Points:
    patches = [
        image_HW3[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].reshape(-1, 3) for x, y in points_K2
    ]
    return np.asarray(np.concatenate(patches).mean(0), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lips:
    """The inner lip line of one frame, in pixels of the square."""

    upper_K2: Points
    lower_K2: Points
    skull: Points
    """Where the resting lip line's middle is carried by the head alone."""
    unit: float
    roundness: float


def paint(image_HW3: Image, lips: Lips, palette: Palette) -> None:
    """Draw the inside of the mouth into a frame, in place."""
    if palette.open_smile:
        _lip_line(image_HW3, lips, palette)
    gap = lips.lower_K2[:, 1] - lips.upper_K2[:, 1]
    if gap.max() < 0.25:
        return
    box = _box(lips)
    alpha = _opening_mask(lips, box)
    x0, y0, x1, y1 = box
    region = image_HW3[y0:y1, x0:x1].astype(np.float64)
    inside = _interior(lips, palette, box)
    image_HW3[y0:y1, x0:x1] = np.rint(region + alpha[..., None] * (inside - region)).astype(np.uint8)


def _box(lips: Lips) -> tuple[int, int, int, int]:
    points = np.concatenate([lips.upper_K2, lips.lower_K2])
    low = np.clip(np.floor(points.min(0)).astype(int) - MARGIN, 0, SIZE)
    high = np.clip(np.ceil(points.max(0)).astype(int) + MARGIN, 0, SIZE)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _opening_mask(lips: Lips, box: tuple[int, int, int, int]) -> Points:
    """Coverage of the opening (0 to 1), soft at its edge."""
    x0, y0, x1, y1 = box
    lower = np.maximum(lips.lower_K2, np.stack([lips.lower_K2[:, 0], lips.upper_K2[:, 1]], axis=1))
    outline = np.concatenate([lips.upper_K2, lower[-2:0:-1]]) - (x0, y0)
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    fixed = np.rint(outline * (1 << SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.7), dtype=np.float64) / 255.0


def _interior(lips: Lips, palette: Palette, box: tuple[int, int, int, int]) -> Points:
    """Colour of every pixel of the box as if it were inside the mouth."""
    x0, y0, x1, y1 = box
    unit = lips.unit
    columns = np.arange(x0, x1, dtype=np.float64)
    y = np.arange(y0, y1, dtype=np.float64)[:, None]
    top = _edge_at(lips.upper_K2, columns)
    bottom = _edge_at(lips.lower_K2, columns)
    half = max(4.0, float(lips.upper_K2[-1, 0] - lips.upper_K2[0, 0]) / 2)
    centre = (lips.upper_K2[0, 0] + lips.upper_K2[-1, 0]) / 2
    t = np.clip((columns - centre) / half, -1, 1)
    gap = np.maximum(bottom - top, 1e-3)
    depth = np.clip((y - top) / gap, 0, 1)
    colour = palette.cavity * (1.0 + 0.9 * depth[..., None] ** 2)
    wide = float(np.clip(gap.max() / unit / 0.07, 0.25, 1))
    colour = _blend(colour, palette.tongue * (0.55 + 0.45 * wide), _tongue(y, t, bottom, gap, unit))
    ridges = 1.0 - 0.07 * np.exp(-((((columns - centre) / unit / 0.085) % 1.0 - 0.5) ** 2) / 0.012)
    sides = np.clip(1.15 - t * t, 0, 1) * ridges
    shade = np.clip(0.45 + 0.55 * (y - top) / (0.05 * unit), 0.45, 1.0)
    round_dim = 1.0 - 0.85 * lips.roundness
    low_edge = bottom - 0.022 * unit * (1 - 0.6 * t * t)
    lower_teeth = _soft_step(y - low_edge) * np.clip(gap / unit / 0.16, 0, 1) * round_dim
    colour = _blend(colour, palette.teeth * 0.5 * sides[None, :, None], lower_teeth * 0.8)
    edge = lips.skull[1] + unit * (0.030 - 0.035 * t * t)
    upper_teeth = _soft_step(edge - y) * wide * round_dim * np.clip(1.3 - 1.2 * np.abs(t) ** 3, 0, 1)
    return _blend(colour, palette.teeth * (sides * shade)[..., None], upper_teeth)


def _edge_at(edge_K2: Points, columns: Points) -> Points:
    return np.interp(columns, edge_K2[:, 0], edge_K2[:, 1])


def _tongue(y: Points, t: Points, bottom: Points, gap: Points, unit: float) -> Points:
    """Weight of the tongue: a low mound that shows when the mouth is well open."""
    top = bottom - np.minimum(0.45 * gap, 0.075 * unit) * np.sqrt(np.clip(1 - (t / 0.75) ** 2, 0, 1))
    return np.asarray(np.clip((y - top) / (0.03 * unit), 0, 1) * np.clip(gap / unit / 0.1, 0, 1) * 0.75)


def _soft_step(distance: Points) -> Points:
    return np.asarray(np.clip(distance / 1.2 + 0.5, 0, 1))


def _blend(below: Points, above: Points, weight: Points) -> Points:
    return np.asarray(below + weight[..., None] * (above - below))


def _lip_line(image_HW3: Image, lips: Lips, palette: Palette) -> None:
    """Darken the seam of lips that were open in the portrait, when they meet."""
    gap = float((lips.lower_K2[:, 1] - lips.upper_K2[:, 1]).max())
    strength = 0.55 * float(np.clip(1 - gap / 3.0, 0, 1))
    if strength <= 0:
        return
    x0, y0, x1, y1 = _box(lips)
    middle = (lips.upper_K2 + lips.lower_K2) / 2 - (x0, y0)
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    fixed = np.rint(middle * (1 << SUBPIXEL_BITS)).astype(np.int32)
    cv2.polylines(mask, [fixed], False, 255, 1, cv2.LINE_AA, SUBPIXEL_BITS)
    weight = strength * cv2.GaussianBlur(mask, (0, 0), 0.6)[..., None] / 255.0
    region = image_HW3[y0:y1, x0:x1]
    dark = np.rint(region * (1 - weight) + palette.cavity * weight)
    image_HW3[y0:y1, x0:x1] = dark.astype(np.uint8)


def is_open_smile(mesh_478_3: Points) -> bool:
    """Tell whether the portrait's own lips are apart."""
    gap = mesh_478_3[face.BOTTOM_LIP, 1] - mesh_478_3[face.TOP_LIP, 1]
    return bool(gap / face.face_unit(mesh_478_3) > OPEN_GAP)
