"""SSIM of Wang et al. 2004: Gaussian window 11x11, sigma 1.5, K = (0.01, 0.03), population covariance.

Only the valid region counts (no padding); the three RGB channels are averaged. torchmetrics pads by
reflection and does not crop, scikit-image's default is a uniform 7x7 window: neither is this definition.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from ..records import protocol
from .metric import Metric, Pair, mean_over_cases, per_case

WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
EDGE = WINDOW // 2


def ssim_image(first_HWC: NDArray[Any], second_HWC: NDArray[Any], peak: float = 255.0) -> float:
    """SSIM of two pictures of at least 11x11 pixels."""
    if min(first_HWC.shape[:2]) < WINDOW:
        raise Rejected(
            "bad_input", f"SSIM needs pictures of at least {WINDOW} pixels, not {first_HWC.shape[:2]}"
        )
    x, y = first_HWC.astype(np.float64), second_HWC.astype(np.float64)
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x = _blurred(x * x) - mean_x**2
    variance_y = _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return float((luminance * structure).mean())


def _blurred(image: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel = cv2.getGaussianKernel(WINDOW, SIGMA)
    blurred: NDArray[np.float64] = cv2.sepFilter2D(image, -1, kernel, kernel)
    return blurred[EDGE:-EDGE, EDGE:-EDGE]


def _value(pair: Pair) -> float:
    frames = zip(pair.generated.frames, pair.truth.frames, strict=True)
    return float(np.mean([ssim_image(a, b) for a, b in frames]))


METRIC = Metric(
    name="video/ssim",
    title="SSIM",
    unit="",
    direction="higher",
    best=1.0,
    protocol=protocol(
        window="gaussian 11x11 sigma 1.5",
        k1=K1,
        k2=K2,
        colour="RGB mean",
        border="valid",
        covariance="population",
    ),
    about="Structural similarity of whole frames (1 is identical).",
    symmetric=True,
    measure=per_case(_value),
    compute=mean_over_cases,
)
