"""media: constant rate by timestamps, one clock for picture and sound, typed refusals."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.signal import correlate

from datapipe import media
from datapipe.records import Rejected


def tone(seconds: float, hz: float = 300.0) -> np.ndarray:
    t = np.arange(round(seconds * media.SAMPLE_RATE)) / media.SAMPLE_RATE
    return (0.4 * np.sin(2 * np.pi * hz * t) * (0.5 + 0.5 * np.sin(2 * np.pi * 1.7 * t))).astype(np.float32)


def numbered(count: int, side: int = 64) -> np.ndarray:
    """Frames that show their number in eight vertical bars, as bits."""
    bars = np.array([[(index >> bit) & 1 for bit in range(8)] for index in range(count)])
    return (
        np.repeat(np.where(bars.repeat(side // 8, 1)[:, None, :, None], 220, 30), side, 1)
        .repeat(3, 3)
        .astype(np.uint8)
    )


def numbers(frames: np.ndarray) -> list[int]:
    bars = frames.mean((1, 3)).reshape(len(frames), 8, -1).mean(2) > 125
    return [int(sum(1 << bit for bit in range(8) if row[bit])) for row in bars]


def write_at(path: Path, rate: Fraction, count: int) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": "1"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for frame in numbered(count):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))


def test_round_trip_keeps_every_frame_and_the_sounds_place(tmp_path: Path) -> None:
    frames, sound = numbered(50), tone(2.0)
    media.write_video(tmp_path / "a.mp4", frames, sound, crf=4)
    back, heard = media.read_frames(tmp_path / "a.mp4"), media.read_audio(tmp_path / "a.mp4")
    assert back.shape == frames.shape and numbers(back) == list(range(50))
    assert np.abs(back.astype(int) - frames).mean() < 1.0
    count = min(len(heard), len(sound))
    lag = int(correlate(heard[:count], sound[:count], method="fft").argmax()) - (count - 1)
    assert abs(lag) <= 8  # half a millisecond


def test_the_conversion_does_not_darken(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(30, 220, (1, 8, 8, 3), np.uint8), 8, 1).repeat(8, 2).repeat(5, 0)
    media.write_video(tmp_path / "a.mp4", frames, crf=2)
    assert abs(float((media.read_frames(tmp_path / "a.mp4").astype(float) - frames).mean())) < 0.4


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    digests = set()
    for name in ("a.mp4", "b.mp4"):
        media.write_video(tmp_path / name, numbered(12), tone(0.48), metadata={"tool": "x"})
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.metadata["tool"] == "x"


def swaying(count: int, side: int) -> np.ndarray:
    """Smooth pictures in motion, as faces are: noise would not exercise the encoder's look-ahead."""
    y, x = np.mgrid[:side, :side] / side
    waves = [
        np.sin(9 * x + 0.11 * k) + np.cos(7 * y + 4 * x - 0.07 * k) + 0.3 * np.sin(40 * x * y + 0.2 * k)
        for k in range(count)
    ]
    pictures = [np.stack([110 + 40 * a, 120 + 35 * a, 100 + 30 * np.roll(a, 3, 0)], -1) for a in waves]
    return np.stack(pictures).clip(0, 255).astype(np.uint8)


