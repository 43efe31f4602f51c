"""The VQGAN networks (Esser et al. 2021): taming-transformers' f16, which LlamaGen kept.

Attention stands at the last level and in the middle; the decoder has one block more a level than the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from .config import PublishedConfig
from .parts import Attend, ResBlock, norm


class Halve(nn.Module):
    """Halve the side; the border is padded at the right and below only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H / 2, W / 2)."""
        halved: Tensor = self.conv(functional.pad(x_BCHW, (0, 1, 0, 1)))
        return halved


class Double(nn.Module):
    """Double the side by repeating, then smooth."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 2H, 2W)."""
        doubled: Tensor = self.conv(functional.interpolate(x_BCHW, scale_factor=2.0, mode="nearest"))
        return doubled


class Level(nn.Module):
    """Residual blocks of one resolution, each followed by attention or not, then a change of resolution."""

    def __init__(self, widths: Sequence[int], attend: bool, resample: nn.Module) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.blocks = nn.ModuleList(ResBlock(narrow, wide) for narrow, wide in pairs)
        self.attend = nn.ModuleList(Attend(wide) for _, wide in pairs if attend)
        self.resample = resample

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Refine, then resample."""
        for index, block in enumerate(self.blocks):
            x_BCHW = block(x_BCHW)
            if self.attend:
                x_BCHW = self.attend[index](x_BCHW)
        resampled: Tensor = self.resample(x_BCHW)
        return resampled


def _middle(width: int) -> nn.Sequential:
    return nn.Sequential(ResBlock(width, width), Attend(width), ResBlock(width, width))


class Encoder(nn.Module):
    """Picture (B, 3, S, S) in [-1, 1] to latent (B, latent_dim, side, side)."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        widths, last = config.widths, len(config.widths) - 1
        self.conv_in = nn.Conv2d(3, config.base, 3, padding=1)
        self.levels = nn.Sequential(
            *(
                Level(
                    (widths[i - 1] if i else config.base, *[widths[i]] * config.blocks),
                    attend=i == last,
                    resample=Halve(widths[i]) if i < last else nn.Identity(),
                )
                for i in range(len(widths))
            )
        )
        self.mid = _middle(widths[-1])
        self.norm_out = norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], config.latent_dim, 3, padding=1)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Encode."""
        hidden = self.mid(self.levels(self.conv_in(image_B3HW)))
        latent: Tensor = self.conv_out(functional.silu(self.norm_out(hidden)))
        return latent


class Decoder(nn.Module):
    """Latent (B, latent_dim, side, side) to picture (B, 3, S, S); levels stand coarse to fine."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        widths, last = config.widths[::-1], len(config.widths) - 1
        self.conv_in = nn.Conv2d(config.latent_dim, widths[0], 3, padding=1)
        self.mid = _middle(widths[0])
        self.levels = nn.Sequential(
            *(
                Level(
                    (widths[max(i - 1, 0)], *[widths[i]] * (config.blocks + 1)),
                    attend=i == 0,
                    resample=Double(widths[i]) if i < last else nn.Identity(),
                )
                for i in range(len(widths))
            )
        )
        self.norm_out = norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, latent_BCHW: Tensor) -> Tensor:
        """Decode."""
        hidden = self.levels(self.mid(self.conv_in(latent_BCHW)))
        picture: Tensor = self.conv_out(functional.silu(self.norm_out(hidden)))
        return picture
