"""From tokens to keyframe pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from ..published.network import AnyTokenizer

BLOCK = 32
"""Pictures that are decoded at once."""


@torch.no_grad()
def decode_pictures(tokenizer: AnyTokenizer, tokens_nK: Tensor, reference_13SS: Tensor) -> Tensor:
    """Tokens of many keyframes to pictures (n, 3, S, S), with one reference."""
    parts = torch.split(tokens_nK, BLOCK)
    return torch.cat([tokenizer.decode(tokenizer.codes(part), reference_13SS) for part in parts])
