"""The one check that there is sound at all, before anything is recognised or aligned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .media import FPS, SAMPLE_RATE
from .records import Rejected

SILENCE_DBFS = -50.0
"""Speech reaches this level in its loudest frame even when it is recorded too quietly by far."""


def check_audible(audio: NDArray[np.float32], silence_dbfs: float = SILENCE_DBFS) -> None:
    """Raise `Rejected("silent")` when no moment of the sound (N,) at 16 kHz reaches the level of speech."""
    level = loudest_dbfs(audio)
    if not level >= silence_dbfs:
        raise Rejected(
            "silent", f"the sound never exceeds {level:.0f} dBFS; check that the track was recorded"
        )


def loudest_dbfs(audio: NDArray[np.float32], window: int = SAMPLE_RATE // FPS) -> float:
    """Level of the loudest 40 ms in dB relative to full scale; the mean of each window is left out."""
    if len(audio) < window:
        return -120.0
    blocks = audio[: len(audio) // window * window].reshape(-1, window).astype(np.float64)
    power = float(blocks.var(axis=1).max())
    return 10 * float(np.log10(max(power, 1e-12)))
