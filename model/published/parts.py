"""Parts that the published families share; their leaves are named as in the checkpoints."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-6


def norm(width: int) -> nn.GroupNorm:
    """Group norm as all families have it."""
    return nn.GroupNorm(32, width, eps=EPSILON)


class ResBlock(nn.Module):
    """Norm, SiLU, 3x3 convolution, twice, around a skip (B, C, H, W), by 1x1 where the width changes."""

    def __init__(self, narrow: int, wide: int, bias: bool = True) -> None:
        super().__init__()
        self.norm1 = norm(narrow)
        self.conv1 = nn.Conv2d(narrow, wide, 3, padding=1, bias=bias)
        self.norm2 = norm(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=bias)
        if narrow != wide:
            self.nin_shortcut = nn.Conv2d(narrow, wide, 1, bias=bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Refine."""
        hidden = self.conv1(functional.silu(self.norm1(x_BCHW)))
        hidden = self.conv2(functional.silu(self.norm2(hidden)))
        skip = self.nin_shortcut(x_BCHW) if hasattr(self, "nin_shortcut") else x_BCHW
        refined: Tensor = skip + hidden
        return refined


class Attend(nn.Module):
    """Every place looks at every other with one head, around a skip; (B, C, H, W) in and out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = norm(width)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Refine by what is elsewhere."""
        normed = self.norm(x_BCHW)
        q_BLC, k_BLC, v_BLC = (
            each(normed).flatten(2).transpose(1, 2).contiguous() for each in (self.q, self.k, self.v)
        )
        seen_BLC = functional.scaled_dot_product_attention(q_BLC, k_BLC, v_BLC)
        refined: Tensor = x_BCHW + self.proj_out(seen_BLC.transpose(1, 2).view_as(x_BCHW))
        return refined
