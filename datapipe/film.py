"""A span of pictures at a constant rate: what a player shows at each instant, or why it cannot be known.

A frame that the decoder reports as damaged is not shown, nor is any that may build on it: the last good
one stays until the next keyframe. Longer than `MISSING_TOLERANCE` that is a hole, and the span is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any

import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from .container import (
    Source,
    duration,
    name_of,
    opened,
    origin,
    packets,
    scanned_duration,
    seek,
    video_stream,
)
from .memory import frames_like
from .picture import MAX_BYTES, Look, convert, look_of
from .records import Rejected, Seconds

FPS = 25
MISSING_TOLERANCE: Seconds = 0.3
"""A file that ends this much before its container says has lost frames; so has one with such a hole."""
LEADS: tuple[Seconds, ...] = (0.0, 10.0, 1e6)
"""How far before the start to look for a keyframe: containers without an index are sought by time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Film:
    """Pictures of a span, (T, H, W, 3) RGB, and what was done to them."""

    frames_THW3: NDArray[np.uint8]
    look: Look
    num_held: int
    """Frames at the end for which the last picture stands, since the file has none of its own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shot:
    """A decoded frame, when it is shown, and whether it may be shown."""

    time: Seconds
    frame: Any
    is_good: bool
    after_loss: bool
    """Frames between the last good one and this were lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """What is asked for, and what the file says of itself."""

    name: str
    start: Seconds
    stop: Seconds
    num_frames: int
    fps: int
    max_bytes: int
    aspect: Fraction | None

    def instant(self, index: int) -> Seconds:
        """The middle of a frame's interval."""
        return self.start + (index + 0.5) / self.fps


def read_film(
    source: Source,
    start: Seconds = 0.0,
    end: Seconds | None = None,
    fps: int = FPS,
    max_bytes: int = MAX_BYTES,
) -> Film:
    """Decode a span once at a constant rate; T = round(span * fps), `end` beyond the file is cut to it.

    Pictures come upright and with square pixels, scaled down where they would not fit into `max_bytes`.
    Raises `Rejected`: missing_file, not_a_video, no_video_stream, truncated (frames that the file announces
    are missing or damaged), too_short, too_large.
    """
    name = name_of(source)
    with opened(source) as container:
        video = video_stream(container, name)
        available = duration(container, video) or scanned_duration(source)
        span = _span(name, start, min(end or available, available), fps, max_bytes, video.sample_aspect_ratio)
        roll = _Roll(span)
        for shot in _shots_from(container, video, span.start):
            if roll.add(shot):
                break
        if roll.reached < span.stop - MISSING_TOLERANCE and not video.duration:
            # the container's length may be the sound's
            return roll.finish(min(span.stop, max(scanned_duration(source), roll.reached)))
    return roll.finish(span.stop)


