"""READ FIRST: a reference picture and timed phonemes become video frames.

reference -> tokens, once (`avatar.bind`) -> one keyframe per phoneme, block by block, the keyframes
of a block all at once (stage 1) -> pictures -> everything between them at the exact frame rate (stage 2).
Frames come as the phonemes do: a clip at once and a stream are the same code and give the same bytes.
Training is in `training/`, speech to phonemes in `speech/`, files and streams in `speaking/`.
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
from .avatarsync.intervals import Drawn, fill_frames
from .avatarsync.write import FIRST, Reference, gapless, in_blocks, is_local, write_keyframes
from .marking.watermark import WatermarkConfig, mark_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateConfig:
    """How a video is made."""

    decode: DecodeConfig = field(default_factory=DecodeConfig)
    """Choice of tokens."""
    allocation: Strategy = "dynamic"
    """Where frames fall between keyframes; `fixed` and `random` are the paper's ablations."""
    packed: bool = False
    """Wait for all keyframes and encode pairs together: quicker, equal to a stream to rounding only."""
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

    Frames come while phonemes do; `duration` None ends with them. Raises `Rejected("bad_input")`.
    """
    return fill(avatar, reference, write(avatar, reference, phonemes, config), duration, config)


def write(
    avatar: Avatar, reference: Reference, phonemes: Iterable[Phoneme], config: GenerateConfig
) -> Iterator[Drawn]:
    """Stage 1: yield a keyframe for every phoneme."""
    sizes = (FIRST, config.units) if is_local(avatar.keyframes.config) else (config.wide_units,) * 2
    blocks = in_blocks(gapless(phonemes), *sizes)
    return write_keyframes(avatar.tokenizer, avatar.keyframes, reference, blocks, config.decode)


def fill(
    avatar: Avatar,
    reference: Reference,
    keyframes: Iterator[Drawn],
    duration: Seconds | None,
    config: GenerateConfig,
) -> Iterator[NDArray[np.uint8]]:
    """Stage 2: yield all frames, marked."""
    plan = (duration, config.allocation, config.decode.seed, config.packed)
    frames = fill_frames(avatar.interpolator, keyframes, *plan)
    return mark_blocks(frames, reference.picture_HW3, avatar.run_id, config.watermark)
