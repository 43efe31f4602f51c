"""faces, crop, track, upscale on real pictures; the geometry on numbers alone."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe import crop, faces, quality, track, upscale
from datapipe.media import read_audio, read_frames
from datapipe.records import Keyframe, Rejected
from datapipe.weights import resolve

pytestmark = pytest.mark.assets


@cache
def portrait(name: str = "portrait-collins") -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(resolve(name))), cv2.COLOR_BGR2RGB)


@cache
def clip() -> tuple[np.ndarray, np.ndarray, track.Speaker]:
    """Three seconds of the real clip: two people, the right one speaks."""
    path = resolve("clip-obama")
    frames, sound = read_frames(path, 0.5, 3.5), read_audio(path, 0.5, 3.5)
    return frames, sound, track.track_speaker(frames, sound)


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


@given(st.integers(0, 50))
def test_the_inverse_map_is_the_inverse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = crop.TEMPLATE_K2 * rng.uniform(10, 90) + rng.uniform(50, 300, 2)
    points = np.zeros((4, 106, 2), np.float32)
    points[:, list(crop.STABLE_POINTS)] = base + rng.normal(0, 0.5, (4, 1, 2))
    matrices = crop.fit_matrices(points)
    assert np.allclose(crop.to_source(crop.to_crop(points, matrices), matrices), points, atol=1e-2)


def test_beyond_the_border_the_picture_is_mirrored_not_black() -> None:
    image = np.full((60, 60, 3), 200, np.uint8)
    matrix = np.array([[1.0, 0, 40], [0, 1.0, 40]])
    assert crop.warp(image, matrix, 128).min() > 190
    assert quality.outside(matrix, 128, (60, 60)) == pytest.approx(1 - 60 * 60 / 128**2, abs=0.08)


def test_the_speaking_person_is_followed_in_every_frame() -> None:
    """The real clip: Obama (right, x > 150) speaks, Biden (left, x < 120) stands by."""
    frames, _, speaker = clip()
    assert speaker.candidates == 2 and speaker.face.presence == 1.0
    middle = (speaker.face.boxes_T4[:, 0] + speaker.face.boxes_T4[:, 2]) / 2
    assert middle.min() > 150 and len(middle) == len(frames) == 75
    assert "r=" in speaker.chosen_by and "px" in speaker.chosen_by


def test_lips_decide_against_size() -> None:
    """The smaller face speaks: mirrored roles through the sound's weight alone."""
    _, sound, speaker = clip()
    still = speaker.face.landmarks_TK2.mean(0, keepdims=True).repeat(len(speaker.face.landmarks_TK2), 0)
    silent = track.FollowedFace(
        boxes_T4=speaker.face.boxes_T4,
        scores_T=speaker.face.scores_T,
        landmarks_TK2=1.3 * still,
        identity=speaker.face.identity,
    )
    chosen = track.choose_speaker([silent, speaker.face], sound)
    assert chosen.face.landmarks_TK2 is speaker.face.landmarks_TK2


def test_the_annotated_window_wins() -> None:
    frames, sound, _ = clip()
    speaker = track.track_speaker(frames, sound, (50.0, 30.0, 120.0, 120.0))
    assert speaker.face.boxes_T4[:, 2].max() < 130 and speaker.chosen_by.startswith(
        "inside the annotated window"
    )


def test_missed_frames_are_filled_and_lost_faces_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, sound, _ = clip()
    real, calls = faces.detect, iter(range(10_000))
    frames = frames + (np.arange(len(frames)) % 2)[:, None, None, None].astype(
        np.uint8
    )  # no two frames equal

    def blinking(image: np.ndarray, config: faces.FaceConfig) -> tuple[faces.Face, ...]:
        return () if 20 <= next(calls) < 32 else real(image, config)

    monkeypatch.setattr(track, "detect", blinking)
    speaker = track.track_speaker(frames, sound)
    assert speaker.face.presence == pytest.approx(63 / 75) and np.all(speaker.face.scores_T[20:32] == 0)
    assert np.abs(np.diff(speaker.face.boxes_T4, axis=0)).max() < 6
    monkeypatch.setattr(
        track, "detect", lambda image, config: real(image, config) if next(calls) % 9 == 0 else ()
    )
    with pytest.raises(Rejected) as caught:
        track.track_speaker(frames, sound)
    assert caught.value.reason == "no_speaker"
    monkeypatch.setattr(track, "detect", lambda image, config: ())
    with pytest.raises(Rejected) as caught:
        track.track_speaker(frames, sound)
    assert caught.value.reason == "no_face"


def cropped_clip(size: int = 64) -> tuple[np.ndarray, crop.Cropped]:
    frames, _, speaker = clip()
    return frames, crop.crop_face(frames, speaker.face.landmarks_TK2, crop.CropConfig(size=size))


KEYFRAMES = tuple(Keyframe(frame=frame, time=frame / 25, phoneme="AH") for frame in (3, 3, 40))


def test_upscaling_keyframes_keeps_video_and_person() -> None:
    frames, cropped = cropped_clip()
    enhanced = upscale.enhance(frames, cropped, KEYFRAMES, upscale.UpscaleConfig(backend="realesrgan"))
    assert np.array_equal(enhanced.video_THW3, cropped.frames_THW3) and not enhanced.replaces_video
    assert len(enhanced.cosines_N) == 2 and enhanced.cosines_N.min() > 0.4
    assert np.array_equal(enhanced.stills_KHW3[0], enhanced.stills_KHW3[1])
    shift = [
        np.abs(np.roll(enhanced.stills_KHW3[2], dx, 1).astype(int) - cropped.frames_THW3[40]).mean()
        for dx in (-1, 0, 1)
    ]
    assert int(np.argmin(shift)) == 1  # no half-pixel walk


def test_an_upscaler_that_changes_the_face_is_refused_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, cropped = cropped_clip()
    stranger = crop.crop_image(portrait(), 128)
    monkeypatch.setattr(upscale, "_real_esrgan", lambda image, threads: stranger)
    enhanced = upscale.enhance(frames, cropped, KEYFRAMES, upscale.UpscaleConfig(backend="realesrgan"))
    assert np.array_equal(enhanced.stills_KHW3, cropped.frames_THW3[[3, 3, 40]])
    assert "2 kept as they were" in enhanced.note


def test_no_silent_fall_back_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, cropped = cropped_clip()

    def absent(name: str, threads: int = 1) -> object:
        raise Rejected("missing_weight", f"`{name}` is not here")

    monkeypatch.setattr(upscale, "session", absent)
    with pytest.raises(Rejected) as caught:
        upscale.enhance(frames, cropped, KEYFRAMES, upscale.UpscaleConfig(backend="realesrgan"))
    assert caught.value.reason == "missing_weight"


def test_all_frames_keeps_the_original_beside() -> None:
    frames, cropped = cropped_clip()
    enhanced = upscale.enhance(
        frames, cropped, KEYFRAMES, upscale.UpscaleConfig(backend="lanczos", scope="all")
    )
    assert enhanced.replaces_video and len(enhanced.cosines_N) == len(frames)


def test_snr_and_levels_are_in_decibels() -> None:
    loud = np.tile(np.concatenate([np.full(6400, 0.5), np.full(6400, 0.005)]), 5).astype(np.float32)
    assert quality.snr_db(loud) == pytest.approx(40.0, abs=0.5)
    assert track.loudness(loud, 10)[0] == pytest.approx(54.0, abs=0.1)  # 60 + 20 log10 0.5
