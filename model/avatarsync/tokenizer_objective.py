"""What a step of the tokenizer's training draws, and the loss it gives."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from datapipe.networks.lpips import lpips_loss

from ..data import TalkingClip
from ..published.network import AnyTokenizer
from ..tokenizer import Rebuilt
from ..training.adversary import PatchAdversary, deceive, lecam, unmask
from ..training.loop import judged
from .draws import Objective, PictureLoss, boxes_at, clip_odds, picture_terms, pictures_at, points_at

USAGE_BATCHES = 50


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
    lpips: float = 0.0
    """Weight of LPIPS; above 0 it needs the weights `lpips-alex` or `lpips-vgg`."""
    lpips_trunk: Literal["alex", "vgg"] = "vgg"
    """Network of LPIPS; vgg is what tokenizers are trained with, alex costs a tenth."""
    adversary: float = 0.0
    """Weight of deceiving an opponent (PatchGAN); 0 trains without one."""
    adversary_from: float = 0.0
    """Part of the training after which the opponent plays."""
    adversary_width: int = 64
    """Channels of the opponent's first layer."""
    adversary_layers: int = 3
    """Halvings of the opponent; its patches are 70 pixels with 3."""
    lecam: float = 0.05
    """Weight of LeCAM, which keeps the opponent from running away."""


class Usage:
    """Which codes the last batches used: distinct ones, their share of the codebook, and perplexity."""

    def __init__(self, size: int, batches: int = USAGE_BATCHES) -> None:
        self.size = size
        self.recent: deque[Tensor] = deque(maxlen=batches)
        self.counts = torch.zeros(size, dtype=torch.long)

    def add(self, ids: Tensor) -> dict[str, Tensor]:
        """Count a batch, forget the oldest, and return the terms for the log."""
        if len(self.recent) == self.recent.maxlen:
            self.counts -= torch.bincount(self.recent[0], minlength=self.size)
        self.recent.append(ids.flatten().cpu())
        self.counts += torch.bincount(self.recent[-1], minlength=self.size)
        used = self.counts[self.counts > 0]
        p = used / used.sum()
        return {
            "codes_used": torch.tensor(float(len(used))),
            "codes_share": torch.tensor(len(used) / self.size),
            "perplexity": torch.exp(-(p * p.log()).sum()),
        }


def make_opponent(config: TokenizerLoss) -> PatchAdversary | None:
    """Return the opponent that these weights ask for."""
    return PatchAdversary(config.adversary_width, config.adversary_layers) if config.adversary > 0 else None


def tokenizer_objective(
    model: AnyTokenizer,
    clips: Sequence[TalkingClip],
    config: TokenizerLoss,
    opponent: PatchAdversary | None = None,
) -> Objective:
    """Rebuild a random frame of a clip, given another frame of it as the reference."""
    usage = Usage(2**model.config.bits)

    def step(rng: np.random.Generator, done: float) -> dict[str, Tensor]:
        odds = clip_odds([len(clip.frames_THW3) for clip in clips])  # here: a stream's clips change
        drawn = [clips[i] for i in rng.choice(len(clips), config.batch, p=odds)]
        at = [_frame_or_keyframe(clip, rng) for clip in drawn]
        first = rng.random(config.batch) < 0.5
        given = [
            0 if f else int(rng.integers(len(clip.frames_THW3))) for f, clip in zip(first, drawn, strict=True)
        ]
        real, reference = pictures_at(drawn, at), pictures_at(drawn, given)
        rebuilt = model(real, reference)
        points = real.new_zeros(())
        if model.has_points:
            points = (rebuilt.points_BL2 - points_at(drawn + drawn, at + given)).abs().mean()
        terms = picture_terms(rebuilt.picture, real, boxes_at(drawn, at), points, config)
        added = [_code_terms(model, rebuilt, config), _seen_terms(rebuilt.picture, real, config)]
        if opponent is not None:
            added.append(
                _opponent_terms(opponent, rebuilt.picture, real, done >= config.adversary_from, config)
            )
        for more in added:
            terms |= more | {"loss": terms["loss"] + more["loss"]}
        return terms | usage.add(model.codebook.ids(rebuilt.latent.detach()))

    return step


def _frame_or_keyframe(clip: TalkingClip, rng: np.random.Generator) -> int:
    if rng.random() < 0.5:
        return int(rng.choice(clip.keyframes_n))
    return int(rng.integers(len(clip.frames_THW3)))


def _code_terms(model: AnyTokenizer, rebuilt: Rebuilt, config: TokenizerLoss) -> dict[str, Tensor]:
    flat = rebuilt.latent.permute(0, 2, 3, 1).flatten(0, 2)
    codes = model.codebook.terms(flat, config.temperature)
    decided = config.entropy * (codes.sure - codes.even) / model.config.bits
    return {"loss": decided + config.commit * codes.commit + codes.codebook, "entropy": codes.even.detach()}


def _seen_terms(made: Tensor, real: Tensor, config: TokenizerLoss) -> dict[str, Tensor]:
    if config.lpips == 0:
        return {"loss": made.new_zeros(())}
    seen = lpips_loss(made, real, config.lpips_trunk).mean()
    return {"loss": config.lpips * seen, "lpips": seen.detach()}


def _opponent_terms(
    opponent: PatchAdversary, made: Tensor, real: Tensor, plays: bool, config: TokenizerLoss
) -> dict[str, Tensor]:
    """The maker's term, and the opponent's own on pictures that carry no gradient."""
    if not plays:
        return {"loss": made.new_zeros(()), "opponent_loss": made.new_zeros(())}
    deceived = deceive(judged(opponent, made))
    of_real, of_made = opponent(torch.cat((real, made.detach()))).chunk(2)
    opponent.remember(of_real, of_made)
    caution = lecam(opponent.said.clone(), of_real, of_made)
    return {
        "loss": config.adversary * deceived,
        "deceived": deceived.detach(),
        "opponent_loss": unmask(of_real, of_made) + config.lecam * caution,
        "said_real": of_real.detach().mean(),
        "said_made": of_made.detach().mean(),
    }
