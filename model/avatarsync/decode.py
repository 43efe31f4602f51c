"""Write keyframes: K steps for n frames together, over a prefix that is run once per picture.

The prefix ([B] and the reference) serves every sentence; its keys are shared by all frames of a block. The
phonemes are run once per block. Frames that look at earlier frames are written in turn, with the same cache.
`one_by_one` is the slow, plain form, whole forward passes for every token: the oracle of the tests.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from datapipe.records import Rejected

from .attention import attend_dense, attend_to_self
from .keyframes import KeyframeTransformer
from .masks import FRAME, PHONEME_REACH, PHONEME_ROWS, layout, phonemes_in_reach, steps_between
from .schedule import Schedule, make_schedule
from .step import GREEDY, DecodeConfig, Memory, choose, draw_noise, fresh_inputs, hidden_bias, write_places

__all__ = ["DecodeConfig", "Prefix", "generate_tokens", "lockstep", "one_by_one", "read_prefix"]

Rows = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values of each layer, (streams, key heads, rows, head width)."""


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """[B] and a reference picture, run through every layer: all that decoding needs of the picture.

    These rows never see a phoneme, whatever the scope, so one prefix serves every sentence.
    """

    reference_K: Tensor
    """Tokens of the reference."""
    rows: Rows
    """Keys and values (1, g, 1 + K, d) of each layer."""


@torch.no_grad()
def read_prefix(model: KeyframeTransformer, reference_K: Tensor) -> Prefix:
    """Run [B] and the reference once, to write any number of sentences from."""
    x, rows, attend = model.prefix_rows(reference_K[None]), [], attend_dense(causal=True)
    for block in model.layers:
        q, k, v = block.project(x)
        rows.append((k, v))
        x = block.finish(x, attend(q, k, v))
    return Prefix(reference_K, tuple(rows))


@torch.no_grad()
def generate_tokens(
    model: KeyframeTransformer, phonemes_n: Tensor, prefix: Prefix, config: DecodeConfig = GREEDY
) -> Tensor:
    """Tokens (n, K) of one keyframe per phoneme, in lockstep where frames are independent.

    Under one_to_one equal phonemes give equal keyframes (sampling noise is shared), so each is written once.
    Raises `Rejected("bad_input")` for guidance that the model was not trained for.
    """
    _check_guidance(model, config)
    if model.config.frame_scope != "none":
        return in_turn(model, phonemes_n, prefix, config)
    if model.config.phoneme_scope != "one_to_one":
        return lockstep(model, phonemes_n, prefix, config)
    distinct, back = torch.unique(phonemes_n, return_inverse=True)
    return lockstep(model, distinct, prefix, config)[back]


@torch.no_grad()
def lockstep(
    model: KeyframeTransformer, phonemes_n: Tensor, prefix: Prefix, config: DecodeConfig = GREEDY
) -> Tensor:
    """Decode the same places of all frames of a block at once, block after block; (n, K)."""
    units = len(phonemes_n)
    blocks = [range(at, min(at + config.block, units)) for at in range(0, units, config.block)]
    return torch.cat(
        [_written(model, remember(model, phonemes_n, prefix, frames, config), config) for frames in blocks]
    )


@torch.no_grad()
def in_turn(
    model: KeyframeTransformer, phonemes_n: Tensor, prefix: Prefix, config: DecodeConfig = GREEDY
) -> Tensor:
    """Decode frame after frame, each over the kept rows of the earlier frames in its scope; (n, K)."""
    tokens, context = [], prefix
    for unit in range(len(phonemes_n)):
        memory = remember(model, phonemes_n, context, range(unit, unit + 1), config)
        tokens.append(_written(model, memory, config))
        before = context.rows if model.config.frame_scope == "all" else prefix.rows
        context = Prefix(prefix.reference_K, _join(before, memory.own))
    return torch.cat(tokens)


