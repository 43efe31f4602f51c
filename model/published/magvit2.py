"""The networks of Open-MAGVIT2 (Luo et al. 2024, SEED-Voken): no attention, look-up-free codes.

Every level of the decoder starts with a group norm whose scale and shift come from the spread and the mean of
the code over the picture.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from .config import PublishedConfig
from .parts import EPSILON, ResBlock, norm


def _blocks(narrow: int, wide: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResBlock(wide if i else narrow, wide, bias=False) for i in range(count)))


class DepthToSpace(nn.Module):
    """Double the side; of the 4C channels, those of one place in the 2x2 cell stand together (DCR order)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, 4 * width, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 2H, 2W)."""
        cells = self.conv1(x_BCHW).unflatten(1, (4, -1))
        return functional.pixel_shuffle(cells.transpose(1, 2).flatten(1, 2), 2)


class AdaptiveNorm(nn.Module):
    """Group norm, scaled by the code's deviation over the picture and shifted by its mean."""

    def __init__(self, code_dim: int, width: int) -> None:
        super().__init__()
        self.normed = nn.GroupNorm(32, width, eps=EPSILON, affine=False)
        self.gamma = nn.Linear(code_dim, width)
        self.beta = nn.Linear(code_dim, width)

    def forward(self, x_BCHW: Tensor, code_BdHW: Tensor) -> Tensor:
        """Give the features (B, C, H, W) the style of the code (B, d, h, w)."""
        flat_Bdn = code_BdHW.flatten(2)
        scale = self.gamma((flat_Bdn.var(-1) + EPSILON).sqrt())[..., None, None]
        shift = self.beta(flat_Bdn.mean(-1))[..., None, None]
        styled: Tensor = scale * self.normed(x_BCHW) + shift
        return styled


class DownLevel(nn.Module):
    """Residual blocks, then half the side."""

    def __init__(self, narrow: int, wide: int, blocks: int, halve: bool) -> None:
        super().__init__()
        self.blocks = _blocks(narrow, wide, blocks)
        self.resample = nn.Conv2d(wide, wide, 3, stride=2, padding=1) if halve else nn.Identity()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Refine, then resample."""
        halved: Tensor = self.resample(self.blocks(x_BCHW))
        return halved


class UpLevel(nn.Module):
    """The code's style, residual blocks, then twice the side."""

    def __init__(self, wide: int, narrow: int, config: PublishedConfig, double: bool) -> None:
        super().__init__()
        self.adaptive = AdaptiveNorm(config.code_dim, wide)
        self.blocks = _blocks(wide, narrow, config.blocks)
        self.resample = DepthToSpace(narrow) if double else nn.Identity()

    def forward(self, x_BCHW: Tensor, code_BdHW: Tensor) -> Tensor:
        """Style, refine, resample."""
        doubled: Tensor = self.resample(self.blocks(self.adaptive(x_BCHW, code_BdHW)))
        return doubled


class Encoder(nn.Module):
    """Picture (B, 3, S, S) in [-1, 1] to latent (B, bits, side, side)."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        widths, last = config.widths, len(config.widths) - 1
        self.conv_in = nn.Conv2d(3, config.base, 3, padding=1, bias=False)
        self.levels = nn.Sequential(
            *(
                DownLevel(widths[i - 1] if i else config.base, width, config.blocks, halve=i < last)
                for i, width in enumerate(widths)
            )
        )
        self.mid = _blocks(widths[-1], widths[-1], config.blocks)
        self.norm_out = norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], config.latent_dim, 1)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Encode."""
        hidden = self.mid(self.levels(self.conv_in(image_B3HW)))
        latent: Tensor = self.conv_out(functional.silu(self.norm_out(hidden)))
        return latent


class Decoder(nn.Module):
    """Code (B, bits, side, side) to picture (B, 3, S, S); levels stand coarse to fine."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        widths, last = config.widths[::-1], len(config.widths) - 1
        self.conv_in = nn.Conv2d(config.latent_dim, widths[0], 3, padding=1)
        self.mid = _blocks(widths[0], widths[0], config.blocks)
        self.levels = nn.ModuleList(
            UpLevel(widths[max(i - 1, 0)], width, config, double=i < last) for i, width in enumerate(widths)
        )
        self.norm_out = norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, code_BdHW: Tensor) -> Tensor:
        """Decode."""
        hidden = self.mid(self.conv_in(code_BdHW))
        for level in self.levels:
            hidden = level(hidden, code_BdHW)
        picture: Tensor = self.conv_out(functional.silu(self.norm_out(hidden)))
        return picture
