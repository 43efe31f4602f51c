"""Stage 2: pictures between two keyframes at any instant, by flow, mask and residual (after VFIMamba).

The pair is encoded once; every instant of it is then rendered from the same features. Time enters three
times: the seconds between the keyframes pace the state-space scan; t and the seconds weigh the read-outs of
the last scan's states, y(t) = (C_0 + w_1 C_1 + w_2 C_2) h; and they scale and shift what the heads see. Both
keyframes have the same head, which is told how far away in time its keyframe is: swapped keyframes with t
reversed give the same picture. At t = 0 and t = 1 the keyframes come back exactly, by construction. Flow
starts from points of lips and chin that a small head reads in both keyframes (ours): they move on a line, and
the network learns what that gets wrong.
Shapes: P pairs, R renders, 2 sides (left, right), K maps, C channels, S side of the picture, G = S / 4,
L points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from datapipe.records import Seconds

from ..layers import Down, ResBlock, Stem, Up, carry, silent, warp
from .state_space import MixBlock, ScanForm, each_frame

STEM_STRIDE = 4
MAX_FLOW = 6.0
"""Largest learned part of a flow in pixels."""
POINT_SCALE = 0.1
POINT_WIDTH = 8
TIME_READOUTS = 2
"""Read-outs of the last scan that time weighs, beside the one that always counts."""
USUAL_GAP = 0.2
"""Seconds between keyframes that the heads take as one: a syllable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpolatorConfig:
    """What the interpolator is made of."""

    size: int = 128
    """Side of the square pictures in pixels."""
    fine_width: int = 32
    """Channels at 1/4 of the side."""
    coarse_width: int = 64
    """Channels at 1/8 of the side, where the scan runs."""
    head_width: int = 16
    """Channels of the heads, which run once per keyframe and rendered picture."""
    depth: int = 2
    """Scan blocks."""
    num_points: int = 29
    """Points of lips and chin that are read in each keyframe."""
    longest_gap: Seconds = 0.4
    """Pairs further apart are taken to be this far apart: training sees none beyond it."""
    scan: ScanForm = "s6"
    """`s6`: a decay per channel and state, as Mamba and VFIMamba; `ssd`: one per head, in matrix products."""
    official_order: bool = False
    """Send columns to the wrong places where VFIMamba's code sends them, for comparison."""


@dataclass(frozen=True, slots=True, eq=False)
class PairFeatures:
    """All that is known of pairs before an instant is chosen."""

    maps_P2KCGG: Tensor
    """For each keyframe: what always counts, and what time weighs."""
    points_P2L2: Tensor
    """Points of lips and chin in the left and right keyframe, -1 to 1."""
    seconds_P: Tensor
    """Time between the keyframes, at most the longest gap."""

    def at(self, index: Tensor) -> PairFeatures:
        """Repeat or select pairs."""
        return PairFeatures(self.maps_P2KCGG[index], self.points_P2L2[index], self.seconds_P[index])


class PairEncoder(nn.Module):
    """Two keyframes to the features that all their in-between pictures share."""

    def __init__(self, config: InterpolatorConfig) -> None:
        super().__init__()
        fine, coarse, head = config.fine_width, config.coarse_width, config.head_width
        self.longest_gap = config.longest_gap
        self.stem = Stem(3, fine)
        self.refine = ResBlock(fine)
        self.down = Down(fine, coarse)
        readouts = [1] * (config.depth - 1) + [1 + TIME_READOUTS]
        self.blocks = nn.ModuleList(
            MixBlock(coarse, config.scan, each, config.official_order) for each in readouts
        )
        self.up = Up(coarse, 2 * head)
        self.merge = nn.Conv2d(fine, 2 * head, 1)
        self.up_time = Up(coarse, head)
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
        seconds_P = seconds_P.clamp(max=self.longest_gap)
        pictures_2P3SS = torch.stack((left_P3SS, right_P3SS)).flatten(0, 1)
        fine = self.refine(self.stem(pictures_2P3SS))
        down = self.down(fine)
        points = self.rest + POINT_SCALE * torch.unflatten(self.points(down), 1, (-1, 2))
        coarse, timed = _sides(down), down.new_empty(0)
        for block in self.blocks:
            coarse, timed = block(coarse, seconds_P)
        always = _own_and_other(each_frame(self.up, coarse) + each_frame(self.merge, _sides(fine)))
        weighed = torch.unflatten(each_frame(self.up_time, timed.flatten(0, 1)), 0, timed.shape[:2])
        maps_PKCGG2 = torch.cat((always[:, None], weighed), dim=1)
        return PairFeatures(
            maps_PKCGG2.movedim(-1, 1).contiguous(),
            torch.unflatten(points, 0, (2, -1)).transpose(0, 1),
            seconds_P,
        )


