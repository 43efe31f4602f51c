"""The client of the vision environment, without one: what is asked, and what becomes of the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args, get_type_hints

import cv2
import numpy as np
import pytest
from people import portrait

from datapipe import cache, crop, faces, upscale, vision
from datapipe.config import BuildConfig
from datapipe.layouts import INSIGHTFACE_OF_LAPA
from datapipe.records import Rejected
from datapipe.tools.worker import Answer
from datapipe.track import TrackConfig
from datapipe.upscale import UpscaleConfig

NAMED = BuildConfig(
    track=TrackConfig(detector=faces.FaceConfig(finder="retinaface-mobilenet", landmarks="facexlib")),
    upscale=UpscaleConfig(backend="gfpgan"),
)


class Asked:
    """A worker that answers with a function, and remembers what it was asked."""

    def __init__(self, reply: Any) -> None:
        self.reply = reply
        self.questions: list[dict[str, Any]] = []

    def ask(self, operation: str, *, arrays: dict[str, np.ndarray], **values: Any) -> Answer:
        self.questions.append({"operation": operation, **values})
        return Answer(values={}, arrays=self.reply(arrays, values))


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch):
    """Put a worker in place that answers with a function; weights are not looked for."""
    known = vision.__name__.replace("vision", "checkpoints")
    told = type("Told", (), {"told": {"name": "n", "file": "f", "path": "/p", "sha256": "s"}})()
    monkeypatch.setattr(f"{known}.plain_checkpoint", lambda name, file="": told)

    def put(reply: Any) -> Asked:
        worker = Asked(reply)
        monkeypatch.setattr(vision, "worker_of", lambda tool: worker)
        return worker

    return put


def test_a_manifest_names_the_packages_and_weights_of_named_backends_alone() -> None:
    plain, named = cache.used_versions(BuildConfig()), cache.used_versions(NAMED)
    added = {name: named[name] for name in named.keys() - plain}
    assert added["vision/gfpgan"] == "1.3.8" and added["vision/facexlib"] == "0.3.0"
    assert not any("mmpose" in name for name in added) and not any("/" in name for name in plain)
    weights = cache.used_weights(NAMED).keys() - cache.used_weights(BuildConfig())
    assert {"gfpgan/model", "facexlib/parsenet", "facexlib/awing-fan"} < weights
    assert cache.settings_key(NAMED) != cache.settings_key(BuildConfig())


def test_every_backend_that_a_config_offers_is_known() -> None:
    hints = (get_type_hints(faces.FaceConfig), get_type_hints(UpscaleConfig))
    fields = (hints[0]["finder"], hints[0]["landmarks"], hints[1]["backend"])
    offered = {name for field in fields for name in get_args(field)}
    core = {"scrfd", "2d106det", "none", "lanczos", "realesrgan"}
    assert offered - core == set(vision.BACKENDS)
    assert {name for each in vision.BACKENDS.values() for name in each.weights.values()} <= set(vision.FILES)


@pytest.mark.parametrize("config", [UpscaleConfig(backend="gfpgan"), faces.FaceConfig(landmarks="facexlib")])
def test_an_absent_weight_says_where_to_get_it(config: Any, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("AVATARSYNC_CACHE", str(tmp_path))
    monkeypatch.delenv("AVATARSYNC_WEIGHTS", raising=False)
    picture, points = portrait()[None], np.zeros((1, 5, 2), np.float32)
    with pytest.raises(Rejected, match=r"https://github.com/.*sha256|sha256.*https://github.com/") as caught:
        if isinstance(config, UpscaleConfig):
            vision.restore_faces(picture, points, config)
        else:
            faces.landmarks_in_boxes(picture, np.array([[0, 0, 9, 9]]), config)
    assert caught.value.reason == "missing_weight"


def test_gfpgan_is_not_taken_to_a_gpu_unasked() -> None:
    config = UpscaleConfig(backend="gfpgan", device="cuda")
    with pytest.raises(Rejected, match="runs on the CPU"):
        vision.restore_faces(portrait()[None], np.zeros((1, 5, 2), np.float32), config)


def test_landmarks_come_in_messages_of_bounded_size_and_in_our_order(answering, monkeypatch) -> None:
    def reply(arrays: dict[str, np.ndarray], values: dict[str, Any]) -> dict[str, np.ndarray]:
        lapa = np.arange(106)[None, :, None] + arrays["boxes_N4"][:, None, :2]
        return {"points_NK2": lapa.astype(np.float32)}

    worker = answering(reply)
    monkeypatch.setattr(vision, "MESSAGE_BYTES", 3 * portrait().nbytes)
    boxes = np.arange(28.0).reshape(7, 4)
    config = faces.FaceConfig(landmarks="mmpose-face6", threads=2)
    found = faces.landmarks_in_boxes(np.stack([portrait()] * 7), boxes, config)
    assert len(worker.questions) == 3 and worker.questions[0]["threads"] == 2
    assert np.array_equal(found[3, list(INSIGHTFACE_OF_LAPA), 0], np.arange(106) + 12.0)


def test_a_large_picture_is_shrunk_for_the_finder_and_boxes_come_back_in_its_pixels(answering) -> None:
    def reply(arrays: dict[str, np.ndarray], values: dict[str, Any]) -> dict[str, np.ndarray]:
        assert arrays["frames_NHW3"].shape == (1, 400, 800, 3)
        boxes = np.array([[1, 2, 3, 4], [10, 20, 30, 40]], np.float32)
        return {"boxes_M4": boxes, "scores_M": np.array([0.5, 0.9]), "points_M52": np.ones((2, 5, 2))}

    answering(reply)
    config = faces.FaceConfig(finder="retinaface-resnet50")
    first, second = faces.detect(np.zeros((800, 1600, 3), np.uint8), config)
    assert first.box == (20, 40, 60, 80) and first.score > second.score and (first.points_52 == 2).all()


def test_a_restored_square_goes_back_to_its_place_to_the_pixel(answering) -> None:
    """A face that comes back as it was cut gives the enlarged picture again."""
    face = faces.detect(portrait())[0]
    points = face.points_52[None]

    def reply(arrays: dict[str, np.ndarray], values: dict[str, Any]) -> dict[str, np.ndarray]:
        cut = cv2.warpAffine(arrays["pictures_NHW3"][0], crop.ffhq_matrix(points[0]), (512, 512))
        return {"faces_NSS3": cut[None]}

    answering(reply)
    config = UpscaleConfig(backend="gfpgan", paste=False, enlarge=2)
    (large,) = vision.restore_faces(portrait()[None], points, config)
    plain = cv2.resize(portrait(), (1024, 1024), interpolation=cv2.INTER_LANCZOS4)
    x, y = (2 * points[0].mean(0)).astype(int)
    inside = np.s_[y - 60 : y + 60, x - 60 : x + 60]
    off = [
        np.abs(np.roll(large, shift, 1)[inside].astype(int) - plain[inside]).mean() for shift in (-2, 0, 2)
    ]
    assert off[1] < 3 and off[1] < 0.5 * min(off[0], off[2])
    assert np.array_equal(large[-100:], plain[-100:])  # outside the square nothing is touched


def test_points_on_one_spot_are_no_face() -> None:
    with pytest.raises(Rejected, match="one place"):
        crop.ffhq_matrix(np.zeros((5, 2), np.float32))


def test_the_five_points_follow_the_crop_to_its_own_resolution() -> None:
    landmarks = faces.landmarks(portrait(), faces.detect(portrait())[0])
    plain = upscale.Plain(
        indices_N=np.array([0]),
        native_N=(np.zeros((256, 256, 3), np.uint8),),
        crops_NHW3=portrait()[None],
        landmarks_NK2=landmarks[None],
        picks_K=np.array([0]),
    )
    given = upscale._five_points(plain, 0)
    assert np.allclose(given, (faces.face_of(landmarks).points_52 - 0.5) / 2)