def test_what_lay_in_memory_before_does_not_reach_the_file(tmp_path: Path) -> None:
    """Fails with x264's macroblock tree on: three different files out of five."""
    frames, digests = swaying(95, 64), set()
    for turn in range(5):
        dirt = [np.random.default_rng(turn * 1000 + k).bytes(1000 + k * 7919 % 300_000) for k in range(200)]
        del dirt
        media.write_video(tmp_path / "a.mp4", frames)
        digests.add(hashlib.sha256((tmp_path / "a.mp4").read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("rate", "count"), [(Fraction(25), 50), (Fraction(30), 60), (Fraction(12), 24), (Fraction(50), 100)]
)
def test_any_rate_becomes_25_by_what_a_player_shows(tmp_path: Path, rate: Fraction, count: int) -> None:
    write_at(tmp_path / "a.mp4", rate, count)
    shown = numbers(media.read_frames(tmp_path / "a.mp4"))
    assert len(shown) == 50
    assert shown == [int(Fraction(2 * k + 1, 50) * rate) for k in range(50)]


def test_a_span_is_the_same_as_a_slice(tmp_path: Path) -> None:
    media.write_video(tmp_path / "a.mp4", numbered(100), tone(4.0))
    whole = media.read_frames(tmp_path / "a.mp4")
    assert np.array_equal(media.read_frames(tmp_path / "a.mp4", 2.0, 3.0), whole[50:75])
    heard, part = media.read_audio(tmp_path / "a.mp4"), media.read_audio(tmp_path / "a.mp4", 2.0, 3.0)
    assert len(part) == media.SAMPLE_RATE
    assert np.abs(part - heard[32000:48000]).max() < 0.02


def test_bytes_read_like_a_file(tmp_path: Path) -> None:
    media.write_video(tmp_path / "a.mp4", numbered(10))
    assert np.array_equal(
        media.read_frames((tmp_path / "a.mp4").read_bytes()), media.read_frames(tmp_path / "a.mp4")
    )


def test_keyframes_only_makes_every_frame_stand_alone(tmp_path: Path) -> None:
    media.write_video(tmp_path / "a.mp4", numbered(10), keyframes_only=True)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)


def test_mux_copies_the_pictures(tmp_path: Path) -> None:
    media.write_video(tmp_path / "a.mp4", numbered(25))
    media.mux(tmp_path / "b.mp4", (tmp_path / "a.mp4").read_bytes(), tone(1.0))
    assert np.array_equal(media.read_frames(tmp_path / "b.mp4"), media.read_frames(tmp_path / "a.mp4"))
    assert abs(len(media.read_audio(tmp_path / "b.mp4")) - 16000) <= 1024


def test_wav_round_trip(tmp_path: Path) -> None:
    sound = tone(0.5)
    media.write_wav(tmp_path / "a.wav", sound)
    assert np.abs(media.read_audio(tmp_path / "a.wav") - sound).max() < 1e-4


def reason(path: Path, read: object = media.read_frames) -> str:
    with pytest.raises(Rejected) as caught:
        read(path)  # type: ignore[operator]
    assert path.name in caught.value.message and len(caught.value.message) < 200
    return caught.value.reason


def test_refusals_name_the_file_and_the_reason(tmp_path: Path) -> None:
    media.write_video(
        tmp_path / "whole.mp4", np.random.default_rng(0).integers(0, 255, (60, 64, 64, 3), np.uint8)
    )
    raw = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "cut.mp4").write_bytes(
        raw[: len(raw) // 2]
    )  # faststart: the index is whole, frames are missing
    (tmp_path / "head.mp4").write_bytes(raw[:200])
    box = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + b"\x00\x00\x10\x08mdat"
    (tmp_path / "index_lost.mp4").write_bytes(box + bytes(4096))  # the index stood at the end, which is gone
    media.write_wav(tmp_path / "sound.wav", tone(0.5))
    assert reason(tmp_path / "index_lost.mp4") == "truncated"
    assert reason(tmp_path / "text.mp4") == "not_a_video"
    assert reason(tmp_path / "empty.mp4", media.probe) == "not_a_video"
    assert reason(tmp_path / "head.mp4") == "not_a_video"
    assert reason(tmp_path / "cut.mp4") == "truncated"
    assert reason(tmp_path / "none.mp4") == "missing_file"
    assert reason(tmp_path / "sound.wav", media.probe) == "no_video_stream"
    assert reason(tmp_path / "whole.mp4", media.read_audio) == "no_audio"


def test_a_failed_encode_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Rejected):
        media.write_video(tmp_path / "a.mp4", np.zeros((3, 33, 64, 3), np.uint8))
    with pytest.raises(ValueError):
        media.write_video(tmp_path / "a.mp4", np.zeros((3, 32, 64, 4), np.uint8))
    assert list(tmp_path.iterdir()) == []
