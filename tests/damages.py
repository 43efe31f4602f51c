"""More than five hundred damaged, lying and odd media files, all made from one small clip; the seed decides.

`small_clip` is the good one, `damaged_files` spoils it (and the same in other containers) byte by byte,
`wrong_files` only call themselves videos, `odd_files` are whole but unusual and made by the encoder.
"""

from __future__ import annotations

import gzip
import io
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

RATE, NUM_FRAMES, WIDTH, HEIGHT = 25, 12, 64, 48
EXTREMES = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf"}
FIELDS: dict[bytes, tuple[int, ...]] = {
    b"mvhd": (12, 16, 20),
    b"tkhd": (8, 12, 20, 32, 76, 80),
    b"mdhd": (12, 16),
    b"hdlr": (8,),
    b"stsd": (4, 8, 12, 40, 44),
    b"stts": (4, 8, 12),
    b"stsz": (4, 8, 12),
    b"stsc": (4, 8, 12, 16),
    b"stco": (4, 8),
    b"elst": (4, 8, 12, 16),
    b"avcC": (0, 4, 8),
    b"esds": (4, 12, 20),
}
"""Offsets of four-byte fields worth lying about, in a box's content (ISO 14496-12)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A file to try, and what is the matter with it."""

    name: str
    data: bytes
    note: str


def small_clip(container: str = "mp4", num_frames: int = NUM_FRAMES, **options: str) -> bytes:
    """Half a second of moving bars and a tone; every frame stands alone."""
    codecs = {"webm": ("libvpx", "libopus"), "avi": ("mpeg4", "mp3")}
    picture, sound = codecs.get(container, ("libx264", "aac"))
    names = {"mkv": "matroska", "ts": "mpegts"}
    fixed = {"fflags": "+bitexact", "movflags": "+faststart"} | options
    return encoded(
        names.get(container, container), bars(num_frames), tone(num_frames / RATE), picture, sound, fixed
    )


