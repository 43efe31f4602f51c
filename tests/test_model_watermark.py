"""The mark is found after what happens to videos, is not found where it is not, and is hardly there."""

import json
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import make_clips

from datapipe.media import read_frames, write_video
from model.__main__ import main
from model.marking.detection import NUM_PLACES, DetectConfig, chance, detect, read_run
from model.marking.watermark import (
    NUM_BITS,
    WatermarkConfig,
    add_mark,
    bits_of,
    checksum,
    flattened,
    layout_of,
    make_mark,
    mark_blocks,
    name_of_run,
    read_sums,
    waves,
    working_luma,
)

RUN = "3fa9c0ffee12"


def talking(seed=0, size=128):
    """A drawn head that talks, with texture whose spectrum falls off as photographs' do."""
    (clip,) = make_clips(1, size, 4, seed)
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)) + 1 / size
    texture = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) / radius).real
    grain = 8.0 * texture / texture.std()
    return np.clip(clip.frames_THW3 + grain[None, :, :, None], 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def plain():
    return talking()


@pytest.fixture(scope="module")
def marked(plain):
    return add_mark(plain, make_mark(plain[0], RUN))


def encoded(frames, folder, crf=28, fps=25):
    write_video(folder / "x.mp4", frames, crf=crf, fps=fps)
    return read_frames(folder / "x.mp4")


def resized(frames, side):
    return np.stack([cv2.resize(each, (side, side), interpolation=cv2.INTER_AREA) for each in frames])


def test_the_mark_is_quiet_and_stands_still(plain, marked):
    change = marked.astype(np.float64) - plain
    assert 10 * np.log10(255**2 / np.mean(change**2)) > 42
    assert np.abs(change).max() <= WatermarkConfig().limit + 0.5
    flicker = [np.abs(np.diff(each.astype(np.float64), axis=0)).mean() for each in (plain, marked)]
    assert flicker[1] == pytest.approx(flicker[0], rel=0.02)


def test_a_mark_is_found_with_its_run_and_only_by_its_key(plain, marked):
    found = detect(marked)
    assert found.is_marked and found.run == RUN[:4] and found.p_value < 1e-6 and not any(found.cut)
    assert not detect(plain).is_marked
    assert not detect(marked, DetectConfig(key="another")).is_marked


def test_it_survives_the_encoder_at_crf_28(marked, tmp_path):
    found = detect(encoded(encoded(marked, tmp_path, crf=14), tmp_path))
    assert found.is_marked and found.run == RUN[:4]


@pytest.mark.parametrize("side", [96, 160, 256])
def test_it_survives_resizing_and_the_encoder(marked, side, tmp_path):
    assert detect(resized(marked, side)).run == RUN[:4]
    assert detect(encoded(resized(marked, side), tmp_path, crf=23)).is_marked


def test_it_survives_a_cut_of_a_few_pixels(marked, tmp_path):
    found = detect(marked[:, 4:-2, 6:-4])
    assert found.is_marked
    assert np.abs(np.subtract(found.cut, (4, 2, 6, 4))).max() <= 1
    assert detect(encoded(marked[:, 2:-2, 4:-4], tmp_path, crf=23)).is_marked


@pytest.mark.parametrize("gain, offset", [(1.15, 10), (0.6, 0), (1.0, -30)])
def test_it_survives_other_brightness_and_contrast(marked, gain, offset):
    changed = np.clip(marked.astype(np.float32) * gain + offset, 0, 255).astype(np.uint8)
    assert detect(changed).run == RUN[:4]


def test_frame_rate_and_length_do_not_matter(marked, tmp_path):
    assert detect(encoded(marked[::2], tmp_path, fps=12)).run == RUN[:4]
    assert detect(marked[-5:]).run == RUN[:4]


def test_a_large_picture_is_marked_through_the_small_one(tmp_path):
    large = np.stack([cv2.resize(each, (512, 384), interpolation=cv2.INTER_CUBIC) for each in talking(3)[:8]])
    marked = add_mark(large, make_mark(large[0], RUN))
    assert detect(encoded(marked, tmp_path)).run == RUN[:4]
    assert detect(resized(marked, 200)).run == RUN[:4]


def test_blocks_are_marked_as_they_come(plain, marked):
    blocks = list(mark_blocks(iter(np.array_split(plain, 5)), plain[0], RUN))
    assert np.array_equal(np.concatenate(blocks), marked) and len(blocks) == 5
    assert next(mark_blocks(iter([plain]), plain[0], RUN, None)) is plain


@pytest.mark.parametrize("seed", range(4))
def test_unmarked_videos_are_let_go(seed, tmp_path):
    found = detect(encoded(talking(10 + seed), tmp_path))
    assert not found.is_marked and found.run is None
    noise = np.random.default_rng(seed).integers(0, 256, (4, 96, 128, 3), np.uint8)
    assert not detect(noise).is_marked


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_picture_without_content_can_be_marked_and_looked_at(grey):
    flat = np.full((3, 64, 64, 3), grey, np.uint8)
    assert not detect(flat).is_marked
    assert np.isfinite(make_mark(flat[0], RUN)).all()


def test_the_bound_on_false_alarms_holds(plain):
    """Over a thousand keys, sums of an unmarked video are as large as the bound allows, and no more often."""
    flat = flattened(working_luma(plain))
    spectrum = waves(128) @ flat @ waves(128).T
    sums = np.array([read_sums(spectrum, layout_of(f"key {n}")) for n in range(1000)])
    assert abs(sums.mean()) < 0.03 and sums.std() == pytest.approx(1.0, abs=0.05)
    for limit in (1.0, 2.0, 3.0):
        assert np.mean(sums > limit) <= chance(limit, 1)
    assert chance(6.0, NUM_PLACES) == pytest.approx(NUM_PLACES * chance(6.0, 1))


@given(st.integers(0, 65535))
def test_any_run_can_be_read_back(number):
    bits = bits_of(f"{number:04x}").astype(float)
    assert len(bits) == NUM_BITS and read_run(bits) == f"{number:04x}"
    bits[number % NUM_BITS] *= -0.1
    assert read_run(bits) == f"{number:04x}"


def test_the_checksum_is_the_standard_s():
    """CRC-8/ITU of `123456789` is 0xA1 (reveng catalogue); two bytes of it, by a plain division here."""

    def divided(number):
        value = (number << 8) ^ 0
        for shift in range(23, 7, -1):
            if value >> shift & 1:
                value ^= 0x107 << (shift - 8)
        return value ^ 0x55

    assert all(checksum(number) == divided(number) for number in range(0, 65536, 97))


@settings(max_examples=20)
@given(st.integers(0, 65535), st.integers(0, 65535))
def test_codewords_differ_in_three_bits_or_more(one, other):
    if one != other:
        assert np.sum(bits_of(f"{one:04x}") != bits_of(f"{other:04x}")) >= 3


def test_what_is_no_run_has_the_name_of_none():
    assert (name_of_run("none"), name_of_run("abc"), name_of_run("3FA9c0")) == ("0000", "0000", "3fa9")


def test_the_command_says_what_it_found(marked, plain, tmp_path, capsys):
    write_video(tmp_path / "made.mp4", marked)
    write_video(tmp_path / "real.mp4", plain)
    assert main(["detect", str(tmp_path / "made.mp4")]) == 0
    assert "marked by run 3fa9" in capsys.readouterr().out
    assert main(["detect", str(tmp_path / "real.mp4"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["is_marked"] is False and found["run"] is None and 1e-6 < found["p_value"] <= 1
    assert math.isfinite(found["statistic"])
    assert main(["detect", str(tmp_path / "nothing.mp4")]) == 1
    assert "not there" in capsys.readouterr().err
