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

from ..data import TalkingClip
from ..layers import to_signed
from ..tokenizer import Tokenizer, entropy_terms
from .interpolate import Interpolator
from .keyframes import KeyframeTransformer
from .losses import edge_loss, expected_bits, mouth_places, mouth_weights, token_cross_entropy, weighted_l1

Objective = Callable[[np.random.Generator, float], dict[str, Tensor]]
"""(generator, part of the training that is done) to terms, of which `loss` is minimised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerLoss:
    """Weights of the tokenizer's terms."""

    batch: int = 12
    """Pictures a step."""
    mouth: float = 4.0
    """Weight of a mouth pixel against another."""
    edges: float = 2.0
    """Weight of the edge term against L1."""
    entropy: float = 0.01
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
    pixels_from: float = 0.7
    """Part of the training after which decoded pixels count too (the paper's second phase)."""
    pixels: float = 4.0
    """Weight of the pixel term in that phase."""
    pixel_units: int = 8
    """Keyframes a step that are decoded for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpolatorLoss:
    """Weights of the interpolator's terms."""

    batch: int = 6
    """Pairs a step."""
    mouth: float = 4.0
    """Weight of a mouth pixel against another."""
    edges: float = 2.0
    """Weight of the edge term against L1."""
    max_gap: int = 8
    """Longest distance of a pair in frames."""


def tokenizer_objective(model: Tokenizer, clips: Sequence[TalkingClip], config: TokenizerLoss) -> Objective:
    """Rebuild a random frame of a clip, given another frame of it as the reference."""
    odds = _odds([len(clip.frames_THW3) for clip in clips])

    def step(rng: np.random.Generator, done: float) -> dict[str, Tensor]:
        drawn = [clips[i] for i in rng.choice(len(clips), config.batch, p=odds)]
        at = [_frame_or_keyframe(clip, rng) for clip in drawn]
        first = rng.random(config.batch) < 0.5
        given = [0 if f else int(rng.integers(len(clip.frames_THW3))) for f, clip in zip(first, drawn, strict=True)]
        real, reference = _pictures(drawn, at), _pictures(drawn, given)
        made, latent = model(real, reference)
        weights = mouth_weights(_boxes(drawn, at), real.shape[-1], config.mouth)
        pixels, edges = weighted_l1(made, real, weights), edge_loss(made, real, weights)
        flat = latent.permute(0, 2, 3, 1).flatten(0, 2)
        sure, even = entropy_terms(flat)
        commit = (flat - flat.sign().detach()).square().mean()
        loss = pixels + config.edges * edges + config.entropy * (sure - even) / flat.shape[1]
        return {
            "loss": loss + config.commit * commit,
            "pixels": pixels.detach(),
            "mouth_psnr": mouth_psnr(made.detach(), real, _boxes(drawn, at)),
            "entropy": even.detach(),
        }

    return step


