"""From tokens to keyframe pictures, and from keyframe pictures to all frames of a video."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datapipe.media import FPS

from ..layers import to_bytes
from ..published.network import AnyTokenizer
from .allocate import Strategy, allocate
from .interpolate import Interpolator

BLOCK = 32
"""Pictures that are decoded or rendered at once."""


@torch.no_grad()
def decode_pictures(tokenizer: AnyTokenizer, tokens_nK: Tensor, reference_13SS: Tensor) -> Tensor:
    """Tokens of many keyframes to pictures (n, 3, S, S), with one reference."""
    parts = torch.split(tokens_nK, BLOCK)
    return torch.cat([tokenizer.decode(tokenizer.codes(part), reference_13SS) for part in parts])


@torch.no_grad()
def render_frames(
    model: Interpolator,
    pictures_n3SS: Tensor,
    times_n: NDArray[np.float64],
    num_frames: int,
    strategy: Strategy,
) -> Iterator[NDArray[np.uint8]]:
    """Yield the video in blocks (at most BLOCK, S, S, 3); every pair is encoded once, in its block."""
    if len(pictures_n3SS) == 1:
        pictures_n3SS, times_n = pictures_n3SS.repeat(2, 1, 1, 1), np.array([times_n[0], times_n[0] + 1.0])
    where = allocate(times_n, num_frames, FPS, strategy)
    for start in range(0, num_frames, BLOCK):
        pair, t = where.pair[start : start + BLOCK], where.t[start : start + BLOCK]
        used, at = np.unique(pair, return_inverse=True)
        left, right = pictures_n3SS[used], pictures_n3SS[used + 1]
        seconds = torch.from_numpy(np.diff(times_n)[used]).float()
        features = model.pairs(left, right, seconds)
        made = model.render(features.at(torch.from_numpy(at)), left[at], right[at], torch.from_numpy(t))
        yield to_bytes(made).numpy()
