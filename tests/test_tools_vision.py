"""The vision stack in its own environment: real packages, RetinaFace with its published weights, the other
networks planted in their published layouts so that what comes out can be told beforehand.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from people import clip, portrait
from tools_vision import mean_shape, needs_vision, planted  # noqa: F401

from datapipe import crop, faces, upscale, vision
from datapipe.checkpoints import plain_checkpoint
from datapipe.layouts import to_insightface
from datapipe.records import Keyframe, Rejected
from datapipe.tools.worker import worker_of

pytestmark = [pytest.mark.tools, pytest.mark.assets]
RETINA = faces.FaceConfig(finder="retinaface-mobilenet")
CONTRAST = 1.15


@pytest.fixture(autouse=True)
def environment() -> None:
    needs_vision()


def test_the_environment_has_the_versions_that_a_manifest_names() -> None:
    told = worker_of("vision").ask("versions").values
    named = vision.versions_of(list(vision.BACKENDS))
    assert {name.removeprefix("vision/"): version for name, version in named.items()}.items() <= told.items()


def test_retinaface_with_its_published_weights_finds_the_same_faces() -> None:
    frames, _, _ = clip()
    for picture in (portrait(), frames[0], frames[60]):
        (ours, *_), found = faces.detect(picture), faces.detect(picture, RETINA)
        theirs = max(found, key=lambda face: faces.overlap(ours.box, face.box))
        assert faces.overlap(ours.box, theirs.box) > 0.6 and theirs.score > 0.95
        apart = np.linalg.norm(ours.points_52 - theirs.points_52, axis=1)
        assert apart.max() < 0.15 * np.linalg.norm(ours.points_52[1] - ours.points_52[0])


def test_a_picture_without_a_face_and_a_huge_one() -> None:
    assert faces.detect(np.full((90, 120, 3), 127, np.uint8), RETINA) == ()
    huge = cv2.resize(portrait(), None, fx=4, fy=4)
    (small,), (large,) = faces.detect(portrait(), RETINA), faces.detect(huge, RETINA)
    assert faces.overlap(tuple(4 * side for side in small.box), large.box) > 0.8


@pytest.mark.usefixtures("planted")
def test_rtmpose_places_the_planted_face_in_every_box() -> None:
    face = faces.detect(portrait())[0]
    moved = tuple(side + shift for side, shift in zip(face.box, (40, 25, 40, 25), strict=True))
    config = faces.FaceConfig(landmarks="mmpose-face6")
    boxes = np.array([face.box, moved])
    found = faces.landmarks_in_boxes(np.stack([portrait()] * 2), boxes, config)
    side = max(face.box[2] - face.box[0], face.box[3] - face.box[1])
    middle = (np.array(face.box[:2]) + face.box[2:]) / 2
    expected = middle + side * to_insightface(mean_shape()["lapa106"][None], "lapa106")[0]
    assert np.abs(found[0] - expected).max() < 0.02 * side
    known = faces.landmarks(portrait(), face)  # of the face that the shape was taken from: the order is right
    assert np.abs(found[0] - known).mean() < 0.05 * side
    assert np.abs(found[1] - found[0] - (40, 25)).max() < 0.01 * side


@pytest.mark.usefixtures("planted")
def test_rtmpose_wholebody_gets_the_person_and_gives_the_face() -> None:
    canvas = np.zeros((900, 900, 3), np.uint8)
    box = np.array([400.0, 100.0, 480.0, 200.0])
    config = faces.FaceConfig(landmarks="mmpose-wholebody")
    (found,) = faces.landmarks_in_boxes(canvas[None], box[None], config)
    person = np.array([400 - 160, 100 - 50, 480 + 160, 200 + 600])
    width, height = person[2] - person[0], person[3] - person[1]
    wide = max(width, height * 192 / 256)
    shape = to_insightface(mean_shape()["ibug68"][None], "ibug68")[0]
    expected = (person[:2] + person[2:]) / 2 + shape * wide
    assert np.abs(found - expected).max() < 0.01 * wide


@pytest.mark.usefixtures("planted")
def test_facexlib_landmarks_lie_in_the_square_that_it_looks_at() -> None:
    face = faces.detect(portrait())[0]
    found = faces.landmarks(portrait(), face, faces.FaceConfig(landmarks="facexlib"))
    side = max(face.box[2] - face.box[0], face.box[3] - face.box[1])
    middle = (np.array(face.box[:2]) + face.box[2:]) / 2
    assert found.shape == (106, 2) and np.isfinite(found).all()
    assert np.abs(found - middle).max() <= 1.5 * side  # seeded weights: no face; wings may lie further out


def test_our_alignment_is_facexlibs(planted: Path) -> None:  # noqa: F811
    random = np.random.default_rng(0)
    face = faces.detect(portrait())[0]
    points = np.stack([face.points_52 + random.normal(0, spread, (5, 2)) for spread in (0, 0.5, 2, 4)])
    roles = vision.BACKENDS["gfpgan"].weights.items()
    weights = {role: plain_checkpoint(name, vision.FILES[name]).told for role, name in roles}
    arrays = {"pictures_NHW3": np.stack([portrait()] * 4), "points_N52": points}
    answer = worker_of("vision").ask("align", arrays=arrays, weights=weights).arrays
    corners = np.array([[0, 0, 1], [511, 0, 1], [0, 511, 1], [511, 511, 1]]).T
    for theirs, each in zip(answer["matrices_N23"], points, strict=True):
        ours = crop.ffhq_matrix(each)
        back = np.linalg.inv(np.vstack([theirs, [0, 0, 1]]))  # where their corners lie in the picture
        assert np.abs(ours @ back @ corners - corners[:2]).max() < 0.5


def gathered() -> upscale.Plain:
    frames, _, speaker = clip()
    cropped = crop.crop_face(frames[:4], speaker.face.landmarks_TK2[:4], crop.CropConfig(size=128))
    keyframes = tuple(Keyframe(frame=frame, time=frame / 25, phoneme="AH") for frame in (0, 2))
    return upscale.gather(frames[:4], cropped, keyframes, upscale.UpscaleConfig(backend="gfpgan"))


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("paste", [True, False])
def test_gfpgan_puts_the_face_back_where_it_was(paste: bool) -> None:
    """The planted network gives its input back with more contrast: place, size and colours can be told."""
    plain = gathered()
    config = upscale.UpscaleConfig(backend="gfpgan", paste=paste)
    points = np.stack([upscale._five_points(plain, index) for index in range(len(plain.native_N))])
    (small, *_), (at, *_) = plain.native_N, points
    (large,) = vision.restore_faces(small[None], at[None], config)
    assert large.shape == (4 * len(small), 4 * len(small), 3)
    wanted = np.clip(127.5 + CONTRAST * (cv2.resize(small, large.shape[:2]).astype(float) - 127.5), 0, 255)
    face = cv2.getRectSubPix(wanted.astype(np.float32), (160, 160), tuple(4 * at[2].astype(float)))
    errors = {
        (dx, dy): np.abs(
            cv2.getRectSubPix(large.astype(np.float32), (160, 160), tuple(4 * at[2].astype(float) + (dx, dy)))
            - face
        ).mean()
        for dx in (-3, 0, 3)
        for dy in (-3, 0, 3)
    }
    assert min(errors, key=lambda shift: errors[shift]) == (0, 0) and errors[0, 0] < 6
    assert np.abs(large[..., ::-1].astype(float) - large).mean() > 5  # red and blue are told apart


@pytest.mark.usefixtures("planted")
def test_gfpgan_as_a_stage_keeps_the_person_and_repeats_itself() -> None:
    plain = gathered()
    config = upscale.UpscaleConfig(backend="gfpgan", batch=2)
    first = upscale.enhance(plain, config)
    assert first.cosines_N.min() > 0.4 and first.note.startswith("gfpgan on 2 frames")
    assert np.abs(first.stills_KHW3.astype(int) - plain.crops_NHW3).mean() > 1
    again = upscale.enhance(plain, replace(config, batch=1))
    assert np.array_equal(first.stills_KHW3, again.stills_KHW3)  # noise by face, not by turn


@pytest.mark.usefixtures("planted")
def test_parsing_and_identity_by_facexlib() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 512, 512, 3), np.uint8)
    parser = {"parser": plain_checkpoint("facexlib/parsenet", "parsing_parsenet.pth").told}
    labels = worker_of("vision").ask("parse", arrays={"faces_NSS3": frames}, weights=parser).arrays
    assert labels["labels_NSS"].shape == (2, 512, 512) and (labels["labels_NSS"] == 1).all()
    arcface = {"model": plain_checkpoint("facexlib/arcface").told}
    small = frames[:, :112, :112]
    vectors = worker_of("vision").ask("embed", arrays={"faces_NSS3": small}, weights=arcface).arrays
    assert vectors["vectors_ND"].shape == (2, 512)
    assert np.allclose(np.linalg.norm(vectors["vectors_ND"], axis=1), 1, atol=1e-5)


@pytest.mark.usefixtures("planted")
def test_a_file_that_changed_after_its_promise_is_not_unpickled() -> None:
    told = plain_checkpoint("facexlib/retinaface-mobilenet", "detection_mobilenet0.25_Final.pth").told
    arrays = {"frames_NHW3": portrait()[None]}
    asked = {"network": "retinaface_mobile0.25", "min_score": 0.5}
    for change, reason in (({"sha256": "0" * 64}, "bad_weight"), ({"path": "/nowhere"}, "missing_weight")):
        with pytest.raises(Rejected) as caught:
            weights = {"model": {**told, "sha256": "1" * 64, **change}}
            worker_of("vision").ask("detect", arrays=arrays, weights=weights, **asked)
        assert caught.value.reason == reason
