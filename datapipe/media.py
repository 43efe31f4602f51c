"""The only module that decodes or encodes: video to RGB frames and 16 kHz mono sound, and back.

Time 0 is the first video frame's (the first sample's when there is no picture). The working rate is
constant: output frame k is what a player shows at the middle of its interval, at (k + 0.5) / fps, so a
25 fps source comes back frame by frame and any other rate keeps its lips on its sound.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import av.stream
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from .files import publish, write_bytes
from .records import Probe, Rejected, Seconds

FPS = 25
SAMPLE_RATE = 16000
MISSING_TOLERANCE: Seconds = 0.3
"""A file that ends this much before its container says has lost frames."""

ROUNDING = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
"""swscale's default conversion darkens every picture by more than a grey level; this one does not."""

Source = Path | bytes


def probe(path: Path) -> Probe:
    """Read what the container says; `Rejected` when it is no video or has no picture."""
    with _opened(path) as container:
        video = _video_stream(container, _name(path))
        sound = container.streams.audio[0] if container.streams.audio else None
        rate = Fraction(video.average_rate or video.guessed_rate or FPS)
        duration = _duration(container, video)
        return Probe(
            width=video.codec_context.width,
            height=video.codec_context.height,
            fps=rate,
            num_frames=video.frames or round(duration * rate),
            duration=round(duration, 6),
            video_codec=video.codec_context.name,
            audio_codec=sound.codec_context.name if sound else None,
            sample_rate=sound.codec_context.sample_rate if sound else None,
        )


def read_frames(
    source: Source, start: Seconds = 0.0, end: Seconds | None = None, fps: int = FPS
) -> NDArray[np.uint8]:
    """Decode a span once, as (T, H, W, 3) RGB at a constant rate; T = round(span * fps).

    `end` beyond the file is cut to it. Raises `Rejected`: not_a_video, no_video_stream, truncated (frames
    that the container announces are not there), too_short.
    """
    name = _name(source)
    with _opened(source) as container:
        video = _video_stream(container, name)
        available = _duration(container, video)
        stop = min(end, available) if end is not None and available > 0 else available
        num_frames = round((stop - start) * fps)
        if num_frames < 1:
            raise Rejected("too_short", f"{name} holds no frame between {start:.2f} s and {stop:.2f} s")
        decoded = _decoded_frames(container, video, start)
        frames, reached = _hold(decoded, [start + (k + 0.5) / fps for k in range(num_frames)])
    if frames is None or reached < stop - MISSING_TOLERANCE:
        raise Rejected(
            "truncated",
            f"{name} ends at {reached:.2f} s but should reach {stop:.2f} s; copy it again",
        )
    return frames


def read_audio(source: Source, start: Seconds = 0.0, end: Seconds | None = None) -> NDArray[np.float32]:
    """Decode a span of the sound to 16 kHz mono float32 in [-1, 1], on the picture's clock.

    Sound that begins after the picture is padded at the front. Raises `Rejected`: not_a_video (unreadable),
    no_audio.
    """
    name = _name(source)
    with _opened(source) as container:
        if not container.streams.audio:
            raise Rejected("no_audio", f"{name} has no audio track; give a sound file or leave it out")
        stream = container.streams.audio[0]
        origin = _origin(container)
        if start > 1.0:
            container.seek(int((start + origin - 0.5) / stream.time_base), stream=stream)
        pieces, first = _decode_sound(container, stream, None if end is None else end + origin)
    if not pieces:
        raise Rejected("no_audio", f"{name} has an audio track without samples; copy it again")
    return _on_clock(np.concatenate(pieces), first - origin, start, end)


def write_video(  # noqa: PLR0913 - one call says all that the file will be
    path: Path,
    frames_THW3: NDArray[np.uint8],
    audio: NDArray[np.float32] | None = None,
    *,
    fps: int = FPS,
    crf: int = 14,
    metadata: Mapping[str, str] | None = None,
    keyframes_only: bool = False,
) -> None:
    """Encode H.264 yuv420p (and AAC) to an mp4 that starts at once in a browser; whole or not at all.

    Frames are (T, H, W, 3) with even H and W. One encoder thread, so that equal input gives equal bytes.
    """
    shape = frames_THW3.shape
    if len(shape) != 4 or shape[1] % 2 or shape[2] % 2 or shape[0] == 0:
        raise Rejected("bad_input", f"{path.name}: frames must be (T, even H, even W, 3), not {shape}")
    with _new_mp4(path) as out:
        out.metadata.update(metadata or {})
        video = _add_video(out, shape, fps, crf, keyframes_only)
        sound = _add_sound(out) if audio is not None else None
        _encode_frames(out, video, frames_THW3)
        if sound is not None and audio is not None:
            _encode_sound(out, sound, audio)


