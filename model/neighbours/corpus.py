"""Clips of shards as latents, sound and motion, and windows of them for a training step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datapipe.media import read_audio, read_frames
from datapipe.records import Rejected
from datapipe.shards import StoredSample, read_samples

from ..data import check_size
from ..latents.clips import Clips
from ..tokenizer import Tokenizer
from .sound import rows_of_latents
from .space import FRAMES, SpaceConfig, encode, reference_latent, to_places

EDGE = slice(0, 33)
"""Landmarks (of 106) along the edge of the face."""
LIKELY_FIRST = 0.5
"""How often the clip's first frame is the reference; else it is any of its frames."""


@dataclass(frozen=True, slots=True, eq=False)
class LatentClip:
    """One clip."""

    codes_TdSS: Tensor
    audio_LAF: Tensor
    motion_L: Tensor

    def __len__(self) -> int:
        return len(self.motion_L)


def read_latents(tokenizer: Tokenizer, folders: Sequence[Path], split: str, least: int) -> list[LatentClip]:
    """Encode the clips of a split that have `least` latents or more.

    Raises `Rejected("bad_input")` when there are none, or when their pictures have another size.
    """
    samples = (sample for folder in folders for sample in read_samples(folder, split))
    long = [sample for sample in samples if sample.meta.num_frames >= least * FRAMES]
    if not long:
        raise Rejected(
            "bad_input",
            f"no clip of the split `{split}` has the {least * FRAMES} frames of a window; build longer clips",
        )
    for sample in long:
        check_size(sample.meta.key, sample.meta.size, tokenizer.config.size)
    return [to_latents(tokenizer, sample) for sample in long]


def to_latents(tokenizer: Tokenizer, sample: StoredSample) -> LatentClip:
    """Encode one stored sample; frames beyond its last whole latent are left out."""
    count = sample.meta.num_frames // FRAMES
    frames = read_frames(sample.video)[: count * FRAMES]
    moved = edge_motion(sample.landmarks_TK2, sample.meta.size)[: count * FRAMES]
    return LatentClip(
        codes_TdSS=encode(tokenizer, frames),
        audio_LAF=rows_of_latents(read_audio(sample.audio), count, FRAMES),
        motion_L=torch.from_numpy(moved.reshape(count, FRAMES).mean(1).astype(np.float32)),
    )


def edge_motion(landmarks_TK2: NDArray[np.float32], size: int) -> NDArray[np.float64]:
    """How far the face's edge went since the frame before, in percent of the picture; (T,), 0 at first."""
    steps = np.diff(landmarks_TK2[:, EDGE], axis=0, prepend=landmarks_TK2[:1, EDGE])
    return np.asarray(np.linalg.norm(steps, axis=-1).mean(1) * (100 / size))


def space_of(clips: Sequence[LatentClip]) -> SpaceConfig:
    """Measure moves and motion over clips."""
    moves = torch.cat([clip.codes_TdSS - clip.codes_TdSS[:1] for clip in clips])
    places = to_places(clips[0].codes_TdSS[:FRAMES])
    return SpaceConfig(
        side=int(places.shape[1] ** 0.5),
        channels=places.shape[2],
        scale=1.0 / float(moves.square().mean().sqrt().clamp_min(1e-3)),
        motion=float(torch.cat([clip.motion_L for clip in clips]).median()),
    )


def draw_clips(
    clips: Sequence[LatentClip], space: SpaceConfig, batch: int, length: int, rng: np.random.Generator
) -> Clips:
    """Windows of `length` latents, clips in proportion to the windows that they hold."""
    odds = np.array([len(clip) - length + 1 for clip in clips], np.float64)
    picks = [clips[i] for i in rng.choice(len(clips), batch, p=odds / odds.sum())]
    starts = [int(rng.integers(len(clip) - length + 1)) for clip in picks]
    given = [0 if rng.random() < LIKELY_FIRST else int(rng.integers(len(clip.codes_TdSS))) for clip in picks]
    references = [clip.codes_TdSS[at : at + 1] for clip, at in zip(picks, given, strict=True)]
    spans = [slice(at, at + length) for at in starts]
    moves = [
        to_places(clip.codes_TdSS[at * FRAMES : (at + length) * FRAMES] - reference) * space.scale
        for clip, at, reference in zip(picks, starts, references, strict=True)
    ]
    return Clips(
        reference_BNC=_stacked([reference_latent(each) for each in references]),
        latents_BTNC=_stacked(moves),
        audio_BTAF=_stacked([clip.audio_LAF[span] for clip, span in zip(picks, spans, strict=True)]),
        motion_BT=_stacked([clip.motion_L[span] for clip, span in zip(picks, spans, strict=True)]),
    )


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """Stack, on the device that training runs on."""
    return torch.as_tensor(torch.stack(list(parts)))
