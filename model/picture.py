"""A reference picture, from any file or array to what the generator wants: one upright face, RGB, square."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from datapipe.console import say
from datapipe.crop import Choice, CropConfig, crop_image
from datapipe.records import Rejected

SMALLEST = 48
"""Pictures with a shorter side hold no face that could be cropped."""
LONGEST = 4096
"""Larger pictures are scaled down to this before a face is searched for."""
ANIMATED = ("GIF", "PNG", "WEBP")
PAPER = (128, 128, 128)
"""What stands behind transparent places."""


def prepare(
    image_HW3: NDArray[np.uint8], crop: CropConfig | None, choice: Choice, size: int
) -> NDArray[np.uint8]:
    """Bring a picture to (size, size, 3): its face cut out by `crop`; with None the whole, if it is square.

    Raises `Rejected`: no_face, bad_input (not RGB bytes, too small, several faces, not square).
    """
    if image_HW3.dtype != np.uint8 or image_HW3.ndim != 3 or image_HW3.shape[2] != 3:
        raise Rejected(
            "bad_input", f"a picture must be uint8 (H, W, 3) RGB, not {image_HW3.dtype} {image_HW3.shape}"
        )
    height, width = image_HW3.shape[:2]
    if min(height, width) < SMALLEST:
        raise Rejected("bad_input", f"the picture has {width}x{height} px; give one of {SMALLEST} px or more")
    if crop is not None:
        return crop_image(image_HW3, size, replace(crop, size=size), choice)
    if height != width:
        raise Rejected(
            "bad_input",
            f"the picture ({width}x{height}) is not square; leave out --no-crop to have the face cut out",
        )
    if height == size:
        return image_HW3
    return np.asarray(Image.fromarray(image_HW3).resize((size, size), Image.Resampling.LANCZOS), np.uint8)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read any picture file as (H, W, 3) RGB, turned upright; of an animation its first picture.

    Raises `Rejected`: missing_file, bad_input (no picture, or one too large for memory).
    """
    if not path.exists():
        raise Rejected("missing_file", f"there is no picture {path}; check the path")
    with _readable(path), Image.open(path) as opened:
        if opened.format in ANIMATED and getattr(opened, "is_animated", False):
            say(f"{path.name} is animated; its first picture is taken")
        opened.draft("RGB", (LONGEST, LONGEST))
        upright = ImageOps.exif_transpose(opened)
        upright.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        return np.array(_to_rgb(upright), np.uint8)


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Deep grey is scaled to 8 bit; transparent places show grey paper."""
    if picture.mode.startswith("I"):
        deep = np.asarray(picture, np.float64)
        return Image.fromarray((deep / max(deep.max(), 1.0) * 255).astype(np.uint8)).convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        over = picture.convert("RGBA")
        paper = Image.new("RGBA", over.size, (*PAPER, 255))
        return Image.alpha_composite(paper, over).convert("RGB")
    return picture.convert("RGB")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except Image.DecompressionBombError as error:
        raise Rejected("bad_input", f"{path.name} is too large to read; scale it to {LONGEST} px") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise Rejected("bad_input", f"{path.name} cannot be read as a picture; give a PNG or JPEG") from error
