"""Picture <-> tokens: a convolutional autoencoder with look-up-free quantisation (LFQ, MAGVIT-v2).

A token is the sign pattern of `bits` numbers; its id is little-endian, sum of bit_i * 2^i, as Open-MAGVIT2's.
Ids factor into sub-tokens of `groups` bits (token factorisation), lowest bits first, so that no head or
softmax is ever as wide as the whole codebook.

Ours, not the papers': with `use_reference` the decoder also sees the reference picture. A small head reads
where lips and chin are from the codes of both pictures, the reference is bent from its points to the wanted
ones, and the decoder refines that and paints what bending cannot give (teeth, the dark of the mouth). So
identity and texture stay sharp, and tokens are made to say what the mouth does.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

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
    num_points: int = 29
    """Points of lips and chin that the codes must tell."""
    use_reference: bool = True
    """Let the decoder bend the reference picture; off is the plain autoencoder of the paper."""

    @property
    def bits(self) -> int:
        """Bits of one token."""
        return sum(self.groups)

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
    """(2B, bits, side, side): of the pictures, then of their references."""
    points_BL2: Tensor
    """(2B, L, 2): likewise."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Seen:
    """What the decoder needs of reference pictures, read once for any number of decoded pictures."""

    picture_B3HW: Tensor
    features: tuple[Tensor, ...]
    """Of the encoder, coarse to fine."""
    points_BL2: Tensor


def bits_to_ids(signs_BKb: Tensor) -> Tensor:
    """Sign patterns (..., bits) in {-1, 1} to ids (...), little-endian."""
    weights = 2 ** torch.arange(signs_BKb.shape[-1], device=signs_BKb.device)
    return ((signs_BKb > 0).long() * weights).sum(-1)