def remember(
    model: KeyframeTransformer, phonemes_n: Tensor, prefix: Prefix, frames: range, config: DecodeConfig
) -> Memory:
    """Lay out the context and the empty rows of a block of frames."""
    reach = phonemes_in_reach(model.config.phoneme_scope, frames, len(phonemes_n))
    phonemes_Sm = _streams(model, phonemes_n[reach.start : reach.stop], config)
    context = _join(read_phonemes(model, phonemes_Sm), prefix.rows)
    schedule = make_schedule(len(prefix.reference_K), config.window)
    keys, _ = context[0]
    shape = (len(phonemes_Sm) * len(frames), keys.shape[1], schedule.num_tokens, keys.shape[3])
    return Memory(
        reference_K=prefix.reference_K,
        inputs_nK1=fresh_inputs(model, prefix.reference_K, len(frames)),
        context=context,
        bias_nhC=_context_bias(model, frames, reach, keys.shape[2]),
        own=tuple((keys.new_zeros(shape), keys.new_zeros(shape)) for _ in context),
        hidden_KK=hidden_bias(schedule, keys),
        noise=draw_noise(model, config, keys.device),
    )


def read_phonemes(model: KeyframeTransformer, phonemes_Sm: Tensor) -> Rows:
    """Run phonemes alone, which see other phonemes under the wide scopes only."""
    among = PHONEME_ROWS.get(model.config.phoneme_scope)
    attend = attend_dense(causal=among == "accumulative") if among else attend_to_self
    x, rows = model.phoneme_rows(phonemes_Sm), []
    for block in model.layers:
        q, k, v = block.project(x)
        rows.append((k, v))
        x = block.finish(x, attend(q, k, v))
    return tuple(rows)


def _streams(model: KeyframeTransformer, phonemes_n: Tensor, config: DecodeConfig) -> Tensor:
    """Phonemes (S, n) of the streams: what is said, and nothing where decoding is guided."""
    said_1n = phonemes_n[None]
    blind_1n = torch.full_like(said_1n, model.vocabulary.nothing)
    return torch.cat((said_1n, blind_1n)) if is_guided(config) else said_1n


def is_guided(config: DecodeConfig) -> bool:
    """Whether a second stream without phonemes is needed."""
    return any(weight != 1 for weight in config.guidance)


def _check_guidance(model: KeyframeTransformer, config: DecodeConfig) -> None:
    if not is_guided(config):
        return
    if not model.config.drop_phonemes:
        raise Rejected(
            "bad_input",
            f"guidance {config.guidance} needs a model that was trained with drop_phonemes above 0; this one "
            "never went without phonemes: leave guidance at 1 or train again",
        )
    if len(config.guidance) not in (1, len(model.config.groups)):
        raise Rejected(
            "bad_input",
            f"guidance has {len(config.guidance)} weights; give one, or one for each of the "
            f"{len(model.config.groups)} sub-tokens",
        )


def _join(first: Rows, second: Rows) -> Rows:
    """Rows of both, layer by layer; a single stream of the second serves all of the first, or the reverse."""
    joined = []
    for one, other in zip(first, second, strict=True):
        streams = max(len(one[0]), len(other[0]))
        pairs = (
            (a.expand(streams, -1, -1, -1), b.expand(streams, -1, -1, -1))
            for a, b in zip(one, other, strict=True)
        )
        keys, values = (torch.cat(pair, dim=2) for pair in pairs)
        joined.append((keys, values))
    return tuple(joined)


def _context_bias(model: KeyframeTransformer, frames: range, reach: range, length: int) -> Tensor:
    """Bias (n, h, C) of frames on phonemes (m of them, first), then on all else, which they see."""
    device, scope = model.distance.device, model.config.phoneme_scope
    frame_n1 = torch.arange(frames.start, frames.stop, device=device)[:, None]
    phoneme_1m = torch.arange(reach.start, reach.stop, device=device)[None]
    bias = model.distance.new_zeros(len(model.distance), len(frames), length)
    learned = model.distance[:, steps_between(frame_n1, phoneme_1m)]
    unseen = ~PHONEME_REACH[scope](frame_n1, phoneme_1m)
    bias[..., : len(reach)] = learned.masked_fill(unseen, float("-inf"))
    return bias.transpose(0, 1).contiguous()


