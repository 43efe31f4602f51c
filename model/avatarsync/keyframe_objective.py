"""What a step of the keyframe transformer's training draws, and the loss it gives (paper 3.3, eq. 6 to 10).

First the tokens alone (eq. 6). From `pixels_from` on codes are decoded too, and pictures are compared with
the true frames: LPIPS (eq. 7), identity (8) and facial similarity (9), and our own points and pixels. Their
gradient passes the codebook straight through, by the expected code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data import TalkingClip
from ..published.network import AnyTokenizer
from ..training.codes import Codes
from .draws import Objective, boxes_at, clip_odds, faces_at, mouth_psnr, pictures_at, points_at
from .keyframes import KeyframeTransformer
from .losses import LOOKS, mouth_places, mouth_weights, token_cross_entropy, weighted_l1


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyframeLoss:
    """Weights of the keyframe transformer's terms; a term of weight 0 is not computed."""

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
    lpips: float = 0.0
    """Weight of LPIPS in that phase (eq. 7, lambda 2)."""
    identity: float = 0.0
    """Weight of the identity network's distance, 1 - cosine, in that phase (eq. 8, lambda 3)."""
    facial: float = 0.0
    """Weight of the facial-similarity network, half of 1 - cosine, in that phase (eq. 9, lambda 4)."""
    points: float = 40.0
    """Weight of the points of lips and chin in that phase; left out where the tokenizer tells none."""
    pixels: float = 2.0
    """Weight of the pixel term in that phase."""
    pixel_units: int = 4
    """Keyframes a step that are decoded to be looked at."""

    @property
    def looks(self) -> dict[str, float]:
        """Weights of the frozen networks' terms that count, by name."""
        return {name: weight for name in LOOKS if (weight := float(getattr(self, name))) > 0}

    @property
    def decodes(self) -> bool:
        """Whether any term looks at pictures."""
        return self.pixels > 0 or bool(self.looks)


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
    model: KeyframeTransformer, codes: Codes, clips: Sequence[TalkingClip], config: KeyframeLoss
) -> Objective:
    """Write windows of a clip's keyframes; later, look at where lips come to lie and at pictures too."""
    tokenizer = codes.tokenizer
    tokenizer.eval().requires_grad_(False)
    groups, size, side = model.config.groups, tokenizer.config.size, tokenizer.config.side
    weight_of = {"points": config.points, "pixels": config.pixels, **config.looks}

    def step(rng: np.random.Generator, done: float) -> dict[str, Tensor]:
        drawn = _draw_windows(clips, codes, config, rng, model)
        given = model.without_phonemes(drawn.phonemes_Bn)
        logits = model(given, drawn.reference_BK, drawn.ids_BnK, spoil(drawn.ids_BnK, config.spoil))
        boxes = boxes_at(*drawn.flat())
        weights = mouth_places(boxes, size, side, config.mouth).view(drawn.ids_BnK.shape)
        losses = token_cross_entropy(logits, drawn.ids_BnK, groups)
        terms = {
            "loss": (losses * weights).sum() / weights.sum(),
            "tokens": losses.detach().mean(),
            "mouth_tokens": losses.detach()[weights > 1].mean(),
        }
        if done >= config.pixels_from:
            terms |= _seen_terms(tokenizer, tokenizer.expected(logits), drawn, config, rng)
            for name in (each for each in weight_of if each in terms):
                terms["loss"] = terms["loss"] + weight_of[name] * terms[name]
        return terms

    return step


def spoil(ids_BnK: Tensor, most: float) -> Tensor:
    """Replace up to a share of each frame's tokens by those of another frame: right person, wrong mouth."""
    others = ids_BnK.roll(1 + int(torch.randint(ids_BnK.shape[1], ())), dims=1)
    share = most * torch.rand(*ids_BnK.shape[:2], 1)
    return torch.where(torch.rand(ids_BnK.shape) < share, others, ids_BnK)


def _draw_windows(
    clips: Sequence[TalkingClip],
    codes: Codes,
    config: KeyframeLoss,
    rng: np.random.Generator,
    model: KeyframeTransformer,
) -> _Windows:
    picks = rng.choice(len(clips), config.clips, p=clip_odds([len(clip.phonemes) for clip in clips]))
    drawn = [clips[i] for i in picks]
    encoded = [codes.of(clip) for clip in drawn]
    windows = [_window(len(clip.phonemes), config.units, rng) for clip in drawn]
    # the clip's first frame, or one of its keyframes: any picture of the person may be the reference
    given = [0 if rng.random() < 0.5 else int(rng.integers(len(clip.phonemes) + 1)) for clip in drawn]
    said = [torch.tensor(model.phoneme_ids(clip.phonemes)) for clip in drawn]
    return _Windows(
        clips=drawn,
        at_Bn=[clip.keyframes_n[window] for clip, window in zip(drawn, windows, strict=True)],
        given=[0 if g == 0 else int(clip.keyframes_n[g - 1]) for g, clip in zip(given, drawn, strict=True)],
        phonemes_Bn=_stacked([ids[window] for ids, window in zip(said, windows, strict=True)]),
        ids_BnK=_stacked([ids[1:][window] for ids, window in zip(encoded, windows, strict=True)]),
        reference_BK=_stacked([ids[g] for ids, g in zip(encoded, given, strict=True)]),
    )


def _stacked(ids: Sequence[Tensor]) -> Tensor:
    """Stack, on the device that training runs on."""
    return torch.as_tensor(torch.stack(list(ids)))


def _seen_terms(
    tokenizer: AnyTokenizer, code: Tensor, drawn: _Windows, config: KeyframeLoss, rng: np.random.Generator
) -> dict[str, Tensor]:
    """What the written codes look like: points of all units, pictures of a few."""
    owners, frames = drawn.flat()
    terms: dict[str, Tensor] = {}
    if config.points > 0 and tokenizer.has_points:
        terms["points"] = (tokenizer.points(code) - points_at(owners, frames)).abs().mean()
    if config.decodes:
        pick = rng.choice(len(frames), min(config.pixel_units, len(frames)), replace=False)
        some, at = [owners[i] for i in pick], [frames[i] for i in pick]
        given = [drawn.given[i // len(drawn.at_Bn[0])] for i in pick]
        made = tokenizer.decode(code[pick], pictures_at(some, given))
        terms |= _picture_terms(made, some, at, config)
    return terms


def _picture_terms(
    made: Tensor, clips: Sequence[TalkingClip], at: Sequence[int], config: KeyframeLoss
) -> dict[str, Tensor]:
    """Pictures beside the true frames: pixels, and what frozen networks see."""
    real, boxes, faces = pictures_at(clips, at), boxes_at(clips, at), faces_at(clips, at)
    weights = mouth_weights(boxes, real.shape[-1], config.mouth)
    terms = {name: LOOKS[name](made, real, faces) for name in config.looks}
    if config.pixels > 0:
        terms["pixels"] = weighted_l1(made, real, weights)
    return terms | {"mouth_psnr": mouth_psnr(made.detach(), real, boxes)}


def _window(count: int, units: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Neighbouring units; a clip with fewer repeats its last ones."""
    start = int(rng.integers(max(1, count - units + 1)))
    return np.minimum(start + np.arange(units), count - 1)
