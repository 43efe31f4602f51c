"""Crops compared by identity: a network of plain pixels stands in, so that what must come out is known."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from paper_rows import write

from benchmark.paper import crops
from benchmark.paper.crops import CropOfClip, Crops, name_of
from benchmark.paper.crops_table import table4
from benchmark.paper.sources import read_sources
from datapipe.crop import STABLE_POINTS, TEMPLATE_K2
from datapipe.faces import LEFT_EYE, MOUTH_CORNERS, RIGHT_EYE
from datapipe.records import Clip, Rejected

SIDE, FRAMES = 160, 31


def by_pixels(pictures_NHW3, backbone):
    """Unit vectors of coarse pixels, their mean taken away."""
    small = np.stack(
        [cv2.resize(each, (12, 12), interpolation=cv2.INTER_AREA).ravel() for each in pictures_NHW3]
    )
    away = small.astype(np.float64) - small.mean(1, keepdims=True)
    return away / np.linalg.norm(away, axis=1, keepdims=True)


def face_points() -> np.ndarray:
    """106 landmarks of an upright face: those that the crop goes by in their places, others on an oval."""
    turns = np.linspace(0, 2 * np.pi, 106, endpoint=False)
    points = np.stack([80 + 30 * np.cos(turns), 85 + 38 * np.sin(turns)], axis=1)
    points[LEFT_EYE], points[RIGHT_EYE] = (66, 72), (94, 72)
    points[list(MOUTH_CORNERS)] = (68, 102), (92, 102)
    for index, place in zip(STABLE_POINTS, TEMPLATE_K2, strict=True):
        points[index] = np.array([80, 72]) + 28 * place
    return points.astype(np.float32)


def moving(jaw: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture that shifts from frame to frame, and landmarks that go with it; `jaw` opens the mouth too."""
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 255, (SIDE, SIDE, 3)).astype(np.float32), (0, 0), 5)
    scene = np.clip((scene - scene.mean()) * 6 + 128, 0, 255).astype(np.uint8)
    frames, points = [], []
    for t in range(FRAMES):
        shift = 6 * np.sin(t / 5)
        frames.append(
            cv2.warpAffine(
                scene, np.array([[1, 0, shift], [0, 1, 0]]), (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT
            )
        )
        moved = face_points() + np.array([shift, 0], np.float32)
        lower = moved[:, 1] > 110
        moved[lower, 1] += jaw * (1 + np.sin(t))
        points.append(moved.astype(np.float32))
    return np.stack(frames), np.stack(points)


@pytest.fixture
def pixels(monkeypatch):
    monkeypatch.setattr(crops, "embedded", by_pixels)


def test_a_crop_that_follows_a_shifting_face_shows_the_same_face(pixels):
    found = dict(crops._distances(*moving(jaw=0.0), 96))
    assert all(value < 0.05 for name, value in found.items() if "as cropped" in name), found


def test_a_face_put_upright_is_the_same_wherever_it_stood():
    frames, points = moving(jaw=0.0)
    moved = np.roll(frames[0], (7, -5), axis=(0, 1))
    backbone = crops.BACKBONES["w600k_mbf"]
    first = crops._upright(frames[0], points[0], backbone)
    second = crops._upright(moved, points[0] + np.array([-5, 7], np.float32), backbone)
    inner = np.s_[30:80, 30:80]
    assert np.abs(first[inner].astype(int) - second[inner]).max() <= 2


def test_an_opening_mouth_moves_the_box_and_not_the_pose(pixels):
    """What the landmark-based crop is for: the chin drags a box about, and eyes and nose do not."""
    found = dict(crops._distances(*moving(jaw=9.0), 96))
    for network in crops.BACKBONES:
        assert (
            found[name_of("face", "as cropped", network)] > 2 * found[name_of("pose", "as cropped", network)]
        )


def sample(key: str, num_frames: int = FRAMES) -> SimpleNamespace:
    meta = SimpleNamespace(id=key, key=key, speaker="s1", size=96, source="cmlr")
    return SimpleNamespace(meta=meta, source_landmarks_TK2=moving(0.0)[1][:num_frames])


@pytest.mark.parametrize(
    ("key", "num_frames", "said"),
    [
        ("lost", FRAMES, "not in the corpus"),
        ("short", 5, "has 5 frames"),
        ("cut", FRAMES, "20 frames for 31"),
    ],
)
def test_a_clip_that_cannot_be_measured_says_why(monkeypatch, key, num_frames, said):
    film = SimpleNamespace(frames_THW3=moving(0.0)[0][:20])
    monkeypatch.setattr(crops, "read_film", lambda *places: film)
    clips = {
        name: Clip(id=name, source="cmlr", speaker="s1", video=Path("x.mp4")) for name in ("short", "cut")
    }
    with pytest.raises(Rejected, match=said):
        crops._measured(sample(key, num_frames), clips)


def test_another_corpus_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(crops, "read_samples", lambda data: iter([sample("a"), sample("b")]))
    monkeypatch.setattr(crops, "find_clips", lambda *places: [])
    with pytest.raises(Rejected, match="holds no clip of"):
        crops.compare_crops(tmp_path, tmp_path)


def test_the_limit_is_per_speaker(monkeypatch, tmp_path):
    monkeypatch.setattr(crops, "read_samples", lambda data: iter([sample(name) for name in "abc"]))
    assert [each.meta.key for each in crops._chosen(tmp_path, 2)] == ["a", "b"]


def test_the_table_has_a_row_per_speaker_and_the_papers_totals(tmp_path):
    names = [
        name_of(mode, measure, network)
        for mode in crops.MODES
        for measure in crops.MEASURES
        for network in crops.BACKBONES
    ]
    clips = tuple(
        CropOfClip(key=f"c{k}", speaker=f"s{k % 2 + 1}", distances={name: 0.1 + 0.01 * k for name in names})
        for k in range(6)
    )
    record = Crops(
        source="cmlr", data="0", size=128, settings={}, weights={}, clips=clips, failures={"c9": "lost"}
    )
    artefact = table4(read_sources([write(tmp_path / "crops.json", record)]))
    printed, cropped, _ = artefact.grids
    assert printed.rows[-1].label == "Total" and printed.rows[-1].cells[0].mark == "best"
    assert [row.label for row in cropped.rows] == ["s1 (3 clips)", "s2 (3 clips)", "Total (6 clips)"]
    assert cropped.rows[0].cells[0].value == pytest.approx(0.12) and cropped.rows[2].cells[0].interval
    assert cropped.rows[0].cells[0].trace.protocol == record.protocol.hash
    assert any("1 clips could not be measured" in note for note in cropped.notes)
