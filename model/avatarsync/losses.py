"""What training pulls on: pixels (more where the mouth is), edges, tokens, and what frozen networks see.

Pictures (B, 3, S, S) in [-1, 1]; weights (B, 1, S, S).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from datapipe.networks.lpips import lpips_loss

from ..codebook import split_ids
from ..perception.faces import FACIAL, IDENTITY, face_distances


def mouth_weights(boxes_B4: Tensor, size: int, mouth: float) -> Tensor:
    """1 outside the mouth boxes and `mouth` inside; (B, 1, size, size)."""
    at = torch.arange(size, device=boxes_B4.device) + 0.5
    x0, y0, x1, y1 = (edge[:, None] for edge in boxes_B4.unbind(1))
    inside = ((at >= y0) & (at < y1))[:, :, None] & ((at >= x0) & (at < x1))[:, None, :]
    return (1.0 + (mouth - 1.0) * inside.float())[:, None]


def weighted_l1(made: Tensor, real: Tensor, weights: Tensor) -> Tensor:
    """Mean absolute difference under weights; equal weights give the plain mean."""
    return ((made - real).abs() * weights).sum() / (weights.sum() * made.shape[1])


def weighted_l2(made: Tensor, real: Tensor, weights: Tensor) -> Tensor:
    """Mean squared difference under weights."""
    return ((made - real).square() * weights).sum() / (weights.sum() * made.shape[1])


def edge_loss(made: Tensor, real: Tensor, weights: Tensor, levels: int = 3) -> Tensor:
    """Weighted L1 between Laplacian pyramids without their last level: sharpness (Niklaus and Liu 2018)."""
    difference = made - real
    total = difference.new_zeros(())
    for _ in range(levels):
        coarse = functional.avg_pool2d(difference, 2)
        detail = difference - functional.interpolate(coarse, scale_factor=2.0, mode="bilinear")
        total = total + (detail.abs() * weights).sum() / (weights.sum() * made.shape[1])
        difference, weights = coarse, functional.avg_pool2d(weights, 2)
    return total / levels


def token_cross_entropy(logits: tuple[Tensor, ...], ids: Tensor, groups: tuple[int, ...]) -> Tensor:
    """-log P of every whole token, eq. 6: the sum over its sub-tokens; shape of `ids`."""
    parts = split_ids(ids, groups)
    losses = [
        functional.cross_entropy(each.flatten(0, -2), part.flatten(), reduction="none").view(ids.shape)
        for each, part in zip(logits, parts, strict=True)
    ]
    return torch.stack(losses).sum(0)


def mouth_places(boxes_B4: Tensor, size: int, side: int, mouth: float) -> Tensor:
    """Weight of every token: `mouth` where its cell meets the mouth box, 1 elsewhere; (B, side * side)."""
    cell = size / side
    low = torch.arange(side, device=boxes_B4.device) * cell
    x0, y0, x1, y1 = (edge[:, None] for edge in boxes_B4.unbind(1))
    meets_y, meets_x = (low < y1) & (low + cell > y0), (low < x1) & (low + cell > x0)
    return (1.0 + (mouth - 1.0) * (meets_y[:, :, None] & meets_x[:, None]).float()).flatten(1)


def lpips_term(made: Tensor, real: Tensor, faces_B23: Tensor) -> Tensor:
    """Eq. 7: LPIPS, with the published weights in place of the paper's w_l."""
    return lpips_loss(made, real).mean()


def identity_term(made: Tensor, real: Tensor, faces_B23: Tensor) -> Tensor:
    """Eq. 8 with w_id = 1: 1 - cosine of the identity network's vectors."""
    return face_distances(made, real, faces_B23, IDENTITY).mean()


def facial_term(made: Tensor, real: Tensor, faces_B23: Tensor) -> Tensor:
    """Eq. 9 with w_fs = 1: 0.5 brings the cosine distance from [0, 2] to [0, 1]."""
    return 0.5 * face_distances(made, real, faces_B23, FACIAL).mean()


LOOKS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "lpips": lpips_term,
    "identity": identity_term,
    "facial": facial_term,
}
"""The paper's terms in pictures, by the name of their weight: (made, real, maps to the face) to a mean."""
