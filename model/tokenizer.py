"""Picture <-> tokens: a convolutional autoencoder with look-up-free quantisation (LFQ, MAGVIT-v2).

A token is the sign pattern of `bits` numbers; its id is little-endian, sum of bit_i * 2^i, as in Open-MAGVIT2.
Ids factor into sub-tokens of `groups` bits (token factorisation), lowest bits first, so that no head or
softmax is ever as wide as the whole codebook.

Ours, not the papers': with `use_reference` the decoder also sees the reference picture. It bends that picture
and paints only what bending cannot give, so identity and texture stay sharp while tokens say what changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import Down, ResBlock, Stem, Up, warp

STEM_STRIDE = 4
MAX_FLOW = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """What the tokenizer is made of."""

    size: int = 128
    """Side of the square pictures in pixels."""
    widths: tuple[int, ...] = (64, 96, 128)
    """Channels at 1/4 of the side and at each halving after it; the last one is the token grid."""
    groups: tuple[int, ...] = (6, 6)
    """Bits of each sub-token; their sum is the number of bits of a token."""
    use_reference: bool = True
    """Let the decoder bend the reference picture; off is the plain autoencoder of the paper."""

    @property
    def bits(self) -> int:
        """Bits of one token."""
        return sum(self.groups)

    @property
    def side(self) -> int:
        """Tokens along one side of a picture."""
        return self.size // (STEM_STRIDE * 2 ** (len(self.widths) - 1))

    @property
    def num_tokens(self) -> int:
        """Tokens of one picture, in raster order."""
        return self.side**2


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

    The softmax over +-1 codes with logits 2 z.c / temperature factorises into p_bit = sigmoid(4 z / temperature),
    so the per-sample entropy is exactly the sum over bits, and no codebook is enumerated.
    """
    p_Nb = torch.sigmoid(4.0 * latent_Nb.float() / temperature)
    return _binary_entropy(p_Nb).sum(-1).mean(), _binary_entropy(p_Nb.mean(0)).sum()


def _binary_entropy(p: Tensor) -> Tensor:
    p = p.clamp(1e-5, 1 - 1e-5)
    return -(p * p.log() + (1 - p) * (1 - p).log())


class Encoder(nn.Module):
    """Picture (B, 3, S, S) to latent (B, bits, side, side) in (-1, 1)."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = [Stem(3, config.widths[0]), ResBlock(config.widths[0])]
        for narrow, wide in zip(config.widths, config.widths[1:], strict=False):
            layers += [Down(narrow, wide), ResBlock(wide)]
        self.body = nn.Sequential(*layers, ResBlock(config.widths[-1]))
        self.out = nn.Conv2d(config.widths[-1], config.bits, 1)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Encode; tanh keeps the latent near the codes."""
        return torch.tanh(self.out(functional.silu(self.body(image_B3HW))))


class ReferenceEncoder(nn.Module):
    """Reference picture to features at every scale above the token grid, finest last."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        fine = config.widths[:-1]
        self.stem = nn.Sequential(Stem(3, fine[0]), ResBlock(fine[0]))
        pairs = zip(fine, fine[1:], strict=False)
        self.downs = nn.ModuleList(nn.Sequential(Down(a, b), ResBlock(b)) for a, b in pairs)

    def forward(self, reference_B3HW: Tensor) -> tuple[Tensor, ...]:
        """Features from coarse to fine."""
        features = [self.stem(reference_B3HW)]
        for down in self.downs:
            features.append(down(features[-1]))
        return tuple(reversed(features))


class Decoder(nn.Module):
    """Code (B, bits, side, side), and reference features, to flow, mask and colour at full size."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        coarse = config.widths[-1]
        self.start = nn.Sequential(nn.Conv2d(config.bits, coarse, 3, padding=1), ResBlock(coarse), ResBlock(coarse))
        steps = list(zip(config.widths[:0:-1], config.widths[-2::-1], strict=True))
        self.ups = nn.ModuleList(Up(wide, narrow) for wide, narrow in steps)
        mixed = 2 if config.use_reference else 1
        self.mixes = nn.ModuleList(nn.Conv2d(mixed * narrow, narrow, 1) for _, narrow in steps)
        self.blocks = nn.ModuleList(nn.Sequential(ResBlock(narrow), ResBlock(narrow)) for _, narrow in steps)
        self.out = nn.Conv2d(config.widths[0], 6 * STEM_STRIDE**2, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, code_BbHW: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        """Return (B, 6, S, S): flow x, y; mask logit; colour."""
        hidden = self.start(code_BbHW)
        for level, (up, mix, block) in enumerate(zip(self.ups, self.mixes, self.blocks, strict=True)):
            hidden = up(hidden)
            if features:
                hidden = torch.cat((hidden, features[level]), dim=1)
            hidden = block(mix(hidden))
        return functional.pixel_shuffle(self.out(functional.silu(hidden)), STEM_STRIDE)


class Tokenizer(nn.Module):
    """Encode pictures to token ids, decode ids (with the reference picture) to pictures."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.reference = ReferenceEncoder(config) if config.use_reference else None

    def forward(self, image_B3HW: Tensor, reference_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction and the latent (B, bits, side, side) before its quantisation."""
        latent = self.encoder(image_B3HW)
        return self.decode(quantise(latent), reference_B3HW), latent

    @torch.no_grad()
    def encode(self, image_B3HW: Tensor) -> Tensor:
        """Pictures to ids (B, num_tokens)."""
        return bits_to_ids(self.encoder(image_B3HW).flatten(2).transpose(1, 2))

    def decode(self, code_BbHW: Tensor, reference_B3HW: Tensor) -> Tensor:
        """Codes of signs to pictures; differentiable in the code."""
        if self.reference is None:
            return self.decoder(code_BbHW, ())[:, 3:].tanh()
        return self.paint(code_BbHW, reference_B3HW, self.reference(reference_B3HW))

    def paint(self, code_BbHW: Tensor, reference_B3HW: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        """Bend the reference and paint over it: mask * warp(reference) + (1 - mask) * colour."""
        raw = self.decoder(code_BbHW, features)
        mask = torch.sigmoid(raw[:, 2:3] + 2.0)
        bent = warp(reference_B3HW, MAX_FLOW * torch.tanh(raw[:, :2]))
        return mask * bent + (1.0 - mask) * torch.tanh(raw[:, 3:] + torch.atanh(reference_B3HW * 0.9))

    def codes(self, ids_BK: Tensor) -> Tensor:
        """Ids (B, num_tokens) to codes (B, bits, side, side)."""
        bits_BKb = ids_to_bits(ids_BK, self.config.bits)
        return self.fold(bits_BKb)

    def fold(self, bits_BKb: Tensor) -> Tensor:
        """Raster (B, num_tokens, bits) to grid (B, bits, side, side)."""
        side = self.config.side
        return bits_BKb.transpose(1, 2).unflatten(2, (side, side))
