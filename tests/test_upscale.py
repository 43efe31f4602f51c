"""upscale: what is enhanced, how it is guarded, and how it travels."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import clip, portrait

from datapipe import crop, upscale
from datapipe.records import Keyframe, Rejected
from datapipe.upscale import Plain, UpscaleConfig

pytestmark = pytest.mark.assets
LAST = 15
KEYFRAMES = tuple(Keyframe(frame=frame, time=frame / 25, phoneme="AH") for frame in (3, 3, 14))
NEIGHBOURS = tuple(Keyframe(frame=frame, time=frame / 25, phoneme="AH") for frame in (3, 4, 5, 14))
NETWORK = UpscaleConfig(backend="realesrgan")


@cache
def gathered(keyframes: tuple[Keyframe, ...] = KEYFRAMES, config: UpscaleConfig = NETWORK) -> Plain:
    """The real clip's keyframes at 64 px; the face is smaller than that in the source."""
    frames, _, speaker = clip()
    frames = frames[:LAST]
    cropped = crop.crop_face(frames, speaker.face.landmarks_TK2[:LAST], crop.CropConfig(size=64))
    return upscale.gather(frames, cropped, keyframes, config)


def test_enhanced_keyframes_keep_the_place_and_the_person() -> None:
    plain = gathered()
    enhanced = upscale.enhance(plain, NETWORK)
    assert enhanced.video_THW3 is None and enhanced.flicker is None
    assert len(enhanced.cosines_N) == 2 and enhanced.cosines_N.min() > 0.4
    assert enhanced.stills_KHW3.shape == (3, 64, 64, 3)
    assert np.array_equal(enhanced.stills_KHW3[0], enhanced.stills_KHW3[1])
    shift = [
        np.abs(np.roll(enhanced.stills_KHW3[2], dx, 1).astype(int) - plain.crops_NHW3[1]).mean()
        for dx in (-1, 0, 1)
    ]
    assert int(np.argmin(shift)) == 1  # no half-pixel walk


def test_what_is_gathered_is_small_and_holds_no_full_frame() -> None:
    frames, _, _ = clip()
    plain = gathered()
    assert plain.indices_N.tolist() == [3, 14] and plain.picks_K.tolist() == [0, 0, 1]
    assert [each.shape[0] == each.shape[1] <= 64 for each in plain.native_N] == [True, True]
    assert len(upscale.plain_to_npz(plain)) < frames[:1].nbytes / 3


@pytest.mark.parametrize("batch", [3])
def test_a_batch_gives_what_one_by_one_gives(batch: int) -> None:
    everything = gathered(config=UpscaleConfig(backend="realesrgan", scope="all"))
    some = Plain(
        indices_N=everything.indices_N[:7],
        native_N=tuple(
            cv2.resize(each, (32 + 2 * (i % 2),) * 2) for i, each in enumerate(everything.native_N[:7])
        ),
        crops_NHW3=everything.crops_NHW3[:7],
        landmarks_NK2=everything.landmarks_NK2[:7],
        picks_K=np.array([2, 6]),
    )
    alone, together = (
        upscale.enhance(some, UpscaleConfig(backend="realesrgan", scope="all", batch=size))
        for size in (1, batch)
    )
    assert alone.video_THW3 is not None and together.video_THW3 is not None
    assert np.abs(alone.video_THW3.astype(int) - together.video_THW3).max() <= 1


def test_large_crops_go_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def network(batch_BHW3: np.ndarray, config: UpscaleConfig) -> np.ndarray:
        sizes.append(batch_BHW3.shape[:2])
        return np.stack([255 - cv2.resize(each, None, fx=2, fy=2) for each in batch_BHW3])

    monkeypatch.setattr(upscale, "_real_esrgan", network)
    pictures = tuple(cv2.resize(portrait(), (side, side)) for side in (512, 64, 512, 64, 64))
    plain = Plain(
        indices_N=np.arange(5), native_N=pictures, crops_NHW3=np.zeros((5, 64, 64, 3), np.uint8),
        landmarks_NK2=np.zeros((5, 106, 2), np.float32), picks_K=np.arange(5),
    )  # fmt: skip
    large = upscale._enlarge(plain, NETWORK)
    assert sizes == [(3, 64), (1, 512), (1, 512)]
    assert [len(each) for each in large] == [1024, 128, 1024, 128, 128]


def test_an_upscaler_that_changes_the_face_is_refused_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = crop.crop_image(portrait(), 128)
    monkeypatch.setattr(upscale, "_real_esrgan", lambda batch, config: np.stack([stranger] * len(batch)))
    enhanced = upscale.enhance(gathered(), NETWORK)
    assert np.array_equal(enhanced.stills_KHW3, gathered().crops_NHW3[[0, 0, 1]])
    assert "2 kept as they were" in enhanced.note


