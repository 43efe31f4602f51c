"""Differences from frame to frame, against numbers worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmark.footage import Footage, Store
from benchmark.metrics import MetricConfig, Pair
from benchmark.metrics import known_metrics as known
from benchmark.metrics.flicker import difference_map
from benchmark.metrics.warping import flow_between, shrunk, warped_difference, warping_error
from datapipe.records import Rejected

METRICS = known(MetricConfig())
NAMES = ("flicker", "flicker_ratio", "flicker_map_l1", "warping_error")


def texture(height: int = 96, width: int = 128) -> np.ndarray:
    """A picture with something to hold on to everywhere, within 40 and 215."""
    noise = np.random.default_rng(3).random((height // 4, width // 4, 3))
    smooth = cv2.resize(cv2.GaussianBlur(noise, (0, 0), 1), (width, height), interpolation=cv2.INTER_CUBIC)
    return (40 + 175 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def moved(picture: np.ndarray, x: float, y: float) -> np.ndarray:
    size = picture.shape[1::-1]
    return cv2.warpAffine(picture, np.float32([[1, 0, x], [0, 1, y]]), size, borderMode=cv2.BORDER_REFLECT)


def footage(frames, name: str = "made") -> Footage:
    return Footage(name, np.stack(frames).astype(np.uint8), Store())


def value(name: str, generated: Footage, truth: Footage) -> float:
    measured = METRICS[f"video/{name}"].measure(Pair(key="a", truth=truth, generated=generated))
    return measured.by_case["a"]


def pan(num_frames: int = 6) -> list[np.ndarray]:
    return [moved(texture(), 2.0 * step, -1.0 * step) for step in range(num_frames)]


def flickering(frames: list[np.ndarray], levels: int) -> list[np.ndarray]:
    return [frame + levels * (number % 2) for number, frame in enumerate(frames)]


def test_difference_map_counts_time_and_colour() -> None:
    frames = np.zeros((3, 2, 2, 3), np.uint8)
    frames[1, 0, 0] = (3, 6, 9)
    assert difference_map(frames).tolist() == [[6.0, 0.0], [0.0, 0.0]]
    assert difference_map(frames[:1]).max() == 0


def test_maps_are_compared_pixel_by_pixel() -> None:
    truth, generated = np.zeros((2, 3, 2, 2, 3), np.uint8)
    truth[1, 0, 0] = (3, 6, 9)
    generated[1, 1, 1] = (6, 6, 6)
    pair = footage(generated), footage(truth, "truth")
    assert value("flicker", *pair) == 1.5
    assert value("flicker_ratio", *pair) == 1.0  # as much flicker, in another place
    assert value("flicker_map_l1", *pair) == pytest.approx((6 + 6) / 4)
    assert value("flicker_map_l1", *pair[::-1]) == value("flicker_map_l1", *pair)


def test_the_next_frame_is_brought_back_along_the_flow() -> None:
    before = np.repeat(np.arange(0, 160, 10, dtype=np.uint8)[None, :, None], 12, 0).repeat(3, 2)
    after = before - np.uint8(10) * (before > 0) + np.uint8(7)  # moved by one pixel to the right, 7 brighter
    flow, visible = np.zeros((12, 16, 2), np.float32), np.ones((12, 16), bool)
    flow[..., 0], visible[0] = 1.0, False
    difference, seen = warped_difference(before, after, flow, visible)
    assert seen[1:, :-1].all() and not seen[0].any() and not seen[:, -1].any()
    np.testing.assert_array_equal(difference[seen], 7.0)


def test_motion_is_taken_out_and_flicker_is_left() -> None:
    still = footage([texture()] * 4)
    assert warping_error(still) < 0.01
    assert warping_error(footage(flickering([texture()] * 4, 4), "lit")) == pytest.approx(4.0, abs=0.1)
    moving = footage(pan(), "pan")
    assert warping_error(moving) < 0.2 * difference_map(moving.frames).mean()
    lit = footage(flickering(pan(), 6), "lit pan")
    assert warping_error(lit) == pytest.approx(6.0, abs=1.0)


def covered(left: int) -> np.ndarray:
    """The texture with a square before it."""
    picture = texture()
    picture[30:70, left : left + 40] = 255 - texture()[20:60, 60:100]
    return picture


def test_what_the_next_frame_hides_does_not_count() -> None:
    _, visible = flow_between(shrunk(covered(30)), shrunk(covered(40)))
    assert visible[34:66, 71:80].mean() < 0.2  # the background that the square moves onto
    assert visible[34:66, 34:66].mean() > 0.95 and visible[:22].mean() > 0.95


def test_flow_is_the_same_for_any_number_of_threads() -> None:
    before, after = (shrunk(frame) for frame in pan(2))
    threads = cv2.getNumThreads()
    try:
        flows = []
        for number in (1, 2, 3):
            cv2.setNumThreads(number)
            flows.append(flow_between(before, after)[0])
    finally:
        cv2.setNumThreads(threads)
    assert np.array_equal(flows[0], flows[1]) and np.array_equal(flows[0], flows[2])


@pytest.mark.parametrize("name", ["flicker_ratio", "warping_error"])
def test_a_frozen_picture_does_not_win(name: str) -> None:
    truth, frozen = footage(pan(), "truth"), footage([texture()] * 6, "frozen")
    lit = footage(flickering(pan(), 5), "lit")
    assert value(name, truth, truth) == 1.0
    assert value(name, frozen, truth) < 0.05
    assert value(name, lit, truth) > 1.1
    assert METRICS[f"video/{name}"].direction == "target" and METRICS[f"video/{name}"].target == 1.0


@pytest.mark.parametrize("name", ["flicker_ratio", "warping_error"])
def test_nothing_is_put_in_ratio_to_a_truth_that_stands_still(name: str) -> None:
    flat = footage([np.full((32, 32, 3), 99)] * 3, "flat")
    with pytest.raises(Rejected, match="never changes"):
        value(name, footage(pan(3)), flat)


@pytest.mark.parametrize("name", NAMES)
def test_a_single_frame_is_a_failure(name: str) -> None:
    single = footage([texture()], "one")
    with pytest.raises(Rejected) as caught:
        value(name, single, single)
    assert caught.value.reason == "too_short"
