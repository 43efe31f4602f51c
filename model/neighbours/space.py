"""The latent space: moves of a run's visual codes away from a reference, several frames in one latent.

The papers use Wan's video VAE, whose latents hold 4 frames. In its place stand the codes of the run's own
tokenizer, before their signs are taken, of 4 frames side by side. A frame is coded as its difference to the
reference's code: most of a face does not move, and what is 0 need not be learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datapipe.records import Rejected

from ..layers import to_bytes, to_signed
from ..published.network import AnyTokenizer
from ..tokenizer import Seen, Tokenizer

FRAMES, PATCH = 4, 2
"""Frames of a latent, and codes along a side of one of its places."""
ENCODED = 32
"""Pictures that are encoded at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceConfig:
    """How codes become latents."""

    side: int
    """Places along a side of a latent."""
    channels: int
    """Numbers of a place."""
    scale: float
    """Of moves: their inverse spread over the training clips."""
    motion: float
    """How strongly the training clips move, in percent of the picture's side from frame to frame."""


def check_tokenizer(tokenizer: AnyTokenizer) -> Tokenizer:
    """Refuse what has no signs to be moved: imported tokenizers, and tables of vectors."""
    if not isinstance(tokenizer, Tokenizer) or tokenizer.config.quantiser != "lfq":
        raise Rejected(
            "bad_input",
            "latents are made from a tokenizer whose codes are signs (lfq); train one of a preset",
        )
    return tokenizer


@torch.no_grad()
def encode(tokenizer: Tokenizer, frames_THW3: NDArray[np.uint8]) -> Tensor:
    """Codes before their signs, (T, d, side, side), between -1 and 1."""
    parts = np.array_split(frames_THW3, max(1, -(-len(frames_THW3) // ENCODED)))
    return torch.cat([tokenizer.encoder(to_signed(torch.from_numpy(part)))[0] for part in parts])


def to_places(codes_TdSS: Tensor) -> Tensor:
    """Codes of T frames, a multiple of FRAMES, to latents (T / FRAMES, N, C)."""
    frames, depth, side, _ = codes_TdSS.shape
    grid = codes_TdSS.reshape(frames // FRAMES, FRAMES, depth, side // PATCH, PATCH, side // PATCH, PATCH)
    return grid.permute(0, 3, 5, 1, 2, 4, 6).flatten(3).flatten(1, 2)


def to_codes(latents_TNC: Tensor, depth: int) -> Tensor:
    """Latents (T, N, C) back to codes (T * FRAMES, d, side, side)."""
    count, places, _ = latents_TNC.shape
    side = int(places**0.5)
    grid = latents_TNC.reshape(count, side, side, FRAMES, depth, PATCH, PATCH)
    return grid.permute(0, 3, 4, 1, 5, 2, 6).reshape(count * FRAMES, depth, side * PATCH, side * PATCH)


def reference_latent(code_1dSS: Tensor) -> Tensor:
    """Latent (N, C) of a picture that stands still."""
    return to_places(code_1dSS.expand(FRAMES, -1, -1, -1))[0]


@torch.no_grad()
def draw_moves(tokenizer: Tokenizer, code_1dSS: Tensor, seen: Seen, moves_TNC: Tensor) -> NDArray[np.uint8]:
    """Frames (T * FRAMES, S, S, 3) of a reference, by its code and looks, that makes these unscaled moves."""
    codes = code_1dSS + to_codes(moves_TNC, tokenizer.config.code_dim)
    return np.asarray(to_bytes(tokenizer.draw(tokenizer.codebook.snap(codes), seen)).numpy())