def ids_to_bits(ids: Tensor, bits: int) -> Tensor:
    """Ids (...) to float sign patterns (..., bits) in {-1, 1}."""
    powers = 2 ** torch.arange(bits, device=ids.device)
    return ((ids[..., None] // powers) % 2).float() * 2.0 - 1.0


def split_ids(ids: Tensor, groups: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Whole ids to one sub-token id per group, lowest bits first."""
    parts = []
    for bits in groups:
        parts.append(ids % 2**bits)
        ids = ids // 2**bits
    return tuple(parts)


def join_ids(parts: tuple[Tensor, ...], groups: tuple[int, ...]) -> Tensor:
    """Undo `split_ids`."""
    whole, shift = torch.zeros_like(parts[0]), 0
    for part, bits in zip(parts, groups, strict=True):
        whole = whole + part * 2**shift
        shift += bits
    return whole


def quantise(latent: Tensor) -> Tensor:
    """Signs of the latent (0 counts as -1), with the gradient passed straight through."""
    signs = torch.where(latent > 0, 1.0, -1.0)
    return latent + (signs - latent).detach()


def entropy_terms(latent_Nb: Tensor, temperature: float = 0.1) -> tuple[Tensor, Tensor]:
    """Return E[H(p)] and the bound sum_bits H(E[p_bit]) of H(E[p]), in nats.

    The softmax over +-1 codes with logits 2 z.c / temperature factorises into p_bit = sigmoid(4 z /
    temperature), so the per-sample entropy is exactly the sum over bits, and no codebook is enumerated.
    """
    p_Nb = torch.sigmoid(4.0 * latent_Nb.float() / temperature)
    return _binary_entropy(p_Nb).sum(-1).mean(), _binary_entropy(p_Nb.mean(0)).sum()


def _binary_entropy(p: Tensor) -> Tensor:
    p = p.clamp(1e-5, 1 - 1e-5)
    return -(p * p.log() + (1 - p) * (1 - p).log())


class Encoder(nn.Module):
    """Picture (B, 3, S, S) to latent (B, bits, side, side) in (-1, 1), and the features on the way."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        widths = config.widths
        self.stem = nn.Sequential(Stem(3, widths[0]), ResBlock(widths[0]))
        self.downs = nn.ModuleList(nn.Sequential(Down(a, b), ResBlock(b)) for a, b in pairwise(widths))
        self.last = ResBlock(widths[-1])
        self.place = nn.Parameter(torch.zeros(1, widths[-1], config.side, config.side))
        self.out = nn.Conv2d(widths[-1], config.bits, 1)
        # without it most bits stay constant for long, and the decoder learns to ignore them all
        self.balance = nn.BatchNorm2d(config.bits, affine=False, momentum=0.05)

    def forward(self, image_B3HW: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Encode; the features are those above the token grid, coarse to fine."""
        features = [self.stem(image_B3HW)]
        for down in self.downs:
            features.append(down(features[-1]))
        latent = self.balance(self.out(functional.silu(self.last(features[-1]) + self.place)))
        return torch.tanh(LATENT_GAIN * latent), tuple(reversed(features[:-1]))


class Decoder(nn.Module):
    """Code (B, bits, side, side) and reference features to a coarse flow, mask and colour."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        coarse, fine = config.widths[-1], config.widths[0]
        self.enter = nn.Conv2d(config.bits, coarse, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(1, coarse, config.side, config.side))
        self.start = nn.Sequential(ResBlock(coarse), ResBlock(coarse))
        steps = list(zip(config.widths[:0:-1], config.widths[-2::-1], strict=True))
        self.ups = nn.ModuleList(Up(wide, narrow) for wide, narrow in steps)
        mixed = 2 if config.use_reference else 1
        self.mixes = nn.ModuleList(nn.Conv2d(mixed * narrow, narrow, 1) for _, narrow in steps)
        self.blocks = nn.ModuleList(nn.Sequential(ResBlock(narrow), ResBlock(narrow)) for _, narrow in steps)
        self.flow = silent(nn.Conv2d(fine, 2, 3, padding=1))
        self.paint = silent(nn.Conv2d(fine, 4 * STEM_STRIDE**2, 3, padding=1))

    def forward(self, code_BbHW: Tensor, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Return flow (B, 2, S/4, S/4) in pixels, and (B, 4, S, S): mask logit, colour."""
        hidden = self.start(self.enter(code_BbHW) + self.place)
        for level, (up, mix, block) in enumerate(zip(self.ups, self.mixes, self.blocks, strict=True)):
            hidden = up(hidden)
            if features:
                hidden = torch.cat((hidden, features[level]), dim=1)
            hidden = block(mix(hidden))
        hidden = functional.silu(hidden)
        painted = functional.pixel_shuffle(self.paint(hidden), STEM_STRIDE)
        return MAX_FLOW * torch.tanh(self.flow(hidden) / MAX_FLOW), painted


class PointHead(nn.Module):
    """Read the points of lips and chin from a code: (B, bits, side, side) to (B, L, 2), in [-1, 1]."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        hidden = 96
        self.body = nn.Sequential(nn.Linear(config.bits * config.num_tokens, hidden), nn.SiLU())
        self.out = nn.Linear(hidden, 2 * config.num_points, bias=False)
        self.rest = nn.Parameter(torch.zeros(config.num_points, 2))

    def forward(self, code_BbHW: Tensor) -> Tensor:
        """Offsets from the resting points, which training sets to the mean of its pictures."""
        offsets = self.out(self.body(code_BbHW.flatten(1)))
        points: Tensor = self.rest + POINT_SCALE * torch.unflatten(offsets, 1, (-1, 2))
        return points


class Tokenizer(nn.Module):
    """Encode pictures to token ids, decode ids (with the reference picture) to pictures."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.points = PointHead(config)

    def forward(self, image_B3HW: Tensor, reference_B3HW: Tensor) -> Rebuilt:
        """Encode and decode, for training."""
        latents, features = self.encoder(torch.cat((image_B3HW, reference_B3HW)))
        wanted, given = quantise(latents).chunk(2)
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
        return bits_to_ids(latent.flatten(2).transpose(1, 2))

    def decode(self, code_BbHW: Tensor, reference_B3HW: Tensor) -> Tensor:
        """Codes of signs to pictures; differentiable in the code. One reference serves all, or one each."""
        return self.draw(code_BbHW, self.look(reference_B3HW))

    def look(self, reference_B3HW: Tensor) -> Seen:
        """Read all that `draw` needs of references."""
        latent, features = self.encoder(reference_B3HW)
        return Seen(picture_B3HW=reference_B3HW, features=features, points_BL2=self.points(quantise(latent)))

    def draw(self, code_BbHW: Tensor, seen: Seen) -> Tensor:
        """Codes of signs to pictures, with references that were looked at before."""
        flow = bend(self.points(code_BbHW), seen.points_BL2, self.grid)
        count = (len(code_BbHW), -1, -1, -1)
        features = tuple(each.expand(count) for each in seen.features)
        return self._picture(code_BbHW, seen.picture_B3HW.expand(count), features, flow)

    def _picture(
        self, code_BbHW: Tensor, reference_B3HW: Tensor, features: tuple[Tensor, ...], bent_B2GG: Tensor
    ) -> Tensor:
        """Bend the reference and paint over it, or without a reference paint alone."""
        if not self.config.use_reference:
            alone: Tensor = self.decoder(code_BbHW, ())[1]
            return torch.tanh(alone[:, 1:])
        refinement, painted = self.decoder(code_BbHW, features)
        coarse = bent_B2GG * (self.config.size / 2) + refinement
        flow = functional.interpolate(coarse, scale_factor=float(STEM_STRIDE), mode="bilinear")
        bent = warp(reference_B3HW, flow)
        where, colour = painted[:, :1], painted[:, 1:]
        made: Tensor = bent + torch.sigmoid(where) * colour
        return made

    def codes(self, ids_BK: Tensor) -> Tensor:
        """Ids (B, num_tokens) to codes (B, bits, side, side)."""
        bits_BKb = ids_to_bits(ids_BK, self.config.bits)
        return self.fold(bits_BKb)

    def fold(self, bits_BKb: Tensor) -> Tensor:
        """Raster (B, num_tokens, bits) to grid (B, bits, side, side)."""
        side = self.config.side
        return torch.unflatten(bits_BKb.transpose(1, 2), 2, (side, side))
