"""The three trainings: what each step draws from the clips, and the loss it gives.

An objective is a function of a random generator; the same generator state draws the same batch, so that a
resumed run goes on exactly as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from datapipe.media import FPS

from ..data import TalkingClip
from ..layers import to_signed
from ..tokenizer import Tokenizer, entropy_terms
from .interpolate import Interpolator
from .keyframes import KeyframeTransformer
from .losses import (
    edge_loss,
    expected_bits,
    mouth_places,
    mouth_weights,
    token_cross_entropy,
    weighted_l1,
    weighted_l2,
)

Objective = Callable[[np.random.Generator, float], dict[str, Tensor]]
"""(generator, part of the training that is done) to terms, of which `loss` is minimised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerLoss:
    """Weights of the tokenizer's terms."""

    batch: int = 6
    """Pictures a step."""
    mouth: float = 12.0
    """Weight of a mouth pixel against another."""
    squares: float = 4.0
    """Weight of squared against absolute differences: large errors, which are the mouth's, count more."""
    edges: float = 1.0
    """Weight of the edge term."""
    points: float = 6.0
    """Weight of the points of lips and chin."""
    entropy: float = 0.003
    """Weight of confident, evenly used bits."""
    commit: float = 0.02
    """Weight of latents near their codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyframeLoss:
    """Weights of the keyframe transformer's terms."""

    clips: int = 3
    """Clips a step."""
    units: int = 8
    """Keyframes of each clip."""
    mouth: float = 6.0
    """Weight of a mouth token against another: the visible thing is learnt last otherwise."""
    spoil: float = 0.9
    """Largest share of tokens before a place that are taken from another keyframe of the clip."""
    pixels_from: float = 0.4
    """Part of the training after which decoded codes count too (the paper's second phase)."""
    points: float = 40.0
    """Weight of the points of lips and chin in that phase."""
    pixels: float = 2.0
    """Weight of the pixel term in that phase."""
    pixel_units: int = 4
    """Keyframes a step that are decoded for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpolatorLoss:
    """Weights of the interpolator's terms."""

    batch: int = 4
    """Pairs a step."""
    mouth: float = 12.0
    """Weight of a mouth pixel against another."""
    squares: float = 4.0
    """Weight of squared against absolute differences."""
    edges: float = 1.0
    """Weight of the edge term."""
    points: float = 3.0
    """Weight of the points of lips and chin."""
    max_gap: int = 8
    """Longest distance of a pair in frames."""


def tokenizer_objective(model: Tokenizer, clips: Sequence[TalkingClip], config: TokenizerLoss) -> Objective:
    """Rebuild a random frame of a clip, given another frame of it as the reference."""
    odds = _odds([len(clip.frames_THW3) for clip in clips])

    def step(rng: np.random.Generator, done: float) -> dict[str, Tensor]:
        drawn = [clips[i] for i in rng.choice(len(clips), config.batch, p=odds)]
        at = [_frame_or_keyframe(clip, rng) for clip in drawn]
        first = rng.random(config.batch) < 0.5
        given = [
            0 if f else int(rng.integers(len(clip.frames_THW3))) for f, clip in zip(first, drawn, strict=True)
        ]
        real, reference = _pictures(drawn, at), _pictures(drawn, given)
        rebuilt = model(real, reference)
        points = (rebuilt.points_BL2 - _points(drawn + drawn, at + given)).abs().mean()
        terms = _picture_terms(rebuilt.picture, real, _boxes(drawn, at), points, config)
        flat = rebuilt.latent.permute(0, 2, 3, 1).flatten(0, 2)
        sure, even = entropy_terms(flat)
        commit = (flat - flat.sign().detach()).square().mean()
        codes = config.entropy * (sure - even) / flat.shape[1]
        return terms | {"loss": terms["loss"] + codes + config.commit * commit, "entropy": even.detach()}

    return step


@dataclass(frozen=True, slots=True, eq=False)
class _Windows:
    """Neighbouring keyframes of a few clips: B clips, n units."""

    clips: list[TalkingClip]
    at_Bn: list[np.ndarray[tuple[int], np.dtype[np.int64]]]
    """Frame of every keyframe."""
    given: list[int]
    """Frame of the reference."""
    phonemes_Bn: Tensor
    ids_BnK: Tensor
    reference_BK: Tensor

    def flat(self) -> tuple[list[TalkingClip], list[int]]:
        """Clip and frame of every unit, in order."""
        pairs = [(clip, int(frame)) for clip, at in zip(self.clips, self.at_Bn, strict=True) for frame in at]
        return [clip for clip, _ in pairs], [frame for _, frame in pairs]


