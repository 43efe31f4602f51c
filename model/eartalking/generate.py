"""Frames one by one while their controls come in, in constant memory (the paper's Algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..latents.diffusion import denoise, step_times
from .config import Control
from .network import EARTalking, Told
from .spatial import group_sizes
from .window import cyclic_index

MOST_SEED = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameConfig:
    """How a frame is drawn."""

    spatial_steps: int = 36
    """Groups that the places of a frame are written in."""
    denoise_steps: int = 25
    """Steps of the diffusion head for each group."""
    temperature: float = 1.0
    """Scale of the noise it begins with; 0 is the likeliest frame."""
    seed: int = 0
    """Of the noise and of the order of places. A frame's draws depend on this and its number alone."""


@torch.no_grad()
def generate_frames(
    network: EARTalking,
    reference_NC: Tensor,
    controls: Iterable[Control],
    config: FrameConfig = FrameConfig(),
) -> Iterator[Tensor]:
    """Yield one latent (N, C) per control, as the controls come."""
    cache, anchor = network.begin(reference_NC[None])
    before = reference_NC
    for frame, control in enumerate(controls, start=1):
        at = cyclic_index(torch.tensor([[frame]], device=before.device), network.config.table)
        motion = before.new_tensor([[control.motion]])
        rows = network.frames.frame_rows(before[None, None], control.audio_AF[None, None], motion, at)
        features = network.frames.step(rows[:, 0], frame, cache)
        before = draw_frame(network, network.told(anchor, features), frame, config)
        yield before


def draw_frame(network: EARTalking, told: Told, frame: int, config: FrameConfig) -> Tensor:
    """Write the places of one frame group by group; (N, C)."""
    made, device = network.config, told.picture.device
    draws = torch.Generator("cpu").manual_seed((config.seed * 1_000_003 + frame) % MOST_SEED)
    order = torch.randperm(made.num_places, generator=draws).to(device)
    noise = config.temperature * torch.randn(made.num_places, made.channels, generator=draws).to(device)
    times = step_times(config.denoise_steps, made.target)
    values = torch.zeros_like(noise)
    known = torch.zeros(1, made.num_places, dtype=torch.bool, device=device)
    for group in torch.split(order, group_sizes(made.num_places, config.spatial_steps)):
        place_D = network.spatial(told.controls, told.picture, values[None], known)[0, group]

        def say(x: Tensor, t: Tensor, place_D: Tensor = place_D) -> Tensor:
            said: Tensor = network.head(x, t, place_D)
            return said

        values[group] = denoise(noise[group], times, say, made.target)
        known[0, group] = True
    return values
