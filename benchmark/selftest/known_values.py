"""The published and closed-form values of the picture and video metrics, each with its source."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from datapipe.networks.lpips import TrunkName, lpips_distances, lpips_spatial_mean, lpips_tower
from datapipe.weights import resolve

from .. import frechet
from ..extract import Extractor, rows_of
from ..footage import Footage, Store
from ..metrics import fid, fvd
from ..metrics.psnr import psnr_frames
from ..metrics.ssim import ssim_image
from ..networks.i3d import NUM_FRAMES, SIDE, i3d_logits
from ..states import Moments
from .vectors import Vector, pattern, two_draws

CAMERA = "picture-camera"
"""Name in the registry of scikit-image's photograph of a cameraman."""
COMMON_METRICS = "common_metrics_on_video_quality README"


def _unit_gaussians() -> float:
    ones = np.eye(2048)
    return frechet.frechet_from_gaussians(np.zeros(2048), ones, np.ones(2048), ones)


def _merged() -> float:
    first, second = (Moments.of(rows[:85]) + Moments.of(rows[85:]) for rows in two_draws(256, 64, 2023))
    return frechet.frechet_from_moments(first, second)


def _three_greys() -> float:
    means = np.array([[0.0], [127.0], [255.0]]) / 255
    return float(Moments.of(means).covariance()[0, 0])


def _asymmetry() -> float:
    first, second = two_draws(48, 64, 7)
    there, back = frechet.frechet_distance(first, second), frechet.frechet_distance(second, first)
    return there - back


def _two_by_two() -> float:
    pictures = [np.array(rows, np.uint8)[None, :, :, None] for rows in ([[0, 1], [2, 3]], [[3, 2], [1, 0]])]
    return float(psnr_frames(pictures[0], pictures[1], peak=3.0, floor=0.0)[0])


def _black_white_psnr() -> float:
    black = np.zeros((1, 64, 64, 3), np.uint8)
    return float(psnr_frames(black, black + 1, peak=1.0, floor=0.0)[0])


def _camera() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The photograph and its noisy copy, (512, 512, 1), as scikit-image's tests make them."""
    clean = np.asarray(Image.open(resolve(CAMERA)))[..., None]
    noise = np.random.RandomState(5).randn(*clean.shape[:2])[..., None]
    return clean, np.clip(clean + 20.0 * noise, 0, 255).astype(np.uint8)


def _camera_psnr() -> float:
    clean, noisy = _camera()
    return float(psnr_frames(noisy[None], clean[None])[0])


def _black_white_lpips() -> float:
    return lpips_spatial_mean(-torch.ones(1, 3, 64, 64), torch.ones(1, 3, 64, 64))


def _lpips_of_patterns(trunk: TrunkName) -> float:
    first, second = (lpips_tower(pattern(1, 128, phase), trunk) for phase in (0.0, 0.35))
    return float(lpips_distances(first, second, trunk)[0])


def _distance_of_patterns(extractor: Extractor, num: int, side: int, ddof: int) -> float:
    both = (Footage("", pattern(num, side, phase), Store()) for phase in (0.0, 0.35))
    first, second = (rows_of(footage, extractor) for footage in both)
    return frechet.frechet_distance(first, second, ddof)


def _black_white_fvd(num_frames: int) -> float:
    """All videos of a side are the same, so that the covariances are zero."""
    white = np.ones((1, 3, num_frames, SIDE, SIDE), np.float32)
    means = i3d_logits(-white).astype(np.float64) - i3d_logits(white)
    return float(np.square(means).sum())


def _prepared_power(preparation: fvd.Preparation) -> float:
    """Mean square of what the network gets of a window that is higher than wide."""
    video = Footage("", pattern(NUM_FRAMES, 160, 0.0)[:, :, 20:148], Store())
    (window,) = fvd.extractor("middle", preparation).inputs(video)
    return float(np.square(window, dtype=np.float64).mean())


def _noise_fvd() -> float:
    return frechet.frechet_distance(_noise_logits(1), _noise_logits(2), ddof=1)


def _noise_logits(seed: int) -> NDArray[np.float32]:
    """Logits of 128 videos of uniform noise in [0, 1], drawn one after the other."""
    random, rows = np.random.RandomState(seed), []
    for _ in range(128):
        video = random.rand(1, NUM_FRAMES, SIDE, SIDE, 3).astype(np.float32)
        rows.append(i3d_logits(np.ascontiguousarray(video.transpose(0, 4, 1, 2, 3))))
    return np.concatenate(rows)


