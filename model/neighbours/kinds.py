"""The two neighbours behind one interface: how each is made, learns, and speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..eartalking.config import Control
from ..eartalking.generate import FrameConfig, generate_frames
from ..eartalking.network import EARTalking, make_eartalking
from ..eartalking.objective import EARTalkingLoss, clip_loss
from ..eartalking.presets import tiny as ear_tiny
from ..joyavatar.generate import BlockConfig, generate_blocks
from ..joyavatar.network import JoyAvatar, make_joyavatar
from ..joyavatar.objective import JoyAvatarLoss, forced_loss, rollout_loss
from ..joyavatar.presets import tiny as joy_tiny
from ..latents.clips import Clips
from .sound import ASIDE, BANDS, ROWS_PER_FRAME
from .space import FRAMES, SpaceConfig

ROWS = ROWS_PER_FRAME * FRAMES + 2 * ASIDE
FRAME_STEPS = FrameConfig(spatial_steps=8, denoise_steps=10, temperature=0.7)
ROLLED_FROM = 0.75
"""Part of JoyAvatar's training after which it learns from its own blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A generator of latents."""

    make: Callable[[SpaceConfig, int], nn.Module]
    """A network with seeded weights, for a space."""
    loss: Callable[[Any, Clips, float], dict[str, Tensor]]
    """Of a network on clips, at a part of the training that is done."""
    speak: Callable[[Any, Tensor, Tensor, float, int], Iterator[Tensor]]
    """(network, reference_NC, audio_TAF, motion, seed) to moves (n, N, C), as they are made; T a multiple of
    `block`."""
    length: int
    """Latents of a training window."""
    block: int
    """Latents that are made together."""


def _make_ear(space: SpaceConfig, seed: int) -> nn.Module:
    config = replace(
        ear_tiny(),
        num_places=space.side**2,
        channels=space.channels,
        audio_rows=ROWS,
        audio_dim=BANDS,
        head_width=256,
    )
    return make_eartalking(config, seed)


def _ear_loss(network: EARTalking, clips: Clips, done: float) -> dict[str, Tensor]:
    return clip_loss(network, clips, EARTalkingLoss())


def _ear_speaks(
    network: EARTalking, reference: Tensor, audio: Tensor, motion: float, seed: int
) -> Iterator[Tensor]:
    controls = (Control(rows, motion) for rows in audio)
    made = generate_frames(network, reference, controls, replace(FRAME_STEPS, seed=seed))
    return (latent[None] for latent in made)


def _make_joy(space: SpaceConfig, seed: int) -> nn.Module:
    config = replace(joy_tiny(), side=space.side, channels=space.channels, audio_rows=ROWS, audio_dim=BANDS)
    return make_joyavatar(config, seed)


def _joy_loss(network: JoyAvatar, clips: Clips, done: float) -> dict[str, Tensor]:
    if done < ROLLED_FROM:
        return forced_loss(network, clips, JoyAvatarLoss())
    return rollout_loss(network, clips, BlockConfig())


def _joy_speaks(
    network: JoyAvatar, reference: Tensor, audio: Tensor, motion: float, seed: int
) -> Iterator[Tensor]:
    blocks = torch.split(audio, network.config.block)
    return generate_blocks(network, reference, blocks, BlockConfig(seed=seed))


KINDS: dict[str, Kind] = {
    "eartalking": Kind(
        make=_make_ear, loss=_ear_loss, speak=_ear_speaks, length=ear_tiny().window - 1, block=1
    ),
    "joyavatar": Kind(
        make=_make_joy,
        loss=_joy_loss,
        speak=_joy_speaks,
        length=joy_tiny().past + joy_tiny().block,
        block=joy_tiny().block,
    ),
}
