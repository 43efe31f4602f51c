"""Teacher-forced keyframes: each token is predicted from the true tokens before it, never from written ones.

What the losses of training look at, and what a table of keyframe quality measures (the paper's Table 6); a
free-running video is another measurement.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..codebook import join_ids
from ..published.network import AnyTokenizer
from .keyframes import KeyframeTransformer
from .render import decode_pictures


@torch.no_grad()
def forced_keyframes(
    tokenizer: AnyTokenizer,
    model: KeyframeTransformer,
    phonemes_n: Tensor,
    reference_13SS: Tensor,
    true_n3SS: Tensor,
) -> Tensor:
    """Pictures (n, 3, S, S) in [-1, 1] of n keyframes, given the true ones in [-1, 1]."""
    reference_1K, true_nK = tokenizer.encode(reference_13SS), tokenizer.encode(true_n3SS)
    logits = model(phonemes_n[None], reference_1K, true_nK[None])
    likeliest = tuple(part[0].argmax(-1) for part in logits)
    return decode_pictures(tokenizer, join_ids(likeliest, model.config.groups), reference_13SS)
