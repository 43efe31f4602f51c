"""An invisible mark in every made video: a pattern that belongs to a key, with the run's name in it.

Spread spectrum: each of some two thousand low and middle frequencies of the picture, counted in waves per
picture, gets a sign that a key decides. The pattern is the same in all frames (no flicker, and any frame rate
will do), and is laid out relative to the picture's sides (any size will do). Half of the frequencies say that
the mark is there, the rest carry 16 bits of the run's name and their checksum.
Sources: I. Cox et al., Secure spread spectrum watermarking for multimedia, IEEE TIP 6 (1997); the picture's
own share in each sum is taken out while marking: H. Malvar & D. Florencio, Improved spread spectrum, IEEE TSP
51 (2003). Ready packages need torchvision or train networks; this needs a cosine transform.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float64]
GRID = 128
"""Units across the picture, in which margins and blurs are counted; larger pictures are reduced to it."""
BAND = (8.0, 56.0)
"""Half waves per picture, from and to: below lie the shapes of the face, above what encoders drop."""
ID_BITS, CHECK_BITS = 16, 8
NUM_BITS = ID_BITS + CHECK_BITS
PILOT = 6.0
"""Level of the sum that says `marked`, as a multiple of a bit's."""
CHECK_POLYNOMIAL = 0x07
CLIP = 2.0
"""What a single frequency may count at most, in levels of its neighbourhood."""
ROUNDS = 5
NOISE = 16.0
"""Variance in squared grey levels that flat places are credited with: the encoder's noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkConfig:
    """How strongly a video is marked, and by whom."""

    key: str = "avatarsync"
    """Decides the pattern; who knows it can find the mark, take it out or forge it."""
    strength: float = 1.5
    """Root mean square of the pattern in grey levels: 44.6 dB."""
    limit: float = 5.0
    """Largest change of a pixel in grey levels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """Which frequency has which sign and serves what; K of them."""

    rows_K: NDArray[np.int64]
    cols_K: NDArray[np.int64]
    signs_K: Floats
    slots_K: NDArray[np.int64]
    """0 says that there is a mark, 1 to 24 are the bits."""


@cache
def layout_of(key: str) -> Layout:
    """Derive the layout from the key by SHAKE-256, the same on every machine and in every version."""
    size = int(BAND[1]) + 1
    radius = np.hypot(*np.indices((size, size)))
    rows, cols = np.nonzero((radius >= BAND[0]) & (radius <= BAND[1]) & (np.indices((size, size)) > 0).all(0))
    stream = hashlib.shake_256(key.encode("utf-8")).digest(9 * len(rows))
    signs = 1.0 - 2.0 * (np.frombuffer(stream[: len(rows)], np.uint8) & 1).astype(np.float64)
    order = np.argsort(np.frombuffer(stream[len(rows) :], "<u8"), kind="stable")
    slots = np.empty(len(rows), np.int64)
    slots[order] = np.arange(len(rows)) % (2 * NUM_BITS)
    return Layout(rows_K=rows, cols_K=cols, signs_K=signs, slots_K=np.where(slots < NUM_BITS, slots + 1, 0))


def name_of_run(run_id: str) -> str:
    """Four hexadecimal digits that a mark can carry: a run id's first, or 0000 for what is no run."""
    head = run_id[:4].lower()
    return head if len(head) == 4 and set(head) <= set("0123456789abcdef") else "0000"


def bits_of(name: str) -> NDArray[np.int64]:
    """Write four hexadecimal digits and their CRC-8 as 24 signs, most significant first; +1 is a one."""
    number = int(name, 16)
    word = (number << CHECK_BITS) | checksum(number)
    return np.array([1 if word >> shift & 1 else -1 for shift in reversed(range(NUM_BITS))])


def checksum(number: int) -> int:
    """CRC-8 of 16 bits (polynomial x^8 + x^2 + x + 1, result XOR 0x55: ITU-T I.432.1)."""
    crc = 0
    for byte in number.to_bytes(ID_BITS // 8, "big"):
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ (CHECK_POLYNOMIAL if crc & 0x80 else 0)) & 0xFF
    return crc ^ 0x55


