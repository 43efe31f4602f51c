"""Codebooks: between latents, codes and ids, without weights (signs) or with them (vectors).

Both have the same five methods: `snap` (latent to code, gradient straight through), `ids`, `codes`,
`expected` (logits to code, for losses in pixels) and `terms` (what training asks of them). Grids are
(B, d, H, W), flat codes (..., d), ids and places in raster order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CodebookTerms:
    """What training asks of a codebook; scalars in float32, entropies in nats."""

    sure: Tensor
    """E[H(p)]: how undecided single latents are."""
    even: Tensor
    """H(E[p]), or for signs its bound sum_bits H(E[p_bit]): how evenly codes are used."""
    commit: Tensor
    """Mean square from latents to their codes; moves the latents."""
    codebook: Tensor
    """The same, moving the codes; 0 where codes have no weights."""


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
    return latent + (_signs(latent) - latent).detach()


def entropy_terms(latent_Nb: Tensor, temperature: float = 0.1) -> tuple[Tensor, Tensor]:
    """Return E[H(p)] and the bound sum_bits H(E[p_bit]) of H(E[p]), in nats and float32.

    The softmax over +-1 codes with logits 2 z.c / temperature factorises into p_bit = sigmoid(4 z /
    temperature), so the per-sample entropy is exactly the sum over bits, and no codebook is enumerated.
    """
    p_Nb = torch.sigmoid(4.0 * latent_Nb.float() / temperature)
    return _binary_entropy(p_Nb).sum(-1).mean(), _binary_entropy(p_Nb.mean(0)).sum()


class SignCodebook(nn.Module):
    """Look-up-free quantisation (LFQ, MAGVIT-v2): the code of an id is the signs of its bits."""

    def __init__(self, groups: tuple[int, ...]) -> None:
        super().__init__()
        self.groups, self.dim = groups, sum(groups)

    def snap(self, latent_BdHW: Tensor) -> Tensor:
        """Nearest codes."""
        return quantise(latent_BdHW)

    def ids(self, latent_BdHW: Tensor) -> Tensor:
        """Ids (B, HW) of the nearest codes."""
        return bits_to_ids(latent_BdHW.flatten(2).transpose(1, 2))

    def codes(self, ids: Tensor) -> Tensor:
        """Ids (...) to codes (..., d)."""
        return ids_to_bits(ids, self.dim)

    def expected(self, logits: tuple[Tensor, ...]) -> Tensor:
        """Codes (..., d): signs of the likeliest tokens forward, their expectation's gradient backward.

        The expectation of a factored code is the expectation of each sub-token's sign pattern, so pixel
        losses reach the logits without a softmax over the whole codebook.
        """
        parts = []
        for each, bits in zip(logits, self.groups, strict=True):
            table = ids_to_bits(torch.arange(2**bits, device=each.device), bits)
            parts.append(_straight_through(each, table))
        return torch.cat(parts, dim=-1)

    def terms(self, latent_Nd: Tensor, temperature: float) -> CodebookTerms:
        """Entropies by bits and the commitment."""
        latent_Nd = latent_Nd.float()
        sure, even = entropy_terms(latent_Nd, temperature)
        commit = (latent_Nd - _signs(latent_Nd).detach()).square().mean()
        return CodebookTerms(sure=sure, even=even, commit=commit, codebook=commit.new_zeros(()))


class VectorCodebook(nn.Module):
    """Vector quantisation: the code of an id is a row of a table, of length 1 when `unit` (ViT-VQGAN)."""

    def __init__(self, size: int, dim: int, unit: bool = True) -> None:
        super().__init__()
        self.dim, self.unit = dim, unit
        rows_Vd = torch.empty(size, dim).uniform_(-1.0 / size, 1.0 / size)
        self.weight = nn.Parameter(functional.normalize(rows_Vd, dim=-1) if unit else rows_Vd)

    @property
    def table(self) -> Tensor:
        """The codes (V, d), as they are used."""
        return functional.normalize(self.weight, dim=-1) if self.unit else self.weight

    def snap(self, latent_BdHW: Tensor) -> Tensor:
        """Nearest codes."""
        latent_BdHW = self._as_used(latent_BdHW, dim=1)
        codes_BKd = self.codes(self.ids(latent_BdHW)).to(latent_BdHW.dtype)
        codes_BdHW = codes_BKd.transpose(1, 2).view_as(latent_BdHW)
        return latent_BdHW + (codes_BdHW - latent_BdHW).detach()

    @torch.no_grad()
    def ids(self, latent_BdHW: Tensor) -> Tensor:
        """Ids (B, HW) of the nearest codes."""
        flat_BKd = self._as_used(latent_BdHW, dim=1).flatten(2).transpose(1, 2)
        return self._closeness(flat_BKd).argmax(-1)

    def codes(self, ids: Tensor) -> Tensor:
        """Ids (...) to codes (..., d)."""
        return self._as_used(self.weight[ids], dim=-1)

    def expected(self, logits: tuple[Tensor, ...]) -> Tensor:
        """Codes (..., d): of the likeliest token forward, the mean code's gradient backward."""
        (whole,) = logits
        return _straight_through(whole, self.table)

    def terms(self, latent_Nd: Tensor, temperature: float) -> CodebookTerms:
        """Entropies over the whole table (N, V), commitment and codebook term."""
        latent_Nd = self._as_used(latent_Nd.float(), dim=-1)
        closeness_NV = self._closeness(latent_Nd)
        log_p_NV = (closeness_NV / temperature).log_softmax(-1)
        mean_V = log_p_NV.exp().mean(0)
        codes_Nd = self.codes(closeness_NV.argmax(-1)).float()
        return CodebookTerms(
            sure=-(log_p_NV.exp() * log_p_NV).sum(-1).mean(),
            even=-(mean_V * mean_V.clamp_min(1e-10).log()).sum(),
            commit=(latent_Nd - codes_Nd.detach()).square().mean(),
            codebook=(latent_Nd.detach() - codes_Nd).square().mean(),
        )

    def _as_used(self, codes: Tensor, dim: int) -> Tensor:
        return functional.normalize(codes, dim=dim) if self.unit else codes

    def _closeness(self, flat_Nd: Tensor) -> Tensor:
        """2 z.c - |c|^2, which is largest where the distance is smallest; in float32 under any autocast."""
        with torch.autocast(flat_Nd.device.type, enabled=False):
            table_Vd = self.table.float()
            return 2.0 * flat_Nd.float() @ table_Vd.T - table_Vd.square().sum(-1)


Codebook = SignCodebook | VectorCodebook


def _signs(latent: Tensor) -> Tensor:
    return torch.where(latent > 0, 1.0, -1.0)


def _straight_through(logits: Tensor, table_Vd: Tensor) -> Tensor:
    soft = logits.softmax(-1) @ table_Vd
    hard = table_Vd[logits.argmax(-1)]
    return soft + (hard - soft).detach()


def _binary_entropy(p: Tensor) -> Tensor:
    p = p.clamp(1e-5, 1 - 1e-5)
    return -(p * p.log() + (1 - p) * (1 - p).log())
