"""What a training step of EARTalking draws, and the loss it gives (paper 3.1, 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..latents.clips import Clips
from ..latents.diffusion import NOISIEST, noised, wanted
from .network import EARTalking
from .spatial import hide_places


@dataclass(frozen=True, slots=True, kw_only=True)
class EARTalkingLoss:
    """How a step is drawn."""

    noise: float = 0.3
    """Largest noise on the frames that the network goes on from, each drawn between 0 and this: so it learns
    to mend its own errors. 0 is the paper's `w/o Noise` (Table 3)."""
    repeat: int = 4
    """Noise levels of the diffusion head that share one pass of the transformers (MAR)."""


def clip_loss(network: EARTalking, clips: Clips, config: EARTalkingLoss) -> dict[str, Tensor]:
    """Mean squared error of what the head says of hidden places (eq. 1), as `loss`.

    Every clip begins at a random row of the cyclic table. The reference is never noised.
    """
    earlier = torch.cat((clips.reference_BNC[:, None], clips.latents_BTNC[:, :-1]), dim=1)
    strength = config.noise * torch.rand(*earlier.shape[:2], 1, 1, device=earlier.device)
    strength[:, 0] = 0.0  # the frame before the first is the reference, which is always clean
    before = earlier + strength * torch.randn_like(earlier)
    offset_B = torch.randint(network.config.table - 1, (len(earlier),), device=earlier.device)
    told = network.all_frames(clips.reference_BNC, before, clips.audio_BTAF, clips.motion_BT, offset_B)
    values = clips.latents_BTNC.flatten(0, 1)
    hidden = hide_places(len(values), values.shape[1], values.device)
    known = network.spatial(told.controls.flatten(0, 1), told.picture.flatten(0, 1), values, ~hidden)
    return {"loss": head_loss(network, known[hidden], values[hidden], config.repeat)}


def head_loss(network: EARTalking, told_HD: Tensor, values_HC: Tensor, repeat: int) -> Tensor:
    """Loss of the diffusion head over hidden places, at `repeat` times each."""
    target = network.config.target
    told, values = told_HD.repeat(repeat, 1), values_HC.repeat(repeat, 1)
    times = NOISIEST[target] * torch.rand(len(values), device=values.device)
    noise = torch.randn_like(values)
    said = network.head(noised(values, noise, times[:, None], target), times, told)
    error: Tensor = (said - wanted(values, noise, target)).square().mean()
    return error
