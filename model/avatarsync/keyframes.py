"""Stage 1: a transformer that writes one keyframe per phoneme, from the phoneme and the reference picture.

Sequence {phonemes}[B]{Frame_0 = reference}{Frame_1}..{Frame_n}; a frame's rows hold [F] and its first K-1
tokens and predict its K tokens. Every frame row also carries the embedding of the reference token at the
place it predicts (`align_reference`, ours): the reference is visible there anyway, so that copying need not
be learned.

Three ways to run the same function, equal to rounding (tested): `masked` is the definition; `folded` is the
quick one for training, which stores the reference once per clip; `decode.lockstep` generates with a cache.
Shapes: B clips, n units, K tokens of a picture, P = n + 1 + K places before the frames, D width, h heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..codebook import split_ids
from ..layers import FeedForward
from .masks import FRAME, PHONEME, FrameScope, Layout, PhonemeScope, dense_mask, layout
from .vocabulary import NUM_CLASSES, Vocabulary, viseme_class

MAX_DISTANCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyframeConfig:
    """What the keyframe transformer is made of."""

    width: int = 128
    """Width of the residual stream."""
    depth: int = 4
    """Layers."""
    heads: int = 4
    """Attention heads."""
    num_tokens: int = 64
    """Tokens of one picture."""
    groups: tuple[int, ...] = (6, 6)
    """Bits of each sub-token of the tokenizer."""
    phoneme_scope: PhonemeScope = "one_to_one"
    """Phonemes that a frame sees."""
    frame_scope: FrameScope = "none"
    """Earlier frames that a frame sees; `none` lets all keyframes be written at once."""
    align_reference: bool = True
    """Add the reference token of the predicted place to each frame row."""
    dropout: float = 0.0
    """Dropout after attention and feed-forward, in training."""


class Attention(nn.Module):
    """Projections of self-attention; what is looked at is decided by the caller."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def project(self, x_BLD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, h, L, D/h)."""
        q, k, v = torch.unflatten(self.qkv(x_BLD), -1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def merge(self, heads_BhLd: Tensor) -> Tensor:
        """Heads back to (B, L, D)."""
        merged: Tensor = self.out(heads_BhLd.transpose(1, 2).flatten(2))
        return merged


class Block(nn.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, config: KeyframeConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(config.width), nn.RMSNorm(config.width)
        self.attention = Attention(config.width, config.heads)
        self.feed = FeedForward(config.width)
        self.drop = nn.Dropout(config.dropout)

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


class KeyframeTransformer(nn.Module):
    """Phonemes and a reference picture's tokens to the tokens of one keyframe per phoneme."""

    def __init__(self, config: KeyframeConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        width, side = config.width, int(config.num_tokens**0.5)
        self.sub_tokens = nn.ModuleList(nn.Embedding(2**bits, width) for bits in config.groups)
        self.aligned = nn.ModuleList(nn.Embedding(2**bits, width) for bits in config.groups)
        self.others = nn.Embedding(len(vocabulary) - vocabulary.num_visual, width)
        self.visemes = nn.Embedding(NUM_CLASSES, width)
        self.kinds = nn.Embedding(4, width)
        self.rows, self.columns = nn.Embedding(side, width), nn.Embedding(side, width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.head = FactoredHead(width, config.groups)
        self.distance = nn.Parameter(torch.zeros(config.heads, 2 * MAX_DISTANCE + 1))
        classes = torch.tensor([viseme_class(symbol) for symbol in vocabulary.phonemes])
        self.register_buffer("classes", classes, persistent=False)
        self.apply(_initialise)
        nn.init.normal_(self.others.weight[: len(vocabulary.phonemes)], std=0.02)
        nn.init.normal_(self.visemes.weight, std=0.5)

    @property
    def layers(self) -> list[Block]:
        """The blocks, with their type."""
        return [block for block in self.blocks if isinstance(block, Block)]

    # --- rows of the sequence -------------------------------------------------------------------------

    def embed_visual(self, ids: Tensor) -> Tensor:
        """Sum of sub-token embeddings; (..., ) to (..., D)."""
        return _embed_parts(self.sub_tokens, split_ids(ids, self.config.groups))

    def phoneme_rows(self, phonemes_Bn: Tensor) -> Tensor:
        """Whole-vocabulary phoneme ids to (B, n, D)."""
        index = phonemes_Bn - self.vocabulary.num_visual
        classes: Tensor = self.get_buffer("classes")[index]
        rows: Tensor = self.others(index) + self.visemes(classes) + self.kinds.weight[PHONEME]
        return rows

    def prefix_rows(self, reference_BK: Tensor) -> Tensor:
        """[B] and the reference; (B, 1 + K, D)."""
        begin = (self._special(self.vocabulary.begin) + self.kinds.weight[1]).expand(len(reference_BK), 1, -1)
        reference = self.embed_visual(reference_BK) + self.place_rows() + self.kinds.weight[2]
        return torch.cat((begin, reference), dim=1)

    def frame_rows(self, previous: Tensor, reference: Tensor, places: Tensor) -> Tensor:
        """Rows that predict `places`: the token before (or [F]), and the aligned reference token."""
        first = (previous == self.vocabulary.start)[..., None]
        visual = self.embed_visual(torch.where(first[..., 0], 0, previous))
        rows = torch.where(first, self._special(self.vocabulary.start), visual)
        rows = rows + self.place_rows()[places] + self.kinds.weight[FRAME]
        if self.config.align_reference:
            rows = rows + _embed_parts(self.aligned, split_ids(reference, self.config.groups))
        return rows

    def shifted(self, frames_BnK: Tensor) -> Tensor:
        """Inputs of the frame rows: [F], then all tokens but the last."""
        start = torch.full_like(frames_BnK[..., :1], self.vocabulary.start)
        return torch.cat((start, frames_BnK[..., :-1]), dim=-1)

    def _given_rows(self, reference_BK: Tensor, seen_BnK: Tensor) -> Tensor:
        """Frame rows of all places at once, (B, n, K, D)."""
        places = torch.arange(seen_BnK.shape[-1])
        return self.frame_rows(self.shifted(seen_BnK), reference_BK[:, None].expand_as(seen_BnK), places)

    def place_rows(self) -> Tensor:
        """Row plus column embedding of every place, (K, D)."""
        return (self.rows.weight[:, None] + self.columns.weight[None]).flatten(0, 1)

    def _special(self, token: int) -> Tensor:
        return self.others.weight[token - self.vocabulary.num_visual]

    # --- attention ------------------------------------------------------------------------------------

    def bias(self, where: Layout) -> Tensor:
        """Additive mask (h, L, L): minus infinity where hidden, learned by distance from frame to phoneme."""
        visible = dense_mask(where, self.config.phoneme_scope, self.config.frame_scope)
        steps = (where.unit[:, None] - where.unit[None]).clamp(-MAX_DISTANCE, MAX_DISTANCE) + MAX_DISTANCE
        paired = (where.kind[:, None] == FRAME) & (where.kind[None] == PHONEME)
        bias = self.distance[:, steps] * paired
        return bias.masked_fill(~visible, float("-inf"))

    def masked(
        self, phonemes_Bn: Tensor, reference_BK: Tensor, frames_BnK: Tensor, seen_BnK: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Logits (B, n, K, 2^bits) per group by one pass over the whole sequence: the definition."""
        _, units, tokens = frames_BnK.shape
        rows = self._given_rows(reference_BK, frames_BnK if seen_BnK is None else seen_BnK)
        x = torch.cat(
            (self.phoneme_rows(phonemes_Bn), self.prefix_rows(reference_BK), rows.flatten(1, 2)), dim=1
        )
        bias = self.bias(layout(units, tokens))
        for block in self.layers:
            q, k, v = block.project(x)
            x = block.finish(x, functional.scaled_dot_product_attention(q, k, v, attn_mask=bias))
        frames = torch.unflatten(x[:, -units * tokens :], 1, (units, tokens))
        logits: tuple[Tensor, ...] = self.head(frames, frames_BnK)
        return logits

    def folded(
        self, phonemes_Bn: Tensor, reference_BK: Tensor, frames_BnK: Tensor, seen_BnK: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Give the same logits for one_to_one + none: units go into the batch, the reference is run once."""
        batch, units, tokens = frames_BnK.shape
        prefix = self.prefix_rows(reference_BK)
        rows = self._given_rows(reference_BK, frames_BnK if seen_BnK is None else seen_BnK)
        x = torch.cat((self.phoneme_rows(phonemes_Bn)[:, :, None], rows), dim=2).flatten(0, 1)
        visible = self._folded_mask(tokens)
        for block in self.layers:
            q_p, k_p, v_p = block.project(prefix)
            attended = functional.scaled_dot_product_attention(q_p, k_p, v_p, is_causal=True)
            prefix = block.finish(prefix, attended)
            q, k, v = block.project(x)
            k = torch.cat((k_p.repeat_interleave(units, 0), k), dim=2)
            v = torch.cat((v_p.repeat_interleave(units, 0), v), dim=2)
            x = block.finish(x, functional.scaled_dot_product_attention(q, k, v, attn_mask=visible))
        frames = torch.unflatten(x[:, 1:], 0, (batch, units))
        logits: tuple[Tensor, ...] = self.head(frames, frames_BnK)
        return logits

    def _folded_mask(self, tokens: int) -> Tensor:
        """(h, 1 + K, 1 + K + 1 + K): own phoneme and frame after the prefix."""
        own = torch.ones(tokens + 1, tokens + 1, dtype=torch.bool).tril()
        prefix = torch.ones(tokens + 1, tokens + 1, dtype=torch.bool)
        prefix[0] = False
        visible = torch.cat((prefix, own), dim=1)
        bias = torch.zeros(self.config.heads, *visible.shape)
        bias[:, 1:, tokens + 1] = self.distance[:, MAX_DISTANCE, None]
        return bias.masked_fill(~visible, float("-inf"))

    def forward(
        self, phonemes_Bn: Tensor, reference_BK: Tensor, frames_BnK: Tensor, seen_BnK: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Logits by the quickest form that the scopes allow.

        `seen` are the tokens that stand before each place; they are the frames' own unless training spoils
        them, so that the model does not lean on earlier tokens which it may have written wrong.
        """
        independent = self.config.phoneme_scope == "one_to_one" and self.config.frame_scope == "none"
        form = self.folded if independent else self.masked
        return form(phonemes_Bn, reference_BK, frames_BnK, seen_BnK)


def _embed_parts(tables: nn.ModuleList, parts: tuple[Tensor, ...]) -> Tensor:
    total: Tensor = sum(table(part) for table, part in zip(tables, parts, strict=True))
    return total


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02 if isinstance(module, nn.Linear) else 0.3)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
