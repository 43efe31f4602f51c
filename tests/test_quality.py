"""quality and cuts: every column on input whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from people import clip, scene

from datapipe import crop, quality, track
from datapipe.cuts import scene_cuts


def shot(seed: int, num_frames: int, move: float = 1.0) -> np.ndarray:
    """A soft pattern that drifts and trembles, with noise."""
    rng = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(rng.integers(0, 256, (90, 400, 3), np.uint8), (0, 0), 6).astype(float)
    wide = np.clip((wide - 128) * 6 + rng.integers(70, 180, 3), 0, 255)
    at = (np.arange(num_frames) * move).astype(int)
    frames = np.stack([wide[:, x : x + 160] for x in at])
    return np.clip(frames + rng.normal(0, 3, frames.shape), 0, 255).astype(np.uint8)


def test_cuts_are_found_where_they_are() -> None:
    frames = np.concatenate([shot(1, 30), shot(2, 25), shot(3, 20)])
    assert scene_cuts(frames) == (30, 55)


@pytest.mark.parametrize("at", [1, 2, 38, 39])
def test_cuts_at_the_ends_count(at: int) -> None:
    assert scene_cuts(np.concatenate([shot(1, at), shot(2, 40 - at)])) == (at,)


def test_motion_flashes_fades_and_held_frames_are_no_cuts() -> None:
    pan = shot(1, 40, move=6.0)
    flash = shot(2, 40)
    flash[20:22] = np.clip(flash[20:22].astype(int) + 90, 0, 255)
    fade = (shot(3, 40) * np.linspace(0, 1, 40)[:, None, None, None]).astype(np.uint8)
    held = np.repeat(shot(1, 20, move=8.0), 2, axis=0)
    assert [scene_cuts(each) for each in (pan, flash, fade, held)] == [(), (), (), ()]
    assert scene_cuts(shot(1, 1)) == () and scene_cuts(np.repeat(shot(1, 1), 9, 0)) == ()


@pytest.mark.assets
def test_a_talking_person_is_one_shot_and_two_are_two() -> None:
    frames, _, _ = clip()
    assert scene_cuts(frames) == ()
    assert scene_cuts(np.concatenate([frames[:40], frames[40:, :, ::-1]])) == (40,)
    place = (240.0, 135.0, 220.0, 0.0)
    people = scene(
        30,
        [
            ("portrait-collins", lambda i: place if i < 12 else None),
            ("portrait-hopper", lambda i: place if i >= 12 else None),
        ],
    )
    assert scene_cuts(people) == (12,)


def test_held_frames_are_counted() -> None:
    frames = shot(1, 10)
    assert quality.held_ratio(frames) == 0.0
    assert quality.held_ratio(np.repeat(frames, 2, axis=0)) == pytest.approx(10 / 19)
    assert quality.held_ratio(frames[:1]) == 0.0


@pytest.mark.assets
def test_columns_of_the_real_clip() -> None:
    """Two people stand upright, the speaker of 23 px between the eyes looks to his right."""
    frames, _, speaker = clip()
    columns = quality.picture_columns(
        frames, speaker.face, crop.crop_face(frames, speaker.face.landmarks_TK2)
    )
    assert columns["scene_cuts"] == 0 and columns["eye_distance_px"] == pytest.approx(speaker.face.size)
    assert columns["roll_deg"] < 10 and columns["pitch_deg"] < 25 and columns["yaw_deg"] < 35
    assert set(columns) <= set(quality.COLUMNS) and all(np.isfinite(list(columns.values())))


def test_jitter_sees_shift_zoom_and_turn() -> None:
    time = np.arange(50)
    tremble = (-1.0) ** time

    def window(scale: np.ndarray, angle: np.ndarray, x: np.ndarray) -> np.ndarray:
        look = np.stack([200 + x, np.full(50, 150.0)], 1)
        return np.stack(
            [crop._around(*each, np.full(2, 63.5)) for each in zip(scale, angle, look, strict=True)]
        )

    one, none = np.ones(50), np.zeros(50)
    assert quality.jitter_px(window(one, none, 3.0 * time), 128) == pytest.approx(0.0, abs=1e-9)
    assert quality.jitter_px(window(one, none, 0.5 * tremble), 128) == pytest.approx(2.0)
    assert quality.jitter_px(window(one * (1 + 0.01 * tremble), none, none), 128) > 2.0
    assert quality.jitter_px(window(one, 0.01 * tremble, none), 128) > 2.0


def test_snr_and_levels_are_in_decibels() -> None:
    loud = np.tile(np.concatenate([np.full(6400, 0.5), np.full(6400, 0.005)]), 5).astype(np.float32)
    assert quality.snr_db(loud) == pytest.approx(40.0, abs=0.5)
    assert track.loudness(loud, 10)[0] == pytest.approx(54.0, abs=0.1)  # 60 + 20 log10 0.5
