"""Stage 2: pictures between two keyframes at any instant, by flow, mask and residual (after VFIMamba).

The pair is encoded once; every instant of it is then rendered from the same features. Time enters twice: the
seconds between the keyframes pace the state-space scan, and t conditions the heads. At t = 0 and t = 1 the
keyframes come back exactly, by construction.
Shapes: P pairs, R renders, C channels, S side of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers import Down, ResBlock, Stem, Up, warp
from .state_space import MixBlock

STEM_STRIDE = 4
MAX_FLOW = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpolatorConfig:
    """What the interpolator is made of."""

    size: int = 128
    """Side of the square pictures in pixels."""
    fine_width: int = 32
    """Channels at 1/4 of the side."""
    coarse_width: int = 64
    """Channels at 1/8 of the side, where the scan runs."""
    depth: int = 2
    """Scan blocks."""


class PairEncoder(nn.Module):
    """Two keyframes to the features that all their in-between pictures share."""

    def __init__(self, config: InterpolatorConfig) -> None:
        super().__init__()
        fine, coarse = config.fine_width, config.coarse_width
        self.stem = Stem(3, fine)
        self.refine = ResBlock(fine)
        self.down = Down(fine, coarse)
        self.blocks = nn.ModuleList(MixBlock(coarse) for _ in range(config.depth))
        self.up = Up(2 * coarse, fine)
        self.merge = nn.Conv2d(3 * fine, fine, 1)

    def forward(self, left_P3SS: Tensor, right_P3SS: Tensor, seconds_P: Tensor) -> Tensor:
        """(P, C, S/4, S/4)."""
        pairs = len(left_P3SS)
        fine = self.refine(self.stem(torch.cat((left_P3SS, right_P3SS))))
        coarse = torch.stack(self.down(fine).split(pairs), dim=-1)
        for block in self.blocks:
            coarse = block(coarse, seconds_P)
        up = self.up(coarse.movedim(-1, 1).flatten(1, 2))
        merged: Tensor = self.merge(torch.cat((up, *fine.split(pairs)), dim=1))
        return merged


class Interpolator(nn.Module):
    """Encode adjacent keyframes once, then render any instants between them."""

    def __init__(self, config: InterpolatorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.fine_width
        self.pairs = PairEncoder(config)
        self.instant = nn.Linear(3, 2 * width)
        self.block = ResBlock(width)
        self.out = nn.Conv2d(width, 8 * STEM_STRIDE**2, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, left_P3SS: Tensor, right_P3SS: Tensor, seconds_P: Tensor, t_P: Tensor) -> Tensor:
        """One picture per pair, at t in [0, 1]."""
        features = self.pairs(left_P3SS, right_P3SS, seconds_P)
        return self.render(features, left_P3SS, right_P3SS, t_P)

    def render(self, features_RCHW: Tensor, left_R3SS: Tensor, right_R3SS: Tensor, t_R: Tensor) -> Tensor:
        """Blend the two bent keyframes and add a residual that vanishes at both ends; (R, 3, S, S)."""
        t = t_R[:, None, None, None]
        basis = torch.stack((t_R, torch.sin(torch.pi * t_R), torch.cos(torch.pi * t_R)), dim=1)
        scale, shift = self.instant(basis)[:, :, None, None].chunk(2, dim=1)
        hidden = self.block(features_RCHW * (1 + scale) + shift)
        raw = functional.pixel_shuffle(self.out(functional.silu(hidden)), STEM_STRIDE)
        flows = MAX_FLOW * torch.tanh(raw[:, :4])
        left = warp(left_R3SS, t * flows[:, :2])
        right = warp(right_R3SS, (1 - t) * flows[:, 2:])
        trust = 2 * torch.sigmoid(raw[:, 4:5])
        weight = (1 - t) * trust / ((1 - t) * trust + t * (2 - trust))
        between = weight * left + (1 - weight) * right
        return between + 4 * t * (1 - t) * torch.tanh(raw[:, 5:])
