"""READ FIRST: a reference picture and timed phonemes become video frames.

reference -> tokens, once (`avatar.bind`) -> one keyframe per phoneme, block by block, the keyframes
of a block all at once (stage 1) -> pictures -> everything between them at the exact frame rate (stage 2).
Frames come as the phonemes do: a clip at once and a stream are the same code and give the same bytes.
Training is in `training.py`, speech to phonemes in `speech.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from datapipe.records import Phoneme, Seconds

from .avatar import Avatar
from .avatarsync.allocate import Strategy
from .avatarsync.decode import DecodeConfig
from .avatarsync.intervals import fill_between, fill_by_plan
from .avatarsync.write import FIRST, Reference, gapless, in_blocks, is_local, write_keyframes
from .watermark import WatermarkConfig, mark_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateConfig:
    """How a video is made."""

    decode: DecodeConfig = field(default_factory=DecodeConfig)
    """Choice of tokens."""
    allocation: Strategy = "dynamic"
    """Where frames fall between keyframes; `fixed` and `random` are the paper's ablations."""
    units: int = 32
    """Most keyframes that are written together, after a first pair, so that the first frame comes soon."""
    wide_units: int = 64
    """The same where keyframes see several phonemes: what a keyframe sees ends with its block."""
    watermark: WatermarkConfig | None = field(default_factory=WatermarkConfig)
    """The invisible mark of every frame; None leaves it out."""


def generate(
    avatar: Avatar,
    reference: Reference,
    phonemes: Iterable[Phoneme],
    duration: Seconds | None = None,
    config: GenerateConfig = GenerateConfig(),
) -> Iterator[NDArray[np.uint8]]:
    """Yield blocks of frames (n, S, S, 3) in order, round(duration * 25) frames in all.

    `phonemes` follow each other without gaps from 0; frames come while they do. `duration` None is
    the end of the last phoneme. Raises `Rejected("bad_input")`: no phonemes, gaps, an unknown phoneme.
    """
    heard = gapless(phonemes)
    if is_local(avatar.keyframes.config):
        blocks = in_blocks(heard, FIRST, config.units)
    else:
        blocks = in_blocks(heard, config.wide_units, config.wide_units)
    keyframes = write_keyframes(avatar.tokenizer, avatar.keyframes, reference, blocks, config.decode)
    if config.allocation == "dynamic":
        frames = fill_between(avatar.interpolator, keyframes, duration)
    else:
        drawn = tuple(keyframes)
        until = drawn[-1].end if duration is None else duration
        frames = fill_by_plan(avatar.interpolator, drawn, until, config.allocation, config.decode.seed)
    return mark_blocks(frames, reference.picture_HW3, avatar.run_id, config.watermark)
