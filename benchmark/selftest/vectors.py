"""A value to reproduce, and inputs that need no file. The lists of values are in `known_values.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Vector:
    """One value to reproduce."""

    metric: str
    """What the value is about: a metric, or the part of one, such as `fvd network`."""
    name: str
    expected: float
    tolerance: float
    """Largest relative difference (absolute when `expected` is 0)."""
    source: str
    compute: Callable[[], float]
    published: bool = True
    """Whether the value comes from elsewhere: printed by others, in closed form, or given by the program that
    others use. A value measured with this code guards against drift and proves nothing."""
    slow: bool = False
    """Whether it takes minutes."""


def pattern(num: int, side: int, phase: float) -> NDArray[np.uint8]:
    """Coloured waves that need no file: (num, side, side, 3)."""
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [
        np.stack(
            [np.sin(2 * np.pi * (a * x + b * y) + k * 0.7 + phase) for a, b in ((3, 1), (1, 4), (5, 5))], -1
        )
        for k in range(num)
    ]
    return np.round(np.stack(waves) * 127.5 + 127.5).astype(np.uint8)


def two_draws(num: int, dimensions: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two sets of normal vectors, as torch-fidelity's tests draw them."""
    random = np.random.RandomState(seed)
    return random.randn(num, dimensions), random.randn(num, dimensions)
