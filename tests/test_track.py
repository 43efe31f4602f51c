"""track: one identity through a clip, whoever else comes by."""

from __future__ import annotations

import numpy as np
import pytest
from people import Place, clip, noise, portrait, scene

from datapipe import faces, track
from datapipe.records import Rejected

pytestmark = pytest.mark.assets
ANN, BOB = "portrait-collins", "portrait-hopper"
FRAMES = 32


def people_seen(frames: np.ndarray, speaker: track.Speaker) -> set[str]:
    """Tell by identity whom the followed landmarks outline, over the whole clip."""
    known = {name: faces.embed(portrait(name), faces.detect(portrait(name))[0]) for name in (ANN, BOB)}
    seen = set()
    for index in range(0, len(frames), 4):
        vector = track.identity_of(frames[index], speaker.face.landmarks_TK2[index])
        near = {name: float(vector @ each) for name, each in known.items()}
        best = max(near, key=lambda name: near[name])
        seen.add(best if near[best] > 0.25 else "nobody")
    return seen


def standing(first: int, end: int, x: float = 240.0) -> object:
    return lambda index: (x, 135.0, 220.0, 0.0) if first <= index < end else None


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


def test_two_faces_that_cross_stay_two_people() -> None:
    """They pass each other at different heights; neither hides the other."""

    def left(index: int) -> Place:
        return (90 + 300 * index / FRAMES, 100, 150, 0)

    def right(index: int) -> Place:
        return (390 - 300 * index / FRAMES, 190, 150, 0)

    frames = scene(FRAMES, [(ANN, left), (BOB, right)])
    threads = track._follow(frames, track.TrackConfig())
    longest = sorted(threads, key=lambda thread: -len(thread.faces))[:2]
    assert all(len(thread.faces) > 0.9 * FRAMES for thread in longest)
    for thread, way in zip(longest, (1, -1) if longest[0].faces[0].box[0] < 200 else (-1, 1), strict=True):
        middle = [thread.faces[index].box[0] for index in sorted(thread.faces)]
        assert np.all(np.sign(np.diff(middle)) == way)


def test_a_face_that_another_walks_in_front_of_is_not_followed() -> None:
    def passing(index: int) -> Place:
        return (40 + 400 * index / FRAMES, 150, 260, 0)

    frames = scene(FRAMES, [(ANN, lambda index: (240, 135, 170, 0)), (BOB, passing)])
    assert people_seen(frames, track.track_speaker(frames, noise(FRAMES))) == {BOB}


def test_a_second_person_who_enters_changes_nothing_for_the_first() -> None:
    frames = scene(FRAMES, [(ANN, standing(0, FRAMES, 140.0)), (BOB, standing(22, FRAMES, 370.0))])
    speaker = track.track_speaker(frames, noise(FRAMES))
    assert people_seen(frames, speaker) == {ANN} and speaker.face.presence == 1.0 and speaker.candidates == 1


@pytest.mark.parametrize("at", [16, 28])
@pytest.mark.parametrize("x", [240.0, 360.0], ids=["same place", "elsewhere"])
def test_a_cut_to_another_person_never_blends_two(at: int, x: float) -> None:
    frames = scene(FRAMES, [(ANN, standing(0, at)), (BOB, standing(at, FRAMES, x))])
    with pytest.raises(Rejected) as caught:
        track.track_speaker(frames, noise(FRAMES))
    assert caught.value.reason == "no_speaker"


def test_a_short_look_at_another_person_is_not_bridged() -> None:
    away = range(14, 20)
    frames = scene(
        FRAMES,
        [
            (ANN, lambda index: None if index in away else (240, 135, 220, 0)),
            (BOB, lambda index: (240, 135, 220, 0) if index in away else None),
        ],
    )
    with pytest.raises(Rejected, match="no face stays"):
        track.track_speaker(frames, noise(FRAMES))


def test_a_leaning_head_and_a_head_that_comes_near_are_followed() -> None:
    leaning = scene(FRAMES, [(ANN, lambda index: (240, 135, 240, 30 * np.sin(index / 6)))])
    coming = scene(FRAMES, [(ANN, lambda index: (240, 135, 110 + 5 * index, 0))])
    for frames in (leaning, coming):
        speaker = track.track_speaker(frames, noise(FRAMES))
        assert speaker.face.presence == 1.0 and people_seen(frames, speaker) == {ANN}
    wide = speaker.face.boxes_T4[:, 2] - speaker.face.boxes_T4[:, 0]
    assert wide[-1] > 1.8 * wide[0]