def make_mark(
    picture_HW3: NDArray[np.uint8], run_id: str, config: WatermarkConfig = WatermarkConfig()
) -> NDArray[np.float32]:
    """Shape the pattern for a video that looks like this picture: (H, W) grey levels to be added.

    Flat places get up to three times as much as textured ones, where the pattern would drown. What the
    picture itself adds to each of the 25 sums is made up for, so that every bit reads right from the start.
    """
    height, width = picture_HW3.shape[:2]
    content = np.ascontiguousarray(picture_HW3).tobytes()
    return _make_mark(content, (height, width), name_of_run(run_id), config)


@lru_cache(maxsize=8)
def _make_mark(
    content: bytes, shape: tuple[int, int], name: str, config: WatermarkConfig
) -> NDArray[np.float32]:
    """Keep the marks of the last pictures: a speaker's is needed for each of its videos."""
    luma = working_luma(np.frombuffer(content, np.uint8).reshape(1, *shape, 3))
    wanted = np.concatenate(([PILOT], bits_of(name)))
    small = _solve(luma, wanted, config).astype(np.float32)
    mark = cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC) if small.shape != shape else small
    mark.flags.writeable = False
    return np.asarray(mark, np.float32)


def add_mark(frames_THW3: NDArray[np.uint8], mark_HW: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Add a pattern to the brightness of frames."""
    marked = frames_THW3 + mark_HW[None, :, :, None]
    return np.asarray(np.clip(np.rint(marked), 0, 255), np.uint8)


def mark_blocks(
    blocks: Iterator[NDArray[np.uint8]],
    picture_HW3: NDArray[np.uint8],
    run_id: str,
    config: WatermarkConfig | None = WatermarkConfig(),
) -> Iterator[NDArray[np.uint8]]:
    """Mark blocks of frames (n, H, W, 3) of one picture as they come; None lets them be."""
    if config is None:
        return blocks
    mark = make_mark(picture_HW3, run_id, config)
    return (add_mark(block, mark) for block in blocks)


def working_luma(frames_THW3: NDArray[np.uint8]) -> Floats:
    """Average the brightness (BT.601) over frames; pictures larger than the grid are reduced to it."""
    mean = frames_THW3.mean(0, dtype=np.float64) @ np.array([0.299, 0.587, 0.114])
    scale = GRID / max(mean.shape)
    if scale >= 0.8:
        return np.asarray(mean)
    size = (round(mean.shape[1] * scale), round(mean.shape[0] * scale))
    return np.asarray(cv2.resize(mean, size, interpolation=cv2.INTER_AREA))


def waves(num_pixels: int, first: float = 0.0, last: float = 0.0) -> Floats:
    """Cosines of the band along one side, (frequencies, pixels).

    `first` and `last` are the units that were cut off on either end, so that the rest lies where it was.
    """
    place = first + (np.arange(num_pixels) + 0.5) / num_pixels * (GRID - first - last)
    frequency = np.arange(int(BAND[1]) + 1)[:, None]
    return np.asarray(np.cos(np.pi * frequency * place / GRID) * np.sqrt(2.0 / num_pixels))


def flattened(luma_HW: Floats) -> Floats:
    """Take out what varies slowly, and weigh places by how little their own texture hides the mark."""
    detail, deviation = _texture(luma_HW)
    return np.asarray(detail / (deviation**2 + NOISE))


def read_sums(spectrum_UV: Floats, layout: Layout) -> Floats:
    """Sum the signed frequencies of each slot, (25,), in standard deviations of a picture without a mark.

    Each frequency is first divided by the level of its neighbourhood and clipped, so that no edge decides.
    """
    total = np.bincount(layout.slots_K, _evened(spectrum_UV, layout) * layout.signs_K, NUM_BITS + 1)
    return np.asarray(total / _norms(spectrum_UV, layout))


def _evened(spectrum_UV: Floats, layout: Layout) -> Floats:
    even_UV = np.clip(spectrum_UV / level_of(spectrum_UV), -CLIP, CLIP)
    return np.asarray(even_UV[layout.rows_K, layout.cols_K])


def _norms(spectrum_UV: Floats, layout: Layout) -> Floats:
    squares = np.bincount(layout.slots_K, _evened(spectrum_UV, layout) ** 2, NUM_BITS + 1)
    return np.asarray(np.sqrt(squares + 1e-9))


def level_of(spectrum_UV: Floats) -> Floats:
    """Measure how loud a spectrum is around each frequency."""
    return np.asarray(np.sqrt(gaussian_filter(spectrum_UV**2, 2.0)) + 1e-9)


def _texture(luma_HW: Floats) -> tuple[Floats, Floats]:
    unit = max(luma_HW.shape) / GRID
    detail = luma_HW - gaussian_filter(luma_HW, 6.0 * unit, mode="nearest")
    return detail, np.sqrt(gaussian_filter(detail**2, 3.0 * unit, mode="nearest"))


def _templates(luma_HW: Floats, layout: Layout) -> Floats:
    """Draw each slot's part of the pattern, (25, H, W), with a root mean square of one."""
    loudness = 1.0 / (_texture(luma_HW)[1] + 10.0)
    waves_y, waves_x = (waves(side) for side in luma_HW.shape)
    spectra = np.zeros((NUM_BITS + 1, len(waves_y), len(waves_x)))
    spectra[layout.slots_K, layout.rows_K, layout.cols_K] = layout.signs_K
    drawn = waves_y.T @ spectra @ waves_x * loudness
    return np.asarray(drawn / np.sqrt(np.mean(drawn**2, (1, 2), keepdims=True)))


def _solve(luma_HW: Floats, wanted_S: Floats, config: WatermarkConfig) -> Floats:
    """Find how loud each template must be for all sums to stand in the wanted ratio at this strength."""
    layout = layout_of(config.key)
    templates = _templates(luma_HW, layout)
    details = np.stack([_texture(each)[0] for each in templates])
    waves_y, waves_x = (waves(side) for side in luma_HW.shape)
    loud_S = wanted_S.copy()
    for _ in range(ROUNDS):
        loud_S, pattern = _scaled(loud_S, templates, config)
        marked = luma_HW + pattern
        spectrum = waves_y @ flattened(marked) @ waves_x.T
        slopes = waves_y @ (details / (_texture(marked)[1] ** 2 + NOISE)) @ waves_x.T
        read, norms = read_sums(spectrum, layout), _norms(spectrum, layout)
        even = (slopes / level_of(spectrum))[:, layout.rows_K, layout.cols_K] * layout.signs_K
        per_slot = np.stack([np.bincount(layout.slots_K, each, NUM_BITS + 1) for each in even], 1)
        loud_S = _balanced(loud_S, per_slot / norms[:, None], read, wanted_S)
    return _scaled(loud_S, templates, config)[1]


def _balanced(loud_S: Floats, slopes_SS: Floats, read_S: Floats, wanted_S: Floats) -> Floats:
    """Take a Newton step to sums at `level * wanted`, with the level at which the energy stays as it is."""
    inverse = np.linalg.pinv(slopes_SS, rcond=0.05)
    per_level, rest = inverse @ wanted_S, loud_S - inverse @ read_S
    square, cross = per_level @ per_level, per_level @ rest
    missing = rest @ rest - loud_S @ loud_S
    level = (-cross + math.sqrt(max(float(cross**2 - square * missing), 0.0))) / square
    return np.asarray(rest + level * per_level)


def _scaled(loud_S: Floats, templates_SHW: Floats, config: WatermarkConfig) -> tuple[Floats, Floats]:
    """Bring the pattern to its strength and cut its peaks."""
    pattern = np.tensordot(loud_S, templates_SHW, 1)
    factor = config.strength / float(np.sqrt(np.mean(pattern**2)))
    return loud_S * factor, np.clip(pattern * factor, -config.limit, config.limit)
