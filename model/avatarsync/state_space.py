"""Two pictures' features read as one interleaved sequence in four directions (VFIMamba's SS2D).

Place l = 2p + f: pixel p of keyframe 0, then pixel p of keyframe 1, so that the two are one step apart and
context is global at linear cost. Directions: rows and columns, each forward and backward. VFIMamba's own
`forward_core` sends its column results back to wrong places; here `from_sequence` undoes
`to_sequence` exactly.
Shapes: B pairs, C channels, H W grid, 2 keyframes, L = 2HW, N states.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..scan import selective_scan

DIRECTIONS = 4
NUM_STATES = 8


def to_sequence(x_BCHW2: Tensor, direction: int) -> Tensor:
    """Interleave along rows (0, 1) or columns (2, 3), backward when odd; (B, L, C)."""
    order = (0, 2, 3, 4, 1) if direction < 2 else (0, 3, 2, 4, 1)
    sequence = x_BCHW2.permute(*order).flatten(1, 3)
    return sequence.flip(1) if direction % 2 else sequence


def from_sequence(y_BLC: Tensor, direction: int, height: int, width: int) -> Tensor:
    """Undo `to_sequence`: every value goes back to its pixel and keyframe."""
    y_BLC = y_BLC.flip(1) if direction % 2 else y_BLC
    if direction < 2:
        return torch.unflatten(y_BLC, 1, (height, width, 2)).permute(0, 4, 1, 2, 3)
    return torch.unflatten(y_BLC, 1, (width, height, 2)).permute(0, 4, 2, 1, 3)


class DirectionalScan(nn.Module):
    """The selective parameters and decay of one direction."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rank = max(4, channels // 16)
        self.select = nn.Linear(channels, self.rank + 2 * NUM_STATES, bias=False)
        self.delta = nn.Linear(self.rank, channels)
        nn.init.constant_(self.delta.bias, -3.0)
        self.log_decay = nn.Parameter(torch.log(torch.arange(1.0, NUM_STATES + 1)).repeat(channels, 1))
        self.skip = nn.Parameter(torch.ones(channels))

    def forward(self, u_BLC: Tensor, pace_B1C: Tensor) -> Tensor:
        """Scan; `pace` shifts the step size by what is known of the pair (its duration)."""
        rank, b, c = self.select(u_BLC).split((self.rank, NUM_STATES, NUM_STATES), dim=-1)
        delta = functional.softplus(self.delta(rank) + pace_B1C)
        scanned = selective_scan(u_BLC, delta, -self.log_decay.exp(), b, c)
        return scanned + self.skip * u_BLC


class MixBlock(nn.Module):
    """Gated four-direction scan, then a convolutional feed-forward; (B, C, H, W, 2) in and out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.enter = nn.Linear(channels, 2 * channels, bias=False)
        self.local = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.scans = nn.ModuleList(DirectionalScan(channels) for _ in range(DIRECTIONS))
        self.pace = nn.Linear(1, channels)
        self.leave_norm = nn.LayerNorm(channels)
        self.leave = nn.Linear(channels, channels, bias=False)
        self.feed = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.GELU(), nn.Conv2d(channels, channels, 1)
        )

    def forward(self, x_BCHW2: Tensor, seconds_B: Tensor) -> Tensor:
        """Mix the two keyframes' features, given the seconds between them."""
        inner, gate = self.enter(self.norm1(x_BCHW2.movedim(1, -1))).chunk(2, dim=-1)
        inner = functional.silu(_each_frame(self.local, inner.movedim(-1, 1)))
        pace = self.pace(seconds_B[:, None, None])
        height, width = x_BCHW2.shape[2:4]
        parts = [
            from_sequence(scan(to_sequence(inner, way), pace), way, height, width)
            for way, scan in enumerate(self.scans)
        ]
        mixed = self.leave_norm(torch.stack(parts).sum(0).movedim(1, -1)) * functional.silu(gate)
        x_BCHW2 = x_BCHW2 + self.leave(mixed).movedim(-1, 1)
        normed = self.norm2(x_BCHW2.movedim(1, -1)).movedim(-1, 1)
        return x_BCHW2 + _each_frame(self.feed, normed)


def _each_frame(network: nn.Module, x_BCHW2: Tensor) -> Tensor:
    """Run a 2-D network on both keyframes of every pair."""
    batch = len(x_BCHW2)
    both = x_BCHW2.movedim(-1, 1).flatten(0, 1).contiguous()
    return torch.unflatten(network(both), 0, (batch, 2)).movedim(1, -1)
