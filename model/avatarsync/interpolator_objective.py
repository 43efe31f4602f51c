"""What a step of the interpolator's training draws, and the loss it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from datapipe.media import FPS

from ..data import TalkingClip
from .draws import (
    Objective,
    PictureLoss,
    boxes_at,
    clip_odds,
    mouth_psnr,
    picture_terms,
    pictures_at,
    points_at,
)
from .interpolate import Interpolator


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpolatorLoss(PictureLoss):
    """Weights of the interpolator's terms."""

    batch: int = 4
    """Pairs a step."""
    max_gap: int = 8
    """Longest distance of a pair in frames."""


def interpolator_objective(
    model: Interpolator, clips: Sequence[TalkingClip], config: InterpolatorLoss
) -> Objective:
    """Render a true frame from two frames around it."""

    def step(rng: np.random.Generator, done: float) -> dict[str, Tensor]:
        odds = clip_odds([len(clip.frames_THW3) for clip in clips])  # here: a stream's clips change
        drawn = [clips[i] for i in rng.choice(len(clips), config.batch, p=odds)]
        spans = [_span(len(clip.frames_THW3), config.max_gap, rng) for clip in drawn]
        left, at, right = (list(column) for column in zip(*spans, strict=True))
        real = pictures_at(drawn, at)
        gaps = torch.tensor([(r - ell) / FPS for ell, r in zip(left, right, strict=True)])
        t = torch.tensor([(a - ell) / (r - ell) for ell, a, r in spans])
        begin, end = pictures_at(drawn, left), pictures_at(drawn, right)
        pairs = model.pairs(begin, end, gaps)
        made = model.render(pairs, begin, end, t)
        read = torch.cat(pairs.points_P2L2.unbind(1))
        points = (read - points_at(drawn + drawn, left + right)).abs().mean()
        boxes = boxes_at(drawn, at)
        mix = begin + t[:, None, None, None] * (end - begin)
        terms = picture_terms(made, real, boxes, points, config)
        return terms | {"mouth_psnr_crossfade": mouth_psnr(mix, real, boxes)}

    return step


def _span(count: int, max_gap: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """Left, middle and right frame."""
    gap = int(rng.integers(2, max(3, min(max_gap, count - 1) + 1)))
    left = int(rng.integers(max(1, count - gap)))
    return left, left + int(rng.integers(1, gap)), left + gap
