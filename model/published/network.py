"""A published tokenizer with the face of ours: encode, codes, expected, look, draw, decode."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ..codebook import Codebook, SignCodebook, VectorCodebook
from ..tokenizer import Rebuilt, Seen, Tokenizer
from .config import PublishedConfig
from .families import FAMILIES


class PublishedTokenizer(nn.Module):
    """Encode pictures to token ids, decode ids to pictures; the reference picture is not looked at."""

    has_points: Literal[False] = False
    """Codes do not tell where lips and chin are."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        self.config = config
        family = FAMILIES[config.family]
        self.encoder, self.decoder = family.encoder(config), family.decoder(config)
        self.codebook: Codebook
        self.before: nn.Module = nn.Identity()
        self.after: nn.Module = nn.Identity()
        if family.vectors:
            self.codebook = VectorCodebook(2**config.bits, config.code_dim, family.unit)
            self.before = nn.Conv2d(config.latent_dim, config.code_dim, 1)
            self.after = nn.Conv2d(config.code_dim, config.latent_dim, 1)
        else:
            self.codebook = SignCodebook(config.groups)

    def forward(self, image_B3HW: Tensor, reference_B3HW: Tensor) -> Rebuilt:
        """Encode and decode, for training; there are latents of the pictures alone, and no points."""
        latent = self.before(self.encoder(image_B3HW))
        picture = self.decoder(self.after(self.codebook.snap(latent)))
        return Rebuilt(picture=picture, latent=latent, points_BL2=picture.new_zeros(len(picture), 0, 2))

    @torch.no_grad()
    def encode(self, image_B3HW: Tensor) -> Tensor:
        """Pictures in [-1, 1] to ids (B, num_tokens)."""
        return self.codebook.ids(self.before(self.encoder(image_B3HW)))

    def codes(self, ids_BK: Tensor) -> Tensor:
        """Ids (B, num_tokens) to codes (B, d, side, side)."""
        return self.fold(self.codebook.codes(ids_BK))

    def expected(self, logits: tuple[Tensor, ...]) -> Tensor:
        """Logits (..., num_tokens, 2^bits of the group) to codes (N, d, side, side), N all that leads."""
        return self.fold(self.codebook.expected(logits).flatten(0, -3))

    def fold(self, codes_BKd: Tensor) -> Tensor:
        """Raster (B, num_tokens, d) to grid (B, d, side, side)."""
        side = self.config.side
        return torch.unflatten(codes_BKd.transpose(1, 2), 2, (side, side))

    def decode(self, code_BdHW: Tensor, reference_B3HW: Tensor) -> Tensor:
        """Codes to pictures; differentiable in the code."""
        return self.draw(code_BdHW, self.look(reference_B3HW))

    def look(self, reference_B3HW: Tensor) -> Seen:
        """Keep the picture; there is nothing to be read off it."""
        none_BL2 = reference_B3HW.new_zeros(len(reference_B3HW), 0, 2)
        return Seen(picture_B3HW=reference_B3HW, features=(), points_BL2=none_BL2)

    def draw(self, code_BdHW: Tensor, seen: Seen) -> Tensor:
        """Codes to pictures."""
        picture: Tensor = self.decoder(self.after(code_BdHW))
        return picture


AnyTokenizer = Tokenizer | PublishedTokenizer
