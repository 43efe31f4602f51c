"""Picture <-> tokens: a convolutional autoencoder whose codes are signs (LFQ, MAGVIT-v2) or vectors (VQ).

With LFQ a token is the sign pattern of `bits` numbers; its id is little-endian, sum of bit_i * 2^i, as
Open-MAGVIT2's. Ids factor into sub-tokens of `groups` bits (token factorisation), lowest bits first, so that
no head or softmax is ever as wide as the whole codebook. With VQ it is the nearest of 2^bits unit vectors.

Ours, not the papers': with `use_reference` the decoder also sees the reference picture. A small head reads
where lips and chin are from the codes of both pictures, the reference is bent from its points to the wanted
ones, and the decoder refines that and paints what bending cannot give (teeth, the dark of the mouth). So
identity and texture stay sharp, and tokens are made to say what the mouth does.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from datapipe.records import Rejected

from .codebook import Codebook, SignCodebook, VectorCodebook
from .layers import Down, ResBlock, Stem, Up, bend, silent, warp

STEM_STRIDE = 4
MAX_FLOW = 6.0
"""Largest refinement of the flow in pixels."""
LATENT_GAIN = 0.7
POINT_SCALE = 0.1
"""How far points move for an offset of 1, in half picture sides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """What the tokenizer is made of."""

    size: int = 128
    """Side of the square pictures in pixels."""
    widths: tuple[int, ...] = (64, 96, 128)
    """Channels at 1/4 of the side and at each halving after it; the last one is the token grid."""
    groups: tuple[int, ...] = (6, 6)
    """Bits of each sub-token; their sum is the number of bits of a token."""
    quantiser: Literal["lfq", "vq"] = "lfq"
    """lfq: codes are signs, without weights; vq: codes are 2^bits unit vectors, ids in one group."""
    vector_dim: int = 8
    """Numbers of a code of vq; few keep a large codebook in use (ViT-VQGAN)."""
    num_points: int = 29
    """Points of lips and chin that the codes must tell."""
    use_reference: bool = True
    """Let the decoder bend the reference picture; off is the plain autoencoder of the paper."""

    def __post_init__(self) -> None:
        if self.quantiser == "vq" and len(self.groups) != 1:
            raise Rejected(
                "bad_input", f"vq ids are one group, not {self.groups}; use groups=({sum(self.groups)},)"
            )

    @property
    def bits(self) -> int:
        """Bits of one token."""
        return sum(self.groups)

    @property
    def code_dim(self) -> int:
        """Numbers of one code."""
        return self.bits if self.quantiser == "lfq" else self.vector_dim

    @property
    def side(self) -> int:
        """Tokens along one side of a picture."""
        return self.size // (STEM_STRIDE << (len(self.widths) - 1))

    @property
    def num_tokens(self) -> int:
        """Tokens of one picture, in raster order."""
        return self.side**2


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rebuilt:
    """What one training pass gives."""

    picture: Tensor
    latent: Tensor
    """(2B, d, side, side): of the pictures, then of their references."""
    points_BL2: Tensor
    """(2B, L, 2): likewise."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Seen:
    """What the decoder needs of reference pictures, read once for any number of decoded pictures."""

    picture_B3HW: Tensor
    features: tuple[Tensor, ...]
    """Of the encoder, coarse to fine."""
    points_BL2: Tensor


class Encoder(nn.Module):
    """Picture (B, 3, S, S) to latent (B, d, side, side), and the features on the way.

    Latents are in (-1, 1) for signs, of length 1 for vectors.
    """

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        widths = config.widths
        self.stem = nn.Sequential(Stem(3, widths[0]), ResBlock(widths[0]))
        self.downs = nn.ModuleList(nn.Sequential(Down(a, b), ResBlock(b)) for a, b in pairwise(widths))
        self.last = ResBlock(widths[-1])
        self.place = nn.Parameter(torch.zeros(1, widths[-1], config.side, config.side))
        self.out = nn.Conv2d(widths[-1], config.code_dim, 1)
        # without it most bits stay constant for long, and the decoder learns to ignore them all
        self.balance = nn.BatchNorm2d(config.code_dim, affine=False, momentum=0.05)
        self.bound = _in_box if config.quantiser == "lfq" else _on_sphere

    def forward(self, image_B3HW: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Encode; the features are those above the token grid, coarse to fine."""
        features = [self.stem(image_B3HW)]
        for down in self.downs:
            features.append(down(features[-1]))
        latent = self.balance(self.out(functional.silu(self.last(features[-1]) + self.place)))
        return self.bound(latent), tuple(reversed(features[:-1]))


def _in_box(latent: Tensor) -> Tensor:
    return torch.tanh(LATENT_GAIN * latent)


def _on_sphere(latent: Tensor) -> Tensor:
    return functional.normalize(latent, dim=1)


class Decoder(nn.Module):
    """Code (B, d, side, side) and reference features to a coarse flow, mask and colour."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        coarse, fine = config.widths[-1], config.widths[0]
        self.enter = nn.Conv2d(config.code_dim, coarse, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(1, coarse, config.side, config.side))
        self.start = nn.Sequential(ResBlock(coarse), ResBlock(coarse))
        steps = list(zip(config.widths[:0:-1], config.widths[-2::-1], strict=True))
        self.ups = nn.ModuleList(Up(wide, narrow) for wide, narrow in steps)
        mixed = 2 if config.use_reference else 1
        self.mixes = nn.ModuleList(nn.Conv2d(mixed * narrow, narrow, 1) for _, narrow in steps)
        self.blocks = nn.ModuleList(nn.Sequential(ResBlock(narrow), ResBlock(narrow)) for _, narrow in steps)
        self.flow = silent(nn.Conv2d(fine, 2, 3, padding=1))
        self.paint = silent(nn.Conv2d(fine, 4 * STEM_STRIDE**2, 3, padding=1))

    def forward(self, code_BdHW: Tensor, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Return flow (B, 2, S/4, S/4) in pixels, and (B, 4, S, S): mask logit, colour."""
        hidden = self.start(self.enter(code_BdHW) + self.place)
        for level, (up, mix, block) in enumerate(zip(self.ups, self.mixes, self.blocks, strict=True)):
            hidden = up(hidden)
            if features:
                hidden = torch.cat((hidden, features[level]), dim=1)
            hidden = block(mix(hidden))
        hidden = functional.silu(hidden)
        painted = functional.pixel_shuffle(self.paint(hidden), STEM_STRIDE)
        return MAX_FLOW * torch.tanh(self.flow(hidden) / MAX_FLOW), painted


