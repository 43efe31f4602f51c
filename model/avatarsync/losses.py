"""What training pulls on: pixels (more where the mouth is), edges, code use, and tokens.

Pictures (B, 3, S, S) in [-1, 1]; weights (B, 1, S, S).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..codebook import SignCodebook, split_ids


def mouth_weights(boxes_B4: Tensor, size: int, mouth: float) -> Tensor:
    """1 outside the mouth boxes and `mouth` inside; (B, 1, size, size)."""
    at = torch.arange(size) + 0.5
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
    total = torch.zeros(())
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


def expected_bits(logits: tuple[Tensor, ...], groups: tuple[int, ...]) -> Tensor:
    """Codes (..., bits): signs of the likeliest tokens forward, their expectation's gradient backward.

    The expectation of a factored LFQ code is the expectation of each sub-token's sign pattern, so pixel
    losses reach the logits without a softmax over the whole codebook.
    """
    return SignCodebook(groups).expected(logits)


def mouth_places(boxes_B4: Tensor, size: int, side: int, mouth: float) -> Tensor:
    """Weight of every token: `mouth` where its cell meets the mouth box, 1 elsewhere; (B, side * side)."""
    cell = size / side
    low = torch.arange(side) * cell
    x0, y0, x1, y1 = (edge[:, None] for edge in boxes_B4.unbind(1))
    meets_y, meets_x = (low < y1) & (low + cell > y0), (low < x1) & (low + cell > x0)
    return (1.0 + (mouth - 1.0) * (meets_y[:, :, None] & meets_x[:, None]).float()).flatten(1)
