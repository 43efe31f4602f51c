"""PSNR and SSIM by their definitions; what all metrics must keep is in test_bench_conformance.py."""

import numpy as np
import pytest
import scipy.signal

from benchmark.metrics.psnr import BEST, psnr_frames
from benchmark.metrics.ssim import ssim_image
from datapipe.records import Rejected

NOISE = np.random.default_rng(0)


def test_psnr_by_the_definition() -> None:
    first = np.full((2, 4, 4, 3), 100, np.uint8)
    second = first.copy()
    second[0] += 10
    assert psnr_frames(first, second).tolist() == [
        pytest.approx(20 * np.log10(25.5)),
        pytest.approx(BEST),
    ]
    assert pytest.approx(58.9226, abs=1e-4) == BEST


def test_ssim_by_the_definition_at_one_window() -> None:
    x, y = (NOISE.integers(0, 255, (11, 11, 1)).astype(np.float64) for _ in range(2))
    weights = np.outer(*[scipy.signal.windows.gaussian(11, 1.5)] * 2)
    weights /= weights.sum()
    mean_x, mean_y = ((weights * image[..., 0]).sum() for image in (x, y))
    var_x, var_y = ((weights * (i[..., 0] - m) ** 2).sum() for i, m in ((x, mean_x), (y, mean_y)))
    cov = (weights * (x[..., 0] - mean_x) * (y[..., 0] - mean_y)).sum()
    c1, c2 = 2.55**2, 7.65**2
    expected = (
        (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    )
    assert ssim_image(np.repeat(x, 3, 2), np.repeat(y, 3, 2)) == pytest.approx(expected, rel=1e-9)


def test_ssim_refuses_pictures_smaller_than_its_window() -> None:
    with pytest.raises(Rejected, match="at least 11"):
        ssim_image(np.zeros((10, 40, 3)), np.zeros((10, 40, 3)))
