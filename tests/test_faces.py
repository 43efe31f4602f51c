"""faces on real pictures; the geometry on numbers alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from people import portrait

from datapipe import crop, faces
from datapipe.records import Rejected

pytestmark = pytest.mark.assets


@given(
    scale=st.floats(0.2, 5),
    angle=st.floats(-3, 3),
    x=st.floats(-90, 90),
    y=st.floats(-90, 90),
    seed=st.integers(0, 99),
)
def test_similarity_recovers_what_was_applied(
    scale: float, angle: float, x: float, y: float, seed: int
) -> None:
    points = np.random.default_rng(seed).normal(0, 20, (7, 2))
    matrix = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]]) * scale
    matrix[:, 2] = x, y
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    assert np.allclose(faces.similarity(points, moved), matrix, atol=1e-6)


def test_detector_landmarks_and_framing_agree() -> None:
    image = portrait()
    (face, *_) = faces.detect(image)
    points = faces.landmarks(image, face)
    assert abs(points[faces.LEFT_EYE].mean(0) - face.points_52[0]).max() < 0.1 * face.size
    assert points[faces.CHIN, 1] > points[faces.NOSE_TIP, 1] > points[faces.LEFT_EYE].mean(0)[1]
    assert faces.eye_distance(points) == pytest.approx(38, abs=6)
    x0, y0, x1, y1 = faces.mouth_box(points, 512)
    assert x0 < points[faces.MOUTH][:, 0].min() and y1 > points[faces.MOUTH][:, 1].max() and y0 > 0 < x1


def test_identity_tells_people_apart() -> None:
    names = ("portrait-collins", "portrait-hopper", "portrait-ivana")
    vectors = [faces.embed(portrait(name), faces.detect(portrait(name))[0]) for name in names]
    flipped = portrait()[:, ::-1].copy()
    again = faces.embed(flipped, faces.detect(flipped)[0])
    assert float(vectors[0] @ again) > 0.6
    assert max(float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])) < 0.3


@pytest.mark.parametrize("change", ["tiny", "filling"])
def test_faces_at_the_ends_of_the_scale_are_found(change: str) -> None:
    image = portrait()
    if change == "tiny":
        canvas = np.full((1080, 1920, 3), 90, np.uint8)
        canvas[400:600, 900:1100] = cv2.resize(image, (200, 200), interpolation=cv2.INTER_AREA)
        assert faces.detect(canvas)
    else:
        assert faces.detect(crop.crop_image(image, 128)[16:118, 14:114].copy())


def test_nothing_is_found_where_there_is_no_face() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    assert faces.detect(noise) == ()
    with pytest.raises(Rejected) as caught:
        crop.crop_image(noise, 128)
    assert caught.value.reason == "no_face"


def test_a_device_that_is_not_there_is_said_and_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(Rejected, match="choose the device cpu") as caught:
        faces.session("2d106det", 1, "cuda")
    assert caught.value.reason == "missing_device"


def test_a_provider_that_fails_to_start_is_not_replaced_by_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime falls back to the CPU when the libraries of CUDA cannot be loaded, and only logs it."""
    import onnxruntime

    class Fallen:
        def __init__(self, path: str, options: object, providers: list[str]) -> None:
            assert providers == ["CUDAExecutionProvider"]

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Fallen)
    with pytest.raises(Rejected) as caught:
        faces.session("scrfd-500m", 1, "cuda")
    assert caught.value.reason == "missing_device"