def _written(model: KeyframeTransformer, memory: Memory, config: DecodeConfig) -> Tensor:
    """Run all steps of a schedule over a memory and return the tokens, (n, K)."""
    schedule = make_schedule(len(memory.reference_K), config.window)
    places = schedule.places(memory.reference_K.device)
    step = _settled(memory, places.is_cuda) if config.compile else write_places
    for index, at in enumerate(schedule.steps):
        if config.compile:  # the same shapes at every step
            step(model, memory, config, places[index], schedule.num_tokens)
        else:
            step(model, memory, config, places[index, : len(at)], max(at) + 1)
    return memory.inputs_nK1[:, 1:].clone()


def _settled(memory: Memory, cuda: bool) -> Callable[..., None]:
    """Return the compiled step; buffers stay in their places, so that a captured graph may write there."""
    for buffer in (memory.inputs_nK1, *(each for pair in memory.own for each in pair)):
        torch._dynamo.mark_static_address(buffer)
    return compiled_step(cuda)


@functools.cache
def compiled_step(cuda: bool) -> Callable[..., None]:
    """`write_places`, compiled; on a GPU captured as a graph, so that a step is one launch."""
    mode = "reduce-overhead" if cuda else "default"
    compiled: Callable[..., None] = torch.compile(write_places, fullgraph=True, mode=mode)
    return compiled


@torch.no_grad()
def one_by_one(
    model: KeyframeTransformer, phonemes_n: Tensor, reference_K: Tensor, config: DecodeConfig = GREEDY
) -> Tensor:
    """Decode step after step, frame after frame, by whole forward passes of the masked form; (n, K)."""
    units, tokens = len(phonemes_n), len(reference_K)
    schedule, noise = make_schedule(tokens, config.window), draw_noise(model, config, reference_K.device)
    bias, phonemes_Sn = _whole_bias(model, schedule, units), _streams(model, phonemes_n, config)
    written_nK = torch.zeros(units, tokens, dtype=torch.long, device=reference_K.device)
    for unit in range(units):
        for at in map(list, schedule.steps):
            inputs_nK = _inputs(model, schedule, written_nK, reference_K)
            rows_SnKD = _whole_pass(model, phonemes_Sn, reference_K, inputs_nK, bias)
            here = tuple(table[at] for table in noise)
            written_nK[unit, at] = choose(model, rows_SnKD[:, unit, at], here, config, len(rows_SnKD))[0]
    return written_nK


def _whole_pass(
    model: KeyframeTransformer, phonemes_Sn: Tensor, reference_K: Tensor, inputs_nK: Tensor, bias_hLL: Tensor
) -> Tensor:
    """Final rows (S, n, K, D) of all frames, from the tokens before each place."""
    places = torch.arange(len(reference_K), device=reference_K.device)
    frames = model.frame_rows(inputs_nK, reference_K, places).flatten(0, 1)
    shared = torch.cat((model.prefix_rows(reference_K[None])[0], frames))
    x, attend = model.phoneme_rows(phonemes_Sn), attend_dense(bias_hLL)
    x = torch.cat((x, shared.expand(len(x), -1, -1)), dim=1)
    for block in model.layers:
        x = block.finish(x, attend(*block.project(x)))
    return torch.unflatten(x[:, -inputs_nK.numel() :], 1, inputs_nK.shape)


def _whole_bias(model: KeyframeTransformer, schedule: Schedule, units: int) -> Tensor:
    """Bias of the masked form, less what a frame's schedule has not written yet."""
    where = layout(units, schedule.num_tokens, model.distance.device)
    frame = where.kind == FRAME
    own = frame[:, None] & frame[None] & (where.unit[:, None] == where.unit[None])
    late = schedule.hidden(where.place.device)[where.place[:, None], where.place[None]]
    return model.bias(where).masked_fill(own & late, float("-inf"))


def _inputs(
    model: KeyframeTransformer, schedule: Schedule, written_nK: Tensor, reference_K: Tensor
) -> Tensor:
    """Token before each place: written before its step, or the reference's."""
    order = schedule.order(reference_K.device)
    before = torch.where(order[:-1] < order[1:], written_nK[:, :-1], reference_K[:-1])
    return torch.cat((torch.full_like(before[:, :1], model.vocabulary.start), before), dim=1)
