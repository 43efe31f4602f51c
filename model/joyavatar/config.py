"""What JoyAvatar's network is made of.

Shapes of the whole package: B clips, T latents after the reference, N places of a latent, C numbers of a
place, A rows of sound, F numbers of each, D width, h heads of d numbers, L rows of a sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from datapipe.records import Rejected

Reset = Literal["relative", "recompute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoyAvatarConfig:
    """Sizes and switches; the defaults are a size for two cores, `presets.paper` has the paper's."""

    side: int = 4
    """Places along a side of a latent, after patches were cut."""
    channels: int = 48
    """Numbers of a place."""
    audio_rows: int = 4
    """Rows of sound that a latent is given."""
    audio_dim: int = 80
    """Numbers of a row of sound."""
    width: int = 128
    """Width of the transformer."""
    heads: int = 4
    """Attention heads."""
    depth: int = 6
    """Layers."""
    block: int = 3
    """Latents that are denoised together."""
    past: int = 6
    """Latents before a block that it sees, beside the reference; whole blocks."""
    motion: int = 1
    """Last latents of the block before, noised, that a block is also given (MCI); 0 leaves them out."""
    positions: int = 1024
    """Moments that the table of rotations knows, as Wan's."""
    reset: Reset = "relative"
    """How generation outlives the table (URCR): `relative` turns keys when they are read, by where they lie
    in the window; `recompute` counts on, and before the table ends writes the cache anew from its start."""

    def __post_init__(self) -> None:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise Rejected(
                "bad_input", f"{self.heads} heads must divide the width {self.width} into even parts"
            )
        if self.past < self.block or self.past % self.block:
            raise Rejected("bad_input", f"past {self.past} must be one or more blocks of {self.block}")
        if not 0 <= self.motion <= self.block:
            raise Rejected(
                "bad_input", f"motion {self.motion} must lie between 0 and the block's {self.block}"
            )
        if self.positions < self.live:
            raise Rejected(
                "bad_input",
                f"{self.positions} positions are fewer than the {self.live} latents that live at once",
            )

    @property
    def num_places(self) -> int:
        """Places of a latent, N."""
        return self.side**2

    @property
    def live(self) -> int:
        """Latents that exist at once: the reference, the past, and a block."""
        return 1 + self.past + self.block
