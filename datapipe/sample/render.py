"""Frames of a talking face: one portrait, moved by its fields, with a mouth that opens.

Backward warping in two layers. The upper lip and the lower lip have a field each, and the two warped
pictures are joined along the middle of the mouth: joining the maps instead would sample the portrait's own
teeth.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from . import mesh as face
from .eyes import LEVELS, blink_levels
from .field import GRID, FaceFields, build_fields
from .mouth import Lips, Palette, is_open_smile, paint, read_palette
from .portrait import SIZE, Portrait

ITERATIONS = 5
DAMPING = 0.6
"""Plain fixed-point iteration diverges near the corners of the mouth."""
LINE_GROWTH = 0.6
"""How fast the seam between the layers widens beyond the corners, pixels per pixel."""

Image = NDArray[np.uint8]
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Poses:
    """The motion of a clip, frame by frame."""

    mouth_T6: NDArray[np.float32]
    """jaw, wide, round, raise, tuck, press."""
    head_T6: NDArray[np.float32]
    """tx, ty (pixels), rotation (rad), scale, yaw, pitch (rad)."""
    blink_T: NDArray[np.float32]
    """0 open to 1 closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """Frames, and where the lips were commanded to be."""

    frames_THW3: Image
    lips_TK2: NDArray[np.float32]
    """Inner lip line in pixels of the frame: upper edge left to right, then lower edge left to right."""
    opening_T: NDArray[np.float32]
    """Commanded gap between the middles of the inner lips, in face units; never below 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Puppet:
    """A portrait with everything that is computed once."""

    portrait: Portrait
    fields: FaceFields
    palette: Palette
    blinks: tuple[Image, ...]


def make_puppet(portrait: Portrait) -> Puppet:
    """Prepare a portrait for animation (about 0.1 s)."""
    mesh = portrait.mesh_478_3
    return Puppet(
        portrait=portrait,
        fields=build_fields(mesh),
        palette=read_palette(portrait.image_HW3, mesh, is_open_smile(mesh)),
        blinks=blink_levels(portrait.image_HW3, mesh),
    )


def render(puppet: Puppet, poses: Poses) -> Rendered:
    """Draw every frame of a clip."""
    x, y = puppet.portrait.offset
    frames, lips, openings = [], [], []
    for mouth, head, blink in zip(poses.mouth_T6, poses.head_T6, poses.blink_T, strict=True):
        square, line = render_square(puppet, mouth, head, float(blink))
        frame = puppet.portrait.scene_HW3.copy()
        frame[y : y + SIZE, x : x + SIZE] = square
        frames.append(frame)
        lips.append(line + np.array([x, y]))
        openings.append(_opening(puppet.fields, mouth))
    return Rendered(
        frames_THW3=np.stack(frames),
        lips_TK2=np.stack(lips).astype(np.float32),
        opening_T=np.array(openings, dtype=np.float32),
    )


def _opening(fields: FaceFields, mouth: NDArray[np.float32]) -> float:
    """Gap between the middles of the inner lips, in face units."""
    line = _moved_edges(fields, mouth)
    half = len(line) // 2
    return max(0.0, float(line[half + half // 2, 1] - line[half // 2, 1])) / fields.unit


def _moved_edges(fields: FaceFields, mouth: NDArray[np.float32]) -> Points:
    weights = np.append(mouth, np.float32(1))
    return np.asarray(fields.edges_K2 + np.tensordot(weights, fields.edges_BK2, 1), dtype=np.float64)


def render_square(
    puppet: Puppet, mouth: NDArray[np.float32], head: NDArray[np.float32], blink: float
) -> tuple[Image, Points]:
    """Draw the moving square of one frame; also returns its inner lip line (22, 2)."""
    fields = puppet.fields
    head_HW2 = np.tensordot(head, fields.head_BHW2, 1)
    displacements = np.tensordot(np.append(mouth, np.float32(1)), fields.mouth_B2HW2, 1)
    source = puppet.blinks[round(float(np.clip(blink, 0, 1)) * LEVELS)]
    upper, lower = (_warp(source, head_HW2, layer) for layer in displacements)
    line = _carried(_moved_edges(fields, mouth), head_HW2)
    count = len(face.UPPER_EDGE)
    rest = fields.edges_K2[[count // 2, count + count // 2]].mean(0)
    lips = Lips(
        upper_K2=line[:count],
        lower_K2=line[count:],
        skull=_carried(rest[None], head_HW2)[0],
        unit=fields.unit,
        roundness=float(np.clip(mouth[2], 0, 1)),
    )
    image = _join(upper, lower, lips)
    paint(image, lips, puppet.palette)
    return image, line


def _warp(source: Image, head_HW2: NDArray[np.float32], field_HW2: NDArray[np.float32]) -> Image:
    """Find, for every pixel, the place of the portrait that moves there, and sample it."""
    ratio = SIZE / GRID
    line = np.arange(GRID, dtype=np.float32) * ratio + (ratio - 1) / 2
    start = np.stack(np.meshgrid(line, line), axis=-1).astype(np.float32) + head_HW2
    place = start.copy()
    for _ in range(ITERATIONS):
        cell = (place - (ratio - 1) / 2) / ratio
        moved = cv2.remap(field_HW2, cell, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        place += DAMPING * (start - moved - place)
    full = cv2.resize(place, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(
        cv2.remap(source, full, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101), dtype=np.uint8
    )


def _carried(points_K2: Points, head_HW2: NDArray[np.float32]) -> Points:
    """Move points with the head: solve p + head(p) = q for p."""
    ratio = SIZE / GRID
    place = points_K2.astype(np.float32)
    for _ in range(3):
        cell = ((place - (ratio - 1) / 2) / ratio)[None]
        place = (points_K2 - cv2.remap(head_HW2, cell, None, cv2.INTER_LINEAR)[0]).astype(np.float32)
    return place.astype(np.float64)


def _join(upper: Image, lower: Image, lips: Lips) -> Image:
    """Put the upper layer above the mouth's middle and the lower layer below it."""
    columns = np.arange(SIZE, dtype=np.float64)
    middle = (lips.upper_K2 + lips.lower_K2) / 2
    centre = np.interp(columns, middle[:, 0], middle[:, 1])
    beyond = np.maximum(np.maximum(middle[0, 0] - columns, columns - middle[-1, 0]), 0)
    softness = 1.0 + LINE_GROWTH * beyond
    top = max(0, int(centre.min() - 0.5 * softness.max()) - 1)
    end = min(SIZE, int(centre.max() + 0.5 * softness.max()) + 2)
    rows = np.arange(top, end, dtype=np.float64)[:, None]
    weight = np.clip((rows - centre) / softness + 0.5, 0, 1).astype(np.float32)[..., None]
    joined = np.concatenate([upper[:top], upper[top:end], lower[end:]])
    above = upper[top:end].astype(np.float32)
    joined[top:end] = np.rint(above + weight * (lower[top:end].astype(np.float32) - above)).astype(np.uint8)
    return joined
