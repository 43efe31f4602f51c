"""alignment: another rate, size, length or offset is brought to the truth's, noted, or refused."""

from pathlib import Path

import numpy as np
import pytest
from footages import footage, sound

from benchmark.alignment import MOST_OFFSET, Alignment, align, check_rate, sound_offset
from benchmark.footage import Store, open_footage
from benchmark.selftest.selftest import pattern
from datapipe.media import write_video
from datapipe.records import Rejected

# -- alignment


def test_equal_videos_are_left_alone() -> None:
    truth, made = footage(pattern(5, 32, 0.0)), footage(pattern(5, 32, 0.1), name="made")
    aligned = align("a", truth, made, Alignment())
    assert (aligned.truth, aligned.generated, aligned.notes) == (truth, made, ())


@pytest.mark.parametrize(("fps", "noted"), [(25, ()), (30, ("resampled from 30 to 25 frames per second",))])
def test_another_rate_is_resampled_or_refused(fps: int, noted: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, pattern(12, 32, 0.0), fps=fps)
    assert check_rate("clip", path, Alignment()) == noted
    if noted:
        with pytest.raises(Rejected, match="clip: 30 frames per second, the truth has 25; write the video"):
            check_rate("clip", path, Alignment(fps="refuse"))
    else:
        assert check_rate("clip", path, Alignment(fps="refuse")) == ()
    assert len(open_footage(path, Store()).frames) == (10 if fps == 30 else 12)


@pytest.mark.parametrize(("side", "how"), [(64, "area"), (16, "bicubic")])
def test_another_size_is_resized_or_refused(side: int, how: str) -> None:
    truth, made = footage(pattern(3, 32, 0.0)), footage(pattern(3, side, 0.0), name="made")
    aligned = align("a", truth, made, Alignment())
    assert aligned.generated.frames.shape == truth.frames.shape
    assert aligned.notes == (f"resized from {side}x{side} to 32x32, {how}",)
    assert aligned.generated.picture != made.picture
    with pytest.raises(Rejected, match=f"a: {side}x{side}, the truth is 32x32; make them equal"):
        align("a", truth, made, Alignment(size="refuse"))


@pytest.mark.parametrize(("more", "most", "kept"), [(1, 1, True), (-1, 1, True), (2, 1, False), (3, 3, True)])
def test_another_length_is_trimmed_within_limits(more: int, most: int, kept: bool) -> None:
    truth = footage(pattern(9, 32, 0.0), sound(9))
    made = footage(pattern(9 + more, 32, 0.0), sound(9 + more), name="made")
    if kept:
        aligned = align("a", truth, made, Alignment(most_trimmed=most))
        end = min(9, 9 + more)
        assert len(aligned.truth.frames) == len(aligned.generated.frames) == end
        assert len(aligned.truth.audio) == len(aligned.generated.audio) == 640 * end
        assert aligned.notes == (f"trimmed from {max(9, 9 + more)} to {end} frames",)
    with pytest.raises(Rejected, match=f"a: {9 + more} frames at 25 fps, the truth has 9"):
        align("a", truth, made, Alignment(most_trimmed=most if not kept else 5, length="refuse"))


def shifted(samples: np.ndarray, lag: int, num_frames: int) -> np.ndarray:
    """What a video of some frames holds whose sound is `lag` frames later than the recording's."""
    start = 640 * (20 - lag)
    return samples[start : start + 640 * num_frames]


@pytest.mark.parametrize("lag", [*range(-MOST_OFFSET, MOST_OFFSET + 1)])
def test_a_planted_offset_of_the_sound_is_found(lag: int) -> None:
    recording = sound(120)
    truth = shifted(recording, 0, 75)
    noise = np.random.default_rng(1).normal(0, 0.02, truth.shape)
    made = (0.6 * shifted(recording, lag, 75) + noise).astype(np.float32)
    assert sound_offset(truth, made) == lag


def test_other_recordings_have_no_offset() -> None:
    assert sound_offset(sound(75, 1), sound(75, 2)) == 0
    assert sound_offset(sound(75), np.zeros(75 * 640, np.float32)) == 0
    assert sound_offset(None, sound(75)) == 0
    assert sound_offset(sound(75), sound(75)[:0]) == 0


@pytest.mark.parametrize("lag", [-6, 4])
def test_an_offset_is_noted_trimmed_or_refused(lag: int) -> None:
    """Sound and picture of the system are late together, so that trimming brings both to the truth's."""
    recording, scene = sound(80), pattern(80, 16, 0.0)
    truth = footage(scene[20:60], shifted(recording, 0, 40))
    made = footage(scene[20 - lag : 60 - lag], shifted(recording, lag, 40), name="made")
    word = f"its sound is {abs(lag)} frames {'late' if lag > 0 else 'early'}"
    kept = align("a", truth, made, Alignment())
    assert kept.notes == (f"{word}; compared as it is",)
    assert kept.generated is made
    cut = align("a", truth, made, Alignment(offset="trim"))
    assert cut.notes == (f"{word}; trimmed to where both agree",)
    assert np.array_equal(cut.truth.frames, cut.generated.frames) and len(cut.truth.frames) == 40 - abs(lag)
    assert np.array_equal(cut.truth.audio, cut.generated.audio)
    assert len(cut.truth.audio) == 640 * (40 - abs(lag))
    with pytest.raises(Rejected, match=f"a: {word}; cut the video"):
        align("a", truth, made, Alignment(offset="refuse"))


def test_every_policy_is_part_of_the_protocol() -> None:
    policy = Alignment(fps="refuse", most_trimmed=3)
    assert policy.settings() == {
        "align_fps": "refuse",
        "align_size": "resample",
        "align_offset": "keep",
        "align_length": "trim",
        "align_most_trimmed": 3,
    }
