"""Pictures come upright, with square pixels, and never larger than the memory they may take."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path

import damages
import numpy as np
import pytest

from datapipe.decode import DecodeConfig, decode
from datapipe.film import read_film
from datapipe.picture import SMALLEST
from datapipe.records import Clip, Rejected

PATCHES = np.kron(
    np.random.default_rng(0).integers(40, 220, (3, 4, 3)), np.ones((16, 16, 1), np.int64)
).astype(np.uint8)
"""48 x 64 pixels in which every corner is another colour."""


def shown(**changes: object) -> np.ndarray:
    """The middle frame of an encoded clip."""
    return read_film(damages.clip_with(**changes)).frames_THW3[5].astype(int)


@pytest.mark.parametrize(
    ("degrees", "across", "down"), list(product((0, 90, 180, -90), (False, True), (False, True)))
)
def test_all_eight_orientations_come_upright(degrees: int, across: bool, down: bool) -> None:
    def turn(video: object, audio: object) -> None:
        video.set_display_rotation(degrees, hflip=across, vflip=down)  # type: ignore[attr-defined]

    expected = np.rot90(PATCHES, degrees // 90)
    expected = expected[:, ::-1] if across else expected
    expected = expected[::-1] if down else expected
    picture = shown(frames=[PATCHES] * 12, shape=turn)
    assert picture.shape == expected.shape
    assert np.abs(picture - expected).mean() < 5.0  # the nearest other orientation is 50 away


@pytest.mark.parametrize(
    ("aspect", "width"), [(Fraction(4, 3), 85), (Fraction(1, 2), 32), (Fraction(300), 64)]
)
def test_pixels_become_square_unless_the_header_is_absurd(aspect: Fraction, width: int) -> None:
    def squeeze(video: object, audio: object) -> None:
        video.codec_context.sample_aspect_ratio = aspect  # type: ignore[attr-defined]

    assert shown(shape=squeeze).shape == (48, width, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"pix_fmt": "yuv420p10le"},
        {"container": "mov", "picture": "png", "pix_fmt": "rgba"},
        {"container": "mov", "picture": "png", "pix_fmt": "rgb48be"},
        {"container": "matroska", "picture": "ffv1", "pix_fmt": "yuva420p"},
        {"container": "mov", "picture": "mjpeg", "pix_fmt": "yuvj420p"},
        {"pix_fmt": "yuv422p"},
        {"pix_fmt": "yuv444p"},
    ],
    ids=lambda changes: changes["pix_fmt"],
)
def test_every_pixel_format_means_the_same_colours(changes: dict[str, str]) -> None:
    flat = np.full((48, 64, 3), (180, 120, 70), np.uint8)
    assert np.abs(shown(frames=[flat] * 12, **changes).mean((0, 1)) - (180, 120, 70)).max() < 4.0


def test_frames_that_change_size_keep_the_first_ones() -> None:
    small, large = damages.bars(6, 64, 48), damages.bars(6, 96, 80)
    data = damages.clip_with(frames=small, container="mpegts", samples=None) + damages.clip_with(
        frames=large, container="mpegts", samples=None
    )
    assert read_film(data, 0.0, 0.2).frames_THW3.shape[1:] == (48, 64, 3)


def large_clip(tmp_path: Path) -> Clip:
    path = tmp_path / "large.mp4"
    path.write_bytes(damages.clip_with(frames=damages.bars(12, 640, 480)))
    return Clip(id="large", source="folder", speaker="x", video=path, crop_hint=(64.0, 48.0, 320.0, 240.0))


def test_frames_that_do_not_fit_are_scaled_and_the_window_with_them(tmp_path: Path) -> None:
    clip = large_clip(tmp_path)
    whole = decode(clip)
    assert whole.frames_THW3.shape == (12, 480, 640, 3) and whole.note == "as in the file"
    assert whole.crop_hint == clip.crop_hint
    limit = 12 * 480 * 640 * 3 // 2
    scaled = decode(clip, DecodeConfig(max_bytes=limit))
    assert 0.97 * limit < scaled.frames_THW3.nbytes <= limit
    height, width = scaled.frames_THW3.shape[1:3]
    assert scaled.crop_hint == pytest.approx((width * 0.1, height * 0.1, width * 0.5, height * 0.5), rel=1e-6)
    assert f"scaled by {width / 640:.4f}" in scaled.note
    assert scaled.frames_THW3.mean() == pytest.approx(whole.frames_THW3.mean(), abs=1.0)


def test_no_picture_is_scaled_below_the_smallest_useful_size(tmp_path: Path) -> None:
    clip = large_clip(tmp_path)
    fits = 12 * 3 * SMALLEST * SMALLEST * 640 // 480
    assert min(decode(clip, DecodeConfig(max_bytes=fits + 40_000)).frames_THW3.shape[1:3]) >= SMALLEST
    with pytest.raises(Rejected) as caught:
        decode(clip, DecodeConfig(max_bytes=fits - 40_000))
    assert caught.value.reason == "too_large" and "640x480" in caught.value.message


def test_interlaced_pictures_say_so() -> None:
    def weave(video: object, audio: object) -> None:
        video.codec_context.flags |= 0x40000 | 0x20000000  # type: ignore[attr-defined]

    data = damages.clip_with(container="mpegts", picture="mpeg2video", sound="mp2", shape=weave)
    assert "interlaced" in read_film(data, 0.0, 0.2).look.sentence()
