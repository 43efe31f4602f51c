"""crop: every way of framing, on real pictures and on numbers alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import clip, portrait

from datapipe import crop, faces, quality
from datapipe.crop import CropConfig

pytestmark = pytest.mark.assets
VARIANTS = {
    "pose": CropConfig(),
    "raw": CropConfig(smooth_shift=0, smooth_shape=0),
    "face": CropConfig(mode="face"),
    "union": CropConfig(mode="union"),
}


def walking_head(num_frames: int = 75, noise: float = 0.6, at: float = 0.0) -> np.ndarray:
    """Landmarks of a portrait that glides by 40 px, in a speaking rhythm, with the noise of a detector."""
    rng = np.random.default_rng(0)
    points = faces.landmarks(portrait(), faces.detect(portrait())[0])
    shift = np.stack([at + np.linspace(0, 40, num_frames), np.zeros(num_frames)], 1)[:, None]
    moving = points[None] + shift + rng.normal(0, noise, (num_frames, 106, 2))
    moving[:, [faces.CHIN, *range(1, 9)], 1] += 10 * (1 - np.cos(np.arange(num_frames) * 1.3))[:, None]
    return moving.astype(np.float32)


def test_opening_the_mouth_changes_the_measure_not_the_crop() -> None:
    points = faces.landmarks(portrait(), faces.detect(portrait())[0])
    opened = points.copy()
    opened[faces.MOUTH.start : faces.MOUTH.stop, 1] += np.linspace(0, 6, 20)
    opened[[54, 60, 57, 53, 56, 59, 0], 1] += 15
    assert faces.mouth_opening(opened) > faces.mouth_opening(points) + 0.2
    config = crop.CropConfig()
    assert np.allclose(crop.fit_matrices(opened[None], config), crop.fit_matrices(points[None], config))


@pytest.mark.parametrize("name", ["portrait-collins", "portrait-hopper", "portrait-team5"])
@pytest.mark.parametrize("size", [128, 256])
def test_canonical_framing(name: str, size: int) -> None:
    cropped = crop.crop_image(portrait(name), size)
    points = faces.landmarks(cropped, faces.detect(cropped)[0]) / size
    eyes = (points[faces.LEFT_EYE].mean(0) + points[faces.RIGHT_EYE].mean(0)) / 2
    assert cropped.shape == (size, size, 3)
    assert eyes[1] == pytest.approx(0.38, abs=0.025) and eyes[0] == pytest.approx(0.5, abs=0.05)
    assert 0.82 < points[faces.CHIN, 1] < 0.97


def test_cropping_a_crop_changes_little() -> None:
    once = crop.crop_image(portrait(), 128)
    assert np.abs(crop.crop_image(once, 128).astype(int) - once)[16:-16, 16:-16].mean() < 12


def test_steady_under_landmark_noise_and_following_motion() -> None:
    points = faces.landmarks(portrait(), faces.detect(portrait())[0])
    rng = np.random.default_rng(0)
    glide = np.stack([np.linspace(0, 40, 75), np.zeros(75)], 1)[:, None]
    noisy = points[None] + glide + rng.normal(0, 0.6, (75, 106, 2))
    matrices = crop.fit_matrices(noisy.astype(np.float32))
    assert quality.jitter_px(matrices, 128) < 0.1
    inside = crop.to_crop((points[None] + glide).astype(np.float32), matrices)
    steps = np.diff(inside[5:-5, list(crop.STABLE_POINTS)].mean(1), axis=0)
    assert np.abs(steps).max() < 0.5


def test_beyond_the_border_the_picture_is_mirrored_not_black() -> None:
    image = np.full((60, 60, 3), 200, np.uint8)
    matrix = np.array([[1.0, 0, 40], [0, 1.0, 40]])
    assert crop.warp(image, matrix, 128).min() > 190
    assert quality.outside(matrix, 128, (60, 60)) == pytest.approx(1 - 60 * 60 / 128**2, abs=0.08)


@settings(max_examples=60)
@given(
    mode=st.sampled_from(["pose", "face", "union"]),
    smooth=st.booleans(),
    size=st.sampled_from([64, 128, 256, 512]),
    seed=st.integers(0, 2**31),
)
def test_the_inverse_map_is_the_inverse_to_a_thousandth_of_a_pixel(
    mode: Any, smooth: bool, size: int, seed: int
) -> None:
    """Faces of 20 to 300 px between the eyes, anywhere in 4000 px, leaning up to 60 degrees."""
    rng = np.random.default_rng(seed)
    angle, scale = rng.uniform(-1, 1), rng.uniform(20, 300)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = rng.uniform(-1.2, 1.8, (4, 106, 2))
    points[:, list(crop.STABLE_POINTS)] = crop.TEMPLATE_K2 + rng.normal(0, 0.02, (4, 1, 2))
    points = (points @ turn.T + rng.uniform(0, 4000, 2) + rng.normal(0, 5, (4, 1, 2))).astype(np.float32)
    config = CropConfig(mode=mode, size=size, **({} if smooth else {"smooth_shift": 0, "smooth_shape": 0}))
    matrices = crop.fit_matrices(points, config)
    assert matrices.shape == (4, 2, 3) and matrices.dtype == np.float64
    back = crop.to_source(crop.to_crop(points, matrices), matrices)
    assert np.abs(back - points).max() < 1e-3


def test_the_variants_rank_as_theory_says() -> None:
    """A fixed window is still and lets the head move; pose holds the head; raw landmarks tremble."""
    points = walking_head()
    matrices = {name: crop.fit_matrices(points, config) for name, config in VARIANTS.items()}
    jitter = {name: quality.jitter_px(each, 128) for name, each in matrices.items()}
    assert jitter["union"] == pytest.approx(0.0, abs=1e-9)
    assert jitter["union"] < jitter["pose"] < jitter["raw"] / 5 and jitter["pose"] < jitter["face"] / 5
    held = {
        name: quality._mean_step(crop.to_crop(points, each)[:, list(crop.STABLE_POINTS)].mean(1))
        for name, each in matrices.items()
    }
    assert held["raw"] < held["pose"] < held["face"] and held["pose"] < held["union"]


def test_speech_moves_the_face_window_but_not_the_pose_window() -> None:
    points = walking_head(noise=0.0)
    zoom = {name: crop.fit_matrices(points, config)[:, 0, 0].std() for name, config in VARIANTS.items()}
    assert zoom["face"] > 0.02 and zoom["pose"] < 1e-4 and zoom["union"] < 1e-12


def test_the_union_holds_every_face_and_its_square_is_the_margin_times_the_union() -> None:
    points = walking_head()
    config = VARIANTS["union"]
    inside = crop.to_crop(points, crop.fit_matrices(points, config))
    edge = 128 * (1 - 1 / config.margin) / 2
    assert inside.min() > edge - 1 and inside.max() < 128 - edge
    wide = crop.fit_matrices(points, replace(config, margin=2.4))
    assert wide[0, 0, 0] == pytest.approx(crop.fit_matrices(points, config)[0, 0, 0] / 2)


@pytest.mark.parametrize("name", VARIANTS)
def test_what_lies_outside_grows_towards_the_border(name: str) -> None:
    def outside(at: float) -> float:
        matrices = crop.fit_matrices(walking_head(at=at), VARIANTS[name])
        return float(np.mean([quality.outside(each, 128, (1000, 600)) for each in matrices]))

    middle, near, beyond = outside(300.0), outside(-190.0), outside(-240.0)
    assert middle == 0.0 < near < beyond < 1.0


@pytest.mark.parametrize("mode", ["pose", "face", "union"])
@pytest.mark.parametrize("size", [256, 512])
def test_pictures_and_videos_are_framed_alike(mode: Any, size: int) -> None:
    config = CropConfig(mode=mode, size=size)
    still = crop.crop_image(portrait(), size, config)
    face = max(faces.detect(portrait()), key=lambda each: each.size * each.score)
    points = faces.landmarks(portrait(), face)[None]
    cropped = crop.crop_face(portrait()[None], points, config)
    assert still.shape == (size, size, 3) and np.array_equal(cropped.frames_THW3[0], still)
    again = faces.landmarks(still, faces.detect(still)[0])
    assert np.abs(again - cropped.landmarks_TK2[0]).mean() < 0.02 * size


def test_face_and_union_hold_forehead_and_chin() -> None:
    inside = crop.to_crop(walking_head()[:1], crop.fit_matrices(walking_head()[:1], VARIANTS["face"]))[0]
    eyes, chin = inside[faces.LEFT_EYE].mean(0)[1] / 128, inside[faces.CHIN, 1] / 128
    assert 0.35 < eyes < 0.48 and 0.85 < chin < 0.95


def test_blurring_where_the_crop_looks_changes_no_bit() -> None:
    import cv2

    rng = np.random.default_rng(0)
    for _ in range(40):
        image = rng.integers(0, 256, (180, 320, 3), np.uint8)
        scale, angle = rng.uniform(0.15, 0.74), rng.uniform(-1, 1)
        look = np.array([rng.uniform(-20, 340), rng.uniform(-20, 200)])
        matrix = crop._around(scale, angle, look, np.full(2, 15.5))
        spread = 0.5 * float(np.sqrt(1.0 / np.hypot(matrix[0, 0], matrix[1, 0]) ** 2 - 1.0))
        expected = cv2.warpAffine(
            cv2.GaussianBlur(image, (0, 0), spread), matrix, (32, 32), borderMode=cv2.BORDER_REFLECT_101
        )
        assert np.array_equal(crop.warp(image, matrix, 32), expected)


def test_the_note_says_how_it_was_framed() -> None:
    notes = {crop.describe(config) for config in VARIANTS.values()}
    assert {note.split(":")[0] for note in notes} == {"pose", "face", "union"}


def test_the_real_clip_in_every_variant() -> None:
    frames, _, speaker = clip()
    for name, config in VARIANTS.items():
        cropped = crop.crop_face(frames[:10], speaker.face.landmarks_TK2[:10], config)
        assert cropped.frames_THW3.shape == (10, 128, 128, 3), name
        reach = 6 if config.mode == "pose" else 0  # a long chin may pass the edge that a resting one keeps
        assert cropped.landmarks_TK2.min() > 0 and cropped.landmarks_TK2.max() < 128 + reach, name