FRECHET = (
    Vector("distance", "N(0, I) to N(1, I), d = 2048", 2048.0, 1e-9, "pytorch-fid tests", _unit_gaussians),
    Vector("distance", "variance of greys 0, 127, 255", 0.25, 1e-4, "pytorch-fid tests", _three_greys),
    Vector(
        "distance",
        "256 against 256 draws, d = 64, ddof 1",
        8.6233561616,
        1e-8,
        "torch-fidelity make_stat, seed 2023",
        lambda: frechet.frechet_distance(*two_draws(256, 64, 2023)),
    ),
    Vector(
        "distance",
        "256 against 256 draws, d = 64, ddof 0",
        8.5918731765,
        1e-8,
        "torch-fidelity make_stat, seed 2023",
        lambda: frechet.frechet_distance(*two_draws(256, 64, 2023), ddof=0),
    ),
    Vector(
        "distance",
        "the same, moments merged, ddof 1",
        8.6233561616,
        1e-8,
        "torch-fidelity make_stat",
        _merged,
    ),
    Vector(
        "distance",
        "4 against 4 draws, d = 4, rank-deficient",
        4.7538376175,
        1e-6,
        "torch-fidelity make_stat, seed 1",
        lambda: frechet.frechet_from_grams(*frechet.grams(*two_draws(4, 4, 1))),
    ),
    Vector("distance", "there less back", 0.0, 1e-9, "a distance is symmetric", _asymmetry),
    Vector(
        "distance",
        "a set to itself",
        0.0,
        1e-9,
        "a distance is 0 there",
        lambda: frechet.frechet_distance(two_draws(48, 64, 7)[0], two_draws(48, 64, 7)[0]),
    ),
)
PSNR = (
    Vector("psnr", "2x2 with data range 3", 2.5527250510, 1e-6, "torchmetrics documentation", _two_by_two),
    Vector("psnr", "zeros against ones, L = 1", 0.0, 1e-9, COMMON_METRICS, _black_white_psnr),
    Vector("psnr", "noisy cameraman", 22.409353363576034, 1e-4, "IPOL, in scikit-image tests", _camera_psnr),
)
SSIM = (
    Vector(
        "ssim",
        "zeros against ones, L = 1",
        9.999000099990664e-05,
        1e-6,
        COMMON_METRICS,
        lambda: ssim_image(np.zeros((64, 64, 3)), np.ones((64, 64, 3)), peak=1.0),
    ),
    Vector(
        "ssim",
        "noisy cameraman",
        0.357959091663361,
        2e-3,
        "IPOL, in scikit-image tests (3 digits)",
        lambda: ssim_image(*_camera()),
    ),
)
LPIPS = (
    Vector(
        "lpips_alex",
        "zeros against ones, 64x64, spatial mean",
        0.8140146732330322,
        1e-4,
        f"{COMMON_METRICS}, device unknown; float64 here gives 0.81404284",
        _black_white_lpips,
    ),
    Vector(
        "lpips_alex",
        "coloured waves, 128x128",
        0.0226450729,
        1e-5,
        "lpips 0.1.4 on these weights",
        partial(_lpips_of_patterns, "alex"),
    ),
    Vector(
        "lpips_vgg",
        "coloured waves, 128x128",
        0.0697800919,
        1e-5,
        "lpips 0.1.4 on these weights",
        partial(_lpips_of_patterns, "vgg"),
    ),
)
FID = (
    Vector(
        "fid network",
        "4 against 4 coloured waves, 64x64",
        9.990160031405583,
        1e-4,
        "pytorch-fid 0.3.0 on these weights",
        lambda: _distance_of_patterns(fid.extractor(1), 4, 64, ddof=1),
    ),
    Vector(
        "clean resize",
        "4 against 4 coloured waves, 512x512",
        9.454238930228907,
        1e-4,
        "clean-fid 0.1.35's resize, pytorch-fid 0.3.0 on these weights",
        lambda: _distance_of_patterns(fid.extractor(1, fid.CLEAN), 4, 512, ddof=1),
    ),
)
FVD = (
    Vector(
        "fvd network",
        "30 black against 30 white frames",
        151.39244,
        1e-5,
        f"the original TensorFlow FVD, in {COMMON_METRICS}",
        partial(_black_white_fvd, 30),
    ),
    Vector(
        "fvd network",
        "16 black against 16 white frames",
        152.91750309134142,
        1e-3,
        f"StyleGAN-V's TorchScript, in {COMMON_METRICS}",
        partial(_black_white_fvd, 16),
    ),
    Vector(
        "fvd network",
        "128 against 128 videos of noise",
        10.13808536529541,
        1e-5,
        "the original TensorFlow FVD, in fvd-comparison",
        _noise_fvd,
        slow=True,
    ),
    Vector(
        "squashed preparation",
        "power of 16 coloured waves, 160x128",
        0.4967477446006393,
        1e-6,
        "measured here; guards against drift",
        partial(_prepared_power, fvd.STYLEGANV),
        published=False,
    ),
    Vector(
        "debiased preparation",
        "power of 16 coloured waves, 160x128",
        0.4956437338908397,
        1e-6,
        "cd-fvd 0.1.1",
        partial(_prepared_power, fvd.DEBIASED),
    ),
)
