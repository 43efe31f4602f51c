"""PSNR: 10 log10(255^2 / MSE) of each RGB frame, averaged over the frames of a clip, then over clips.

Averaging frames (not one MSE over all) is what the field's scripts do. The MSE has a floor of 1/12, the
variance of rounding to 8 bits: an identical frame reads 58.92 dB instead of infinity. torchmetrics' form of
it has no floor and wants floats; the squared error of bytes is exact in integers.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..records import protocol
from .metric import Metric, Pair, mean_over_cases, per_case

PEAK = 255.0
MSE_FLOOR = 1 / 12
BEST = float(10 * np.log10(PEAK**2 / MSE_FLOOR))


def psnr_frames(
    first_THWC: NDArray[np.uint8],
    second_THWC: NDArray[np.uint8],
    peak: float = PEAK,
    floor: float = MSE_FLOOR,
) -> NDArray[np.float64]:
    """PSNR of each frame in dB, (T,)."""
    return np.array([_psnr(a, b, peak, floor) for a, b in zip(first_THWC, second_THWC, strict=True)])


def _psnr(first: NDArray[np.uint8], second: NDArray[np.uint8], peak: float, floor: float) -> float:
    mse = cv2.norm(first, second, cv2.NORM_L2SQR) / first.size
    return float(10 * np.log10(peak**2 / max(mse, floor)))


def _value(pair: Pair) -> float:
    return float(psnr_frames(pair.generated.frames, pair.truth.frames).mean())


METRIC = Metric(
    name="video/psnr",
    title="PSNR",
    unit="dB",
    direction="higher",
    best=BEST,
    protocol=protocol(colour="RGB uint8", peak=255, mean="frames, then clips", mse_floor="1/12", version=1),
    about="Peak signal-to-noise ratio of whole frames.",
    symmetric=True,
    measure=per_case(_value),
    compute=mean_over_cases,
)
