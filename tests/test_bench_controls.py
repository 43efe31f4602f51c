"""controls: what each control row makes of the truth."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import small
from footages import footage, sound

from benchmark.cases import find_cases
from benchmark.controls import CONTROLS, FROZEN, OTHER, REENCODED, SHIFTED
from benchmark.footage import Footage, Store, open_footage
from benchmark.metrics.psnr import psnr_frames
from benchmark.records import Case
from benchmark.selftest.selftest import pattern
from datapipe.media import write_video
from datapipe.records import Rejected, to_json

# -- controls


@pytest.fixture
def truth() -> Footage:
    return footage(pattern(12, 32, 0.0), sound(12))


CASE = Case(key="a", video=Path("a.mp4"))


def test_a_copy_is_close_and_keeps_its_sound(truth: Footage) -> None:
    ramp = np.linspace(20, 220, 32, dtype=np.uint8)
    scene = np.stack([np.roll(np.broadcast_to(ramp[:, None, None], (32, 32, 3)), k, 0) for k in range(12)])
    truth = footage(scene, truth.audio)
    copy = CONTROLS[REENCODED](CASE, truth)
    assert copy.frames.shape == truth.frames.shape and copy.audio is truth.audio
    assert 25 < psnr_frames(copy.frames, truth.frames).mean() < 55
    assert copy.picture != truth.picture
    odd = CONTROLS[REENCODED](CASE, footage(np.ascontiguousarray(pattern(4, 33, 0.0)[:, :, :31])))
    assert odd.frames.shape == (4, 33, 31, 3)


def test_late_sound_leaves_the_pictures_alone(truth: Footage) -> None:
    late = CONTROLS[SHIFTED](CASE, truth)
    assert late.frames is truth.frames and late.picture == truth.picture and late.sound != truth.sound
    assert len(late.audio) == len(truth.audio)
    assert np.array_equal(late.audio[5 * 640 :], truth.audio[: -5 * 640]) and not late.audio[: 5 * 640].any()
    with pytest.raises(Rejected) as caught:
        CONTROLS[SHIFTED](CASE, footage(truth.frames))
    assert caught.value.reason == "no_audio"


def test_a_frozen_picture_is_the_first_one(truth: Footage) -> None:
    frozen = CONTROLS[FROZEN](CASE, truth)
    assert frozen.frames.shape == truth.frames.shape and (frozen.frames == truth.frames[0]).all()
    assert frozen.audio is truth.audio and frozen.picture != truth.picture


@pytest.mark.parametrize("length", [3, 12, 20])
def test_another_speaker_goes_to_and_fro(length: int, truth: Footage, tmp_path: Path) -> None:
    write_video(tmp_path / "b.mp4", pattern(length, 32, 2.0), sound(length, 5))
    made = CONTROLS[OTHER](dataclasses.replace(CASE, other=tmp_path / "b.mp4"), truth)
    theirs = open_footage(tmp_path / "b.mp4", Store()).frames
    assert len(made.frames) == 12 and made.audio is truth.audio and made.sound == truth.sound
    to_and_fro = [*range(length), *range(length - 2, 0, -1)]
    for index in range(12):
        assert np.array_equal(made.frames[index], theirs[to_and_fro[index % len(to_and_fro)]])
    with pytest.raises(Rejected, match="no clip of another speaker"):
        CONTROLS[OTHER](CASE, truth)


def test_the_other_clip_is_of_another_speaker(tmp_path: Path) -> None:
    for name, speaker in zip("abcd", ("ann", "ann", "bob", "ann"), strict=True):
        write_video(tmp_path / f"{name}.mp4", pattern(2, 16, 0.0))
        sample = dataclasses.replace(small.sample(0), key=name, speaker=speaker)
        (tmp_path / f"{name}.json").write_text(to_json(sample))
    others = {case.key: case.other.stem if case.other else None for case in find_cases(tmp_path)}
    assert others == {"a": "c", "b": "c", "c": "d", "d": "c"}
    for name in "cd":
        (tmp_path / f"{name}.mp4").unlink()
    assert [case.other for case in find_cases(tmp_path)] == [None, None]