def keyframes_objective(
    model: KeyframeTransformer, tokenizer: Tokenizer, clips: Sequence[TalkingClip], config: KeyframeLoss
) -> Objective:
    """Write windows of a clip's keyframes; later, look at where lips come to lie and at pictures too."""
    tokenizer.eval().requires_grad_(False)
    encoded = [encode_clip(tokenizer, clip) for clip in clips]
    odds = _odds([len(clip.phonemes) for clip in clips])
    groups, size, side = model.config.groups, tokenizer.config.size, tokenizer.config.side

    def step(rng: np.random.Generator, done: float) -> dict[str, Tensor]:
        drawn = _draw_windows(clips, encoded, odds, config, rng, model)
        logits = model(
            drawn.phonemes_Bn, drawn.reference_BK, drawn.ids_BnK, spoil(drawn.ids_BnK, config.spoil)
        )
        boxes = _boxes(*drawn.flat())
        weights = mouth_places(boxes, size, side, config.mouth).view(drawn.ids_BnK.shape)
        losses = token_cross_entropy(logits, drawn.ids_BnK, groups)
        terms = {
            "loss": (losses * weights).sum() / weights.sum(),
            "tokens": losses.detach().mean(),
            "mouth_tokens": losses.detach()[weights > 1].mean(),
        }
        if done >= config.pixels_from:
            code = tokenizer.fold(expected_bits(logits, groups).flatten(0, 1))
            terms |= _seen_terms(tokenizer, code, drawn, config, rng)
            terms["loss"] = terms["loss"] + config.points * terms["points"] + config.pixels * terms["pixels"]
        return terms

    return step


def spoil(ids_BnK: Tensor, most: float) -> Tensor:
    """Replace up to a share of each frame's tokens by those of another frame: right person, wrong mouth."""
    others = ids_BnK.roll(1 + int(torch.randint(ids_BnK.shape[1], ())), dims=1)
    share = most * torch.rand(*ids_BnK.shape[:2], 1)
    return torch.where(torch.rand(ids_BnK.shape) < share, others, ids_BnK)


def _draw_windows(
    clips: Sequence[TalkingClip],
    encoded: Sequence[Tensor],
    odds: np.ndarray[tuple[int], np.dtype[np.float64]],
    config: KeyframeLoss,
    rng: np.random.Generator,
    model: KeyframeTransformer,
) -> _Windows:
    picks = rng.choice(len(clips), config.clips, p=odds)
    drawn = [clips[i] for i in picks]
    windows = [_window(len(clip.phonemes), config.units, rng) for clip in drawn]
    # the clip's first frame, or one of its keyframes: any picture of the person may be the reference
    given = [0 if rng.random() < 0.5 else int(rng.integers(len(clip.phonemes) + 1)) for clip in drawn]
    symbols = [[clip.phonemes[i] for i in window] for clip, window in zip(drawn, windows, strict=True)]
    return _Windows(
        clips=drawn,
        at_Bn=[clip.keyframes_n[window] for clip, window in zip(drawn, windows, strict=True)],
        given=[0 if g == 0 else int(clip.keyframes_n[g - 1]) for g, clip in zip(given, drawn, strict=True)],
        phonemes_Bn=torch.tensor([model.vocabulary.phoneme_ids(each) for each in symbols]),
        ids_BnK=torch.stack([encoded[i][1:][window] for i, window in zip(picks, windows, strict=True)]),
        reference_BK=torch.stack([encoded[i][g] for i, g in zip(picks, given, strict=True)]),
    )


