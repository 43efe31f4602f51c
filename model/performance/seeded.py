"""Generators of a preset with seeded weights: as quick as trained ones, and nothing needs training."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from datapipe.phonemes import PHONEMES
from datapipe.records import to_dict

from ..avatar import Avatar
from ..avatarsync.interpolate import Interpolator
from ..avatarsync.keyframes import KeyframeTransformer
from ..avatarsync.vocabulary import Vocabulary
from ..checkpoint import save_weights
from ..presets import Preset
from ..tokenizer import Tokenizer

NetworkT = TypeVar("NetworkT", bound=nn.Module)
SEED = 20250917
NOISE = 0.02
"""Standard deviation of what training would start from zero: else all logits were equal."""


def seeded_avatar(preset: Preset) -> Avatar:
    """Make the three networks at their true sizes, on the default device; their pictures mean nothing."""
    torch.manual_seed(SEED)
    vocabulary = Vocabulary(num_visual=2**preset.tokenizer.bits, phonemes=PHONEMES)
    return Avatar(
        tokenizer=_awake(Tokenizer(preset.tokenizer)),
        keyframes=_awake(KeyframeTransformer(preset.keyframes, vocabulary)),
        interpolator=_awake(Interpolator(preset.interpolator)),
        run_id="seeded",
    )


def write_run(preset: Preset, folder: Path) -> Path:
    """Write a seeded generator as training writes a run."""
    avatar = seeded_avatar(preset)
    vocabulary = {"vocabulary": to_dict(avatar.keyframes.vocabulary)}
    save_weights(folder / "tokenizer", avatar.tokenizer, {"network": to_dict(preset.tokenizer)})
    save_weights(folder / "keyframes", avatar.keyframes, {"network": to_dict(preset.keyframes)} | vocabulary)
    save_weights(folder / "interpolator", avatar.interpolator, {"network": to_dict(preset.interpolator)})
    return folder


def _awake(network: NetworkT) -> NetworkT:
    """Give noise to what is all zeros, and set the network to use."""
    for parameter in network.parameters():
        if parameter.device.type == "meta" or not parameter.any():
            nn.init.normal_(parameter, std=NOISE)
    return network.eval().requires_grad_(False)
