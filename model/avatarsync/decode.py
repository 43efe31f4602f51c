"""Write all keyframes together: K steps for n frames, with a static cache and the prefix stored once.

The prefix ([B] and the reference) is run once per picture and kept for every sentence; its keys are shared by
all frames, never copied. The phonemes are run once per sentence.
`one_by_one` is the slow, plain form: whole forward passes, frame after frame. It is the oracle of the tests
and the only way when frames look at earlier frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..codebook import join_ids
from .keyframes import KeyframeTransformer
from .masks import FRAME, layout


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeConfig:
    """How tokens are chosen."""

    temperature: float = 0.0
    """0 takes the likeliest token; above it, tokens are sampled."""
    seed: int = 0
    """Seed of the sampling noise, which is shared by all frames at a place, so that frames do not flicker."""


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """[B] and a reference picture, run through every layer: all that decoding needs of the picture.

    These rows never see a phoneme, whatever the scope, so one prefix serves every sentence.
    """

    reference_K: Tensor
    """Tokens of the reference."""
    keys_hPd: tuple[Tensor, ...]
    """Keys of each layer, P = 1 + K rows."""
    values_hPd: tuple[Tensor, ...]
    """Values of each layer."""


@torch.no_grad()
def read_prefix(model: KeyframeTransformer, reference_K: Tensor) -> Prefix:
    """Run [B] and the reference once, to write any number of sentences from."""
    x, keys, values = model.prefix_rows(reference_K[None]), [], []
    for block in model.layers:
        q, k, v = block.project(x)
        keys.append(k[0])
        values.append(v[0])
        x = block.finish(x, functional.scaled_dot_product_attention(q, k, v, is_causal=True))
    return Prefix(reference_K, tuple(keys), tuple(values))


@torch.no_grad()
def generate_tokens(
    model: KeyframeTransformer, phonemes_n: Tensor, prefix: Prefix, config: DecodeConfig = DecodeConfig()
) -> Tensor:
    """Tokens (n, K) of one keyframe per phoneme, in lockstep where frames are independent.

    Under one_to_one equal phonemes give equal keyframes (sampling noise is shared), so each is written once.
    """
    if model.config.frame_scope != "none":
        return one_by_one(model, phonemes_n, prefix.reference_K, config)
    if model.config.phoneme_scope != "one_to_one":
        return lockstep(model, phonemes_n, prefix, config)
    distinct, back = torch.unique(phonemes_n, return_inverse=True)
    return lockstep(model, distinct, prefix, config)[back]


@torch.no_grad()
def lockstep(
    model: KeyframeTransformer, phonemes_n: Tensor, prefix: Prefix, config: DecodeConfig = DecodeConfig()
) -> Tensor:
    """Decode token j of every frame at once; (n, K)."""
    reference_K = prefix.reference_K
    units, tokens = len(phonemes_n), len(reference_K)
    choose = _Chooser(config)
    shared, bias = _with_phonemes(model, phonemes_n, prefix)
    head = model.config.width // model.config.heads
    caches = [torch.zeros(2, units, model.config.heads, tokens, head) for _ in model.layers]
    written = torch.zeros(units, tokens, dtype=torch.long)
    previous = torch.full((units,), model.vocabulary.start)
    for place in range(tokens):
        x = model.frame_rows(previous, reference_K[place].expand(units), torch.full((units,), place))[:, None]
        for block, cache, stored in zip(model.layers, caches, shared, strict=True):
            q, k, v = block.project(x)
            cache[0, :, :, place], cache[1, :, :, place] = k[:, :, 0], v[:, :, 0]
            x = block.finish(x, _attend(q, stored, bias, cache[:, :, :, : place + 1]))
        previous = choose(model, x[:, 0])
        written[:, place] = previous
    return written


def _with_phonemes(
    model: KeyframeTransformer, phonemes_n: Tensor, prefix: Prefix
) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """Keys and values (h, n + P, d) of every layer, and the frames' bias (h, n, n + P) on them."""
    units = len(phonemes_n)
    where = layout(units, len(prefix.reference_K))
    bias, size = model.bias(where), units + len(prefix.keys_hPd[0][0])
    x, shared = model.phoneme_rows(phonemes_n[None]), []
    for block, keys, values in zip(model.layers, prefix.keys_hPd, prefix.values_hPd, strict=True):
        q, k, v = block.project(x)
        shared.append((torch.cat((k[0], keys), dim=1), torch.cat((v[0], values), dim=1)))
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias[:, :units, :units])
        x = block.finish(x, attended)
    first_rows = torch.nonzero((where.kind == FRAME) & (where.place == 0))[:, 0]
    return shared, bias[:, first_rows, :size]


