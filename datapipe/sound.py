"""Sound as 16 kHz mono on the picture's clock: every piece where its time says, silence between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from .container import Source, audio_stream, name_of, opened, origin, packets, seek
from .records import Rejected, Seconds

SAMPLE_RATE = 16000
JITTER: Seconds = 0.1
"""Times of consecutive pieces may be this much off, as containers round them."""
UNCLIPPED = {"rematrix_maxval": "1.0"}
"""Channels are averaged; swresample would add them up for floats, beyond full scale."""
LONGEST_GAP: Seconds = 3600.0
"""Sound that claims to go on later than this after a gap is a damaged clock, and left out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sound:
    """Samples in [-1, 1], and how much of the span could not be decoded."""

    audio: NDArray[np.float32]
    damaged: Seconds
    """Length of what the decoder refused or what was no number; silence stands there."""


class _Run:
    """Sound without a gap, resampled; `time` is on the container's clock."""

    def __init__(self, time: Seconds) -> None:
        self.time = time
        self.pieces: list[NDArray[np.float32]] = []
        self.num_taken = 0
        """Samples that were handed over already."""


def read_sound(source: Source, start: Seconds = 0.0, end: Seconds | None = None) -> Sound:
    """Decode a span of the first track. Raises `Rejected`: what opening raises, no_audio."""
    name = name_of(source)
    with opened(source) as container:
        stream = audio_stream(container, name)
        tape = _Tape(origin(container), start, float("inf") if end is None else end)
        if start > 1.0:
            seek(container, stream, start + origin(container) - 0.5)
        for packet in packets(container, stream):
            if not tape.add(packet):
                break
        runs = tape.finish()
    if not runs:
        raise Rejected("no_audio", f"{name} has an audio track without samples; copy it again")
    return _on_clock(runs, start, end, tape.damaged)


def sound_blocks(source: Path | IO[bytes]) -> Iterator[NDArray[np.float32]]:
    """Decode the first track piece by piece, whatever its length: what `read_sound` gives, joined.

    A stream that cannot be sought (standard input) must hold WAV. Raises `Rejected`: what opening raises,
    no_audio.
    """
    name = name_of(source) if isinstance(source, Path) else "the stream of sound"
    with _any_opened(source) as container:
        stream, done = audio_stream(container, name), 0
        tape = _Tape(origin(container), 0.0, float("inf"))
        for packet in packets(container, stream):
            if not tape.add(packet):
                break
            for piece in tape.take(done):
                done += len(piece)
                yield piece
        tape.finish()
        for piece in tape.take(done):
            done += len(piece)
            yield piece
    if not done:
        raise Rejected("no_audio", f"{name} has an audio track without samples; copy it again")


@contextmanager
def _any_opened(source: Path | IO[bytes]) -> Iterator[Any]:
    if isinstance(source, Path):
        with opened(source) as container:
            yield container
        return
    try:
        with av.open(source, format="wav") as container:
            yield container
    except av.error.FFmpegError as error:
        message = "the stream of sound is no WAV that can be read; pipe one in, or give a file"
        raise Rejected("no_audio", message) from error


class _Tape:
    """Runs of sound as they are decoded; times are the picture's."""

    def __init__(self, origin: Seconds, start: Seconds, end: Seconds) -> None:
        self.damaged: Seconds = 0.0
        self._origin, self._start, self._end = origin, start, end
        self._runs: list[_Run] = []
        self._setup: tuple[str, str, int] | None = None
        self._resampler: Any = None
        self._reached = start
        self._silence: Seconds = 0.0

    def add(self, packet: Any) -> bool:
        """Decode the next packet; False when the span is over."""
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return False
        except av.error.FFmpegError:
            time = self._reached if packet.pts is None else self._time(packet)
            if self._start <= time < self._end:
                self.damaged += float((packet.duration or 0) * packet.time_base)
            return True
        return all(self._take(frame) for frame in frames)

    def finish(self) -> list[_Run]:
        """Give the runs that hold anything."""
        self._flush()
        return [run for run in self._runs if run.pieces]

    def take(self, done: int) -> Iterator[NDArray[np.float32]]:
        """Hand over what was decoded since, on the clock: silence up to each piece, overlaps cut off."""
        for run in self._runs:
            for piece in run.pieces:
                first = round(run.time * SAMPLE_RATE) + run.num_taken
                run.num_taken += len(piece)
                if first > done:
                    yield np.zeros(first - done, np.float32)
                fresh = piece[max(done - first, 0) :]
                if len(fresh):
                    yield np.clip(np.where(np.isfinite(fresh), fresh, 0.0), -1.0, 1.0).astype(np.float32)
                done = max(done, first + len(piece))
            run.pieces.clear()
        del self._runs[:-1]

    def _take(self, frame: Any) -> bool:
        time = self._reached if frame.pts is None else self._time(frame)
        setup = (frame.format.name, frame.layout.name, frame.sample_rate)
        if setup != self._setup or abs(time - self._reached) > JITTER:
            self._flush()
            self._silence += max(time - self._reached, 0.0)
            if self._silence > LONGEST_GAP:
                return False
            self._setup = setup
            self._resampler = av.AudioResampler(
                format="flt", layout="mono", rate=SAMPLE_RATE, options=UNCLIPPED
            )
            self._runs.append(_Run(time=time))
        self._runs[-1].pieces.extend(part.to_ndarray()[0] for part in self._resampler.resample(frame))
        self._reached = time + frame.samples / frame.sample_rate
        return time <= self._end + 0.5

    def _time(self, timed: Any) -> Seconds:
        return float(timed.pts * timed.time_base) - self._origin

    def _flush(self) -> None:
        if self._resampler is not None:
            self._runs[-1].pieces.extend(part.to_ndarray()[0] for part in self._resampler.resample(None))
        self._resampler = None


def _on_clock(runs: list[_Run], start: Seconds, end: Seconds | None, damaged: Seconds) -> Sound:
    """Cut [start, end) out of the runs; silence where there is none."""
    whole = [(-round((start - run.time) * SAMPLE_RATE), np.concatenate(run.pieces)) for run in runs]
    count = max(0, max(first + len(samples) for first, samples in whole))
    count = count if end is None else min(count, round((end - start) * SAMPLE_RATE))
    audio = np.zeros(count, np.float32)
    for first, samples in whole:
        part = samples[max(-first, 0) : max(count - first, 0)]
        audio[max(first, 0) : max(first, 0) + len(part)] = part
    wrong = ~np.isfinite(audio)
    audio[wrong] = 0.0
    return Sound(audio=np.clip(audio, -1.0, 1.0), damaged=damaged + float(wrong.sum()) / SAMPLE_RATE)
