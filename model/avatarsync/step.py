"""One step of decoding: a few places of every frame, over a fixed context and the rows written so far.

`write_places` is a function of tensors whose shapes stay the same from step to step, with the places as a
tensor, so that it compiles without graph breaks (after gpt-fast). It writes into the memory's buffers.
Shapes: S streams (2 where decoding is guided: with phonemes, without), n frames, s places, K tokens of a
picture, C rows of context, h query heads, g key heads, d width of a head, D of the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from datapipe.records import Rejected

from ..codebook import join_ids
from .keyframes import KeyframeTransformer
from .schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeConfig:
    """How tokens are chosen."""

    temperature: float = 0.0
    """0 takes the likeliest token; above it, tokens are sampled."""
    seed: int = 0
    """Seed of the sampling noise, which is shared by all frames at a place, so that frames do not flicker."""
    guidance: tuple[float, ...] = (1.0,)
    """Weight of the phonemes against no phonemes, one for all sub-tokens or one for each; 1 is off and costs
    nothing, above it what is said shows more. Needs a model that was trained with `drop_phonemes`."""
    window: int | None = None
    """Tokens that a row must hold before the next row starts; None writes in raster order."""
    block: int = 64
    """Most keyframes that are written together: bounds the memory, changes no token."""
    compile: bool = False
    """Compile the step: slow at first, quicker then, on a GPU above all."""

    def __post_init__(self) -> None:
        for name, value, least in (("window", self.window, 1), ("block", self.block, 1)):
            if value is not None and value < least:
                raise Rejected("bad_input", f"{name} is {value}; give {least} or more")
        if self.temperature < 0:
            raise Rejected("bad_input", f"temperature is {self.temperature}; give 0 or more")


GREEDY = DecodeConfig()
"""The likeliest tokens in raster order."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What a block of frames looks at and writes to."""

    reference_K: Tensor
    """Tokens of the reference."""
    inputs_nK1: Tensor
    """Token before each place ([F] at the first); column p + 1 is what place p was given. Until a place is
    written, its column holds the reference's token."""
    context: tuple[tuple[Tensor, Tensor], ...]
    """Keys and values (S, g, C, d) of each layer: phonemes, [B], reference, earlier frames."""
    bias_nhC: Tensor
    """What frames see of the context: minus infinity where nothing."""
    own: tuple[tuple[Tensor, Tensor], ...]
    """Keys and values (S * n, g, K, d) of each layer: the frames' own rows."""
    hidden_KK: Tensor
    """What rows see of their frame: minus infinity where nothing."""
    noise: tuple[Tensor, ...]
    """Gumbel noise (K, 2^bits) of each sub-token; empty where the likeliest is taken."""

    @property
    def num_streams(self) -> int:
        """1, or 2 where decoding is guided."""
        return len(self.context[0][0])


def write_places(
    model: KeyframeTransformer, memory: Memory, config: DecodeConfig, places_s: Tensor, seen: int
) -> None:
    """Write these places of all frames; none of them lies at or beyond `seen`."""
    rows = model.frame_rows(memory.inputs_nK1[:, places_s], memory.reference_K[places_s], places_s)
    x_NsD = torch.cat((rows,) * memory.num_streams)
    hidden_sT = memory.hidden_KK[places_s, :seen]
    for block, context, own in zip(model.layers, memory.context, memory.own, strict=True):
        q, k, v = block.project(x_NsD)
        own[0].index_copy_(2, places_s, k)
        own[1].index_copy_(2, places_s, v)
        on_context = (*context, memory.bias_nhC)
        on_own = (own[0][:, :, :seen], own[1][:, :, :seen], hidden_sT)
        x_NsD = block.finish(x_NsD, attend_both(q, on_context, on_own))
    noise = tuple(table[places_s] for table in memory.noise)
    chosen_ns = choose(model, x_NsD, noise, config, memory.num_streams)
    memory.inputs_nK1.index_copy_(1, places_s + 1, chosen_ns)


