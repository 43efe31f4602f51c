"""Small parts that several networks share: residual convolutions, up and down steps, warping, feed-forward.

Shape legend: B batch, C channels, H W rows and columns, L sequence, D width. Images are float in [-1, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUPS = 8
REACH = 0.09
"""How far a point carries its surroundings, in half picture sides."""
STILLNESS = 0.3
"""Weight of staying put; far from all points it wins."""


class ResBlock(nn.Module):
    """Norm, SiLU, 3x3 convolution, twice, around a skip; (B, C, H, W) in and out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(GROUPS, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Refine the features in place of their scale."""
        hidden = self.conv1(functional.silu(self.norm1(x_BCHW)))
        hidden = self.conv2(functional.silu(self.norm2(hidden)))
        refined: Tensor = x_BCHW + hidden
        return refined


class Stem(nn.Conv2d):
    """Image to features at a quarter of the side: starting at full resolution costs 8x and learns slower."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(channels, width, 6, stride=4, padding=1)


class Down(nn.Conv2d):
    """Halve the side."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__(narrow, wide, 4, stride=2, padding=1)


class Up(nn.Module):
    """Double the side by depth to space, which makes no checkerboards at its start."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(wide, 4 * narrow, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, wide, H, W) to (B, narrow, 2H, 2W)."""
        return functional.pixel_shuffle(self.conv(x_BCHW), 2)


class FeedForward(nn.Module):
    """SwiGLU with a hidden width of 8/3 D, rounded up to 32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = -(-8 * width // 96) * 32
        self.gate_and_value = nn.Linear(width, 2 * hidden, bias=False)
        self.out = nn.Linear(hidden, width, bias=False)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """(B, L, D) in and out."""
        gate, value = self.gate_and_value(x_BLD).chunk(2, dim=-1)
        projected: Tensor = self.out(functional.silu(gate) * value)
        return projected


def silent(layer: nn.Conv2d) -> nn.Conv2d:
    """Let a layer say nothing at first."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def bend(points_BL2: Tensor, reference_BL2: Tensor, side: int) -> Tensor:
    """Flow (B, 2, side, side) that carries a reference's points to where they are wanted; [-1, 1] units.

    At every place the displacements of near points are averaged under a Gaussian; far from all of them the
    picture stays.
    """
    return carry(points_BL2, reference_BL2 - points_BL2, side)


def carry(points_BL2: Tensor, moves_BLC: Tensor, side: int) -> Tensor:
    """Spread what points (x, y) hold over their surroundings, as `bend` says; (B, C, side, side).

    The Gaussian of a distance is the product of those along x and y, so a row times a column gives a place.
    """
    at_S = (torch.arange(side, device=points_BL2.device) + 0.5) * (2.0 / side) - 1.0
    near_BS2L = torch.exp((at_S[:, None, None] - points_BL2.mT[:, None]).square() / (-2 * REACH**2))
    columns_BSL, rows_BSL = near_BS2L.unbind(2)
    held_BCL = functional.pad(moves_BLC, (0, 1), value=1.0).mT
    summed_BCSS = (held_BCL[:, :, None] * rows_BSL[:, None]) @ columns_BSL.mT[:, None]
    return summed_BCSS[:, :-1] / (summed_BCSS[:, -1:] + STILLNESS)


def warp(image_BCHW: Tensor, flow_B2HW: Tensor) -> Tensor:
    """Sample the image at every pixel plus its flow (x, y) in pixels; borders repeat.

    Places are float32 at least: in half precision the grid of a wide picture misses by pixels.
    """
    height, width = image_BCHW.shape[2:]
    kind, place = torch.promote_types(flow_B2HW.dtype, torch.float32), flow_B2HW.device
    xs, ys = (torch.linspace(-1, 1, count, dtype=kind, device=place) for count in (width, height))
    still_HW2 = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), dim=-1)
    step_2 = torch.linspace(2.0 / (width - 1), 2.0 / (height - 1), 2, dtype=kind, device=place)
    grid_BHW2 = torch.addcmul(still_HW2, flow_B2HW.movedim(1, -1).to(kind), step_2)
    sampled = functional.grid_sample(
        image_BCHW.to(kind), grid_BHW2, padding_mode="border", align_corners=True
    )
    return sampled.to(image_BCHW.dtype)


def to_signed(frames_THW3: Tensor) -> Tensor:
    """Bytes (T, H, W, 3) to float (T, 3, H, W) in [-1, 1]."""
    return frames_THW3.permute(0, 3, 1, 2).float().div(127.5).sub(1.0).contiguous()


def to_bytes(images_B3HW: Tensor) -> Tensor:
    """Float images in [-1, 1] to bytes (B, H, W, 3)."""
    return images_B3HW.add(1.0).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()