def mux(path: Path, video: bytes, audio: NDArray[np.float32]) -> None:
    """Join an mp4's pictures, copied as they are encoded, with sound; whole or not at all."""
    with _opened(video) as source, _new_mp4(path) as out:
        pictures = _video_stream(source, path.name)
        copied, sound = out.add_stream_from_template(pictures), _add_sound(out)
        for packet in source.demux(pictures):
            if packet.dts is not None:
                packet.stream = copied
                out.mux(packet)
        _encode_sound(out, sound, audio)


def wav_bytes(audio: NDArray[np.float32]) -> bytes:
    """Serialise 16 kHz mono sound as a 16-bit PCM WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(to_pcm16(audio).tobytes())
    return buffer.getvalue()


def write_wav(path: Path, audio: NDArray[np.float32]) -> None:
    """Write 16 kHz mono sound as a 16-bit PCM WAV file."""
    write_bytes(path, wav_bytes(audio))


def to_pcm16(audio: NDArray[np.float32]) -> NDArray[np.int16]:
    """Round [-1, 1] floats to 16-bit integers, clipping what is louder."""
    return np.clip(np.round(audio * 32767.0), -32768, 32767).astype(np.int16)


def _name(source: Source) -> str:
    return source.name if isinstance(source, Path) else "the video"


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    """Open for reading; what FFmpeg cannot make sense of becomes `Rejected`, a missing file missing_file."""
    name = _name(source)
    try:
        with av.open(str(source) if isinstance(source, Path) else io.BytesIO(source)) as container:
            yield container
    except av.error.FileNotFoundError as error:
        raise Rejected("missing_file", f"{name} is not there; check the path") from error
    except (av.error.InvalidDataError, av.error.EOFError, av.error.ArgumentError) as error:
        if _begins_as_mp4(source):
            raise Rejected(
                "truncated", f"{name} begins as an MP4 but its index is cut off; copy it again"
            ) from error
        raise Rejected(
            "not_a_video", f"{name} cannot be read as a video ({error.strerror}); copy it again"
        ) from error


@contextmanager
def _new_mp4(path: Path) -> Iterator[Any]:
    """Open an mp4 for writing: it starts at once, its bytes follow from its content, it appears whole."""
    options = {"movflags": "+faststart+use_metadata_tags", "fflags": "+bitexact"}
    with publish(path) as temporary, av.open(str(temporary), "w", format="mp4", options=options) as out:
        yield out


def _begins_as_mp4(source: Source) -> bool:
    """Tell an MP4 that lost its end, where players keep the index, from a file that never was a video."""
    if isinstance(source, bytes):
        return source[4:8] == b"ftyp"
    with source.open("rb") as stream:
        return stream.read(8)[4:] == b"ftyp"


def _video_stream(container: Any, name: str) -> Any:
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    if not container.streams.audio:
        raise Rejected(
            "not_a_video", f"{name} holds neither picture nor sound; take it away or copy it again"
        )
    raise Rejected("no_video_stream", f"{name} has no picture; only its sound could be used")


def _origin(container: Any) -> float:
    stream = (list(container.streams.video) or list(container.streams.audio))[0]
    return float(stream.start_time or 0) * float(stream.time_base)


def _duration(container: Any, video: Any) -> float:
    if video.duration:
        return int(video.duration) * float(video.time_base)
    return int(container.duration or 0) / int(av.time_base)


def _decoded_frames(container: Any, video: Any, start: Seconds) -> Iterator[tuple[float, Any]]:
    """Yield (seconds, frame) from the last keyframe before `start`; broken data ends the stream."""
    origin = _origin(container)
    video.codec_context.thread_count = 1
    if start > 1.0:
        container.seek(int((start + origin) / video.time_base), stream=video)
    try:
        for frame in container.decode(video):
            if frame.pts is not None:
                yield float(frame.pts * video.time_base) - origin, frame
    except (av.error.InvalidDataError, av.error.EOFError):
        return


def _hold(
    decoded: Iterator[tuple[float, Any]], instants: list[float]
) -> tuple[NDArray[np.uint8] | None, float]:
    """Show at each instant the newest frame that began by then; also how far the frames reach."""
    frames: NDArray[np.uint8] | None = None
    shown: Any = None
    filled, reached, gap = 0, 0.0, 0.0
    for time, frame in decoded:
        gap = min(max(time - reached, 0.0), 1.0) if shown is not None else 0.0
        while shown is not None and filled < len(instants) and instants[filled] < time - 1e-6:
            frames, filled = _put(frames, filled, shown, len(instants))
        shown, reached = frame, time
        if filled == len(instants):
            return frames, reached
    while shown is not None and filled < len(instants):
        frames, filled = _put(frames, filled, shown, len(instants))
    return frames, reached + gap


def _put(
    frames: NDArray[np.uint8] | None, filled: int, shown: Any, total: int
) -> tuple[NDArray[np.uint8], int]:
    picture = shown.reformat(format="rgb24", interpolation=ROUNDING, threads=1).to_ndarray()
    if frames is None:
        frames = np.empty((total, *picture.shape), np.uint8)
    frames[filled] = picture
    return frames, filled + 1


def _decode_sound(container: Any, stream: Any, end: float | None) -> tuple[list[NDArray[np.float32]], float]:
    """Decode up to `end` (container time); the samples, and when the first one sounds."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    pieces: list[NDArray[np.float32]] = []
    first = 0.0
    try:
        for frame in container.decode(stream):
            time = float((frame.pts or 0) * frame.time_base)
            first = first if pieces else time
            pieces += [part.to_ndarray()[0] for part in resampler.resample(frame)]
            if end is not None and time > end + 0.5:
                break
    except (av.error.InvalidDataError, av.error.EOFError):
        pass  # what was decoded stands; the length check against the picture is the flow's
    pieces += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return [piece.astype(np.float32) for piece in pieces], first


