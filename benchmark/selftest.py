"""Published and closed-form values that the metrics must reproduce before anyone trusts a table.

Each vector names its source. Those that need weights are skipped, with the reason, when the weights are not
here; "conformant" may only be said of metrics whose vectors passed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from . import frechet
from .metrics.psnr import psnr_frames
from .metrics.ssim import ssim_image
from .states import Moments


@dataclass(frozen=True, slots=True)
class Vector:
    """One value to reproduce."""

    metric: str
    name: str
    expected: float
    tolerance: float
    """Largest relative difference (absolute when `expected` is 0)."""
    source: str
    compute: Callable[[], float]
    published: bool = True
    """False for a value measured with this code: it guards against drift and proves nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a vector."""

    vector: Vector
    status: Literal["pass", "fail", "skip"]
    measured: float | None
    why: str = ""


def _unit_gaussians() -> float:
    ones = np.eye(2048)
    return frechet.frechet_from_gaussians(np.zeros(2048), ones, np.ones(2048), ones)


def _two_draws(num: int, dimensions: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    random = np.random.RandomState(seed)
    return random.randn(num, dimensions), random.randn(num, dimensions)


def _merged(num: int, dimensions: int, seed: int) -> float:
    first, second = (
        Moments.of(rows[: num // 3]) + Moments.of(rows[num // 3 :])
        for rows in _two_draws(num, dimensions, seed)
    )
    return frechet.frechet_from_moments(first, second)


def _psnr_doctest() -> float:
    first, second = (
        np.array(rows, np.uint8)[None, :, :, None] for rows in ([[0, 1], [2, 3]], [[3, 2], [1, 0]])
    )
    return float(psnr_frames(first, second, peak=3.0, floor=0.0)[0])


def _lpips_zeros_ones() -> float:
    import torch

    from .networks.lpips import lpips_spatial_mean

    return lpips_spatial_mean(-torch.ones(1, 3, 64, 64), torch.ones(1, 3, 64, 64))


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


def _fid_of_patterns() -> float:
    from .extract import rows_of
    from .footage import Footage, Store
    from .metrics.fid import extractor

    first, second = (Footage("", pattern(4, 64, phase), Store()) for phase in (0.0, 0.35))
    return frechet.frechet_distance(rows_of(first, extractor(1)), rows_of(second, extractor(1)))


VECTORS = (
    Vector(
        "fid distance", "N(0, I) to N(1, I), d = 2048", 2048.0, 1e-9, "pytorch-fid tests", _unit_gaussians
    ),
    Vector(
        "fid distance",
        "256 against 256 draws, d = 64, seed 2023",
        8.6233561616,
        1e-8,
        "torch-fidelity make_stat, ddof 1",
        lambda: frechet.frechet_distance(*_two_draws(256, 64, 2023)),
    ),
    Vector(
        "fid distance",
        "the same, moments merged from parts",
        8.6233561616,
        1e-8,
        "torch-fidelity make_stat, ddof 1",
        lambda: _merged(256, 64, 2023),
    ),
    Vector(
        "fid distance",
        "4 against 4 draws, d = 4, rank-deficient",
        4.7538376175,
        1e-6,
        "torch-fidelity make_stat, seed 1",
        lambda: frechet.frechet_from_grams(*frechet.grams(*_two_draws(4, 4, 1))),
    ),
    Vector("psnr", "2x2 with data range 3", 2.5527250510, 1e-6, "torchmetrics documentation", _psnr_doctest),
    Vector(
        "ssim",
        "zeros against ones, L = 1",
        9.999000099990664e-05,
        1e-6,
        "common_metrics_on_video_quality README",
        lambda: ssim_image(np.zeros((64, 64, 3)), np.ones((64, 64, 3)), peak=1.0),
    ),
    Vector(
        "lpips_alex",
        "zeros against ones, 64x64, spatial mean",
        0.8140146732330322,
        1e-4,
        "common_metrics_on_video_quality README, device unknown; float64 here gives 0.81404284",
        _lpips_zeros_ones,
    ),
    Vector(
        "fid network",
        "network on coloured waves",
        9.990156458,
        1e-4,
        "measured here; guards against drift",
        _fid_of_patterns,
        published=False,
    ),
)


def run_vectors() -> tuple[Outcome, ...]:
    """Compute every vector that the present weights allow."""
    return tuple(_outcome(vector) for vector in VECTORS)


def _outcome(vector: Vector) -> Outcome:
    try:
        measured = vector.compute()
    except Rejected as rejected:
        return Outcome(vector, "skip", None, rejected.message)
    scale = abs(vector.expected) or 1.0
    passed = abs(measured - vector.expected) <= vector.tolerance * scale
    return Outcome(vector, "pass" if passed else "fail", measured)


def conformant(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """What reproduced every vector, at least one of them published or in closed form."""
    unproven = {outcome.vector.metric for outcome in outcomes if outcome.status != "pass"}
    return tuple(sorted({o.vector.metric for o in outcomes if o.vector.published} - unproven))
