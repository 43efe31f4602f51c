"""(a) Keyframes written in lockstep with a cache, against one after another without one."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from datapipe.performance.figures import Figure, Measurement
from datapipe.performance.repeat import interleaved, ratios

from ..avatarsync.decode import lockstep, one_by_one, read_prefix
from ..avatarsync.keyframes import KeyframeTransformer
from ..presets import preset_named
from .seeded import seeded_avatar
from .sizes import Sizes

METHOD = (
    "{keyframes} keyframes of {tokens} tokens, of as many different phonemes, by the preset {preset} with "
    "seeded weights, likeliest tokens, one thread. Lockstep: the reference is read once, then token j of "
    "all keyframes at a time, with a cache. Sequential: keyframe after keyframe, token after token, each "
    "a pass over the whole sequence, as the model is defined. Own rows: also without a cache, but each "
    "pass only over the phoneme, the reference and the one keyframe that is being written. All three "
    "start from the reference's tokens. The sequential way takes minutes and runs once."
)


def measure_decoding(sizes: Sizes, folder: Path) -> Measurement:
    """Time the three ways, and compare their tokens."""
    torch.set_num_threads(1)
    model = seeded_avatar(preset_named(sizes.preset)).keyframes
    phonemes_n = model.vocabulary.num_visual + torch.arange(sizes.decode_keyframes)
    reference_K = random_tokens(model)
    written: dict[str, Tensor] = {}
    ways = {
        "lockstep": lambda: _keep(written, "lockstep", in_lockstep(model, phonemes_n, reference_K)),
        "own": lambda: _keep(written, "own", own_rows(model, phonemes_n, reference_K)),
    }
    times = interleaved(ways, sizes.repeats, "(a) decoding", warm_up=False)
    whole = {"whole": lambda: _keep(written, "whole", one_by_one(model, phonemes_n, reference_K))}
    times |= interleaved(whole, 1, "(a) sequential", warm_up=False)
    differing = sum(int((written["lockstep"] != each).sum()) for each in written.values())
    figures = (
        Figure(
            name="time of sequential decoding over lockstep",
            unit="x",
            values=tuple(times["whole"][0] / each for each in times["lockstep"]),
            expected="150 to 500",
            limit=30.0,
            sense="at least",
        ),
        Figure(name="tokens that differ", unit="tokens", values=(float(differing),), expected="0", limit=0.0),
        Figure(
            name="time of sequential decoding of own rows over lockstep",
            unit="x",
            values=ratios(times["own"], times["lockstep"]),
            expected="15 to 40",
        ),
        Figure(name="lockstep", unit="s", values=times["lockstep"]),
        Figure(name="sequential, own rows", unit="s", values=times["own"]),
        Figure(name="sequential", unit="s", values=times["whole"]),
    )
    method = METHOD.format(
        keyframes=len(phonemes_n), tokens=len(reference_K), preset=preset_named(sizes.preset).name
    )
    return Measurement(name="a", title="Decoding in lockstep", method=method, figures=figures)


def random_tokens(model: KeyframeTransformer) -> Tensor:
    """Tokens (K) of no picture, always the same ones."""
    noise = torch.Generator().manual_seed(0)
    return torch.randint(model.vocabulary.num_visual, (model.config.num_tokens,), generator=noise)


def in_lockstep(model: KeyframeTransformer, phonemes_n: Tensor, reference_K: Tensor) -> Tensor:
    """Read the reference, then write all keyframes; (n, K)."""
    return lockstep(model, phonemes_n, read_prefix(model, reference_K))


def own_rows(model: KeyframeTransformer, phonemes_n: Tensor, reference_K: Tensor) -> Tensor:
    """Write keyframe after keyframe without a cache, as if each were the only one; (n, K).

    The same tokens for the scopes one_to_one and none alone.
    """
    return torch.cat([one_by_one(model, each_1, reference_K) for each_1 in torch.split(phonemes_n, 1)])


def _keep(written: dict[str, Tensor], name: str, tokens_nK: Tensor) -> None:
    written[name] = tokens_nK
