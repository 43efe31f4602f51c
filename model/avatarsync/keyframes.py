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

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from datapipe.records import Rejected

from ..codebook import split_ids
from .attention import Attend, Block, FactoredHead, attend_dense, attend_flex
from .masks import (
    FRAME,
    MAX_DISTANCE,
    PHONEME,
    FrameScope,
    Layout,
    PhonemeScope,
    dense_bias,
    layout,
    mask_mod,
    score_mod,
)
from .vocabulary import NUM_CLASSES, OTHER, Vocabulary, viseme_class


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyframeConfig:
    """What the keyframe transformer is made of."""

    width: int = 128
    """Width of the residual stream."""
    depth: int = 4
    """Layers."""
    heads: int = 4
    """Attention heads."""
    kv_heads: int | None = None
    """Heads of keys and values, each shared by heads / kv_heads queries; None gives every query its own. In
    decoding the cache outweighs the weights, and it shrinks by this ratio."""
    num_tokens: int = 64
    """Tokens of one picture."""
    groups: tuple[int, ...] = (6, 6)
    """Bits of each sub-token of the tokenizer."""
    phoneme_scope: PhonemeScope = "one_to_one"
    """Phonemes that a frame sees."""
    condition: Literal["phoneme", "syllable"] = "phoneme"
    """What a frame is told of its phoneme: which it is, or only which Mandarin syllable it belongs to."""
    frame_scope: FrameScope = "none"
    """Earlier frames that a frame sees; `none` lets all keyframes be written at once."""
    align_reference: bool = True
    """Add the reference token of the predicted place to each frame row."""
    dropout: float = 0.0
    """Dropout after attention and feed-forward, in training."""
    drop_phonemes: float = 0.0
    """Share of clips whose phonemes are left out in training; above 0, decoding can be guided."""
    attention: Literal["dense", "flex"] = "dense"
    """How the masked form looks: under a dense mask, or by FlexAttention, which skips what is hidden on GPUs.
    one_to_one with none is folded and needs neither."""

    def __post_init__(self) -> None:
        if self.width % self.heads or self.heads % self.num_kv_heads:
            raise Rejected(
                "bad_input",
                f"{self.heads} heads must divide the width {self.width} and be a multiple of the "
                f"{self.num_kv_heads} heads of keys and values",
            )

    @property
    def num_kv_heads(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads


class KeyframeTransformer(nn.Module):
    """Phonemes and a reference picture's tokens to the tokens of one keyframe per phoneme."""

    def __init__(self, config: KeyframeConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        width, side = config.width, int(config.num_tokens**0.5)
        self.sub_tokens = nn.ModuleList(nn.Embedding(2**bits, width) for bits in config.groups)
        self.aligned = nn.ModuleList(nn.Embedding(2**bits, width) for bits in config.groups)
        # a row for `nothing` only where training leaves phonemes out: other models keep their weights
        num_others = vocabulary.nothing - vocabulary.num_visual + (config.drop_phonemes > 0)
        self.others = nn.Embedding(num_others, width)
        self.visemes = nn.Embedding(NUM_CLASSES, width)
        self.kinds = nn.Embedding(4, width)
        self.rows, self.columns = nn.Embedding(side, width), nn.Embedding(side, width)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.num_kv_heads, config.dropout) for _ in range(config.depth)
        )
        self.head = FactoredHead(width, config.groups)
        self.distance = nn.Parameter(torch.zeros(config.heads, 2 * MAX_DISTANCE + 1))
        classes = [viseme_class(symbol) for symbol in vocabulary.phonemes]
        classes += [OTHER] * (num_others - len(classes))
        self.register_buffer("classes", torch.tensor(classes), persistent=False)
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

    def phoneme_ids(self, symbols: Iterable[str]) -> list[int]:
        """Ids of a sentence's phonemes, as far as `condition` tells them apart."""
        ids = self.vocabulary.phoneme_ids(symbols)
        return self.vocabulary.joined(ids) if self.config.condition == "syllable" else ids

    def phoneme_rows(self, phonemes_Bn: Tensor) -> Tensor:
        """Ids as `phoneme_ids` gives them to (B, n, D); those of syllables to the mean of their phonemes."""
        index, size = phonemes_Bn - self.vocabulary.num_visual, len(self.vocabulary.phonemes)
        if self.config.condition == "phoneme":
            return self._phoneme_rows(index)
        pair = index - (len(self.vocabulary) - self.vocabulary.num_visual)
        single = pair < 0
        first, second = torch.where(single, index, pair // size), torch.where(single, index, pair % size)
        return (self._phoneme_rows(first) + self._phoneme_rows(second)) / 2

    def _phoneme_rows(self, index: Tensor) -> Tensor:
        classes: Tensor = self.get_buffer("classes")[index]
        rows: Tensor = self.others(index) + self.visemes(classes) + self.kinds.weight[PHONEME]
        return rows

    def prefix_rows(self, reference_BK: Tensor) -> Tensor:
        """[B] and the reference; (B, 1 + K, D)."""
        begin = (self._special(self.vocabulary.begin) + self.kinds.weight[1]).expand(len(reference_BK), 1, -1)
        reference = self.embed_visual(reference_BK) + self.place_rows() + self.kinds.weight[2]
        return torch.cat((begin, reference), dim=1)

    def without_phonemes(self, phonemes_Bn: Tensor) -> Tensor:
        """Leave out all phonemes of some clips, as `drop_phonemes` has it: what guidance is trained with."""
        if not self.config.drop_phonemes:
            return phonemes_Bn
        dropped_B1 = torch.rand(len(phonemes_Bn), 1, device=phonemes_Bn.device) < self.config.drop_phonemes
        return torch.where(dropped_B1, self.vocabulary.nothing, phonemes_Bn)

    def frame_rows(self, previous: Tensor, reference: Tensor, places: Tensor) -> Tensor:
        """Rows that predict `places`: the token before (or [F]), and the aligned reference token.

        The three are broadcast against each other.
        """
        first = (previous == self.vocabulary.start)[..., None]
        visual = self.embed_visual(torch.where(first[..., 0], 0, previous))
        rows = torch.where(first, self._special(self.vocabulary.start), visual)
        side = self.rows.num_embeddings
        places_sD: Tensor = self.rows(places // side) + self.columns(places % side)
        rows = rows + places_sD + self.kinds.weight[FRAME]
        if self.config.align_reference:
            rows = rows + _embed_parts(self.aligned, split_ids(reference, self.config.groups))
        return rows

    def shifted(self, frames_BnK: Tensor) -> Tensor:
        """Inputs of the frame rows: [F], then all tokens but the last."""
        start = torch.full_like(frames_BnK[..., :1], self.vocabulary.start)
        return torch.cat((start, frames_BnK[..., :-1]), dim=-1)

    def _given_rows(self, reference_BK: Tensor, seen_BnK: Tensor) -> Tensor:
        """Frame rows of all places at once, (B, n, K, D)."""
        places = torch.arange(seen_BnK.shape[-1], device=seen_BnK.device)
        return self.frame_rows(self.shifted(seen_BnK), reference_BK[:, None], places)

    def place_rows(self) -> Tensor:
        """Row plus column embedding of every place, (K, D)."""
        return (self.rows.weight[:, None] + self.columns.weight[None]).flatten(0, 1)

    def _special(self, token: int) -> Tensor:
        return self.others.weight[token - self.vocabulary.num_visual]

    # --- attention ------------------------------------------------------------------------------------

    def bias(self, where: Layout) -> Tensor:
        """Additive mask (h, L, L): minus infinity where hidden, learned by distance from frame to phoneme."""
        return dense_bias(where, self.config.phoneme_scope, self.config.frame_scope, self.distance)

    def _attend(self, where: Layout) -> Attend:
        if self.config.attention == "dense":
            return attend_dense(self.bias(where))
        visible = mask_mod(where, self.config.phoneme_scope, self.config.frame_scope)
        return attend_flex(visible, score_mod(where, self.distance), len(where), where.kind.device)

    def masked(
        self, phonemes_Bn: Tensor, reference_BK: Tensor, frames_BnK: Tensor, seen_BnK: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Logits (B, n, K, 2^bits) per group by one pass over the whole sequence: the definition."""
        _, units, tokens = frames_BnK.shape
        rows = self._given_rows(reference_BK, frames_BnK if seen_BnK is None else seen_BnK)
        x = torch.cat(
            (self.phoneme_rows(phonemes_Bn), self.prefix_rows(reference_BK), rows.flatten(1, 2)), dim=1
        )
        attend = self._attend(layout(units, tokens, x.device))
        for block in self.layers:
            x = block.finish(x, attend(*block.project(x)))
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
        causal, attend = attend_dense(causal=True), attend_dense(self._folded_mask(tokens))
        for block in self.layers:
            q_p, k_p, v_p = block.project(prefix)
            prefix = block.finish(prefix, causal(q_p, k_p, v_p))
            q, k, v = block.project(x)
            k = torch.cat((k_p.repeat_interleave(units, 0), k), dim=2)
            v = torch.cat((v_p.repeat_interleave(units, 0), v), dim=2)
            x = block.finish(x, attend(q, k, v))
        frames = torch.unflatten(x[:, 1:], 0, (batch, units))
        logits: tuple[Tensor, ...] = self.head(frames, frames_BnK)
        return logits

    def _folded_mask(self, tokens: int) -> Tensor:
        """(h, 1 + K, 1 + K + 1 + K): own phoneme and frame after the prefix."""
        prefix = torch.ones(tokens + 1, tokens + 1, dtype=torch.bool, device=self.distance.device)
        own = prefix.tril()
        prefix[0] = False
        visible = torch.cat((prefix, own), dim=1)
        bias = self.distance.new_zeros(self.config.heads, *visible.shape)
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
