"""What a head does besides speaking: it sways a little and blinks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FREQUENCIES_HZ = (0.13, 0.31, 0.67)
SHARES = (0.5, 0.32, 0.18)
LIMITS = (3.2, 2.3, 0.026, 0.015, 0.079, 0.065)
"""Largest excursion of tx, ty (pixels), rotation (rad), scale, yaw, pitch (rad) at full amplitude."""
BLINK_EVERY = (2.0, 5.0)
"""Seconds between blinks."""
BLINK_SHAPE = ((0.0, 0.0), (0.06, 0.9), (0.08, 1.0), (0.12, 1.0), (0.24, 0.0))
"""Seconds from the start of a blink, and how far the lid is down."""


def head_motion(
    rng: np.random.Generator, num_frames: int, fps: float, amplitude: float
) -> NDArray[np.float32]:
    """Head pose (T, 6): slow sums of sines that never leave their limits."""
    times = np.arange(num_frames) / fps
    phases = rng.uniform(0, 2 * np.pi, (len(LIMITS), len(FREQUENCIES_HZ)))
    waves = np.sin(2 * np.pi * np.array(FREQUENCIES_HZ) * times[:, None, None] + phases)
    return np.asarray(waves @ np.array(SHARES) * np.array(LIMITS) * amplitude, dtype=np.float32)


def blinks(rng: np.random.Generator, num_frames: int, fps: float) -> NDArray[np.float32]:
    """How closed the eyes are (T,), 0 to 1; the gaps are drawn from `BLINK_EVERY`."""
    times = np.arange(num_frames) / fps
    closed = np.zeros(num_frames)
    offsets, levels = np.array(BLINK_SHAPE).T
    start = float(rng.uniform(0.3, BLINK_EVERY[1]))
    while start < num_frames / fps:
        closed = np.maximum(closed, np.interp(times - start, offsets, levels))
        start += float(rng.uniform(*BLINK_EVERY))
    return closed.astype(np.float32)
