"""What a preset costs to train: parameters, memory and arithmetic of each part, counted without any hardware.

Networks are built and run forward and back at their true sizes on torch's meta device, which knows shapes and
holds no numbers. Losses that look through frozen networks (LPIPS, identity) are not in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from datapipe.phonemes import PHONEMES
from datapipe.records import to_dict

from ..avatarsync.interpolate import Interpolator
from ..avatarsync.keyframes import KeyframeTransformer
from ..avatarsync.tokenizer_objective import make_opponent
from ..avatarsync.vocabulary import Vocabulary
from ..presets import Preset
from ..tokenizer import Tokenizer
from .loop import TrainConfig
from .throughput import count_flops

GB = 1e9
MOMENTS = 2
"""Numbers that Adam keeps for each parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one part of a preset costs."""

    preset: str
    part: str
    parameters: int
    weights_gb: float
    """In fp32; the file that is saved."""
    optimizer_gb: float
    """Gradients and moments, an opponent's weights and theirs, and averaged weights where they are kept."""
    activations_gb: float
    """What one batch keeps for its way back: each tensor once, in the precision of its training."""
    step_tflop: float
    """Forward and back of one step, a multiply-add counted as two."""
    steps: int

    @property
    def total_gb(self) -> float:
        """Memory of one device that trains the whole."""
        return self.weights_gb + self.optimizer_gb + self.activations_gb


def budgets(preset: Preset) -> list[Budget]:
    """Count all three parts of a preset."""
    with torch.device("meta"):
        opponent = make_opponent(preset.tokenizer_loss)
        return [
            _budget(preset.name, "tokenizer", preset.tokenizer_train, _tokenizer(preset), opponent),
            _budget(preset.name, "keyframes", preset.keyframes_train, _keyframes(preset)),
            _budget(preset.name, "interpolator", preset.interpolator_train, _interpolator(preset)),
        ]


Pass = tuple[nn.Module, Callable[[], list[Tensor]]]


def _tokenizer(preset: Preset) -> Pass:
    network, size, batch = Tokenizer(preset.tokenizer), preset.tokenizer.size, preset.tokenizer_loss.batch
    pictures = torch.zeros(2, batch, 3, size, size)

    def run() -> list[Tensor]:
        rebuilt = network(*pictures)
        return [rebuilt.picture, rebuilt.points_BL2]

    return network, run


def _keyframes(preset: Preset) -> Pass:
    vocabulary = Vocabulary(num_visual=2**preset.tokenizer.bits, phonemes=PHONEMES)
    network, loss = KeyframeTransformer(preset.keyframes, vocabulary), preset.keyframes_loss
    ids_BnK = torch.zeros(loss.clips, loss.units, preset.keyframes.num_tokens, dtype=torch.long)
    return network, lambda: list(network(ids_BnK[:, :, 0], ids_BnK[:, 0], ids_BnK, ids_BnK))


def _interpolator(preset: Preset) -> Pass:
    network, batch = Interpolator(preset.interpolator), preset.interpolator_loss.batch
    size = preset.interpolator.size
    pictures, ones = torch.zeros(batch, 3, size, size), torch.ones(batch)

    def run() -> list[Tensor]:
        pairs = network.pairs(pictures, pictures, ones)
        return [network.render(pairs, pictures, pictures, ones), pairs.points_P2L2]

    return network, run


def _budget(
    preset: str, part: str, config: TrainConfig, prepared: Pass, opponent: nn.Module | None = None
) -> Budget:
    network, run = prepared
    flops, activations = _counted(run, config, {id(each) for each in network.parameters()})
    count, own = _num_parameters(network), _num_parameters(opponent) if opponent else 0
    kept = count * (1 + MOMENTS + (config.ema > 0)) + own * (2 + MOMENTS)
    return Budget(
        preset=preset,
        part=part,
        parameters=count,
        weights_gb=4 * count / GB,
        optimizer_gb=4 * kept / GB,
        activations_gb=activations / GB,
        step_tflop=flops * config.accumulate / 1e12,
        steps=config.steps,
    )


def _counted(run: Callable[[], list[Tensor]], config: TrainConfig, weights: set[int]) -> tuple[int, int]:
    """Floating-point operations of forward and back, and bytes that are kept in between."""
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        base = tensor if tensor._base is None else tensor._base
        if id(base) not in weights:
            kept[id(base)] = base
        return tensor

    def whole() -> None:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            made = run()
        torch.stack([each.sum() for each in made]).sum().backward()  # type: ignore[no-untyped-call]

    _, flops = count_flops(whole)
    width = 1.0 if config.precision == "fp32" else 0.5  # of fp32, which shapes are counted in
    return flops, int(sum(each.untyped_storage().nbytes() for each in kept.values()) * width)


def _num_parameters(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def as_json(found: Sequence[Budget]) -> str:
    """All numbers, for scripts."""
    rows = [to_dict(each) | {"total_gb": each.total_gb} for each in found]
    return json.dumps(rows, indent=1)


def as_table(found: Sequence[Budget]) -> str:
    """A line for each part, for people."""
    head = ("preset", "part", "parameters", "weights", "optimizer", "activations", "total GB", "TFLOP/step")
    rows = [
        (each.preset, each.part, f"{each.parameters:,}", *(f"{number:.3g}" for number in _numbers(each)))
        for each in found
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = (zip(row, widths, strict=True) for row in (head, *rows))
    return "\n".join("  ".join(cell.rjust(width) for cell, width in line) for line in lines)


def _numbers(one: Budget) -> tuple[float, ...]:
    return (one.weights_gb, one.optimizer_gb, one.activations_gb, one.total_gb, one.step_tflop)
