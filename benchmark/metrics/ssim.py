"""SSIM of Wang et al. 2004: Gaussian window 11x11, sigma 1.5, K = (0.01, 0.03), population covariance.

Only the valid region counts (no padding). `ssim` averages the three RGB channels, `ssim_grey` looks at the
luma, as the authors' own code does. torchmetrics pads by reflection and does not crop, scikit-image's default
is a uniform 7x7 window: neither is this definition, so neither can stand in for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from ..records import Protocol, protocol
from .metric import Metric, Pair, mean_over_cases, per_case

WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
EDGE = WINDOW // 2
STRIP_ROWS = 64
"""Windows are placed strip by strip: what a strip needs stays in the processor's cache."""
LUMA = (0.299, 0.587, 0.114)
"""Rec. 601 weights of red, green and blue."""


def ssim_image(first_HWC: NDArray[Any], second_HWC: NDArray[Any], peak: float = 255.0) -> float:
    """SSIM of two pictures of at least 11x11 pixels, (H, W) or (H, W, C)."""
    if min(first_HWC.shape[:2]) < WINDOW:
        raise Rejected(
            "bad_input", f"SSIM needs pictures of at least {WINDOW} pixels, not {first_HWC.shape[:2]}"
        )
    num_rows, total = len(first_HWC) - 2 * EDGE, 0.0
    for start in range(0, num_rows, STRIP_ROWS):
        rows = slice(start, start + STRIP_ROWS + 2 * EDGE)
        strip = _ssim_map(first_HWC[rows].astype(np.float64), second_HWC[rows].astype(np.float64), peak)
        total += float(strip.mean()) * len(strip)
    return total / num_rows


def _ssim_map(x: NDArray[np.float64], y: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    """SSIM of each whole window. The variances are only needed as a sum, so they share one blur."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    products, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance = _blurred(x * y) - products
    variances = _blurred(x * x + y * y) - squares
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    ssim: NDArray[np.float64] = (
        (2 * products + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    )
    return ssim


def _blurred(image: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel = cv2.getGaussianKernel(WINDOW, SIGMA)
    blurred: NDArray[np.float64] = cv2.sepFilter2D(image, -1, kernel, kernel)
    return blurred[EDGE:-EDGE, EDGE:-EDGE]


def luma(frame_HW3: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Rec. 601 luma (H, W) from 0 to 255, not rounded."""
    grey: NDArray[np.float64] = frame_HW3 @ np.array(LUMA)
    return grey


def _value(pair: Pair) -> float:
    frames = zip(pair.generated.frames, pair.truth.frames, strict=True)
    return float(np.mean([ssim_image(a, b) for a, b in frames]))


def _grey_value(pair: Pair) -> float:
    frames = zip(pair.generated.frames, pair.truth.frames, strict=True)
    return float(np.mean([ssim_image(luma(a), luma(b)) for a, b in frames]))


def _protocol(colour: str) -> Protocol:
    return protocol(
        window="gaussian 11x11 sigma 1.5",
        k1=K1,
        k2=K2,
        colour=colour,
        border="valid",
        covariance="population",
    )


def _metric(name: str, title: str, colour: str, value: Callable[[Pair], float], of: str) -> Metric:
    return Metric(
        name=name,
        title=title,
        unit="",
        direction="higher",
        best=1.0,
        protocol=_protocol(colour),
        about=f"Structural similarity of whole frames{of} (1 is identical).",
        symmetric=True,
        measure=per_case(value),
        compute=mean_over_cases,
    )


METRIC = _metric("video/ssim", "SSIM", "RGB mean", _value, "")
GREY = _metric("video/ssim_grey", "SSIM (grey)", "Rec. 601 luma, not rounded", _grey_value, " in grey")
