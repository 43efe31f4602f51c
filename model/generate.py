"""READ FIRST: a reference picture and timed phonemes become video frames.

reference -> tokens -> one keyframe per phoneme, all at once (stage 1) -> pictures -> everything between
them at the exact frame rate (stage 2). Training is in `training.py`, speech to phonemes in `speech.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from datapipe.keyframes import choose_keyframes
from datapipe.media import FPS
from datapipe.records import Phoneme, Seconds

from .avatar import Avatar
from .avatarsync.allocate import Strategy, count_frames
from .avatarsync.decode import DecodeConfig, generate_tokens, read_prefix
from .avatarsync.render import decode_pictures, render_frames
from .layers import to_signed


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateConfig:
    """How a video is made."""

    decode: DecodeConfig = field(default_factory=DecodeConfig)
    """Choice of tokens."""
    allocation: Strategy = "dynamic"
    """Where frames fall between keyframes; `fixed` and `random` are the paper's ablations."""


def generate(
    avatar: Avatar,
    reference_HW3: NDArray[np.uint8],
    phonemes: Sequence[Phoneme],
    duration: Seconds,
    config: GenerateConfig = GenerateConfig(),
) -> Iterator[NDArray[np.uint8]]:
    """Yield blocks of frames (n, S, S, 3) in order, round(duration * 25) frames in all."""
    num_frames = count_frames(duration, FPS)
    keyframes = choose_keyframes(tuple(phonemes), num_frames)
    ids = torch.tensor(avatar.keyframes.vocabulary.phoneme_ids(each.phoneme for each in keyframes))
    reference = to_signed(torch.from_numpy(reference_HW3)[None])
    prefix = read_prefix(avatar.keyframes, avatar.tokenizer.encode(reference)[0])
    tokens = generate_tokens(avatar.keyframes, ids, prefix, config.decode)
    pictures = decode_pictures(avatar.tokenizer, tokens, reference)
    times = np.array([each.time for each in keyframes])
    return render_frames(avatar.interpolator, pictures, times, num_frames, config.allocation)
