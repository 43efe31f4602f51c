"""What a published tokenizer is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from datapipe.records import Rejected

FamilyName = Literal["magvit2", "llamagen", "taming"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedConfig:
    """A family and its sizes; the published ones are in `families.VARIANTS`."""

    family: FamilyName
    """Whose architecture and checkpoint layout it is."""
    size: int = 256
    """Side of the square pictures in pixels; convolutions take any multiple of the stride."""
    base: int = 128
    """Channels at full resolution."""
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    """Channels of each level in multiples of `base`; each level but the last halves the side."""
    blocks: int = 2
    """Residual blocks of a level of the encoder."""
    latent_dim: int = 256
    """Channels between the networks and the codebook's own projections."""
    code_dim: int = 8
    """Numbers of one code."""
    groups: tuple[int, ...] = (14,)
    """Bits of each sub-token; their sum is the number of bits of a token."""

    def __post_init__(self) -> None:
        if self.size % self.stride:
            raise Rejected("bad_input", f"pictures of {self.size} px do not fit a stride of {self.stride}")

    @property
    def stride(self) -> int:
        """Pixels along one side of a token."""
        return 1 << (len(self.multipliers) - 1)

    @property
    def bits(self) -> int:
        """Bits of one token."""
        return sum(self.groups)

    @property
    def side(self) -> int:
        """Tokens along one side of a picture."""
        return self.size // self.stride

    @property
    def num_tokens(self) -> int:
        """Tokens of one picture, in raster order."""
        return self.side**2

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, fine to coarse."""
        return tuple(self.base * multiplier for multiplier in self.multipliers)
