"""What EARTalking's networks are made of, and what a frame is to follow.

Shapes of the whole package: B clips, T frames (latents) after the reference, N places of a frame, C numbers
of a place, A rows of sound, F numbers of each, G = A + 1 + N rows of a frame, D width, W frames that live.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from datapipe.records import Rejected

from ..latents.diffusion import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class EARTalkingConfig:
    """Sizes and switches; the defaults are a size for two cores, `presets.paper` has the paper's."""

    num_places: int = 16
    """Places of a latent, after patches were cut."""
    channels: int = 48
    """Numbers of a place."""
    audio_rows: int = 4
    """Rows of sound that a frame is given."""
    audio_dim: int = 80
    """Numbers of a row of sound."""
    width: int = 128
    """Width of both transformers."""
    heads: int = 4
    """Their attention heads."""
    depth: int = 4
    """Layers over frames (FCA)."""
    spatial_depth: int = 4
    """Layers over the places of one frame (SMA)."""
    head_width: int = 128
    """Width of the diffusion head."""
    head_depth: int = 3
    """Its blocks."""
    window: int = 10
    """Frames that live in the cache, the reference and the newest among them."""
    table: int = 20
    """Rows of the cyclic table of positions; row 0 is the reference's for ever."""
    sink_rank: int = 24
    """Rank of the network that maps frames onto the reference's features (eq. 4)."""
    sink: bool = True
    """Map frames onto the reference's features; off is the paper's `w/o adaLN` (Table 3)."""
    audio_cache: bool = True
    """Let frames see the sound of earlier frames; off is the paper's `w/o Audio-Cache` (Table 2)."""
    one_way: bool = False
    """Let sound see only sound; on is the paper's `Uni-Att` (Table 2)."""
    target: Target = "noise"
    """What the diffusion head says; `noise` is eq. 1."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise Rejected("bad_input", f"{self.heads} heads must divide the width {self.width}")
        if self.window < 2:
            raise Rejected("bad_input", f"a window of {self.window} frames has no room beside the reference")
        if self.table - 1 < self.window:
            raise Rejected(
                "bad_input",
                f"a table of {self.table} positions would name two of {self.window} frames alike; "
                f"give {self.window + 1} or more",
            )

    @property
    def controls(self) -> int:
        """Rows of a frame that are no picture: its sound, and how strongly it moves."""
        return self.audio_rows + 1

    @property
    def rows(self) -> int:
        """Rows of a frame, G."""
        return self.controls + self.num_places


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """What one frame is to follow; it may come while the frames before it are made."""

    audio_AF: Tensor
    motion: float = 0.0
