"""EARTalking as one network: frames, their anchor, places, and the diffusion head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .config import EARTalkingConfig
from .frames import FrameTransformer
from .spatial import DiffusionHead, SpatialTransformer
from .window import SinkCache


class AnchorMap(nn.Module):
    """Map a frame's features onto the reference's: f_ref * (1 + scale(f_t)) + shift(f_t) (eq. 4).

    The paper's adaLN sink: only scale and shift depend on the frame, so that errors cannot pile up in what
    they are applied to. Low rank, and the identity on the reference at first.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, rank), nn.Linear(rank, 2 * width)
        nn.init.normal_(self.up.weight, std=0.02)
        nn.init.zeros_(self.up.bias)

    def forward(self, anchor: Tensor, features: Tensor) -> Tensor:
        """Anchor and features (..., N, D), broadcast against each other."""
        scale, shift = self.up(functional.silu(self.down(features))).chunk(2, dim=-1)
        mapped: Tensor = anchor * (1 + scale) + shift
        return mapped


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What SMA is told of a frame; leading shapes are the caller's."""

    controls: Tensor
    """(..., A + 1, D): sound and motion as they understood the picture."""
    picture: Tensor
    """(..., N, D): features of every place, mapped onto the reference's."""


class EARTalking(nn.Module):
    """Frames after a reference, one by one, from sound and a strength of motion for each."""

    def __init__(self, config: EARTalkingConfig) -> None:
        super().__init__()
        self.config = config
        self.frames = FrameTransformer(config)
        self.anchor = AnchorMap(config.width, config.sink_rank)
        self.spatial = SpatialTransformer(config)
        self.head = DiffusionHead(config)

    def told(self, anchor_BND: Tensor, features: Tensor) -> Told:
        """Split features (B, ..., G, D) of frames, and map their places onto the anchor."""
        controls, picture = torch.split(features, [self.config.controls, self.config.num_places], dim=-2)
        if self.config.sink:
            lead = features.dim() - anchor_BND.dim()
            picture = self.anchor(anchor_BND[(slice(None), *(None,) * lead)], picture)
        return Told(controls, picture)

    def begin(self, reference_BNC: Tensor) -> tuple[SinkCache, Tensor]:
        """Run the reference: a cache that holds it, and the anchor (B, N, D)."""
        rows = self.frames.reference_rows(reference_BNC)
        cache = SinkCache(self.config, rows)
        features = self.frames.step(rows, 0, cache)
        return cache, features[:, self.config.controls :]

    def all_frames(
        self, reference: Tensor, before: Tensor, audio: Tensor, motion: Tensor, offset: Tensor
    ) -> Told:
        """What is told of all frames of clips (B, T, ...) at once."""
        features = self.frames(reference, before, audio, motion, offset)
        return self.told(features[:, 0, self.config.controls :], features[:, 1:])


def make_eartalking(config: EARTalkingConfig, seed: int = 0) -> EARTalking:
    """Return a network with seeded weights."""
    torch.manual_seed(seed)
    return EARTalking(config)