def _on_clock(
    audio: NDArray[np.float32], first: float, start: Seconds, end: Seconds | None
) -> NDArray[np.float32]:
    """Cut [start, end) out of sound whose first sample is at `first`; silence where there is none before."""
    shift = round((start - first) * SAMPLE_RATE)
    audio = audio[shift:] if shift >= 0 else np.concatenate([np.zeros(-shift, np.float32), audio])
    count = len(audio) if end is None else min(len(audio), round((end - start) * SAMPLE_RATE))
    return np.ascontiguousarray(np.clip(audio[:count], -1.0, 1.0), dtype=np.float32)


def _add_video(out: Any, shape: tuple[int, ...], fps: int, crf: int, keyframes_only: bool) -> Any:
    # x264's macroblock tree reads memory it did not write on small frames: equal input, unequal bytes
    options = {"crf": str(crf), "preset": "medium", "x264-params": "mbtree=0"}
    stream = out.add_stream("libx264", rate=fps, options=options | ({"g": "1"} if keyframes_only else {}))
    stream.height, stream.width, stream.pix_fmt = shape[1], shape[2], "yuv420p"
    context = stream.codec_context
    context.thread_count = 1
    context.colorspace, context.color_range = (
        6,
        1,
    )  # BT.601, limited: what swscale converts to, said in the file
    context.color_primaries, context.color_trc = 6, 6
    return stream


def _add_sound(out: Any) -> Any:
    stream = out.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
    stream.bit_rate = 96_000
    return stream


def _encode_frames(out: Any, stream: Any, frames_THW3: NDArray[np.uint8]) -> None:
    for picture in frames_THW3:
        out.mux(stream.encode(_to_yuv(picture)))
    out.mux(stream.encode(None))


def _to_yuv(picture_HW3: NDArray[np.uint8]) -> Any:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture_HW3), format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace="ITU601", interpolation=ROUNDING, threads=1)


def _encode_sound(out: Any, stream: Any, audio: NDArray[np.float32]) -> None:
    frame = av.AudioFrame.from_ndarray(audio[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
    fit: Callable[[Any], list[Any]] = av.AudioResampler(
        format="fltp", layout="mono", rate=SAMPLE_RATE, frame_size=1024
    ).resample
    for part in [*fit(frame), *fit(None)]:
        out.mux(stream.encode(part))
    out.mux(stream.encode(None))
