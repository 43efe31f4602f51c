"""Spatial masked autoregression (SMA): the places of one frame in a few groups, drawn by a diffusion head.

A step sees what is known of the frame, the features that FCA gave for every place, and those of its controls
(eq. 3; MAR, Li et al. 2024). Shapes: M frames, N places, D width.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..avatarsync.attention import Block, attend_dense
from ..latents.conditions import Modulation, ScalarEmbedding, modulated
from .config import EARTalkingConfig

FEWEST, SPREAD = 0.7, 0.25
"""MAR's share of hidden places in training: at least 0.7, falling off from 1 as a Gaussian of 0.25."""


class SpatialTransformer(nn.Module):
    """Known places and a frame's features to what the diffusion head is told of every place."""

    def __init__(self, config: EARTalkingConfig) -> None:
        super().__init__()
        width = config.width
        self.known = nn.Linear(config.channels, width)
        self.hidden = nn.Parameter(0.02 * torch.randn(width))
        self.places = nn.Parameter(0.02 * torch.randn(config.num_places, width))
        self.picture, self.controls = nn.Linear(width, width), nn.Linear(width, width)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.heads, 0.0) for _ in range(config.spatial_depth)
        )
        self.norm = nn.RMSNorm(width)

    def forward(self, controls: Tensor, picture_MND: Tensor, values_MNC: Tensor, known_MN: Tensor) -> Tensor:
        """Return (M, N, D); `controls` are (M, A + 1, D), and values count where they are known."""
        given = torch.where(known_MN[..., None], self.known(values_MNC), self.hidden)
        x = torch.cat((self.controls(controls), given + self.picture(picture_MND) + self.places), dim=1)
        attend = attend_dense()
        for block in self.blocks:
            assert isinstance(block, Block)
            x = block.finish(x, attend(*block.project(x)))
        told: Tensor = self.norm(x[:, controls.shape[1] :])
        return told


class DiffusionHead(nn.Module):
    """What is noise in a place's values, given what SMA tells of it (eq. 1); no place sees another here."""

    def __init__(self, config: EARTalkingConfig) -> None:
        super().__init__()
        width = config.head_width
        self.enter, self.told = nn.Linear(config.channels, width), nn.Linear(config.width, width)
        self.time = ScalarEmbedding(width)
        self.layers = nn.ModuleList(_HeadBlock(width) for _ in range(config.head_depth))
        self.leave, self.out = Modulation(width, 2), nn.Linear(width, config.channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, values: Tensor, times: Tensor, told: Tensor) -> Tensor:
        """Values (..., C) at times (...) under (..., D): what the head says of them, (..., C)."""
        x, condition = self.enter(values), self.told(told) + self.time(times)
        for layer in self.layers:
            x = layer(x, condition)
        said: Tensor = self.out(modulated(functional.layer_norm(x, x.shape[-1:]), *self.leave(condition)))
        return said


class _HeadBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.condition = Modulation(width, 3)
        self.body = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale, gate = self.condition(condition)
        changed: Tensor = x + gate * self.body(
            modulated(functional.layer_norm(x, x.shape[-1:]), shift, scale)
        )
        return changed


def hide_places(num_frames: int, num_places: int, device: torch.device | None = None) -> Tensor:
    """Draw which places of each frame are hidden in training, (M, N); every frame draws its own share."""
    draw = torch.rand(num_frames, 1, device=device)
    far = math.erf((1 - FEWEST) / SPREAD / math.sqrt(2))
    share = 1 - SPREAD * math.sqrt(2) * torch.erfinv(draw * far)
    rank: Tensor = torch.rand(num_frames, num_places, device=device).argsort(1).argsort(1)
    return rank < torch.ceil(share * num_places)


def group_sizes(num_places: int, steps: int) -> list[int]:
    """How many places each step writes: few first, many last, along a cosine (MaskGIT); they sum to N.

    With more steps than places, each step writes one.
    """
    steps = min(steps, num_places)
    left = [math.floor(num_places * math.cos(math.pi / 2 * step / steps)) for step in range(steps + 1)]
    for step in range(1, steps):  # each step writes at least one and leaves one for each step to come
        left[step] = max(min(left[step], left[step - 1] - 1), steps - step)
    left[-1] = 0
    return [before - after for before, after in pairwise(left)]
