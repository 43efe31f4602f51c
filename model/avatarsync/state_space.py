"""Two pictures' features read as one interleaved sequence in four directions (VFIMamba's SS2D).

Place l = 2p + f: pixel p of one keyframe, then pixel p of the other, so that the two are one step apart and
context is global at linear cost. Directions: rows and columns, each forward and backward. Every scan reads
the pair in both frame orders with the same weights, so that swapping the keyframes swaps the result (ours).
VFIMamba's own `forward_core` sends its column results back to wrong places; here `from_sequence` undoes
`to_sequence` exactly, unless `official_order` asks for theirs.
Shapes: B pairs, C channels, H W grid, 2 keyframes, L = 2HW, G = 4 directions, K read-outs, R = 2B rows.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..scan import selective_scan, ssd_scan

DIRECTIONS = 4
NUM_STATES = 8
HEAD_WIDTH = 16
"""Channels that share a decay in the SSD form, or the largest part of it that divides them."""
ScanForm = Literal["s6", "ssd"]


def to_sequence(x_BCHW2: Tensor, direction: int) -> Tensor:
    """Interleave along rows (0, 1) or columns (2, 3), backward when odd; (B, L, C)."""
    order = (0, 2, 3, 4, 1) if direction < 2 else (0, 3, 2, 4, 1)
    sequence = x_BCHW2.permute(*order).flatten(1, 3)
    return sequence.flip(1) if direction % 2 else sequence


def from_sequence(
    y_BLC: Tensor, direction: int, height: int, width: int, official_order: bool = False
) -> Tensor:
    """Undo `to_sequence`: every value goes back to its pixel and keyframe; (B, C, H, W, 2).

    With `official_order` columns go where VFIMamba's `view(B, -1, W, H)` puts them: it reads the interleaved
    sequence as two whole pictures, one after the other.
    """
    y_BLC = y_BLC.flip(1) if direction % 2 else y_BLC
    if direction < 2:
        return torch.unflatten(y_BLC, 1, (height, width, 2)).permute(0, 4, 1, 2, 3)
    if official_order:
        rows_BLC = torch.unflatten(y_BLC, 1, (2, width, height)).transpose(2, 3).flatten(1, 3)
        return from_sequence(rows_BLC, 0, height, width)
    return torch.unflatten(y_BLC, 1, (width, height, 2)).permute(0, 4, 2, 1, 3)


class SelectiveScans(nn.Module):
    """S6 in four directions, each with its own parameters, all in one call."""

    def __init__(self, channels: int, readouts: int) -> None:
        super().__init__()
        self.rank, self.readouts = max(4, channels // 16), readouts
        self.select = _uniform(DIRECTIONS, channels, self.rank + (1 + readouts) * NUM_STATES)
        self.widen = _uniform(DIRECTIONS, self.rank, channels)
        self.bias = nn.Parameter(torch.full((DIRECTIONS, channels), -3.0))
        states = torch.arange(1.0, NUM_STATES + 1)
        self.log_decay = nn.Parameter(torch.log(states).repeat(DIRECTIONS, channels, 1))
        self.skip = nn.Parameter(torch.ones(DIRECTIONS, channels))

    def forward(self, u_GRLC: Tensor, pace_RC: Tensor) -> Tensor:
        """Scan; `pace` shifts the step size by what is known of the pair; (G, R, L, K, C)."""
        sizes = [self.rank, NUM_STATES, self.readouts * NUM_STATES]
        rank, b, c = torch.split(_each_direction(u_GRLC, self.select), sizes, dim=-1)
        delta = functional.softplus(
            _each_direction(rank, self.widen) + self.bias[:, None, None] + pace_RC[:, None]
        )
        c_GRLKN = torch.unflatten(c, -1, (self.readouts, NUM_STATES))
        scanned = selective_scan(u_GRLC, delta, -self.log_decay.exp(), b, c_GRLKN)
        return _with_skip(scanned, self.skip[:, None, None] * u_GRLC)


class HeadScans(nn.Module):
    """SSD in four directions: one step size and decay per head of channels."""

    def __init__(self, channels: int, readouts: int) -> None:
        super().__init__()
        heads = channels // math.gcd(channels, HEAD_WIDTH)
        self.heads, self.readouts = heads, readouts
        self.select = _uniform(DIRECTIONS, channels, heads + (1 + readouts) * NUM_STATES)
        self.bias = nn.Parameter(torch.full((DIRECTIONS, heads), -3.0))
        self.log_decay = nn.Parameter(torch.linspace(0.0, 2.0, heads).repeat(DIRECTIONS, 1))
        self.skip = nn.Parameter(torch.ones(DIRECTIONS, channels))

    def forward(self, u_GRLC: Tensor, pace_RC: Tensor) -> Tensor:
        """Scan; `pace` shifts the step size of each head by its mean; (G, R, L, K, C)."""
        sizes = [self.heads, NUM_STATES, self.readouts * NUM_STATES]
        raw, b, c = torch.split(_each_direction(u_GRLC, self.select), sizes, dim=-1)
        pace_RH = torch.unflatten(pace_RC, 1, (self.heads, -1)).mean(-1)
        delta = functional.softplus(raw + self.bias[:, None, None] + pace_RH[:, None]).flatten(0, 1)
        x_RLHP = torch.unflatten(u_GRLC.flatten(0, 1), -1, (self.heads, -1)) * delta[..., None]
        decay = self.log_decay.exp().repeat_interleave(u_GRLC.shape[1], dim=0)
        c_RLKN = torch.unflatten(c, -1, (self.readouts, NUM_STATES)).flatten(0, 1)
        y_RLKHP = ssd_scan(x_RLHP, -delta * decay[:, None], b.flatten(0, 1), c_RLKN)
        scanned = torch.unflatten(y_RLKHP.flatten(3), 0, (DIRECTIONS, -1))
        return _with_skip(scanned, self.skip[:, None, None] * u_GRLC)


SCANS: dict[ScanForm, type[SelectiveScans] | type[HeadScans]] = {"s6": SelectiveScans, "ssd": HeadScans}


class PairScan(nn.Module):
    """Norm and gated four-direction scan of a pair in both frame orders; K maps (B, K, C, H, W, 2).

    The maps are what K read-outs see of the same states: the first is the block's own, the others are there
    to be weighted by time, y(t) = (C_0 + w_1(t) C_1 + ...) h.
    """

    def __init__(
        self, channels: int, form: ScanForm, readouts: int = 1, official_order: bool = False
    ) -> None:
        super().__init__()
        inner = channels // 2
        self.official_order = official_order
        self.norm = nn.LayerNorm(channels)
        self.enter = nn.Linear(channels, 2 * inner, bias=False)
        self.local = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.scans = SCANS[form](inner, readouts)
        self.pace = nn.Linear(1, inner)
        self.leave_norm = nn.LayerNorm(inner)
        self.leave = nn.Linear(inner, channels, bias=False)

    def forward(self, x_BCHW2: Tensor, seconds_B: Tensor) -> Tensor:
        """Scan, given the seconds between the keyframes."""
        inner, gate = self.enter(self.norm(x_BCHW2.movedim(1, -1))).chunk(2, dim=-1)
        inner = functional.silu(each_frame(self.local, inner.movedim(-1, 1)))
        both_orders = torch.cat((inner, inner.flip(-1)))
        pace_RC = self.pace(seconds_B[:, None]).repeat(2, 1)
        sequences = torch.stack([to_sequence(both_orders, way) for way in range(DIRECTIONS)])
        mixed = self._back(self.scans(sequences, pace_RC), inner.shape).to(self.leave_norm.weight.dtype)
        read = self.leave(self.leave_norm(mixed.movedim(2, -1)) * functional.silu(gate)[:, None])
        return torch.movedim(read, -1, 2)

    def _back(self, y_GRLKC: Tensor, shape: torch.Size) -> Tensor:
        """Add up directions and frame orders where they belong; (B, K, C, H, W, 2)."""
        pairs, channels, height, width, _ = shape
        parts = [
            from_sequence(y.flatten(2), way, height, width, self.official_order)
            for way, y in enumerate(y_GRLKC.unbind(0))
        ]
        mixed = torch.unflatten(torch.stack(parts).sum(0), 1, (-1, channels))
        return mixed[:pairs] + mixed[pairs:].flip(-1)


class FeedForward(nn.Module):
    """Norm and two convolutions on each keyframe; (B, C, H, W, 2) in and out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.GELU(), nn.Conv2d(channels, channels, 1)
        )

    def forward(self, x_BCHW2: Tensor) -> Tensor:
        """Return what is to be added."""
        return each_frame(self.layers, self.norm(x_BCHW2.movedim(1, -1)).movedim(-1, 1))


