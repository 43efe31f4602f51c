"""Footage made of numbers: what alignment, controls and the engine are tested on."""

import numpy as np

from benchmark.footage import Footage, Store


def sound(num_frames: int, seed: int = 0) -> np.ndarray:
    """Noise in bursts: loud in some frames, faint in others, as speech is."""
    random = np.random.default_rng(seed)
    loudness = np.repeat(random.uniform(0.02, 0.4, num_frames), 640)
    return (random.normal(size=num_frames * 640) * loudness).clip(-1, 1).astype(np.float32)


def footage(frames: np.ndarray, audio: np.ndarray | None = None, name: str = "truth") -> Footage:
    return Footage(name, frames, Store(), audio, sound=name)
