"""The generator's parts with inputs on the meta device: what `avatarsync bench cost --callable` counts.

The clip is that of the paper's Table 2: 98 frames, 3.92 s. Keyframes come at the rate of each language's
phonemes, all in one block, all different; tokens are written in raster order.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from datapipe.media import FPS

from ..avatar import Avatar
from ..avatarsync.decode import DecodeConfig, read_prefix, remember
from ..avatarsync.interpolate import PairFeatures
from ..avatarsync.step import Memory, write_places
from ..presets import preset_named
from ..tokenizer import Seen
from .seeded import seeded_avatar

NUM_FRAMES = 98
RATES = {"mandarin": 5.1, "english": 10.0}
"""Keyframes, which are phonemes, per second of speech."""
DTYPES = {"tiny": torch.float32, "demo": torch.float32, "paper": torch.bfloat16}
"""Of the keyframe transformer where a preset is meant to run; the pictures' networks stay in float32, whose
flows need its digits."""
Stage = tuple[nn.Module, Any, float]


class Bind(nn.Module):
    """All that depends on the picture alone."""

    def __init__(self, avatar: Avatar) -> None:
        super().__init__()
        self.tokenizer, self.keyframes = avatar.tokenizer, avatar.keyframes

    def forward(self, picture_13SS: Tensor) -> None:
        """Read it as tokens, as prefix, and as what the decoder sees."""
        read_prefix(self.keyframes, self.tokenizer.encode(picture_13SS)[0])
        self.tokenizer.look(picture_13SS)


class Step(nn.Module):
    """One step of lockstep decoding at the middle place, whose cost is the mean of all."""

    def __init__(self, avatar: Avatar, memory: Memory) -> None:
        super().__init__()
        self.keyframes, self.memory = avatar.keyframes, memory

    def forward(self, places_1: Tensor) -> None:
        """Write one place of all keyframes."""
        extent = self.keyframes.config.num_tokens // 2
        write_places(self.keyframes, self.memory, DecodeConfig(), places_1, extent)


class Draw(nn.Module):
    """Tokens of one keyframe to its picture."""

    def __init__(self, avatar: Avatar, seen: Seen) -> None:
        super().__init__()
        self.tokenizer, self.seen = avatar.tokenizer, seen

    def forward(self, tokens_1K: Tensor) -> Tensor:
        """Decode."""
        return self.tokenizer.draw(self.tokenizer.codes(tokens_1K), self.seen)


class Render(nn.Module):
    """One picture between two keyframes whose features are known."""

    def __init__(self, avatar: Avatar, features: PairFeatures, picture_13SS: Tensor) -> None:
        super().__init__()
        self.interpolator, self.features, self.picture_13SS = avatar.interpolator, features, picture_13SS

    def forward(self, t_1: Tensor) -> Tensor:
        """Render it."""
        return self.interpolator.render(self.features, self.picture_13SS, self.picture_13SS, t_1)


def stages(preset: str, language: str) -> dict[str, Stage]:
    """Modules, inputs, and calls per output frame, on the default device (which should be meta)."""
    avatar, count = avatar_in(preset), num_keyframes(language)
    size, tokens = avatar.size, avatar.keyframes.config.num_tokens
    picture = torch.zeros(1, 3, size, size)
    ids = torch.zeros(tokens, dtype=torch.long)
    with torch.no_grad():
        prefix = read_prefix(avatar.keyframes, ids)
        memory = remember(avatar.keyframes, ids[:1].expand(count), prefix, range(count), DecodeConfig())
        seen = avatar.tokenizer.look(picture)
        features = avatar.interpolator.pairs(picture, picture, picture[:, 0, 0, 0])
    place = torch.zeros(1, dtype=torch.long)
    return {
        "reference": (Bind(avatar), picture, 1 / NUM_FRAMES),
        "keyframes": (Step(avatar, memory), place, tokens / NUM_FRAMES),
        "pictures": (Draw(avatar, seen), ids[None], count / NUM_FRAMES),
        "pairs": (
            avatar.interpolator.pairs,
            (picture, picture, picture[:, 0, 0, 0]),
            (count - 1) / NUM_FRAMES,
        ),
        "frames": (Render(avatar, features, picture), picture[:, 0, 0, 0], 1.0),
    }


def avatar_in(preset: str) -> Avatar:
    """Make a preset's networks, the transformer in the numbers that it runs in."""
    avatar = seeded_avatar(preset_named(preset))
    avatar.keyframes.to(DTYPES[preset])
    return avatar


def num_keyframes(language: str) -> int:
    """Keyframes of the clip."""
    return round(RATES[language] * NUM_FRAMES / FPS)


tiny_mandarin = partial(stages, "tiny", "mandarin")
tiny_english = partial(stages, "tiny", "english")
demo_mandarin = partial(stages, "demo", "mandarin")
demo_english = partial(stages, "demo", "english")
paper_mandarin = partial(stages, "paper", "mandarin")
paper_english = partial(stages, "paper", "english")