class PointHead(nn.Module):
    """Read the points of lips and chin from a code: (B, d, side, side) to (B, L, 2), in [-1, 1]."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        hidden = 96
        self.body = nn.Sequential(nn.Linear(config.code_dim * config.num_tokens, hidden), nn.SiLU())
        self.out = nn.Linear(hidden, 2 * config.num_points, bias=False)
        self.rest = nn.Parameter(torch.zeros(config.num_points, 2))

    def forward(self, code_BdHW: Tensor) -> Tensor:
        """Offsets from the resting points, which training sets to the mean of its pictures."""
        offsets = self.out(self.body(code_BdHW.flatten(1)))
        points: Tensor = self.rest + POINT_SCALE * torch.unflatten(offsets, 1, (-1, 2))
        return points


def _make_codebook(config: TokenizerConfig) -> Codebook:
    if config.quantiser == "lfq":
        return SignCodebook(config.groups)
    return VectorCodebook(2**config.bits, config.vector_dim)


class Tokenizer(nn.Module):
    """Encode pictures to token ids, decode ids (with the reference picture) to pictures."""

    has_points: Literal[True] = True
    """Codes tell where lips and chin are (`points`); published tokenizers' do not."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.points = PointHead(config)
        self.codebook = _make_codebook(config)

    def forward(self, image_B3HW: Tensor, reference_B3HW: Tensor) -> Rebuilt:
        """Encode and decode, for training."""
        latents, features = self.encoder(torch.cat((image_B3HW, reference_B3HW)))
        wanted, given = self.codebook.snap(latents).chunk(2)
        points, from_points = self.points(wanted), self.points(given)
        features = tuple(each.chunk(2)[1] for each in features)
        picture = self._picture(wanted, reference_B3HW, features, bend(points, from_points, self.grid))
        return Rebuilt(picture=picture, latent=latents, points_BL2=torch.cat((points, from_points)))

    @property
    def grid(self) -> int:
        """Side at which flows are made."""
        return self.config.size // STEM_STRIDE

    @torch.no_grad()
    def encode(self, image_B3HW: Tensor) -> Tensor:
        """Pictures to ids (B, num_tokens)."""
        latent, _ = self.encoder(image_B3HW)
        return self.codebook.ids(latent)

    def decode(self, code_BdHW: Tensor, reference_B3HW: Tensor) -> Tensor:
        """Codes to pictures; differentiable in the code. One reference serves all, or one each."""
        return self.draw(code_BdHW, self.look(reference_B3HW))

    def look(self, reference_B3HW: Tensor) -> Seen:
        """Read all that `draw` needs of references."""
        latent, features = self.encoder(reference_B3HW)
        points = self.points(self.codebook.snap(latent))
        return Seen(picture_B3HW=reference_B3HW, features=features, points_BL2=points)

    def draw(self, code_BdHW: Tensor, seen: Seen) -> Tensor:
        """Codes to pictures, with references that were looked at before."""
        flow = bend(self.points(code_BdHW), seen.points_BL2, self.grid)
        count = (len(code_BdHW), -1, -1, -1)
        features = tuple(each.expand(count) for each in seen.features)
        return self._picture(code_BdHW, seen.picture_B3HW.expand(count), features, flow)

    def _picture(
        self, code_BdHW: Tensor, reference_B3HW: Tensor, features: tuple[Tensor, ...], bent_B2GG: Tensor
    ) -> Tensor:
        """Bend the reference and paint over it, or without a reference paint alone."""
        if not self.config.use_reference:
            alone: Tensor = self.decoder(code_BdHW, ())[1]
            return torch.tanh(alone[:, 1:])
        refinement, painted = self.decoder(code_BdHW, features)
        coarse = bent_B2GG * (self.config.size / 2) + refinement
        flow = functional.interpolate(coarse, scale_factor=float(STEM_STRIDE), mode="bilinear")
        bent = warp(reference_B3HW, flow)
        where, colour = painted[:, :1], painted[:, 1:]
        made: Tensor = bent + torch.sigmoid(where) * colour
        return made

    def codes(self, ids_BK: Tensor) -> Tensor:
        """Ids (B, num_tokens) to codes (B, d, side, side)."""
        return self.fold(self.codebook.codes(ids_BK))

    def expected(self, logits: tuple[Tensor, ...]) -> Tensor:
        """Logits (..., num_tokens, 2^bits of the group) to codes (N, d, side, side), N all that leads.

        Forward they are the likeliest tokens' codes, backward the expected code's gradient passes.
        """
        return self.fold(self.codebook.expected(logits).flatten(0, -3))

    def fold(self, codes_BKd: Tensor) -> Tensor:
        """Raster (B, num_tokens, d) to grid (B, d, side, side)."""
        side = self.config.side
        return torch.unflatten(codes_BKd.transpose(1, 2), 2, (side, side))
