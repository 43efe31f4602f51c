"""Our Inception, Fréchet distance and LPIPS against pytorch-fid and lpips, on the published weights."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from people import clip
from tools_vision import needs_vision

from benchmark import crosscheck
from benchmark.frechet import frechet_distance

pytestmark = [pytest.mark.tools, pytest.mark.assets]


@pytest.fixture(scope="module")
def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Real frames, and the same ones blurred."""
    needs_vision()
    frames, _, _ = clip()
    truth = frames[::18][:5]
    return truth, np.stack([cv2.GaussianBlur(frame, (0, 0), 2.0) for frame in truth])


def test_fid_network_and_distance_are_pytorch_fids(pairs) -> None:
    found = crosscheck.crosscheck_fid(*pairs)
    assert found.largest_difference < 1e-4
    assert found.ours > 1 and found.ours == pytest.approx(
        found.theirs, rel=1e-3
    )  # their root of a singular product


@pytest.mark.parametrize(("rows", "columns"), [(300, 64), (2500, 128)])
def test_the_distance_is_theirs_where_their_root_is_exact(rows: int, columns: int) -> None:
    needs_vision()
    random = np.random.default_rng(0)
    first = random.normal(size=(rows, columns)) @ random.normal(size=(columns, columns))
    second = random.normal(0.3, 1.2, (rows, columns))
    theirs = crosscheck.their_distance(first, second)
    assert frechet_distance(first, second) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_lpips_is_lpips(pairs, trunk) -> None:
    found = crosscheck.crosscheck_lpips(*pairs, trunk)
    assert found.ours > 0.01 and found.largest_difference < 1e-5


def test_every_convolution_has_its_counterpart() -> None:
    names = crosscheck.inception_names()
    assert len(names) == len(set(names.values())) == 94
