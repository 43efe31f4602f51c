"""The only module that decodes or encodes: video to RGB frames and 16 kHz mono sound, and back.

Time 0 is the first video frame's (the first sample's when there is no picture). The working rate is
constant: output frame k is what a player shows at the middle of its interval, at (k + 0.5) / fps, so a
25 fps source comes back frame by frame and any other rate keeps its lips on its sound.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from numpy.typing import NDArray

from .container import Source, duration, name_of, opened, scanned_duration, video_stream
from .files import publish, write_bytes
from .film import FPS, read_film
from .picture import TO_YUV
from .records import Probe, Rejected, Seconds
from .sound import SAMPLE_RATE, read_sound

__all__ = [
    "FPS",
    "SAMPLE_RATE",
    "Reel",
    "mux",
    "new_reel",
    "probe",
    "read_audio",
    "read_frames",
    "to_pcm16",
    "wav_bytes",
    "write_video",
    "write_wav",
]


def probe(path: Path) -> Probe:
    """Read what the container says; `Rejected` when it is no video or has no picture.

    Width and height are the encoded ones, before any turn or stretch that the file asks for.
    """
    with opened(path) as container:
        video = video_stream(container, name_of(path))
        sound = next((each for each in container.streams.audio if each.codec_context is not None), None)
        rate = Fraction(video.average_rate or video.guessed_rate or FPS)
        seconds = duration(container, video) or scanned_duration(path)
        return Probe(
            width=video.codec_context.width,
            height=video.codec_context.height,
            fps=rate,
            num_frames=video.frames or round(seconds * rate),
            duration=round(seconds, 6),
            video_codec=video.codec_context.name,
            audio_codec=sound.codec_context.name if sound else None,
            sample_rate=sound.codec_context.sample_rate if sound else None,
        )


def read_frames(
    source: Source, start: Seconds = 0.0, end: Seconds | None = None, fps: int = FPS
) -> NDArray[np.uint8]:
    """Decode a span once, as (T, H, W, 3) RGB at a constant rate; raises as `film.read_film` does."""
    return read_film(source, start, end, fps).frames_THW3


def read_audio(source: Source, start: Seconds = 0.0, end: Seconds | None = None) -> NDArray[np.float32]:
    """Decode a span of the sound to 16 kHz mono float32 in [-1, 1], on the picture's clock.

    Where there is none (before it begins, in a gap, where it is damaged) there is silence. Raises as
    `sound.read_sound` does.
    """
    return read_sound(source, start, end).audio


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
        video = _add_video(out, shape, fps, {"crf": str(crf)} | ({"g": "1"} if keyframes_only else {}))
        sound = _add_sound(out) if audio is not None else None
        _encode_frames(out, video, frames_THW3)
        if sound is not None and audio is not None:
            _encode_sound(out, sound, audio)


class Reel:
    """An mp4 that grows: pictures and their sound are encoded as they come, and nothing is kept."""

    def __init__(self, out: Any, fps: int, options: Mapping[str, str], has_sound: bool) -> None:
        self._out, self._fps, self._options = out, fps, dict(options)
        self._video: Any = None
        self._sound = _add_sound(out) if has_sound else None
        self._fitted = _sound_fitter()
        self._num_samples = 0

    def add(self, frames_THW3: NDArray[np.uint8], audio: NDArray[np.float32] | None = None) -> None:
        """Append (T, even H, even W, 3) pictures, all of one size, and samples; either may be empty."""
        if len(frames_THW3):
            self._video = self._video or _add_video(self._out, frames_THW3.shape, self._fps, self._options)
        for picture in frames_THW3:
            self._out.mux(self._video.encode(_to_yuv(picture)))
        if self._sound is not None and audio is not None and len(audio):
            for part in self._fitted.resample(_sound_frame(audio, self._num_samples)):
                self._out.mux(self._sound.encode(part))
            self._num_samples += len(audio)

    def finish(self) -> None:
        """Write what the encoders still hold. Raises `Rejected("bad_input")` when there was no picture."""
        if self._video is None:
            raise Rejected("bad_input", "a video needs at least one picture")
        self._out.mux(self._video.encode(None))
        if self._sound is not None and self._num_samples:
            for part in self._fitted.resample(None):
                self._out.mux(self._sound.encode(part))
            self._out.mux(self._sound.encode(None))


@contextmanager
def new_reel(
    target: Path | IO[bytes],
    *,
    fps: int = FPS,
    crf: int = 14,
    metadata: Mapping[str, str] | None = None,
    has_sound: bool = True,
) -> Iterator[Reel]:
    """Open an mp4 to append to: a path gets it whole or not at all, a stream piece by piece as it grows.

    A path's file is what `write_video` would write of the same frames and sound. A stream need not be
    seekable: it gets fragments of a second each, from an encoder that looks at no later picture.
    """
    options = {"crf": str(crf)}
    if isinstance(target, Path):
        with _new_mp4(target) as out:
            out.metadata.update(metadata or {})
            reel = Reel(out, fps, options, has_sound)
            yield reel
            reel.finish()
        return
    flags = {
        "movflags": "frag_keyframe+empty_moov+default_base_moof+use_metadata_tags",
        "fflags": "+bitexact",
    }
    with av.open(target, "w", format="mp4", options=flags) as out:
        out.metadata.update(metadata or {})
        reel = Reel(out, fps, options | {"tune": "zerolatency", "g": str(fps)}, has_sound)
        yield reel
        reel.finish()


def mux(path: Path, video: bytes, audio: NDArray[np.float32]) -> None:
    """Join an mp4's pictures, copied as they are encoded, with sound; whole or not at all."""
    with opened(video) as source, _new_mp4(path) as out:
        pictures = video_stream(source, path.name)
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


@contextmanager
def _new_mp4(path: Path) -> Iterator[Any]:
    """Open an mp4 for writing: it starts at once, its bytes follow from its content, it appears whole."""
    options = {"movflags": "+faststart+use_metadata_tags", "fflags": "+bitexact"}
    with publish(path) as temporary, av.open(str(temporary), "w", format="mp4", options=options) as out:
        yield out


def _add_video(out: Any, shape: tuple[int, ...], fps: int, more: Mapping[str, str]) -> Any:
    # x264's macroblock tree reads memory it did not write on small frames: equal input, unequal bytes
    options = {"preset": "medium", "x264-params": "mbtree=0", **more}
    stream = out.add_stream("libx264", rate=fps, options=options)
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
    return frame.reformat(format="yuv420p", dst_colorspace="ITU601", interpolation=TO_YUV, threads=1)


def _encode_sound(out: Any, stream: Any, audio: NDArray[np.float32]) -> None:
    fit = _sound_fitter()
    for part in [*fit.resample(_sound_frame(audio, 0)), *fit.resample(None)]:
        out.mux(stream.encode(part))
    out.mux(stream.encode(None))


def _sound_fitter() -> Any:
    """Cut sound into frames of the length that AAC wants."""
    return av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE, frame_size=1024)


def _sound_frame(audio: NDArray[np.float32], first: int) -> Any:
    frame = av.AudioFrame.from_ndarray(audio[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, first, Fraction(1, SAMPLE_RATE)
    return frame
