"""Open a media file that may be anything at all, and say in one sentence why it cannot be used.

Nothing is read but plain files in the containers of `FORMATS`: a playlist that calls itself a video opens
no further file and no connection. Which track is taken: the first picture that is no cover art, and the
first sound that can be decoded.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import av.error
import av.stream

from .places import is_plain_file, local_file
from .records import Rejected, Seconds, printable

FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,asf,mxf,nut,ivf,dv,rm,yuv4mpegpipe,h264,hevc,m4v,ogg,"
    "wav,w64,aiff,caf,au,mp3,flac,aac,ac3,amr"
)
"""FFmpeg's names of the containers that are opened."""
MAX_PIXELS = 1 << 26
"""A picture that declares more (8K has half of it) is refused before memory is taken for it."""
SAMPLE_RATES = (1_000, 768_000)
MAX_CHANNELS = 64

Source = Path | bytes


def name_of(source: Source) -> str:
    """Name a file in a message."""
    return "the video" if isinstance(source, bytes) else printable(source.name)


def check_file(path: Path) -> None:
    """Refuse what is no plain file before anything is opened: reading a pipe would wait for ever.

    Raises `Rejected`: missing_file (absent, out of reach, a link that leads nowhere), not_a_video,
    unreachable.
    """
    try:
        plain = is_plain_file(path)
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or "no such name").lower()
        raise Rejected("missing_file", f"{name_of(path)} is not there ({why}); check the path") from error
    if not plain:
        raise Rejected("not_a_video", f"{name_of(path)} is a folder or a device, not a file; take it away")


@contextmanager
def opened(source: Source) -> Iterator[Any]:
    """Open for reading; whatever FFmpeg answers, then or later in the body, becomes a `Rejected`.

    A remote file is copied first. Raises `Rejected`: missing_file, not_a_video, truncated, too_large (by its
    header, or for want of memory), unreachable.
    """
    if isinstance(source, bytes):
        with _opened(source) as container:
            yield container
        return
    check_file(source)
    with local_file(source) as local, _opened(local) as container:
        yield container


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    is_open = False
    try:
        with _av_open(source) as container:
            is_open = True
            if any(_size(stream) == 0 for stream in container.streams.video):
                _check_declared(source)  # no picture that may be decoded has a size
            for stream in (*container.streams.video, *container.streams.audio):
                _prepare(stream)
            yield container
    except (av.error.FFmpegError, MemoryError) as error:
        raise _refusal(source, error, is_open) from error


def video_stream(container: Any, name: str) -> Any:
    """Take the first picture that is no cover art.

    Raises `Rejected`: not_a_video, no_video_stream (sound alone, or a format unknown here).
    """
    streams = [each for each in container.streams.video if not _is_cover(each)]
    if not streams and not container.streams.audio:
        raise Rejected(
            "not_a_video", f"{name} holds neither picture nor sound; take it away or copy it again"
        )
    if not streams:
        raise Rejected("no_video_stream", f"{name} has no picture; only its sound could be used")
    known = [each for each in streams if each.codec_context is not None]
    if not known:
        raise Rejected("no_video_stream", f"{name} has a picture in an unknown format; convert it to H.264")
    return known[0]


def audio_stream(container: Any, name: str) -> Any:
    """Take the first sound that can be decoded. Raises `Rejected("no_audio")`."""
    if not container.streams.audio:
        raise Rejected("no_audio", f"{name} has no audio track; give a sound file or leave it out")
    known = [each for each in container.streams.audio if each.codec_context is not None]
    if not known:
        raise Rejected("no_audio", f"{name} has sound in an unknown format; convert it to AAC or WAV")
    rate, channels = known[0].codec_context.sample_rate, known[0].codec_context.channels
    if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1] or not 1 <= channels <= MAX_CHANNELS:
        raise Rejected("no_audio", f"{name} declares {channels} channels at {rate} Hz; copy it again")
    return known[0]


def origin(container: Any) -> Seconds:
    """When the picture begins on the container's clock; the sound, when there is no picture."""
    pictures = [each for each in container.streams.video if not _is_cover(each)]
    for stream in (*pictures, *container.streams.audio):
        return float(stream.start_time or 0) * float(stream.time_base or 0)
    return 0.0


def duration(container: Any, video: Any) -> Seconds:
    """How long the picture is, by its own account or else the container's; 0 when neither knows."""
    if container.format.name == "mpeg":  # a programme stream says nothing, and FFmpeg guesses too little
        return 0.0
    if video.duration and video.duration > 0:
        return int(video.duration) * float(video.time_base)
    return max(0.0, int(container.duration or 0) / int(av.time_base))


def scanned_duration(source: Source) -> Seconds:
    """How long the picture really is, by its packets: reads the file through, decodes nothing.

    Packets without a time (a bare stream) count by the frame rate.
    """
    with opened(source) as container:
        video = video_stream(container, name_of(source))
        last, count = None, 0
        for packet in packets(container, video):
            count += packet.size > 0
            if packet.pts is not None:
                last = max(last or 0, packet.pts + (packet.duration or 0))
        if last is not None:
            return float(last * video.time_base) - origin(container)
        return count / float(video.average_rate or video.guessed_rate or 25)


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """Yield a stream's packets as far as the container can be followed; the last one is empty."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError:
        return


def seek(container: Any, stream: Any, time: Seconds) -> None:
    """Go to the keyframe before `time` of the container's clock; one that cannot be sought stays."""
    try:
        container.seek(int(time / stream.time_base), stream=stream)
    except (av.error.FFmpegError, OverflowError):
        return


def _av_open(source: Source, **more: str) -> Any:
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}
    place = io.BytesIO(source) if isinstance(source, bytes) else f"file:{source}"
    return av.open(place, options=options | more, metadata_errors="replace")


def _check_declared(source: Source) -> None:
    """Read what the header says of the pictures' size, without a decoder."""
    with _av_open(source, codec_whitelist="none") as container:
        for stream in container.streams.video:
            if _size(stream) > MAX_PIXELS:
                size = f"{stream.codec_context.width}x{stream.codec_context.height}"
                raise Rejected(
                    "too_large", f"{name_of(source)} declares pictures of {size} pixels; scale it down"
                )


def _size(stream: Any) -> int:
    return 1 if stream.codec_context is None else stream.codec_context.width * stream.codec_context.height


def _prepare(stream: Any) -> None:
    if stream.codec_context is not None:
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _refusal(source: Source, error: Exception, is_open: bool) -> Rejected:
    name, why = name_of(source), getattr(error, "strerror", None) or str(error)
    if isinstance(error, MemoryError):
        return Rejected("too_large", f"{name} asks for more memory than there is; scale it down")
    if is_open:
        return Rejected("truncated", f"{name} cannot be decoded ({why}); copy it again")
    if isinstance(error, (FileNotFoundError, PermissionError)):
        return Rejected("missing_file", f"{name} cannot be read ({why}); check path and permissions")
    if _begins_as_mp4(source):
        return Rejected("truncated", f"{name} begins as an MP4 but its index is cut off; copy it again")
    return Rejected("not_a_video", f"{name} cannot be read as a video ({why}); copy it again")


def _begins_as_mp4(source: Source) -> bool:
    """Tell an MP4 that lost its end, where players keep the index, from a file that never was a video."""
    if isinstance(source, bytes):
        return source[4:8] == b"ftyp"
    try:
        with source.open("rb") as stream:
            return stream.read(8)[4:] == b"ftyp"
    except OSError:
        return False
