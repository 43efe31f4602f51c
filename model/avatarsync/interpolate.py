"""Stage 2: pictures between two keyframes at any instant, by flow, mask and residual (after VFIMamba).

The pair is encoded once; every instant of it is then rendered from the same features. Time enters twice: the
seconds between the keyframes pace the state-space scan, and t conditions the heads. At t = 0 and t = 1 the
keyframes come back exactly, by construction. Flow starts from points of lips and chin that a small head reads
in both keyframes (ours): they move on a line, and the network learns what that gets wrong.
Shapes: P pairs, R renders, C channels, S side of the picture, G = S / 4, L points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers import Down, ResBlock, Stem, Up, bend, silent, warp
from .state_space import MixBlock

STEM_STRIDE = 4
MAX_FLOW = 6.0
"""Largest learned part of a flow in pixels."""
POINT_SCALE = 0.1
POINT_WIDTH = 8


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
    num_points: int = 29
    """Points of lips and chin that are read in each keyframe."""


@dataclass(frozen=True, slots=True, eq=False)
class PairFeatures:
    """All that is known of pairs before an instant is chosen."""

    map_PCGG: Tensor
    left_PL2: Tensor
    """Points of lips and chin in the left keyframe, -1 to 1."""
    right_PL2: Tensor

    def at(self, index: Tensor) -> PairFeatures:
        """Repeat or select pairs."""
        return PairFeatures(self.map_PCGG[index], self.left_PL2[index], self.right_PL2[index])


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
        side = config.size // (2 * STEM_STRIDE)
        self.points = nn.Sequential(
            nn.Conv2d(coarse, POINT_WIDTH, 1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(POINT_WIDTH * side**2, 64),
            nn.SiLU(),
            nn.Linear(64, 2 * config.num_points, bias=False),
        )
        self.rest = nn.Parameter(torch.zeros(config.num_points, 2))

    def forward(self, left_P3SS: Tensor, right_P3SS: Tensor, seconds_P: Tensor) -> PairFeatures:
        """Encode pairs."""
        pairs = len(left_P3SS)
        fine = self.refine(self.stem(torch.cat((left_P3SS, right_P3SS))))
        down = self.down(fine)
        points = self.rest + POINT_SCALE * torch.unflatten(self.points(down), 1, (-1, 2))
        coarse = torch.stack(torch.split(down, pairs), dim=-1)
        for block in self.blocks:
            coarse = block(coarse, seconds_P)
        up = self.up(coarse.movedim(-1, 1).flatten(1, 2))
        return PairFeatures(
            self.merge(torch.cat((up, *torch.split(fine, pairs)), dim=1)), *torch.split(points, pairs)
        )


class Interpolator(nn.Module):
    """Encode adjacent keyframes once, then render any instants between them."""

    def __init__(self, config: InterpolatorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.fine_width
        self.pairs = PairEncoder(config)
        self.instant = nn.Linear(3, 2 * width)
        self.block = ResBlock(width)
        self.flow = silent(nn.Conv2d(width, 4, 3, padding=1))
        self.paint = silent(nn.Conv2d(width, 4 * STEM_STRIDE**2, 3, padding=1))

    def forward(self, left_P3SS: Tensor, right_P3SS: Tensor, seconds_P: Tensor, t_P: Tensor) -> Tensor:
        """One picture per pair, at t in [0, 1]."""
        features = self.pairs(left_P3SS, right_P3SS, seconds_P)
        return self.render(features, left_P3SS, right_P3SS, t_P)

    def render(self, pairs: PairFeatures, left_R3SS: Tensor, right_R3SS: Tensor, t_R: Tensor) -> Tensor:
        """Blend the two bent keyframes and add a residual that vanishes at both ends; (R, 3, S, S)."""
        t = t_R[:, None, None, None]
        basis = torch.stack((t_R, torch.sin(torch.pi * t_R), torch.cos(torch.pi * t_R)), dim=1)
        scale, shift = self.instant(basis)[:, :, None, None].chunk(2, dim=1)
        hidden = functional.silu(self.block(pairs.map_PCGG * (1 + scale) + shift))
        to_left, to_right = self._flows(pairs, hidden, t)
        left, right = warp(left_R3SS, to_left), warp(right_R3SS, to_right)
        painted = functional.pixel_shuffle(self.paint(hidden), STEM_STRIDE)
        trust = 2 * torch.sigmoid(painted[:, :1])
        weight = (1 - t) * trust / ((1 - t) * trust + t * (2 - trust))
        between = weight * left + (1 - weight) * right
        return between + 4 * t * (1 - t) * torch.tanh(painted[:, 1:])

    def _flows(self, pairs: PairFeatures, hidden_RCGG: Tensor, t_R111: Tensor) -> tuple[Tensor, Tensor]:
        """Flows (R, 2, S, S) in pixels from the wanted instant to the left and to the right keyframe."""
        side = hidden_RCGG.shape[-1]
        wanted = pairs.left_PL2 + t_R111[..., 0] * (pairs.right_PL2 - pairs.left_PL2)
        half = self.config.size / 2
        learned = MAX_FLOW * torch.tanh(self.flow(hidden_RCGG) / MAX_FLOW)
        to_left = half * bend(wanted, pairs.left_PL2, side) + t_R111 * learned[:, :2]
        to_right = half * bend(wanted, pairs.right_PL2, side) + (1 - t_R111) * learned[:, 2:]
        both = torch.cat((to_left, to_right), dim=1)
        wide = functional.interpolate(both, scale_factor=float(STEM_STRIDE), mode="bilinear")
        return wide[:, :2], wide[:, 2:]