class Interpolator(nn.Module):
    """Encode adjacent keyframes once, then render any instants between them."""

    def __init__(self, config: InterpolatorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.head_width
        self.pairs = PairEncoder(config)
        self.instant = nn.Linear(4, 2 * width + TIME_READOUTS)
        self.block = ResBlock(width)
        self.flow = silent(nn.Conv2d(width, 2, 3, padding=1))
        self.trust = nn.Conv2d(width, STEM_STRIDE**2, 3, padding=1, bias=False)
        self.paint = silent(nn.Conv2d(width, 3 * STEM_STRIDE**2, 3, padding=1))
        nn.init.zeros_(self.trust.weight)

    def forward(self, left_P3SS: Tensor, right_P3SS: Tensor, seconds_P: Tensor, t_P: Tensor) -> Tensor:
        """One picture per pair, at t in [0, 1]."""
        features = self.pairs(left_P3SS, right_P3SS, seconds_P)
        return self.render(features, left_P3SS, right_P3SS, t_P)

    def render(self, pairs: PairFeatures, left_R3SS: Tensor, right_R3SS: Tensor, t_R: Tensor) -> Tensor:
        """Blend the two bent keyframes and add a residual that vanishes at both ends; (R, 3, S, S)."""
        away_R2 = torch.stack((t_R, 1 - t_R), dim=1)
        hidden_R2CGG = self._instants(pairs, away_R2)
        to_left, to_right = self._flows(pairs, hidden_R2CGG, away_R2).unbind(1)
        left, right = warp(left_R3SS, to_left), warp(right_R3SS, to_right)
        own, other = hidden_R2CGG.unbind(1)
        t = t_R[:, None, None, None]
        trust = functional.pixel_shuffle(self.trust(own - other) + torch.logit(1 - t), STEM_STRIDE)
        painted = torch.tanh(functional.pixel_shuffle(self.paint(own + other), STEM_STRIDE))
        return torch.lerp(right, left, torch.sigmoid(trust)).addcmul(4 * t * (1 - t), painted)

    def _instants(self, pairs: PairFeatures, away_R2: Tensor) -> Tensor:
        """What each keyframe's head sees at its distance in time, (R, 2, C, G, G)."""
        gap_R2 = (pairs.seconds_P / USUAL_GAP)[:, None].expand_as(away_R2)
        turn = torch.pi * away_R2
        basis_R24 = torch.stack((away_R2, torch.sin(turn), torch.cos(turn), gap_R2), dim=-1)
        width = self.config.head_width
        scale, shift, weights = torch.split(self.instant(basis_R24), [width, width, TIME_READOUTS], dim=-1)
        seen, *timed = pairs.maps_P2KCGG.unbind(2)
        for share, each in zip(weights.unbind(-1), timed, strict=True):
            seen = torch.addcmul(seen, share[..., None, None, None], each)
        told = seen * (1 + scale[..., None, None]) + shift[..., None, None]
        return torch.unflatten(functional.silu(self.block(told.flatten(0, 1))), 0, (-1, 2))

    def _flows(self, pairs: PairFeatures, hidden_R2CGG: Tensor, away_R2: Tensor) -> Tensor:
        """Flows (R, 2, 2, S, S) in pixels from the wanted instant to the left and to the right keyframe."""
        side = hidden_R2CGG.shape[-1]
        left_RL2, right_RL2 = pairs.points_P2L2.unbind(1)
        wanted = left_RL2 + away_R2[:, :1, None] * (right_RL2 - left_RL2)
        bent = carry(wanted, torch.cat((left_RL2 - wanted, right_RL2 - wanted), dim=-1), side)
        learned = MAX_FLOW * torch.tanh(self.flow(hidden_R2CGG.flatten(0, 1)) / MAX_FLOW)
        share = away_R2.flatten()[:, None, None, None]
        both = self.config.size / 2 * torch.unflatten(bent, 1, (2, 2)).flatten(0, 1) + share * learned
        wide = functional.interpolate(both, scale_factor=float(STEM_STRIDE), mode="bilinear")
        return torch.unflatten(wide, 0, (-1, 2))


def _sides(x_2PCHW: Tensor) -> Tensor:
    """All left ones, then all right ones, to (P, C, H, W, 2)."""
    return torch.unflatten(x_2PCHW, 0, (2, -1)).movedim(0, -1)


def _own_and_other(x_PCHW2: Tensor) -> Tensor:
    """Add one half of each keyframe's channels to the other half of the other's; (P, C / 2, H, W, 2)."""
    own, other = x_PCHW2.chunk(2, dim=1)
    return own + other.flip(-1)
