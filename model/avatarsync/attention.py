"""The transformer's blocks: grouped-query attention, feed-forward, and the factored head.

Shapes: B batch, L rows, D width, h query heads, g key heads (each serves h / g query heads), d = D / h.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from datapipe.records import Rejected

from ..codebook import split_ids
from ..layers import FeedForward
from .masks import MaskMod, ScoreMod

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries (B, h, L, d), keys and values (B, g, L, d) to what is attended to, (B, h, L, d)."""


class Attention(nn.Module):
    """Projections of self-attention; what is looked at is decided by the caller."""

    def __init__(self, width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.counts = (heads, kv_heads, kv_heads)
        self.qkv = nn.Linear(width, sum(self.counts) * (width // heads), bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def project(self, x_BLD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, h, L, d), keys and values (B, g, L, d)."""
        heads = self.qkv(x_BLD).unflatten(-1, (sum(self.counts), -1)).transpose(1, 2)
        q, k, v = heads.split(self.counts, dim=1)
        return q, k, v

    def merge(self, heads_BhLd: Tensor) -> Tensor:
        """Heads back to (B, L, D)."""
        merged: Tensor = self.out(heads_BhLd.transpose(1, 2).flatten(2))
        return merged


class Block(nn.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, width: int, heads: int, kv_heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention = Attention(width, heads, kv_heads)
        self.feed = FeedForward(width)
        self.drop = nn.Dropout(dropout)

    def project(self, x_BLD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised queries, keys and values."""
        return self.attention.project(self.norm1(x_BLD))

    def finish(self, x_BLD: Tensor, heads_BhLd: Tensor) -> Tensor:
        """Add the attended values and the feed-forward to the stream."""
        x_BLD = x_BLD + self.drop(self.attention.merge(heads_BhLd))
        fed: Tensor = self.drop(self.feed(self.norm2(x_BLD)))
        return x_BLD + fed


class FactoredHead(nn.Module):
    """Logits of each sub-token given those before it (token factorisation of Open-MAGVIT2)."""

    def __init__(self, width: int, groups: tuple[int, ...]) -> None:
        super().__init__()
        self.groups = groups
        self.norm = nn.RMSNorm(width)
        self.given = nn.ModuleList(nn.Embedding(2**bits, width) for bits in groups[:-1])
        self.heads = nn.ModuleList(nn.Linear(width, 2**bits) for bits in groups)
        for head in self.heads:
            nn.init.zeros_(head.weight)  # type: ignore[arg-type]

    def forward(self, x_BLD: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
        """Teacher-forced logits, one (B, L, 2^bits) per group."""
        hidden = self.norm(x_BLD)
        logits = [self.heads[0](hidden)]
        parts = split_ids(targets, self.groups)
        for given, head, part in zip(self.given, list(self.heads)[1:], parts, strict=False):
            hidden = hidden + given(part)
            logits.append(head(hidden))
        return tuple(logits)


def attend_dense(bias_hLL: Tensor | None = None, *, causal: bool = False) -> Attend:
    """Attention under an additive mask (heads, queries, keys), a causal one, or none."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if bias_hLL is None else bias_hLL.to(q.dtype),
            is_causal=causal,
            enable_gqa=q.shape[1] != k.shape[1],
        )

    return attend


def attend_to_self(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of rows that see nothing but themselves: their own values."""
    return v.repeat_interleave(q.shape[1] // k.shape[1], dim=1)


def attend_flex(mask: MaskMod, score: ScoreMod, length: int, device: torch.device) -> Attend:
    """FlexAttention of the same functions; on a GPU, blocks of rows that see nothing are never computed.

    torch gives it no gradient on a CPU: there it is refused in training, `Rejected("bad_input")`.
    """
    from torch.nn.attention.flex_attention import create_block_mask

    blocks = create_block_mask(mask, None, None, length, length, device=device)
    flex = _flex(device.type == "cuda")

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if q.requires_grad and q.device.type == "cpu":
            raise Rejected(
                "bad_input", "FlexAttention has no gradient on a CPU; set attention to dense there"
            )
        shared = q.shape[1] != k.shape[1]
        attended: Tensor = flex(q, k, v, score_mod=score, block_mask=blocks, enable_gqa=shared)
        return attended

    return attend


@functools.cache
def _flex(compiled: bool) -> Callable[..., Any]:
    """FlexAttention, imported only where it is used: the import takes seconds."""
    from torch.nn.attention.flex_attention import flex_attention

    plain: Callable[..., Any] = flex_attention
    return torch.compile(plain, dynamic=False) if compiled else plain
