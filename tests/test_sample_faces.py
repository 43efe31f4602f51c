"""Rendered faces as independent detectors see them; the landmarker here did not build them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from datapipe.faces import detect, embed, landmarks, mouth_opening
from datapipe.records import Rejected
from datapipe.sample import SampleConfig, make
from datapipe.sample.clip import Clip, make_clip, puppet_of
from datapipe.sample.fit import bend_mean_mesh, fit_mesh, mean_face, own_portraits, read_photo
from datapipe.sample.mesh import LOWER_EDGE, UPPER_EDGE, face_unit, known_portraits
from datapipe.sample.plan import plan_cmlr
from datapipe.sample.render import Poses, render, render_square
from datapipe.weights import resolve

pytestmark = pytest.mark.assets
CONFIG = SampleConfig()
SQUARE = ((256, 256), (0, 0))
STILL = np.zeros(6, np.float32)


def clip_of(portrait: str) -> Clip:
    plans = plan_cmlr(SampleConfig(num_cmlr_speakers=1, clips_per_speaker=4), [(portrait, "f")])
    return make_clip(sorted(plans, key=lambda plan: plan.utterance.duration)[1], CONFIG)


def pose(**values: float) -> np.ndarray:
    return np.array(
        [values.get(name, 0.0) for name in ("jaw", "wide", "round", "raise_", "tuck", "press")], np.float32
    )


@pytest.mark.parametrize("portrait", ["hopper", "team4", "brooke"])
def test_an_independent_landmarker_sees_the_commanded_mouth(portrait: str):
    clip = clip_of(portrait)
    found = [detect(frame) for frame in clip.rendered.frames_THW3]
    assert all(len(faces) == 1 for faces in found), "one face in every frame"
    pairs = zip(clip.rendered.frames_THW3, found, strict=True)
    seen = np.array([mouth_opening(landmarks(frame, faces[0])) for frame, faces in pairs])
    told = clip.rendered.opening_T
    assert np.corrcoef(seen, told)[0, 1] > 0.85
    assert np.corrcoef(seen[1:], told[:-1])[0, 1] < 0.95, "a shift of one frame must be visible"
    closed = [
        round((p.start + p.end) / 2 * 25) for p in clip.timeline.phonemes if p.symbol in ("m", "b", "p")
    ]
    opened = [
        round((p.start + p.end) / 2 * 25) for p in clip.timeline.phonemes if p.symbol in ("a", "ang", "an")
    ]
    assert all(told[frame] < 0.02 for frame in closed)
    if closed and opened:
        assert np.median(seen[closed]) < 0.5 * np.median(seen[opened])


def test_every_portrait_keeps_its_identity_and_differs_from_the_others():
    vectors = {}
    for name in known_portraits():
        puppet = puppet_of(name, *SQUARE, None)
        frames = [render_square(puppet, each, STILL, 0.0)[0] for each in (pose(), pose(jaw=0.9, raise_=0.3))]
        first, second = (embed(frame, detect(frame)[0]) for frame in frames)
        assert first @ second > 0.75, name
        vectors[name] = first
    stacked = np.stack(list(vectors.values()))
    between = stacked @ stacked.T - np.eye(len(stacked))
    assert between.max() < 0.4


def test_rest_pose_without_motion_is_the_portrait():
    puppet = puppet_of("hopper", *SQUARE, None)
    image, _ = render_square(puppet, pose(), STILL, 0.0)
    assert np.abs(image.astype(int) - puppet.portrait.image_HW3).mean() < 1.5


def test_the_background_stands_still():
    puppet = puppet_of("collins", (480, 360), (36, 72), None)
    head = np.array([[3, 2, 0.02, 0.01, 0.07, 0.05], [-3, -2, -0.02, -0.01, -0.07, -0.05]], np.float32)
    poses = Poses(mouth_T6=np.stack([pose(jaw=0.9)] * 2), head_T6=head, blink_T=np.zeros(2, np.float32))
    frames = render(puppet, poses).frames_THW3.astype(int)
    assert frames.shape == (2, 360, 480, 3)
    assert np.array_equal(frames[0, :70], frames[1, :70]) and np.array_equal(
        frames[:, :, 300:][0], frames[1][:, 300:]
    )
    assert np.abs(frames[0] - frames[1])[120:260, 110:220].mean() > 3


@pytest.mark.parametrize("name", ["hopper", "team5", "marie"])
def test_mean_mesh_meets_the_measured_one(name: str):
    entry = known_portraits()[name]
    fitted = fit_mesh(read_photo(resolve(entry.weight)), name)
    off = np.linalg.norm(fitted[:, :2] - entry.mesh_478_3[:, :2], axis=1) / face_unit(entry.mesh_478_3)
    assert off[[*UPPER_EDGE, *LOWER_EDGE]].mean() < 0.04 and off.mean() < 0.05


def test_bending_follows_a_similarity_exactly():
    mesh, marks = mean_face()
    turn = 1.7 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    bent = bend_mean_mesh(marks @ turn.T + (40, -7))
    assert np.allclose(bent[:, :2], mesh[:, :2] @ turn.T + (40, -7), atol=1e-3)
    assert np.allclose(bent[:, 2], 1.7 * mesh[:, 2], atol=1e-3)


def test_own_portraits_come_first_and_talk(tmp_path: Path):
    photo = read_photo(resolve("portrait-collins"))[..., ::-1]
    cv2.imwrite(str(tmp_path / "my aunt.png"), photo)
    assert list(own_portraits(tmp_path)) == ["own-my-aunt"]
    config = SampleConfig(num_cmlr_speakers=1, clips_per_speaker=1, num_hdtf_videos=0, portraits=tmp_path)
    report = make.make_sample(tmp_path / "out" / "corpus", config, lambda items, *_: iter(items))
    assert report.identities == ("own-my-aunt",)
    assert "your own portrait" in (report.path / "README.md").read_text()


def test_bad_portraits_are_named(tmp_path: Path):
    with pytest.raises(Rejected, match="holds no picture"):
        own_portraits(tmp_path)
    with pytest.raises(Rejected, match="is no folder"):
        own_portraits(tmp_path / "nowhere")
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(Rejected, match=r"a\.png cannot be read"):
        read_photo(tmp_path / "a.png")
    with pytest.raises(Rejected, match="no face was found in wall"):
        fit_mesh(np.full((200, 200, 3), 128, np.uint8), "wall")