class _Roll:
    """The frames of a span as they fill up: at each instant the newest frame that began by then."""

    def __init__(self, span: _Span) -> None:
        self.reached: Seconds = 0.0
        self._span = span
        self._frames: NDArray[np.uint8] | None = None
        self._look: Look | None = None
        self._reformatter = VideoReformatter()
        self._shown: Any = None
        self._is_converted = False
        self._filled = 0
        self._lasts: Seconds = 0.0
        self._good_at: Seconds = 0.0
        self._is_spoiled = False

    def add(self, shot: _Shot) -> bool:
        """Take the next frame; True when the span is full."""
        self._is_spoiled |= shot.after_loss or not shot.is_good
        if self._shown is not None:
            self._lasts = min(max(shot.time - self.reached, 0.0), 1.0)
            self._fill(self._span.num_frames, shot.time - 1e-6)
        self.reached = shot.time
        if shot.is_good:
            self._show(shot)
        return self._filled == self._span.num_frames

    def finish(self, stop: Seconds) -> Film:
        """Hold the last frame to the end, `stop`, that the file has by its own account."""
        span = self._span
        if self._look is None:
            raise self._truncated("holds no picture that can be decoded")
        held = float((self._shown.duration or 0) * self._shown.time_base)
        end = self.reached + max(self._lasts, held)
        if end < stop - MISSING_TOLERANCE:
            raise self._truncated(f"ends at {end:.2f} s but should reach {stop:.2f} s")
        num_frames = min(span.num_frames, _num_frames(span.name, span.start, stop, span.fps))
        self._fill(num_frames, end)
        num_shown = max(1, self._filled)
        self._fill(num_frames, float("inf"))
        assert self._frames is not None
        return Film(
            frames_THW3=self._frames[:num_frames], look=self._look, num_held=max(0, num_frames - num_shown)
        )

    def _show(self, shot: _Shot) -> None:
        if self._frames is None:
            span = self._span
            if shot.time > span.start + MISSING_TOLERANCE:
                raise self._truncated(f"has no picture between {span.start:.2f} s and {shot.time:.2f} s")
            self._look = look_of(shot.frame, span.aspect, span.num_frames, span.max_bytes, span.name)
            self._frames = frames_like((span.num_frames, *self._look.shape))
        self._shown, self._is_converted = shot.frame, False
        self._good_at, self._is_spoiled = shot.time, False

    def _fill(self, num_frames: int, until: Seconds) -> None:
        assert self._frames is not None and self._look is not None
        while self._filled < num_frames and (instant := self._span.instant(self._filled)) < until:
            if self._is_spoiled and instant > self._good_at + MISSING_TOLERANCE + 1.0 / self._span.fps:
                raise self._truncated(f"is damaged after {self._good_at:.2f} s")
            if self._is_converted:
                self._frames[self._filled] = self._frames[self._filled - 1]
            else:
                convert(self._reformatter, self._shown, self._look, self._frames[self._filled])
            self._filled, self._is_converted = self._filled + 1, True

    def _truncated(self, what: str) -> Rejected:
        return Rejected("truncated", f"{self._span.name} {what}; copy it again")


def _span(
    name: str, start: Seconds, stop: Seconds, fps: int, max_bytes: int, aspect: Fraction | None
) -> _Span:
    return _Span(
        name=name,
        start=start,
        stop=stop,
        num_frames=_num_frames(name, start, stop, fps),
        fps=fps,
        max_bytes=max_bytes,
        aspect=aspect,
    )


def _num_frames(name: str, start: Seconds, stop: Seconds, fps: int) -> int:
    num_frames = round((stop - start) * fps)
    if num_frames < 1:
        raise Rejected("too_short", f"{name} holds no frame between {start:.2f} s and {stop:.2f} s")
    return num_frames


def _shots_from(container: Any, video: Any, start: Seconds) -> Iterator[_Shot]:
    """Begin at the last keyframe before `start`, or further back where the container cannot tell it."""
    if start <= 1.0:
        return _shots(container, video)
    for lead in LEADS:
        seek(container, video, start - lead + origin(container))
        shots = _shots(container, video)
        first = next((shot for shot in shots if shot.is_good), None)
        if first is not None and first.time <= start:
            break
    return chain([] if first is None else [first], shots)


def _shots(container: Any, video: Any) -> Iterator[_Shot]:
    """Decode in the order of showing; damage lasts until the next keyframe."""
    begin, step = origin(container), 1.0 / float(video.average_rate or FPS)
    damage, time = _Damage(), -step
    for packet in packets(container, video):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            damage.refused(time if packet.pts is None else float(packet.pts * video.time_base) - begin)
            continue
        for frame in frames:
            time = time + step if frame.pts is None else float(frame.pts * video.time_base) - begin
            yield damage.judged(frame, time)


class _Damage:
    """What the decoder said of the frames so far; times are infinite while all is well."""

    def __init__(self) -> None:
        self._first = self._lost = np.inf
        self._last = -np.inf

    def refused(self, time: Seconds) -> None:
        """Note a packet that gave no frame."""
        self._lost = time
        self._note(time)

    def judged(self, frame: Any, time: Seconds) -> _Shot:
        """Say whether a frame may be shown, and whether others before it were lost."""
        if frame.is_corrupt:
            self._note(time)
        elif frame.key_frame and time > self._last:
            self._first = np.inf
        is_good = time < self._first
        is_late = is_good and time > self._lost
        self._lost = np.inf if is_late else self._lost
        return _Shot(time=time, frame=frame, is_good=is_good, after_loss=is_late)

    def _note(self, time: Seconds) -> None:
        self._first, self._last = min(self._first, time), max(self._last, time)