def bars(num_frames: int, width: int = WIDTH, height: int = HEIGHT) -> list[np.ndarray]:
    """Grey bars that move by two pixels a frame."""
    x = np.arange(width)
    rows = [np.where((x + 2 * k) // 8 % 2, 200, 50).astype(np.uint8) for k in range(num_frames)]
    return [np.repeat(np.repeat(row[None], height, 0)[..., None], 3, 2) for row in rows]


def tone(seconds: float, rate: int = 16000, channels: int = 1) -> np.ndarray:
    """A tone that swells, (channels, samples)."""
    t = np.arange(round(seconds * rate)) / rate
    wave = (0.3 * np.sin(2 * np.pi * 220 * t) * (1 + np.sin(2 * np.pi * 3 * t))).astype(np.float32)
    return np.repeat(wave[None], channels, 0)


def encoded(
    container: str,
    frames: list[np.ndarray],
    samples: np.ndarray | None,
    picture: str = "libx264",
    sound: str = "aac",
    options: dict[str, str] | None = None,
    shape: Callable[[Any, Any], None] = lambda video, audio: None,
    times: Callable[[int], Fraction] | None = None,
    pix_fmt: str = "yuv420p",
    rate: int = 16000,
) -> bytes:
    """Encode frames and sound; `shape(video, audio)` may change the streams first, `times` says when."""
    with tempfile.NamedTemporaryFile() as file:
        _write(file.name, container, frames, samples, picture, sound, options, shape, times, pix_fmt, rate)
        return Path(file.name).read_bytes()


def _write(path, container, frames, samples, picture, sound, options, shape, times, pix_fmt, rate):
    with av.open(path, "w", format=container, options=options or {}) as out:
        video = audio = None
        if frames:
            extra = {"g": "1", "x264-params": "mbtree=0"} if picture == "libx264" else {"g": "1"}
            video = out.add_stream(picture, rate=RATE, options=extra)
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = pix_fmt
            video.codec_context.thread_count = 1
            if times is not None:
                video.codec_context.time_base = Fraction(1, 1000)
        if samples is not None:
            layout = {1: "mono", 2: "stereo", 8: "7.1"}[len(samples)]
            audio = out.add_stream(sound, rate=rate, layout=layout)
        shape(video, audio)
        _encode(out, video, frames, times)
        if samples is not None and samples.size:
            _encode_sound(out, audio, samples, rate)


def _encode(out: Any, video: Any, frames: list[np.ndarray], times: Callable[[int], Fraction] | None) -> None:
    for index, picture in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = frame.reformat(width=video.width, height=video.height, format=video.pix_fmt, threads=1)
        frame.time_base = Fraction(1, 1000)
        frame.pts = int((times(index) if times else Fraction(index, RATE)) * 1000)
        out.mux(video.encode(frame))
    if video is not None:
        out.mux(video.encode(None))


def _encode_sound(out: Any, audio: Any, samples: np.ndarray, rate: int) -> None:
    woven = np.ascontiguousarray(samples.T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(woven, format="flt", layout=audio.layout.name)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    size = audio.codec_context.frame_size or None
    fit = av.AudioResampler(
        format=audio.format.name, layout=audio.layout.name, rate=audio.rate, frame_size=size
    )
    for part in [*fit.resample(frame), *fit.resample(None)]:
        out.mux(audio.encode(part))
    out.mux(audio.encode(None))


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, where the content starts, where it ends) of an MP4's boxes, at any depth."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        if size < 8:
            return
        yield kind, start + 8, start + size
        inside = {b"stsd": 16, b"avc1": 86, b"mp4a": 36}.get(kind, 8 if kind in PARENTS else 0)
        if inside:
            yield from boxes(data, start + inside, start + size)
        start += size


def damaged_files(seed: int = 0) -> Iterator[Damage]:
    """Cut, flip, overwrite, move and lie; about 620 files."""
    rng = np.random.default_rng(seed)
    good = small_clip()
    yield from _cut(good, "mp4", 50)
    yield from _flipped(good, "mp4", rng, 150)
    yield from _blocks(good, "mp4", rng, 40)
    yield from _lies(good)
    for container in ("mkv", "webm", "avi", "ts", "flv"):
        other = small_clip(container)
        yield from _cut(other, container, 8)
        yield from _flipped(other, container, rng, 24)
        yield from _blocks(other, container, rng, 6)


def _cut(good: bytes, suffix: str, count: int) -> Iterator[Damage]:
    for number in range(count):
        size = len(good) * number // count
        yield Damage(name=f"cut_{size:06d}.{suffix}", data=good[:size], note=f"ends after {size} bytes")


def _flipped(good: bytes, suffix: str, rng: np.random.Generator, count: int) -> Iterator[Damage]:
    """One to sixty-four bits; half of the files are spoiled in their first part, where the index is."""
    for number in range(count):
        data = np.frombuffer(good, np.uint8).copy()
        bits = 1 << (number % 7)
        reach = len(data) if number % 2 else min(len(data), 2048)
        places = rng.integers(0, reach, bits)
        np.bitwise_xor.at(data, places, (1 << rng.integers(0, 8, bits)).astype(np.uint8))
        yield Damage(name=f"flip_{number:03d}.{suffix}", data=data.tobytes(), note=f"{bits} bits flipped")


def _blocks(good: bytes, suffix: str, rng: np.random.Generator, count: int) -> Iterator[Damage]:
    ways: dict[str, Callable[[bytes, int, int], bytes]] = {
        "zeroed": lambda data, a, b: data[:a] + bytes(b - a) + data[b:],
        "ones": lambda data, a, b: data[:a] + b"\xff" * (b - a) + data[b:],
        "noise": lambda data, a, b: data[:a] + rng.bytes(b - a) + data[b:],
        "lost": lambda data, a, b: data[:a] + data[b:],
        "doubled": lambda data, a, b: data[:b] + data[a:],
        "foreign": lambda data, a, b: data[:a] + rng.bytes(b - a) + data[a:],
    }
    for number in range(count):
        way = list(ways)[number % len(ways)]
        a = int(rng.integers(0, len(good) - 8))
        b = min(len(good), a + int(rng.integers(1, 1 << int(rng.integers(2, 12)))))
        data = ways[way](good, a, b)
        yield Damage(name=f"{way}_{number:03d}.{suffix}", data=data, note=f"bytes {a} to {b} {way}")


def _lies(good: bytes) -> Iterator[Damage]:
    """Every field of `FIELDS` in every box of its kind, set to what no honest file says."""
    for track, (kind, first, _) in enumerate(boxes(good)):
        for offset in FIELDS.get(kind, ()):
            for value in EXTREMES:
                where = first + offset
                data = good[:where] + struct.pack(">I", value) + good[where + 4 :]
                name = f"lie_{kind.decode()}_{track:02d}_{offset:02d}_{value:08x}.mp4"
                yield Damage(name=name, data=data, note=f"{kind.decode()} + {offset} says {value}")


def patched(good: bytes, kind: bytes, offset: int, value: bytes, which: int = 0) -> bytes:
    """Overwrite bytes in the content of the n-th box of a kind."""
    first = [start for each, start, _ in boxes(good) if each == kind][which] + offset
    return good[:first] + value + good[first + len(value) :]


def wrong_files(reach: str = "/etc/hostname") -> Iterator[Damage]:
    """Files of other kinds under a video's name; some would make a careless reader open `reach`."""
    rng = np.random.default_rng(1)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr(zipfile.ZipInfo("a.txt"), "text " * 100)  # a plain name would carry the clock
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{reach}\n#EXT-X-ENDLIST\n"
    pictures = {
        "png": encoded("image2pipe", bars(1), None, "png", pix_fmt="rgb24"),
        "jpeg": encoded("image2pipe", bars(1), None, "mjpeg", pix_fmt="yuvj420p"),
        "gif": encoded("gif", bars(6), None, "gif", pix_fmt="rgb8"),
    }
    texts = {
        "empty": "",
        "text": "this is no video\n" * 50,
        "html": "<!DOCTYPE html><html><body>404 not found</body></html>" * 20,
        "pdf": "%PDF-1.7\n1 0 obj << >> endobj\n" * 20,
        "json": '{"error": "video unavailable"}',
        "playlist": playlist,
        "concat": f"ffconcat version 1.0\nfile {reach}\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        "dash": f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{reach}</BaseURL></MPD>',
        "subtitles": "1\n00:00:00,000 --> 00:00:09,000\nhello\n",
        "script": "#!/bin/sh\nexit 0\n",
    }
    binaries = {
        "zip": archive.getvalue(),
        "gzip": gzip.compress(small_clip(), mtime=0),
        "noise": rng.bytes(5000),
        "zeros": bytes(5000),
        "elf": b"\x7fELF\x02\x01\x01" + rng.bytes(600),
        "utf16": "this is no video".encode("utf-16") * 40,
        "only_ftyp": b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2",
        "endless_box": b"\x00\x00\x00\x00ftypisom" + bytes(400),
        "nested_boxes": b"".join(struct.pack(">I4s", 8 * (300 - n), b"moov") for n in range(300)),
        "wav": encoded("wav", [], tone(0.5), sound="pcm_s16le"),
        "mp3": encoded("mp3", [], tone(0.5), sound="mp3"),
        "flac": encoded("flac", [], tone(0.5), sound="flac"),
    }
    for name, data in ({name: text.encode() for name, text in texts.items()} | pictures | binaries).items():
        yield Damage(name=f"wrong_{name}.mp4", data=data, note=f"{name} that calls itself mp4")


def odd_files() -> Iterator[Damage]:
    """Whole files that are rare, each named for what it has to become: `REASON-what` or `ok-what`."""
    good = small_clip()
    for kind, data in (_odd_pictures(good) | _odd_sounds()).items():
        name, _, suffix = kind.rpartition(".")
        yield Damage(name=f"{name}.{suffix}", data=data, note=name)


def clip_with(**changes: Any) -> bytes:
    """Encode the small clip with something else about it."""
    settings: dict[str, Any] = {"container": "mp4", "frames": bars(NUM_FRAMES), "samples": tone(0.48)}
    return encoded(**(settings | changes))


def _odd_pictures(good: bytes) -> dict[str, bytes]:
    def turned(degrees: int, **flips: bool) -> bytes:
        return clip_with(shape=lambda video, audio: video.set_display_rotation(degrees, **flips))

    def cover(video: Any, audio: Any) -> None:
        video.disposition = 0x400

    def wide(video: Any, audio: Any) -> None:
        video.codec_context.sample_aspect_ratio = Fraction(4, 3)

    yuv444 = {"pix_fmt": "yuv444p"}
    odd_size = [picture[:47, :63] for picture in bars(NUM_FRAMES)]
    slow = {"frames": bars(4), "times": lambda index: Fraction(index)}
    uneven = (0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13)
    mjpeg = {"picture": "mjpeg", "pix_fmt": "yuvj420p", "container": "mov", "sound": "pcm_s16le"}
    return {
        "ok-plain.mp4": good,
        "ok-quarter_turn.mp4": turned(90),
        "ok-half_turn.mp4": turned(180),
        "ok-back_turn.mp4": turned(-90),
        "ok-odd_angle.mp4": turned(33),
        "ok-mirrored.mp4": turned(0, hflip=True),
        "ok-wide_pixels.mp4": clip_with(shape=wide),
        "ok-variable_rate.mp4": clip_with(times=lambda index: Fraction(uneven[index], RATE)),
        "ok-one_frame_a_second.mp4": clip_with(samples=tone(4.0), **slow),
        "ok-hundred_frames_a_second.mp4": clip_with(
            frames=bars(60), times=lambda index: Fraction(index, 100), samples=tone(0.6)
        ),
        "ok-odd_size.mp4": clip_with(frames=odd_size, **yuv444),
        "ok-ten_bits.mp4": clip_with(pix_fmt="yuv420p10le"),
        "ok-grey.mp4": clip_with(pix_fmt="gray"),
        "ok-full_range.mov": clip_with(**mjpeg),
        "ok-alpha.mov": clip_with(container="mov", picture="png", pix_fmt="rgba"),
        "ok-palette.mkv": clip_with(container="matroska", picture="ffv1", pix_fmt="bgr0"),
        "ok-live.webm": clip_with(container="webm", picture="libvpx", sound="libopus", options={"live": "1"}),
        "ok-transport.ts": small_clip("ts"),
        "ok-flash.flv": small_clip("flv"),
        "ok-riff.avi": small_clip("avi"),
        "ok-program.mpg": clip_with(container="mpeg", picture="mpeg2video", sound="mp2"),
        "no_video_stream-cover_only.mp4": clip_with(
            frames=bars(1), picture="mjpeg", pix_fmt="yuvj420p", shape=cover
        ),
        "too_short-one_frame.mp4": clip_with(frames=bars(1), samples=tone(0.04)),
        "ok-header_says_32768.mp4": patched(good, b"avc1", 24, b"\x80\x00\x80\x00"),
        "truncated-huge_png.mov": _huge_png(),
        "too_large-raw.mov": _huge_raw(),
        "no_audio-raw_stream.m4v": clip_with(container="h264", samples=None),
        "no_audio-silent_film.mp4": clip_with(samples=None),
    }


def _huge_png() -> bytes:
    """Every picture declares 12,000 pixels a side: 400 MiB each, out of a few hundred bytes."""
    data = clip_with(container="mov", picture="png", pix_fmt="rgb24", sound="pcm_s16le")
    return data.replace(struct.pack(">II", WIDTH, HEIGHT), struct.pack(">II", 12_000, 12_000))


def _huge_raw() -> bytes:
    """The index declares 32,768 pixels a side, and nothing else says a size."""
    data = clip_with(container="mov", picture="rawvideo", pix_fmt="rgb24", sound="pcm_s16le")
    return patched(data, b"raw ", 24, struct.pack(">HH", 32768, 32768))


def _odd_sounds() -> dict[str, bytes]:
    pcm = {"container": "mov", "sound": "pcm_f32le"}
    holes = tone(0.48)
    holes[0, 2000:2400] = np.nan
    holes[0, 5000:5100] = np.inf
    lost = tone(0.48)
    lost[0, 100:7000] = np.nan
    return {
        "ok-eight_channels.mov": clip_with(samples=tone(0.48, channels=8), **pcm),
        "ok-192_kilohertz.mov": clip_with(samples=tone(0.48, rate=192_000), rate=192_000, **pcm),
        "ok-not_numbers.mov": clip_with(samples=holes, **pcm),
        "truncated-no_numbers_at_all.mov": clip_with(samples=lost, **pcm),
        "ok-too_loud.mov": clip_with(samples=tone(0.48) * 1e20, **pcm),
        "ok-much_longer_sound.mp4": clip_with(samples=tone(40.0)),
        "ok-much_longer_sound.mkv": clip_with(container="matroska", samples=tone(40.0)),
        "silent-nothing_heard.mov": clip_with(samples=tone(0.48) * 0, **pcm),
        "no_audio-no_samples.mov": clip_with(samples=tone(0.48)[:, :0], **pcm),
    }
