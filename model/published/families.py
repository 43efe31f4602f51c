"""The published tokenizers: sizes, networks, and what their checkpoints call each tensor.

A layout's rows lead from our module to theirs; {i} is a level, {r} the same level counted from the other end,
{j} a block. What no row names is called the same. Read off the public code at SEED-Voken b9a17ea, LlamaGen
ce98ec4 and taming-transformers 3ba01b2.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from datapipe.records import Rejected

from . import magvit2, vqgan
from .config import FamilyName, PublishedConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How one family's tokenizers are built and stored."""

    encoder: Callable[[PublishedConfig], nn.Module]
    decoder: Callable[[PublishedConfig], nn.Module]
    vectors: bool
    """Whether codes are rows of a table; else they are signs."""
    unit: bool
    """Whether rows are used with length 1."""
    rows: tuple[tuple[str, str], ...]
    """Our prefix, their prefix."""
    training_only: tuple[str, ...]
    """Patterns of their names that only training needs."""


FAMILIES: dict[FamilyName, Family] = {
    "magvit2": Family(
        encoder=magvit2.Encoder,
        decoder=magvit2.Decoder,
        vectors=False,
        unit=False,
        rows=(
            ("encoder.levels.{i}.blocks.{j}", "encoder.down.{i}.block.{j}"),
            ("encoder.levels.{i}.resample", "encoder.down.{i}.downsample"),
            ("encoder.mid.{j}", "encoder.mid_block.{j}"),
            ("decoder.mid.{j}", "decoder.mid_block.{j}"),
            ("decoder.levels.{i}.adaptive", "decoder.adaptive.{r}"),
            ("decoder.levels.{i}.blocks.{j}", "decoder.up.{r}.block.{j}"),
            ("decoder.levels.{i}.resample", "decoder.up.{r}.upsample"),
        ),
        training_only=(r"loss\..*", r"model_ema\.loss.*", r"model_ema\.(decay|num_updates)"),
    ),
    "llamagen": Family(
        encoder=vqgan.Encoder,
        decoder=vqgan.Decoder,
        vectors=True,
        unit=True,
        rows=(
            ("encoder.levels.{i}.blocks.{j}", "encoder.conv_blocks.{i}.res.{j}"),
            ("encoder.levels.{i}.attend.{j}", "encoder.conv_blocks.{i}.attn.{j}"),
            ("encoder.levels.{i}.resample", "encoder.conv_blocks.{i}.downsample"),
            ("decoder.levels.{i}.blocks.{j}", "decoder.conv_blocks.{i}.res.{j}"),
            ("decoder.levels.{i}.attend.{j}", "decoder.conv_blocks.{i}.attn.{j}"),
            ("decoder.levels.{i}.resample", "decoder.conv_blocks.{i}.upsample"),
            ("codebook", "quantize.embedding"),
            ("before", "quant_conv"),
            ("after", "post_quant_conv"),
        ),
        training_only=(r"quantize\.codebook_used",),
    ),
    "taming": Family(
        encoder=vqgan.Encoder,
        decoder=vqgan.Decoder,
        vectors=True,
        unit=False,
        rows=(
            ("encoder.levels.{i}.blocks.{j}", "encoder.down.{i}.block.{j}"),
            ("encoder.levels.{i}.attend.{j}", "encoder.down.{i}.attn.{j}"),
            ("encoder.levels.{i}.resample", "encoder.down.{i}.downsample"),
            ("encoder.mid.0", "encoder.mid.block_1"),
            ("encoder.mid.1", "encoder.mid.attn_1"),
            ("encoder.mid.2", "encoder.mid.block_2"),
            ("decoder.mid.0", "decoder.mid.block_1"),
            ("decoder.mid.1", "decoder.mid.attn_1"),
            ("decoder.mid.2", "decoder.mid.block_2"),
            ("decoder.levels.{i}.blocks.{j}", "decoder.up.{r}.block.{j}"),
            ("decoder.levels.{i}.attend.{j}", "decoder.up.{r}.attn.{j}"),
            ("decoder.levels.{i}.resample", "decoder.up.{r}.upsample"),
            ("codebook", "quantize.embedding"),
            ("before", "quant_conv"),
            ("after", "post_quant_conv"),
        ),
        training_only=(r"loss\..*", "colorize"),
    ),
}


def _magvit2(multipliers: tuple[int, ...], groups: tuple[int, ...], size: int) -> PublishedConfig:
    bits = sum(groups)
    return PublishedConfig(
        family="magvit2", size=size, multipliers=multipliers, blocks=4, latent_dim=bits, code_dim=bits,
        groups=groups,
    )  # fmt: skip


VARIANTS: dict[str, PublishedConfig] = {
    "magvit2-f16": _magvit2((1, 1, 2, 2, 4), (6, 12), 256),
    "magvit2-f8": _magvit2((1, 2, 2, 4), (6, 12), 128),
    "magvit2-f16-16384": _magvit2((1, 1, 2, 2, 4), (6, 8), 256),
    "llamagen-f16": PublishedConfig(family="llamagen"),
    "llamagen-f8": PublishedConfig(family="llamagen", multipliers=(1, 2, 2, 4)),
    "taming-f16-1024": PublishedConfig(family="taming", code_dim=256, groups=(10,)),
    "taming-f16-16384": PublishedConfig(family="taming", code_dim=256),
}
"""By the name that the command line takes; `groups` of signs are ours where heads need them."""


def variant_named(name: str) -> PublishedConfig:
    """Look a published tokenizer up; an unknown name gets the nearest one suggested."""
    if name not in VARIANTS:
        near = difflib.get_close_matches(name, VARIANTS, n=1, cutoff=0.0)[0]
        raise Rejected(
            "bad_input",
            f"unknown tokenizer `{name}`; there are {', '.join(VARIANTS)} (did you mean {near}?)",
        )
    return VARIANTS[name]
