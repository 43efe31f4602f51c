"""What a player shows at each instant; damage is held for a moment, never shown, and longer is refused."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import damages
import numpy as np
import pytest
from test_media import numbered, numbers

from datapipe.film import MISSING_TOLERANCE, read_film
from datapipe.media import write_video
from datapipe.records import Rejected


def long_clip(container: str, codec: str, num_frames: int = 150, group: int = 50) -> bytes:
    """Six seconds of numbered frames, a keyframe every two."""
    options = {"g": str(group), "keyint_min": str(group), "sc_threshold": "0"}

    def spread(video: object, audio: object) -> None:
        video.options = options  # type: ignore[attr-defined]

    return damages.clip_with(
        container=container, frames=list(numbered(num_frames)), samples=None, picture=codec, shape=spread
    )


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "libx264"), ("matroska", "libx264"), ("mpegts", "libx264"), ("flv", "libx264"),
     ("webm", "libvpx-vp9"), ("mpeg", "mpeg2video"), ("mpegts", "mpeg2video")],
)  # fmt: skip
def test_a_span_of_any_container_starts_at_its_own_frame(container: str, codec: str) -> None:
    data = long_clip(container, codec)
    for first, last in ((0, 25), (30, 50), (62, 100), (101, 130)):
        assert numbers(read_film(data, first / 25, last / 25).frames_THW3) == list(range(first, last))


@pytest.mark.parametrize("container", ["mpeg", "h264"])
def test_a_container_that_says_no_length_is_read_to_its_end(container: str) -> None:
    codec = "libx264" if container == "h264" else "mpeg2video"
    assert numbers(read_film(long_clip(container, codec)).frames_THW3)[-1] >= 148


def test_frames_stand_where_their_times_say() -> None:
    """Times are uneven, as phones and screen recorders write them."""
    times = [0, 40, 80, 400, 440, 700, 740, 1000, 1040, 1080]
    data = damages.clip_with(
        frames=list(numbered(10)), times=lambda index: Fraction(times[index], 1000), samples=None
    )
    shown = numbers(read_film(data).frames_THW3)
    expected = [max(k for k, time in enumerate(times) if time <= 40 * n + 20) for n in range(len(shown))]
    assert shown == expected and len(shown) == 28


def test_a_film_may_end_before_its_sound_does() -> None:
    for container in ("mp4", "matroska"):
        data = damages.clip_with(container=container, frames=list(numbered(25)), samples=damages.tone(8.0))
        shown = numbers(read_film(data).frames_THW3)
        assert shown[:25] == list(range(25)) and len(shown) <= 25 + MISSING_TOLERANCE * 25
        with pytest.raises(Rejected) as caught:
            read_film(data, 3.0, 4.0)
        assert caught.value.reason == "too_short" and "3.00 s" in caught.value.message


def test_pictures_that_the_end_lacks_are_counted(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", np.stack(list(numbered(50))), keyframes_only=True)
    whole = (tmp_path / "clip.mp4").read_bytes()
    ends = [place + size for place, size in packets_of(whole, tmp_path)]
    assert read_film(whole).num_held == 0
    cut = read_film(whole[: ends[44]])
    assert (len(cut.frames_THW3), cut.num_held) == (50, 5)
    assert numbers(cut.frames_THW3[45:]) == [numbers(cut.frames_THW3[44:45])[0]] * 5


def packets_of(data: bytes, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Where each packet of the picture lies, and its size."""
    path = tmp_path / "whole.mp4"
    path.write_bytes(data)
    with av.open(str(path)) as container:
        yield from ((p.pos, p.size) for p in container.demux(video=0) if p.size)


def spoiled(data: bytes, where: list[tuple[int, int]]) -> bytes:
    noise = np.random.default_rng(0)
    raw = bytearray(data)
    for position, size in where:
        raw[position + 5 : position + size] = noise.bytes(size - 5)
    return bytes(raw)


def busy(num_frames: int) -> list[np.ndarray]:
    """Numbered frames under noise that makes each packet long enough to be spoiled in its middle."""
    rng = np.random.default_rng(1)
    return [
        (f.astype(int) + rng.integers(-20, 20, f.shape)).clip(0, 255).astype(np.uint8)
        for f in numbered(num_frames)
    ]


def test_a_damaged_frame_is_not_shown_and_the_one_before_it_stays(tmp_path: Path) -> None:
    data = damages.clip_with(frames=busy(50), samples=None)  # every frame stands alone
    places = list(packets_of(data, tmp_path))
    shown = numbers(read_film(spoiled(data, places[20:23])).frames_THW3)
    assert shown == [*range(20), 19, 19, 19, *range(23, 50)]


def test_longer_damage_is_refused_and_says_where(tmp_path: Path) -> None:
    data = damages.clip_with(frames=busy(50), samples=None)
    places = list(packets_of(data, tmp_path))
    with pytest.raises(Rejected) as caught:
        read_film(spoiled(data, places[20:30]))
    assert caught.value.reason == "truncated" and "damaged after 0.76 s" in caught.value.message
    assert numbers(read_film(spoiled(data, places[20:30]), 1.28, 2.0).frames_THW3) == list(range(32, 50))


def test_what_builds_on_a_damaged_frame_is_not_shown_either(tmp_path: Path) -> None:
    """One packet of a group of fifty; the decoder conceals it and goes on without a word."""

    def group(video: object, audio: object) -> None:
        video.options = {"g": "50", "keyint_min": "50", "sc_threshold": "0", "bf": "0"}  # type: ignore[attr-defined]

    data = damages.clip_with(frames=busy(100), samples=None, shape=group)
    places = list(packets_of(data, tmp_path))
    with pytest.raises(Rejected) as caught:
        read_film(spoiled(data, places[10:11]), 0.0, 2.0)
    assert caught.value.reason == "truncated"
    late = numbers(read_film(spoiled(data, places[44:45]), 0.0, 4.0).frames_THW3)
    assert late == [*range(44), *[43] * 6, *range(50, 100)]
