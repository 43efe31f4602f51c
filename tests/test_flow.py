"""flow: the stages in their order, with what they hand to one another."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datapipe import crop, faces
from datapipe.align import Alignment
from datapipe.config import BuildConfig
from datapipe.decode import Decoded
from datapipe.flow import flow
from datapipe.keyframes import KeyframeConfig
from datapipe.pack import Packed
from datapipe.records import Clip, Phoneme, Probe, Transcript
from datapipe.track import FollowedFace, Speaker

FRAMES = 20
PHONEMES = tuple(
    Phoneme(symbol=symbol, start=start, end=end, score=-3.0)
    for symbol, start, end in (("SIL", 0.0, 0.2), ("AA", 0.2, 0.6), ("T", 0.6, 0.62), ("AA", 0.62, 0.8))
)


def talking_landmarks(opened: dict[int, float]) -> np.ndarray:
    """A schematic face of 60 px between the eyes whose lower lip falls in some frames."""
    points = np.random.default_rng(0).uniform(-1.1, 1.7, (106, 2))
    points[list(crop.STABLE_POINTS)] = crop.TEMPLATE_K2
    points[faces.LEFT_EYE] = points[faces.LEFT_EYE] * 0.01 + (-0.5, 0)
    points[faces.RIGHT_EYE] = points[faces.RIGHT_EYE] * 0.01 + (0.5, 0)
    points[list(faces.INNER_LIPS_UPPER)] = points[list(faces.INNER_LIPS_LOWER)] = (0.0, 1.1)
    every = np.repeat(points[None], FRAMES, axis=0)
    for frame, gap in opened.items():
        every[frame][list(faces.INNER_LIPS_LOWER), 1] += gap
    return (60 * every + (160, 100)).astype(np.float32)


def run_toy(config: BuildConfig, tmp_path: Path) -> tuple[Packed, list[str]]:
    """Run the flow with everything before the crop given, the rest as it is."""
    face = FollowedFace(
        boxes_T4=np.tile(np.array([100, 40, 220, 200], np.float32), (FRAMES, 1)),
        scores_T=np.ones(FRAMES, np.float32),
        landmarks_TK2=talking_landmarks({1: 0.1, 6: 0.2, 12: 0.6, 13: 0.3, 17: 0.4}),
        identity=np.eye(1, 512, dtype=np.float32)[0],
    )
    frames = np.random.default_rng(1).integers(0, 256, (FRAMES, 240, 320, 3), np.uint8)
    given: dict[str, Any] = {
        "probe": Probe(
            width=320, height=240, fps=Fraction(25), num_frames=FRAMES, duration=0.8, video_codec="h264",
            audio_codec=None, sample_rate=None,
        ),
        "decode": Decoded(frames_THW3=frames, audio=np.zeros(FRAMES * 640, np.float32), difference=0.0),
        "understand": Transcript(language="en", text="at", words=(), origin="released"),
        "align": Alignment(phonemes=PHONEMES, words=(), missing=(), num_foreign=0, guessed=()),
        "track_speaker": Speaker(face=face, candidates=1, chosen_by="the only one"),
    }  # fmt: skip
    order = []

    def call(stage: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        order.append(stage.__name__)
        return given[stage.__name__] if stage.__name__ in given else stage(*args, **kwargs)

    video = tmp_path / "a.mp4"
    video.write_bytes(b"never read")
    return flow(Clip(id="a", source="folder", speaker="s", video=video), config, call, call), order


@pytest.mark.parametrize(("rule", "frames"), [("widest", [1, 12, 15, 17]), ("midpoint", [2, 10, 15, 17])])
def test_the_keyframe_rule_sees_the_mouth(rule: Any, frames: list[int], tmp_path: Path) -> None:
    config = BuildConfig(keyframes=KeyframeConfig(rule=rule), crop=crop.CropConfig(size=64))
    packed, order = run_toy(config, tmp_path)
    assert [keyframe.frame for keyframe in packed.meta.keyframes] == frames
    assert (
        packed.meta.quality["phonemes_under_frame"] == 1 and packed.meta.quality["keyframe_collisions"] == 0
    )
    assert order.index("crop_face") < order.index("choose_keyframes") < order.index("gather")
    assert order[-3:] == ["draft", "enhance", "pack"]


@pytest.mark.parametrize("mode", ["pose", "face", "union"])
def test_every_crop_is_made_of_the_same_landmarks(mode: Any, tmp_path: Path) -> None:
    from datapipe.shards import stored

    packed, _ = run_toy(BuildConfig(crop=crop.CropConfig(size=64, mode=mode)), tmp_path)
    sample = stored(packed.meta, packed.members)
    assert np.array_equal(
        sample.source_landmarks_TK2, talking_landmarks({1: 0.1, 6: 0.2, 12: 0.6, 13: 0.3, 17: 0.4})
    )
    moved = crop.to_crop(sample.source_landmarks_TK2, sample.matrices_T23)
    assert np.abs(moved - sample.landmarks_TK2).max() < 1e-3
    assert packed.meta.notes["crop"].startswith(mode)