class MixBlock(nn.Module):
    """Scan, then feed-forward; (B, C, H, W, 2) in, the same and K - 1 maps of time out."""

    def __init__(
        self, channels: int, form: ScanForm = "s6", readouts: int = 1, official_order: bool = False
    ) -> None:
        super().__init__()
        self.scan = PairScan(channels, form, readouts, official_order)
        self.feed = FeedForward(channels)

    def forward(self, x_BCHW2: Tensor, seconds_B: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the two keyframes' features, given the seconds between them."""
        read = self.scan(x_BCHW2, seconds_B)
        x_BCHW2 = x_BCHW2 + read[:, 0]
        return x_BCHW2 + self.feed(x_BCHW2), read[:, 1:]


def each_frame(network: nn.Module, x_BCHW2: Tensor) -> Tensor:
    """Run a 2-D network on both keyframes of every pair."""
    batch = len(x_BCHW2)
    both = x_BCHW2.movedim(-1, 1).flatten(0, 1).contiguous()
    return torch.unflatten(network(both), 0, (batch, 2)).movedim(1, -1)


def _each_direction(x_GRLC: Tensor, weight_GCE: Tensor) -> Tensor:
    """A linear layer per direction; (G, R, L, E)."""
    return torch.unflatten(x_GRLC.flatten(1, 2) @ weight_GCE, 1, x_GRLC.shape[1:3])


def _with_skip(scanned_GRLKC: Tensor, skipped_GRLC: Tensor) -> Tensor:
    """Add what passes by the states to the first read-out."""
    first = scanned_GRLKC[..., :1, :] + skipped_GRLC[..., None, :]
    return torch.cat((first, scanned_GRLKC[..., 1:, :]), dim=-2)


def _uniform(*shape: int) -> nn.Parameter:
    """Weights (..., in, out) drawn as `nn.Linear` draws them."""
    bound = shape[-2] ** -0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
