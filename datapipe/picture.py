"""How decoded frames become upright RGB with square pixels, no larger than the memory they may take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from .records import Box, Rejected

ROUNDING = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
"""swscale's default conversion darkens every picture by more than a grey level; with these it does not."""
TO_RGB = ROUNDING | Interpolation.BILINEAR
"""Bilinear for colour: bicubic differs by 0.06 grey levels in the mean and takes twice as long."""
TO_YUV = ROUNDING | Interpolation.BICUBIC
MAX_BYTES = 2 << 30
"""Memory that the frames of one span may take."""
SMALLEST = 256
"""Pictures are not scaled down below this short side to fit into memory."""
ASPECTS = (Fraction(1, 4), Fraction(4))
"""Pixels that claim to be longer than this are a damaged header, and taken as square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How every frame of a span is converted; all take the size and the turn of the first."""

    width: int
    height: int
    """Size in pixels after scaling, before turning."""
    stretch: tuple[float, float]
    """What pixels of the file became in x and y, as upright pictures."""
    transposed: bool = False
    """Rows and columns change places, first."""
    mirrored: tuple[bool, bool] = (False, False)
    """Rows, columns in reversed order, then."""
    interlaced: bool = False
    """Every other row was taken half a frame later; nothing is done about it."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, 3) of the finished picture."""
        return (self.width, self.height, 3) if self.transposed else (self.height, self.width, 3)

    def placed(self, box: Box | None) -> Box | None:
        """Bring a window from upright pixels of the file to the finished picture."""
        if box is None or self.stretch == (1.0, 1.0):
            return box
        across, down = self.stretch
        return (box[0] * across, box[1] * down, box[2] * across, box[3] * down)

    def sentence(self) -> str:
        """Say what was done to the pictures, in words."""
        done = (
            [f"scaled by {self.stretch[0]:.4f} x {self.stretch[1]:.4f}"] if self.stretch != (1.0, 1.0) else []
        )
        if self.transposed or any(self.mirrored):
            done.append("turned upright as the file asks")
        if self.interlaced:
            done.append("interlaced, as in the file")
        return ", ".join(done) or "as in the file"


def look_of(frame: Any, aspect: Fraction | None, num_frames: int, max_bytes: int, name: str) -> Look:
    """Decide from the first frame. Raises `Rejected("too_large")` when the span fits at no allowed size."""
    transposed, mirrored = _turn(frame)
    width, height = _square(frame.width, frame.height, aspect)
    scale = math.sqrt(min(1.0, max_bytes / (3 * width * height * num_frames)))
    if scale < 1.0 and scale * min(width, height) < SMALLEST:
        raise Rejected(
            "too_large",
            f"{name}: {num_frames} frames of {width}x{height} do not fit into {max_bytes >> 20} MiB; cut it",
        )
    width, height = int(width * scale), int(height * scale)
    across, down = width / frame.width, height / frame.height
    stretch = (down, across) if transposed else (across, down)
    return Look(
        width=width,
        height=height,
        stretch=stretch,
        transposed=transposed,
        mirrored=mirrored,
        interlaced=frame.interlaced_frame,
    )


def convert(reformatter: VideoReformatter, frame: Any, look: Look, into_HW3: NDArray[np.uint8]) -> None:
    """Write a decoded frame as RGB; the reformatter keeps its tables from frame to frame."""
    rgb = reformatter.reformat(
        frame, width=look.width, height=look.height, format="rgb24", interpolation=TO_RGB, threads=1
    )
    picture = rgb.to_ndarray()
    picture = picture.swapaxes(0, 1) if look.transposed else picture
    picture = picture[::-1] if look.mirrored[0] else picture
    into_HW3[...] = picture[:, ::-1] if look.mirrored[1] else picture


def _square(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Scale the width so that pixels are square."""
    if not aspect or aspect == 1 or not ASPECTS[0] <= aspect <= ASPECTS[1]:
        return width, height
    return max(1, round(width * aspect)), height


def _turn(frame: Any) -> tuple[bool, tuple[bool, bool]]:
    """Read the display matrix (ISO 14496-12, 8.3.2) as a transposition and mirrored rows and columns.

    It maps x to (a x + c y) and y to (b x + d y); angles between quarter turns go to the nearest.
    """
    if Type.DISPLAYMATRIX not in frame.side_data:
        return False, (False, False)
    a, b, _, c, d = (int(value) for value in np.frombuffer(frame.side_data[Type.DISPLAYMATRIX], np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, (d < 0, a < 0)
    return True, (b < 0, c < 0)
