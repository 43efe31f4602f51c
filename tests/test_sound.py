"""Sound stands where its times say, at the level it has, whatever it is made of."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import damages
import numpy as np
import pytest

from datapipe.decode import DecodeConfig, decode
from datapipe.records import Clip, Rejected
from datapipe.sound import SAMPLE_RATE, read_sound


def test_channels_are_averaged_and_never_clipped() -> None:
    """swresample adds channels up for floats: 1.41 for two, 3.97 for eight."""
    mono = damages.tone(0.5, 48_000) * 1.6
    for channels in (1, 2, 8):
        samples = np.repeat(mono, channels, 0)
        data = damages.clip_with(container="mov", sound="pcm_f32le", samples=samples, rate=48_000)
        heard = read_sound(data).audio
        assert np.abs(heard).max() == pytest.approx(np.abs(mono).max(), abs=0.01)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 192_000])
def test_any_rate_becomes_sixteen_kilohertz(rate: int) -> None:
    data = damages.clip_with(container="mov", sound="pcm_f32le", samples=damages.tone(0.5, rate), rate=rate)
    heard, meant = read_sound(data).audio, damages.tone(0.5)[0]
    assert len(heard) == len(meant)
    assert np.abs(heard - meant)[100:-100].max() < 0.02


def test_what_is_no_number_is_silence_and_counted() -> None:
    samples = damages.tone(0.48)
    samples[0, 2000:2400], samples[0, 5000:5160] = np.nan, np.inf
    sound = read_sound(damages.clip_with(container="mov", sound="pcm_f32le", samples=samples))
    assert sound.damaged == pytest.approx(560 / SAMPLE_RATE, abs=1e-6)
    assert (sound.audio[2000:2400] == 0).all() and np.isfinite(sound.audio).all()
    assert np.array_equal(sound.audio[:2000], samples[0, :2000])


def pieces(path: Path, starts: list[float], picture_starts: float = 0.0) -> None:
    """A video of four seconds and bursts of sound, half a second each, that begin at `starts`."""
    with av.open(str(path), "w", format="matroska") as out:
        video = out.add_stream("libx264", rate=25, options={"g": "1"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = out.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        for start in starts:
            burst = (damages.tone(0.5) * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(burst, format="s16", layout="mono")
            frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
            frame.pts = round(start * SAMPLE_RATE)
            out.mux(audio.encode(frame))
        for index, picture in enumerate(damages.bars(100)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round((picture_starts + index / 25) * 25), Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))


def test_a_gap_in_the_sound_stays_a_gap(tmp_path: Path) -> None:
    """Lost packets and silence that was not recorded must not pull what follows to the front."""
    pieces(tmp_path / "a.mkv", [0.0, 0.5, 2.0])
    sound = read_sound(tmp_path / "a.mkv").audio
    meant = damages.tone(0.5)[0]
    for start in (0.0, 0.5, 2.0):
        first = round(start * SAMPLE_RATE)
        assert np.abs(sound[first : first + 8000] - meant).max() < 1e-3
    assert len(sound) == 40_000 and not sound[16_100:31_900].any()
    assert np.abs(read_sound(tmp_path / "a.mkv", 2.1, 2.4).audio - sound[33_600:38_400]).max() < 1e-3


@pytest.mark.parametrize("lead", [0.4, 0.0])
def test_sound_that_begins_earlier_or_later_keeps_its_place(tmp_path: Path, lead: float) -> None:
    pieces(tmp_path / "a.mkv", [0.4 - lead, 0.9 - lead, 1.4 - lead], picture_starts=lead)
    sound = read_sound(tmp_path / "a.mkv").audio
    silent = round((0.4 - 2 * lead) * SAMPLE_RATE)  # of the picture's first moment
    if silent > 0:
        assert not sound[:silent].any()
    meant = np.tile(damages.tone(0.5)[0], 3)[max(0, -silent) :]
    assert np.abs(sound[max(0, silent) :][: len(meant)] - meant).max() < 1e-3


def test_a_clock_that_lies_costs_no_memory(tmp_path: Path) -> None:
    """A piece that claims to sound in eleven days is left out."""
    pieces(tmp_path / "a.mkv", [0.0, 0.5, 1e6])
    assert len(read_sound(tmp_path / "a.mkv").audio) == 16_000


def test_sound_is_not_read_beyond_the_longest_clip(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    path.write_bytes(damages.clip_with(samples=damages.tone(20.0)))
    decoded = decode(Clip(id="a", source="folder", speaker="x", video=path), DecodeConfig(longest=3.0))
    assert len(decoded.frames_THW3) == 12 and decoded.difference == pytest.approx(3.0 - 0.48, abs=0.01)


def test_a_clip_longer_than_allowed_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    path.write_bytes(damages.clip_with(frames=damages.bars(60), samples=damages.tone(2.4)))
    with pytest.raises(Rejected) as caught:
        decode(Clip(id="a", source="folder", speaker="x", video=path), DecodeConfig(longest=2.0))
    assert caught.value.reason == "too_large" and "--decode.longest" in caught.value.message
