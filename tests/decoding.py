"""A small keyframe transformer with weights that matter, for tests of masks and decoding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from model.avatarsync.keyframes import KeyframeConfig, KeyframeTransformer
from model.avatarsync.vocabulary import Vocabulary

UNITS, TOKENS, GROUPS = 4, 9, (2, 3)
PHONEMES = ("SIL", "AA", "M", "IY", "UW")


def make(phoneme_scope: Any = "one_to_one", frame_scope: Any = "none", **others: Any) -> KeyframeTransformer:
    """Build a model whose head, biases and embeddings are all drawn; ids 32..36 are its phonemes."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {"width": 32, "depth": 3, "heads": 2, "num_tokens": TOKENS, "groups": GROUPS}
    config = KeyframeConfig(**settings | others, phoneme_scope=phoneme_scope, frame_scope=frame_scope)
    model = KeyframeTransformer(config, Vocabulary(num_visual=32, phonemes=PHONEMES)).eval()
    for head in model.head.heads:
        torch.nn.init.normal_(head.weight, std=0.5)  # type: ignore[arg-type]
    for block in model.layers:
        torch.nn.init.normal_(block.attention.qkv.weight, std=0.2)
        torch.nn.init.normal_(block.attention.out.weight, std=0.5)
    torch.nn.init.normal_(model.distance, mean=2.0)  # frames look at phonemes
    torch.nn.init.normal_(model.others.weight)
    return model


def inputs(batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Phonemes (B, n), reference (B, K) and frames (B, n, K)."""
    generator = torch.Generator().manual_seed(1)
    phonemes = torch.randint(32, 37, (batch, UNITS), generator=generator)
    reference = torch.randint(0, 32, (batch, TOKENS), generator=generator)
    frames = torch.randint(0, 32, (batch, UNITS, TOKENS), generator=generator)
    return phonemes, reference, frames