class Session:
    """A network that does no work, in one of several ways."""

    def __init__(self, way: str) -> None:
        self.way = way

    def run(self, _: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        batch = inputs["input"]
        if self.way == "input":
            return [batch]
        doubled = np.repeat(np.repeat(batch, 2, axis=2), 2, axis=3)
        if self.way in ("cubic", "linear"):
            how = cv2.INTER_CUBIC if self.way == "cubic" else cv2.INTER_LINEAR
            side = 2 * batch.shape[2]
            large = [cv2.resize(each.transpose(1, 2, 0), (side, side), interpolation=how) for each in batch]
            return [np.stack(large).transpose(0, 3, 1, 2)]
        values = {"nearest": doubled, "blank": np.full_like(doubled, 0.3), "nan": doubled * np.nan}
        return [values[self.way]]


@pytest.mark.parametrize("way", ["input", "cubic", "linear", "nearest", "blank", "nan"])
def test_a_network_that_does_no_work_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(upscale, "session", lambda *_: Session(way))
    with pytest.raises(Rejected, match="`realesrgan` on cpu") as caught:
        upscale.enhance(gathered(), NETWORK)
    assert caught.value.reason == "bad_weight"


def test_no_silent_fall_back_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, *_: Any) -> object:
        raise Rejected("missing_weight", f"`{name}` is not here")

    monkeypatch.setattr(upscale, "session", absent)
    with pytest.raises(Rejected) as caught:
        upscale.enhance(gathered(), NETWORK)
    assert caught.value.reason == "missing_weight"


def test_all_frames_replace_the_video() -> None:
    config = UpscaleConfig(backend="lanczos", scope="all")
    plain = gathered(config=config)
    enhanced = upscale.enhance(plain, config)
    assert enhanced.video_THW3 is not None and enhanced.video_THW3.shape == plain.crops_NHW3.shape
    assert len(enhanced.cosines_N) == LAST and enhanced.flicker is not None
    assert np.array_equal(enhanced.stills_KHW3, enhanced.video_THW3[[3, 3, 14]])


def test_nothing_to_do_gives_the_crops() -> None:
    config = UpscaleConfig()
    plain = gathered(config=config)
    assert plain.native_N == () and upscale.enhance(plain, config).note == "none"
    assert np.array_equal(upscale.enhance(plain, config).stills_KHW3, plain.crops_NHW3[[0, 0, 1]])


def test_flicker_is_what_changes_in_what_was_added() -> None:
    rng = np.random.default_rng(0)
    before = rng.integers(50, 150, (6, 8, 8, 3)).astype(np.uint8)
    steady = before + rng.integers(0, 40, (8, 8, 3)).astype(np.uint8)
    blinking = before + np.array([0, 6] * 3, np.uint8)[:, None, None, None]
    every = np.arange(6)
    assert upscale.flicker(every, before, steady) == 0.0
    assert upscale.flicker(every, before, blinking) == pytest.approx(6.0)
    assert upscale.flicker(np.array([0, 2, 4, 6, 8, 10]), before, blinking) is None
    assert upscale.flicker(np.array([0, 1, 4, 6, 8, 10]), before, blinking) == pytest.approx(6.0)


def test_a_network_that_flickers_scores_worse_than_one_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = gathered(NEIGHBOURS)
    steady = upscale.enhance(plain, NETWORK).flicker
    real = upscale._real_esrgan

    def unsteady(batch: np.ndarray, config: UpscaleConfig) -> np.ndarray:
        grain = np.random.default_rng(0).normal(0, 6, (len(batch), 2 * batch.shape[1], 2 * batch.shape[2], 1))
        return np.clip(real(batch, config) + grain, 0, 255).astype(np.uint8)

    monkeypatch.setattr(upscale, "_real_esrgan", unsteady)
    shaking = upscale.enhance(plain, NETWORK).flicker
    assert steady is not None and shaking is not None and 0 < steady < shaking


@settings(max_examples=30)
@given(st.lists(st.integers(1, 20), max_size=4), st.integers(0, 5), st.integers(0, 99))
def test_what_is_gathered_survives_the_way(sides: list[int], num_picks: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    num = max(1, len(sides))
    plain = Plain(
        indices_N=np.sort(rng.choice(99, num, replace=False)),
        native_N=tuple(rng.integers(0, 256, (side, side, 3), np.uint8) for side in sides),
        crops_NHW3=rng.integers(0, 256, (num, 16, 16, 3), np.uint8),
        landmarks_NK2=rng.normal(size=(num, 106, 2)).astype(np.float32),
        picks_K=rng.integers(0, num, num_picks),
    )
    data = upscale.plain_to_npz(plain)
    back = upscale.plain_from_npz(data)
    assert upscale.plain_to_npz(back) == data and len(back.native_N) == len(sides)
    for name in ("indices_N", "crops_NHW3", "landmarks_NK2", "picks_K"):
        assert np.array_equal(getattr(back, name), getattr(plain, name))
        assert getattr(back, name).dtype == getattr(plain, name).dtype
    assert all(np.array_equal(a, b) for a, b in zip(back.native_N, plain.native_N, strict=True))
