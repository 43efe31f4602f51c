"""A run with random weights, as training writes it: files and shapes are right, pictures need not be.

What starts at zero (heads, flows, colours) is drawn too, so that every token and every instant shows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from toy import make_clips

from datapipe.records import Phoneme
from model.checkpoint import save_weights
from model.presets import tiny
from model.training.parts import make_interpolator, make_keyframes, make_tokenizer, to_dict

PRESET = tiny()
SIZE = PRESET.tokenizer.size


def write_run(folder: Path, preset=PRESET) -> Path:
    """Write the three parts of a preset, untrained."""
    clips = make_clips(2, preset.tokenizer.size)
    tokenizer = make_tokenizer(clips, preset).network
    keyframes = make_keyframes(clips, preset, tokenizer).network
    interpolator = make_interpolator(clips, preset).network
    for number, network in enumerate((tokenizer, keyframes, interpolator)):
        _stir(network, number)
    for name, parameter in keyframes.blocks.named_parameters():
        parameter.data *= 8 if name.endswith("weight") and parameter.ndim == 2 else 1
    note = {"preset": to_dict(preset)}
    save_weights(folder / "tokenizer", tokenizer, {"network": to_dict(preset.tokenizer), **note})
    facts = {"network": to_dict(keyframes.config), "vocabulary": to_dict(keyframes.vocabulary), **note}
    save_weights(folder / "keyframes", keyframes, facts)
    save_weights(folder / "interpolator", interpolator, {"network": to_dict(preset.interpolator), **note})
    return folder


def _stir(network, seed):
    noise = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        if not parameter.any():
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=noise)


def spoken(duration, symbols=("SIL", "AA", "M", "IY", "SIL")):
    """Phonemes of equal length that fill a time."""
    edges = np.linspace(0, duration, len(symbols) + 1)
    return tuple(
        Phoneme(symbol=s, start=float(a), end=float(b))
        for s, a, b in zip(symbols, edges, edges[1:], strict=False)
    )
