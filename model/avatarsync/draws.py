"""What all trainings share: an objective, how clips are drawn, and the terms of pictures.

An objective is a function of a random generator; the same generator state draws the same batch, so that a
resumed run goes on exactly as one that was never stopped. Arrays become tensors with `as_tensor`, which obeys
the device that training runs under (`with device:`), as `from_numpy` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data import TalkingClip
from ..layers import to_signed
from .losses import edge_loss, mouth_weights, weighted_l1, weighted_l2

Objective = Callable[[np.random.Generator, float], dict[str, Tensor]]
"""(generator, part of the training that is done) to terms, of which `loss` is minimised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLoss:
    """Weights of what trainings in pixels have in common."""

    mouth: float = 12.0
    """Weight of a mouth pixel against another."""
    squares: float = 4.0
    """Weight of squared against absolute differences: large errors, which are the mouth's, count more."""
    edges: float = 1.0
    """Weight of the edge term."""
    points: float = 3.0
    """Weight of the points of lips and chin."""


def picture_terms(
    made: Tensor, real: Tensor, boxes_B4: Tensor, points: Tensor, config: PictureLoss
) -> dict[str, Tensor]:
    """What trainings in pixels minimise: weighted differences, edges, and the points of lips and chin."""
    weights = mouth_weights(boxes_B4, real.shape[-1], config.mouth)
    pixels, edges = weighted_l1(made, real, weights), edge_loss(made, real, weights)
    squares = weighted_l2(made, real, weights)
    return {
        "loss": pixels + config.squares * squares + config.edges * edges + config.points * points,
        "pixels": pixels.detach(),
        "points": points.detach(),
        "mouth_psnr": mouth_psnr(made.detach(), real, boxes_B4),
    }


def mouth_psnr(made: Tensor, real: Tensor, boxes_B4: Tensor) -> Tensor:
    """PSNR in dB over mouth pixels of a batch in [-1, 1]."""
    inside = mouth_weights(boxes_B4, real.shape[-1], 2.0) - 1.0
    error = (((made - real) / 2).square() * inside).sum() / (inside.sum() * real.shape[1])
    return -10.0 * torch.log10(error + 1e-10)


def clip_odds(counts: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Chance of each clip, in proportion to what it holds."""
    weights = np.asarray(counts, np.float64)
    return np.asarray(weights / weights.sum())


def pictures_at(clips: Sequence[TalkingClip], at: Sequence[int]) -> Tensor:
    """One frame of each clip, (B, 3, S, S) in [-1, 1]."""
    return to_signed(torch.as_tensor(np.stack([c.frames_THW3[i] for c, i in zip(clips, at, strict=True)])))


def boxes_at(clips: Sequence[TalkingClip], at: Sequence[int]) -> Tensor:
    """Mouth boxes of those frames, (B, 4) in pixels."""
    return torch.as_tensor(np.stack([c.mouth_T4[i] for c, i in zip(clips, at, strict=True)]))


def points_at(clips: Sequence[TalkingClip], at: Sequence[int]) -> Tensor:
    """Points of lips and chin of those frames, (B, L, 2) from -1 to 1."""
    return torch.as_tensor(np.stack([c.points_TL2[i] for c, i in zip(clips, at, strict=True)]))


def faces_at(clips: Sequence[TalkingClip], at: Sequence[int]) -> Tensor:
    """Maps (B, 2, 3) from pixels of those frames to the face that identity networks read."""
    return torch.as_tensor(np.stack([c.faces_T23[i] for c, i in zip(clips, at, strict=True)]))