def _attend(q_nh1d: Tensor, stored: tuple[Tensor, Tensor], bias_hnP: Tensor, cache: Tensor) -> Tensor:
    """Attention of one new row per frame over the shared prefix and the frame's own cache; (n, h, 1, d)."""
    keys_hPd, values_hPd = stored
    queries_hnd = q_nh1d[:, :, 0].transpose(0, 1) * q_nh1d.shape[-1] ** -0.5
    on_prefix = queries_hnd @ keys_hPd.transpose(1, 2) + bias_hnP
    on_own = torch.einsum("hnd,nhtd->hnt", queries_hnd, cache[0])
    weights = torch.cat((on_prefix, on_own), dim=-1).softmax(-1)
    size = keys_hPd.shape[1]
    attended = weights[..., :size] @ values_hPd + torch.einsum("hnt,nhtd->hnd", weights[..., size:], cache[1])
    return attended.transpose(0, 1)[:, :, None]


@torch.no_grad()
def one_by_one(
    model: KeyframeTransformer, phonemes_n: Tensor, reference_K: Tensor, config: DecodeConfig = DecodeConfig()
) -> Tensor:
    """Decode token after token, frame after frame, by whole forward passes of the masked form; (n, K)."""
    units, tokens = len(phonemes_n), len(reference_K)
    written = torch.zeros(1, units, tokens, dtype=torch.long)
    where = layout(units, tokens)
    bias = model.bias(where)
    for unit in range(units):
        choose = _Chooser(config)
        for place in range(tokens):
            rows = _stream(model, phonemes_n, reference_K, written, bias)
            written[0, unit, place] = choose(model, rows[unit, place][None])[0]
    return written[0]


def _stream(
    model: KeyframeTransformer, phonemes_n: Tensor, reference_K: Tensor, frames_1nK: Tensor, bias: Tensor
) -> Tensor:
    units, tokens = frames_1nK.shape[1:]
    reference = reference_K[None, None].expand_as(frames_1nK)
    rows = model.frame_rows(model.shifted(frames_1nK), reference, torch.arange(tokens))
    prefix = model.prefix_rows(reference_K[None])
    x = torch.cat((model.phoneme_rows(phonemes_n[None]), prefix, rows.flatten(1, 2)), dim=1)
    for block in model.layers:
        q, k, v = block.project(x)
        x = block.finish(x, functional.scaled_dot_product_attention(q, k, v, attn_mask=bias))
    return torch.unflatten(x[0, -units * tokens :], 0, (units, tokens))


class _Chooser:
    """Pick whole ids from the final rows of one place, sub-token after sub-token."""

    def __init__(self, config: DecodeConfig) -> None:
        self.temperature = config.temperature
        self.noise = torch.Generator().manual_seed(config.seed)

    def __call__(self, model: KeyframeTransformer, rows_nD: Tensor) -> Tensor:
        parts: list[Tensor] = []
        hidden = model.head.norm(rows_nD)
        for level, head in enumerate(model.head.heads):
            if level:
                hidden = hidden + model.head.given[level - 1](parts[-1])
            parts.append(self._pick(head(hidden)))
        return join_ids(tuple(parts), model.config.groups)

    def _pick(self, logits_nV: Tensor) -> Tensor:
        if self.temperature > 0:
            uniform = torch.rand(logits_nV.shape[-1], generator=self.noise).clamp_min(1e-9)
            logits_nV = logits_nV / self.temperature - (-uniform.log()).log()
        return logits_nV.argmax(-1)