def attend_both(
    q_Nhsd: Tensor, context: tuple[Tensor, Tensor, Tensor], own: tuple[Tensor, Tensor, Tensor]
) -> Tensor:
    """Attention over a context that all frames of a stream share, never copied, and the frames' own rows.

    Context: keys, values (S, g, C, d) and bias (n, h, C); own: keys, values (N, g, T, d) and bias (s, T);
    N = S * n. Gives (N, h, s, d).
    """
    (keys, values, bias_nhC), (own_keys, own_values, hidden_sT) = context, own
    (streams, groups, length, _), (frames, heads, places, width) = keys.shape, q_Nhsd.shape
    apart = (streams, frames // streams, groups, heads // groups, places)
    q = q_Nhsd.reshape(*apart, width) * width**-0.5
    on_context = q.transpose(1, 2).reshape(streams, groups, -1, width) @ keys.transpose(2, 3)
    on_context = on_context.view(streams, groups, apart[1], *apart[3:], length).transpose(1, 2)
    on_context = on_context + bias_nhC.view(1, apart[1], groups, apart[3], 1, length)
    on_own = q.reshape(frames, groups, -1, width) @ own_keys.transpose(2, 3)
    on_own = on_own.view(*apart, -1) + hidden_sT
    weights = torch.cat((on_context, on_own), dim=-1).softmax(-1)
    of_context, of_own = weights[..., :length], weights[..., length:]
    attended: Tensor = of_context.transpose(1, 2).reshape(streams, groups, -1, length) @ values
    attended = attended.view(streams, groups, apart[1], *apart[3:], width).transpose(1, 2)
    from_own = of_own.reshape(frames, groups, -1, own_keys.shape[2]) @ own_values
    return attended.reshape(q_Nhsd.shape) + from_own.reshape(q_Nhsd.shape)


def choose(
    model: KeyframeTransformer,
    x_NsD: Tensor,
    noise: tuple[Tensor, ...],
    config: DecodeConfig,
    num_streams: int,
) -> Tensor:
    """Whole ids (n, s) from the final rows, sub-token after sub-token; all streams go on from the same."""
    parts: list[Tensor] = []
    hidden = model.head.norm(x_NsD)
    for level, head in enumerate(model.head.heads):
        if level:
            hidden = hidden + model.head.given[level - 1](torch.cat((parts[-1],) * num_streams))
        logits = head(hidden).float()
        if num_streams == 2:
            logits = guided(logits, config.guidance[level % len(config.guidance)])
        if noise:
            logits = logits / config.temperature + noise[level]
        parts.append(logits.argmax(-1))
    return join_ids(tuple(parts), model.config.groups)


def guided(logits_NsV: Tensor, weight: float) -> Tensor:
    """Go `weight` times the way from the logits without phonemes to those with (Ho and Salimans 2022)."""
    given, blind = torch.chunk(logits_NsV, 2)
    mixed: Tensor = blind + weight * (given - blind)
    return mixed


def draw_noise(model: KeyframeTransformer, config: DecodeConfig, device: torch.device) -> tuple[Tensor, ...]:
    """Gumbel noise of every place and sub-token, the same on every device; none at temperature 0."""
    if config.temperature == 0:
        return ()
    sizes = [2**bits for bits in model.config.groups]
    generator = torch.Generator().manual_seed(config.seed)
    uniform = torch.rand(model.config.num_tokens, sum(sizes), generator=generator, device="cpu")
    gumbel = -(-uniform.clamp_min(1e-9).log()).log()
    return torch.split(gumbel.to(device), sizes, dim=1)


def fresh_inputs(model: KeyframeTransformer, reference_K: Tensor, num_frames: int) -> Tensor:
    """Inputs (n, K + 1) before anything is written: [F], then the reference."""
    start = torch.full_like(reference_K[:1], model.vocabulary.start)
    return torch.cat((start, reference_K)).repeat(num_frames, 1)


def hidden_bias(schedule: Schedule, like: Tensor) -> Tensor:
    """What a schedule hides, as an additive mask of the tensor's type and device."""
    return like.new_zeros(()).masked_fill(schedule.hidden(like.device), float("-inf"))