def _seen_terms(
    tokenizer: Tokenizer, code: Tensor, drawn: _Windows, config: KeyframeLoss, rng: np.random.Generator
) -> dict[str, Tensor]:
    """What the written codes look like: points of all units, pixels of a few."""
    owners, frames = drawn.flat()
    points = (tokenizer.points(code) - _points(owners, frames)).abs().mean()
    pick = rng.choice(len(frames), min(config.pixel_units, len(frames)), replace=False)
    some, at = [owners[i] for i in pick], [frames[i] for i in pick]
    given = [drawn.given[i // len(drawn.at_Bn[0])] for i in pick]
    made, real, boxes = (
        tokenizer.decode(code[pick], _pictures(some, given)),
        _pictures(some, at),
        _boxes(some, at),
    )
    weights = mouth_weights(boxes, real.shape[-1], config.mouth)
    return {
        "points": points,
        "pixels": weighted_l1(made, real, weights),
        "mouth_psnr": mouth_psnr(made.detach(), real, boxes),
    }


def interpolator_objective(
    model: Interpolator, clips: Sequence[TalkingClip], config: InterpolatorLoss
) -> Objective:
    """Render a true frame from two frames around it."""
    odds = _odds([len(clip.frames_THW3) for clip in clips])

    def step(rng: np.random.Generator, done: float) -> dict[str, Tensor]:
        drawn = [clips[i] for i in rng.choice(len(clips), config.batch, p=odds)]
        spans = [_span(len(clip.frames_THW3), config.max_gap, rng) for clip in drawn]
        left, at, right = (list(column) for column in zip(*spans, strict=True))
        real = _pictures(drawn, at)
        gaps = torch.tensor([(r - ell) / FPS for ell, r in zip(left, right, strict=True)])
        t = torch.tensor([(a - ell) / (r - ell) for ell, a, r in spans])
        begin, end = _pictures(drawn, left), _pictures(drawn, right)
        pairs = model.pairs(begin, end, gaps)
        made = model.render(pairs, begin, end, t)
        read = torch.cat((pairs.left_PL2, pairs.right_PL2))
        points = (read - _points(drawn + drawn, left + right)).abs().mean()
        boxes = _boxes(drawn, at)
        mix = begin + t[:, None, None, None] * (end - begin)
        terms = _picture_terms(made, real, boxes, points, config)
        return terms | {"mouth_psnr_crossfade": mouth_psnr(mix, real, boxes)}

    return step


def _picture_terms(
    made: Tensor, real: Tensor, boxes_B4: Tensor, points: Tensor, config: TokenizerLoss | InterpolatorLoss
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


@torch.no_grad()
def encode_clip(tokenizer: Tokenizer, clip: TalkingClip) -> Tensor:
    """Tokens of the clip's first frame, then of all its keyframes; (1 + n, K)."""
    frames = clip.frames_THW3[np.concatenate(([0], clip.keyframes_n))]
    return torch.cat(
        [
            tokenizer.encode(to_signed(torch.from_numpy(part)))
            for part in np.array_split(frames, max(1, len(frames) // 32))
        ]
    )


def mouth_psnr(made: Tensor, real: Tensor, boxes_B4: Tensor) -> Tensor:
    """PSNR in dB over mouth pixels of a batch in [-1, 1]."""
    inside = mouth_weights(boxes_B4, real.shape[-1], 2.0) - 1.0
    error = (((made - real) / 2).square() * inside).sum() / (inside.sum() * real.shape[1])
    return -10.0 * torch.log10(error + 1e-10)


def _odds(counts: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weights = np.asarray(counts, np.float64)
    return np.asarray(weights / weights.sum())


def _frame_or_keyframe(clip: TalkingClip, rng: np.random.Generator) -> int:
    if rng.random() < 0.5:
        return int(rng.choice(clip.keyframes_n))
    return int(rng.integers(len(clip.frames_THW3)))


def _window(count: int, units: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Neighbouring units; a clip with fewer repeats its last ones."""
    start = int(rng.integers(max(1, count - units + 1)))
    return np.minimum(start + np.arange(units), count - 1)


def _span(count: int, max_gap: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """Left, middle and right frame."""
    gap = int(rng.integers(2, max(3, min(max_gap, count - 1) + 1)))
    left = int(rng.integers(max(1, count - gap)))
    return left, left + int(rng.integers(1, gap)), left + gap


def _pictures(clips: Sequence[TalkingClip], at: Sequence[int]) -> Tensor:
    return to_signed(torch.from_numpy(np.stack([c.frames_THW3[i] for c, i in zip(clips, at, strict=True)])))


def _boxes(clips: Sequence[TalkingClip], at: Sequence[int]) -> Tensor:
    return torch.from_numpy(np.stack([c.mouth_T4[i] for c, i in zip(clips, at, strict=True)]))


def _points(clips: Sequence[TalkingClip], at: Sequence[int]) -> Tensor:
    return torch.from_numpy(np.stack([c.points_TL2[i] for c, i in zip(clips, at, strict=True)]))
