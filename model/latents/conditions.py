"""Numbers and vectors as conditions: sinusoids of a scalar, and features that scale and shift others."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOWEST = 1e4
"""Longest period of a sinusoid, in the scalar's units."""


def sinusoids(values: Tensor, width: int) -> Tensor:
    """Cosines and sines (..., width) of scalars (...), as positions are encoded (Vaswani et al. 2017)."""
    rates = torch.exp(torch.arange(width // 2, device=values.device) * (-2 * math.log(SLOWEST) / width))
    angles = values[..., None] * rates
    return torch.cat((torch.cos(angles), torch.sin(angles)), dim=-1)


class ScalarEmbedding(nn.Module):
    """A scalar (...) to a vector (..., D): sinusoids through two layers."""

    def __init__(self, width: int, scale: float = 1000.0) -> None:
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, values: Tensor) -> Tensor:
        """Embed; `scale` brings values between 0 and 1 to where sinusoids tell them apart."""
        width: int = self.body[0].in_features  # type: ignore[assignment]
        embedded: Tensor = self.body(sinusoids(values * self.scale, width))
        return embedded


class Modulation(nn.Module):
    """A condition (..., D) to several (..., D) scales and shifts; silent at first (adaLN-zero, DiT)."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.count, self.out = count, nn.Linear(width, count * width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Return the scales and shifts."""
        said: Tensor = self.out(functional.silu(condition))
        return said.chunk(self.count, dim=-1)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Features that a condition scales around 1 and shifts around 0."""
    return x * (1 + scale) + shift
