"""The way from timed phonemes to frames, as `model.generate` goes it, with a clock at every stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from datapipe.keyframes import choose_keyframes
from datapipe.media import FPS
from datapipe.records import Phoneme, Seconds

from ..avatar import Avatar
from ..avatarsync.allocate import count_frames
from ..avatarsync.decode import DecodeConfig, generate_tokens, read_prefix
from ..avatarsync.render import decode_pictures, render_frames
from ..layers import to_signed

LIKELIEST = DecodeConfig()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Made:
    """Frames, and what they took."""

    frames_THW3: NDArray[np.uint8]
    first_frame: Seconds
    """From the picture and the phonemes to the first block of frames."""
    stages: dict[str, Seconds]
    """reference, keyframes, pictures, frames: one after another, nothing between them."""


class StopWatch:
    """Seconds of stages that follow each other; accelerators are waited for at each end."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.stages: dict[str, Seconds] = {}
        self.began = self.since = self._now()

    def lap(self, name: str) -> Seconds:
        """End a stage, begin the next, and give the time since the start."""
        now = self._now()
        self.stages[name] = self.stages.get(name, 0.0) + now - self.since
        self.since = now
        return now - self.began

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return self.clock()


def timed(
    avatar: Avatar,
    reference_HW3: NDArray[np.uint8],
    phonemes: Sequence[Phoneme],
    duration: Seconds,
    first_frame: Callable[[], None] = lambda: None,
    decode: DecodeConfig = LIKELIEST,
) -> Made:
    """Make all frames of a speech, the same ones as `generate` makes; say when the first are finished."""
    watch, weight = StopWatch(), next(avatar.tokenizer.parameters())
    num_frames = count_frames(duration, FPS)
    keyframes = choose_keyframes(tuple(phonemes), num_frames)
    names = avatar.keyframes.vocabulary.phoneme_ids(each.phoneme for each in keyframes)
    reference = to_signed(torch.from_numpy(reference_HW3)[None]).to(weight)
    prefix = read_prefix(avatar.keyframes, avatar.tokenizer.encode(reference)[0])
    watch.lap("reference")
    ids = torch.tensor(names, device=weight.device)
    tokens = generate_tokens(avatar.keyframes, ids, prefix, decode)
    watch.lap("keyframes")
    pictures = decode_pictures(avatar.tokenizer, tokens, reference)
    watch.lap("pictures")
    times = np.array([each.time for each in keyframes])
    blocks = render_frames(avatar.interpolator, pictures, times, num_frames, "dynamic")
    first = next(blocks)
    until_first = watch.lap("frames")
    first_frame()
    frames = np.concatenate([first, *blocks])
    watch.lap("frames")
    return Made(frames_THW3=frames, first_frame=until_first, stages=watch.stages)
