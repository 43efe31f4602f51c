"""A video as it is made: pieces of frames with their sound, from speech that may still be going on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from datapipe.media import FPS, SAMPLE_RATE
from datapipe.records import Phoneme, Rejected

from ..avatar import Avatar
from ..avatarsync.intervals import Drawn
from ..avatarsync.write import Reference
from ..generate import GenerateConfig, fill, write
from ..speech.hearing import Heard, Sound

OUT_OF_MEMORY = ("not enough memory", "out of memory", "can't allocate memory")
"""What torch's allocators say in a plain RuntimeError."""
STEP = SAMPLE_RATE // FPS
"""Samples of one frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """Consecutive frames and the sound that belongs to them; either may be empty at the very end."""

    frames_THW3: NDArray[np.uint8]
    audio: Sound
    """16 kHz mono, T * 640 samples but at the end."""


def make_pieces(
    avatar: Avatar,
    reference: Reference,
    heard: Iterable[Heard],
    config: GenerateConfig,
    note: Callable[[Drawn], None] = lambda keyframe: None,
) -> Iterator[Piece]:
    """Yield a video piece by piece, as the speech comes; nothing that was yielded is kept.

    `note` is told every keyframe.

    Raises `Rejected`: what hearing raises, bad_input (a phoneme that the run does not know), too_large
    (memory ran out).
    """
    track = _Track()
    with enough_memory():
        keyframes = _noted(write(avatar, reference, track.phonemes(heard), config), note)
        for frames in fill(avatar, reference, keyframes, None, config):
            yield Piece(frames_THW3=frames, audio=track.take(len(frames) * STEP))
    rest = track.take(STEP)
    if len(rest):
        yield Piece(frames_THW3=np.zeros((0, avatar.size, avatar.size, 3), np.uint8), audio=rest)


def _noted(keyframes: Iterator[Drawn], note: Callable[[Drawn], None]) -> Iterator[Drawn]:
    for keyframe in keyframes:
        note(keyframe)
        yield keyframe


@contextmanager
def enough_memory() -> Iterator[None]:
    """Turn an allocator's refusal into a sentence."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _too_large() from error
    except RuntimeError as error:
        if not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        raise _too_large() from error


def _too_large() -> Rejected:
    return Rejected(
        "too_large",
        "memory ran out; lower --units (keyframes written together), use --device cpu, or free some",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Track:
    """Sound that was heard and not yet handed on with its frames."""

    waiting: deque[Sound] = field(default_factory=deque)

    def phonemes(self, heard: Iterable[Heard]) -> Iterator[Phoneme]:
        """Pass the phonemes on and keep the sound."""
        for each in heard:
            self.waiting.append(each.audio)
            yield from each.phonemes

    def take(self, count: int) -> Sound:
        """Hand over the next samples, fewer at the end."""
        taken: list[Sound] = []
        while count and self.waiting:
            audio = self.waiting.popleft()
            taken.append(audio[:count])
            if len(audio) > count:
                self.waiting.appendleft(audio[count:])
            count -= len(taken[-1])
        return np.concatenate(taken) if taken else np.zeros(0, np.float32)
