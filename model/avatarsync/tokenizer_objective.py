"""What a step of the tokenizer's training draws, and the loss it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..data import TalkingClip
from ..tokenizer import Tokenizer
from .draws import Objective, PictureLoss, boxes_at, clip_odds, picture_terms, pictures_at, points_at


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerLoss(PictureLoss):
    """Weights of the tokenizer's terms."""

    batch: int = 6
    """Pictures a step."""
    points: float = 6.0
    """Weight of the points of lips and chin."""
    entropy: float = 0.003
    """Weight of confident, evenly used codes, per bit."""
    temperature: float = 0.1
    """How soft the choice of a code is in the entropies."""
    commit: float = 0.02
    """Weight of latents near their codes."""


def tokenizer_objective(model: Tokenizer, clips: Sequence[TalkingClip], config: TokenizerLoss) -> Objective:
    """Rebuild a random frame of a clip, given another frame of it as the reference."""
    odds = clip_odds([len(clip.frames_THW3) for clip in clips])

    def step(rng: np.random.Generator, done: float) -> dict[str, Tensor]:
        drawn = [clips[i] for i in rng.choice(len(clips), config.batch, p=odds)]
        at = [_frame_or_keyframe(clip, rng) for clip in drawn]
        first = rng.random(config.batch) < 0.5
        given = [
            0 if f else int(rng.integers(len(clip.frames_THW3))) for f, clip in zip(first, drawn, strict=True)
        ]
        real, reference = pictures_at(drawn, at), pictures_at(drawn, given)
        rebuilt = model(real, reference)
        points = (rebuilt.points_BL2 - points_at(drawn + drawn, at + given)).abs().mean()
        terms = picture_terms(rebuilt.picture, real, boxes_at(drawn, at), points, config)
        flat = rebuilt.latent.permute(0, 2, 3, 1).flatten(0, 2)
        codes = model.codebook.terms(flat, config.temperature)
        decided = config.entropy * (codes.sure - codes.even) / model.config.bits
        loss = terms["loss"] + decided + config.commit * codes.commit + codes.codebook
        return terms | {"loss": loss, "entropy": codes.even.detach()}

    return step


def _frame_or_keyframe(clip: TalkingClip, rng: np.random.Generator) -> int:
    if rng.random() < 0.5:
        return int(rng.choice(clip.keyframes_n))
    return int(rng.integers(len(clip.frames_THW3)))