def keyframes_objective(
    model: KeyframeTransformer, tokenizer: Tokenizer, clips: Sequence[TalkingClip], config: KeyframeLoss
) -> Objective:
    """Write windows of a clip's keyframes; later, look at the decoded pictures too."""
    tokenizer.eval().requires_grad_(False)
    encoded = [encode_clip(tokenizer, clip) for clip in clips]
    odds = _odds([len(clip.phonemes) for clip in clips])
    groups, size, side = model.config.groups, tokenizer.config.size, tokenizer.config.side

    def step(rng: np.random.Generator, done: float) -> dict[str, Tensor]:
        picks = rng.choice(len(clips), config.clips, p=odds)
        drawn = [clips[i] for i in picks]
        windows = [_window(len(clip.phonemes), config.units, rng) for clip in drawn]
        given = [0 if rng.random() < 0.5 else int(rng.integers(len(clip.phonemes) + 1)) for clip in drawn]
        phonemes = torch.tensor(
            [model.vocabulary.phoneme_ids(clip.phonemes[i] for i in w) for clip, w in zip(drawn, windows, strict=True)]
        )
        ids = torch.stack([encoded[i][1:][w] for i, w in zip(picks, windows, strict=True)])
        reference = torch.stack([encoded[i][g] for i, g in zip(picks, given, strict=True)])
        logits = model(phonemes, reference, ids)
        at = [clip.keyframes_n[w] for clip, w in zip(drawn, windows, strict=True)]
        boxes = torch.stack([torch.from_numpy(c.mouth_T4[a]) for c, a in zip(drawn, at, strict=True)])
        weights = mouth_places(boxes.flatten(0, 1), size, side, config.mouth).view(ids.shape)
        losses = token_cross_entropy(logits, ids, groups)
        terms = {"loss": (losses * weights).sum() / weights.sum(), "tokens": losses.detach().mean()}
        inside = weights > 1
        terms["mouth_tokens"] = losses.detach()[inside].mean()
        if done >= config.pixels_from and config.pixels:
            pick = rng.choice(ids.shape[0] * ids.shape[1], min(config.pixel_units, ids.shape[0] * ids.shape[1]), False)
            owners = [drawn[p // config.units] for p in pick]
            places = [int(at[p // config.units][p % config.units]) for p in pick]
            sources = [_source(drawn[p // config.units], given[p // config.units]) for p in pick]
            chosen = tuple(each.flatten(0, 1)[pick] for each in logits)
            made = tokenizer.decode(tokenizer.fold(expected_bits(chosen, groups)), _pictures(owners, sources))
            real = _pictures(owners, places)
            where = mouth_weights(_boxes(owners, places), size, config.mouth)
            pixels = weighted_l1(made, real, where)
            terms["loss"] = terms["loss"] + config.pixels * pixels
            terms["pixels"] = pixels.detach()
            terms["mouth_psnr"] = mouth_psnr(made.detach(), real, _boxes(owners, places))
        return terms

    return step


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
        gaps = torch.tensor([(r - ell) / 25.0 for ell, r in zip(left, right, strict=True)])
        t = torch.tensor([(a - ell) / (r - ell) for ell, a, r in spans])
        begin, end = _pictures(drawn, left), _pictures(drawn, right)
        made = model(begin, end, gaps, t)
        weights = mouth_weights(_boxes(drawn, at), real.shape[-1], config.mouth)
        pixels, edges = weighted_l1(made, real, weights), edge_loss(made, real, weights)
        mix = begin + t[:, None, None, None] * (end - begin)
        return {
            "loss": pixels + config.edges * edges,
            "pixels": pixels.detach(),
            "mouth_psnr": mouth_psnr(made.detach(), real, _boxes(drawn, at)),
            "mouth_psnr_crossfade": mouth_psnr(mix, real, _boxes(drawn, at)),
        }

    return step


@torch.no_grad()
def encode_clip(tokenizer: Tokenizer, clip: TalkingClip) -> Tensor:
    """Tokens of the clip's first frame, then of all its keyframes; (1 + n, K)."""
    frames = clip.frames_THW3[np.concatenate(([0], clip.keyframes_n))]
    return torch.cat([tokenizer.encode(to_signed(torch.from_numpy(part))) for part in np.array_split(frames, max(1, len(frames) // 32))])


def mouth_psnr(made: Tensor, real: Tensor, boxes_B4: Tensor) -> Tensor:
    """PSNR in dB over mouth pixels of a batch in [-1, 1]."""
    inside = mouth_weights(boxes_B4, real.shape[-1], 2.0) - 1.0
    error = (((made - real) / 2).square() * inside).sum() / (inside.sum() * real.shape[1])
    return -10.0 * torch.log10(error + 1e-10)


def _odds(counts: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weights = np.asarray(counts, np.float64)
    return weights / weights.sum()


def _frame_or_keyframe(clip: TalkingClip, rng: np.random.Generator) -> int:
    if rng.random() < 0.5:
        return int(rng.choice(clip.keyframes_n))
    return int(rng.integers(len(clip.frames_THW3)))


def _window(count: int, units: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Neighbouring units; a clip with fewer repeats its last ones."""
    start = int(rng.integers(max(1, count - units + 1)))
    return np.minimum(start + np.arange(units), count - 1)


def _source(clip: TalkingClip, given: int) -> int:
    return 0 if given == 0 else int(clip.keyframes_n[given - 1])


def _span(count: int, max_gap: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """Left, middle and right frame."""
    gap = int(rng.integers(2, max(3, min(max_gap, count - 1) + 1)))
    left = int(rng.integers(max(1, count - gap)))
    return left, left + int(rng.integers(1, gap)), left + gap


def _pictures(clips: Sequence[TalkingClip], at: Sequence[int]) -> Tensor:
    return to_signed(torch.from_numpy(np.stack([c.frames_THW3[i] for c, i in zip(clips, at, strict=True)])))


def _boxes(clips: Sequence[TalkingClip], at: Sequence[int]) -> Tensor:
    return torch.from_numpy(np.stack([c.mouth_T4[i] for c, i in zip(clips, at, strict=True)]))
