"""From noise to data in a few steps, by one step rule for two things a network may say.

On both paths x_t = a(t) x + s(t) e, from t = 0 (data) to t = 1 (noise e). A network that says `noise` is on
the cosine path, a = cos(pi t / 2), s = sin(pi t / 2) (Nichol and Dhariwal 2021); one that says `velocity`,
e - x, is on the straight path, a = 1 - t, s = t (Lipman et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from datapipe.records import Rejected

Target = Literal["noise", "velocity"]
NOISIEST: dict[Target, float] = {"noise": 0.98, "velocity": 1.0}
"""Where a path begins: pure noise says nothing about the data, so the cosine stops short of it."""
Say = Callable[[Tensor, Tensor], Tensor]
"""(noised values, their times) to what the network says of them, shaped as the values."""


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """What a network's word amounts to."""

    data: Tensor
    noise: Tensor


def levels(times: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Shares a(t) of the data and s(t) of the noise."""
    if target == "velocity":
        return 1 - times, times
    angles = times * (math.pi / 2)
    return torch.cos(angles), torch.sin(angles)


def noised(data: Tensor, noise: Tensor, times: Tensor, target: Target) -> Tensor:
    """Values on the path; times are broadcast against the data."""
    clear, dim = levels(times, target)
    return clear * data + dim * noise


def wanted(data: Tensor, noise: Tensor, target: Target) -> Tensor:
    """What a network is to say: the noise (EARTalking eq. 1, MAR's diffusion loss) or the velocity."""
    return noise if target == "noise" else noise - data


def understood(values: Tensor, said: Tensor, times: Tensor, target: Target) -> Guess:
    """Data and noise by what the network said of values at those times."""
    if target == "velocity":
        return Guess(values - times * said, values + (1 - times) * said)
    clear, dim = levels(times, target)
    return Guess((values - dim * said) / clear, said)


def step_times(steps: int, target: Target, shift: float = 1.0) -> Tensor:
    """Times of `steps` steps and their end, (steps + 1,), falling to 0.

    `shift` above 1 spends more of them near noise: t' = s t / (1 + (s - 1) t), as Wan and Self-Forcing warp.
    Raises `Rejected("bad_input")` for no steps.
    """
    if steps < 1:
        raise Rejected("bad_input", f"{steps} denoising steps make nothing; give 1 or more")
    even = torch.linspace(NOISIEST[target], 0.0, steps + 1)
    return shift * even / (1 + (shift - 1) * even)


def denoise(start: Tensor, times: Tensor, say: Say, target: Target) -> Tensor:
    """Walk from noise to data without drawing again (DDIM with eta 0; Song et al. 2021, eq. 12)."""
    values = start
    for time, after in pairwise(times):
        at = time.to(values).expand(values.shape[:-1])
        guess = understood(values, say(values, at), time, target)
        values = noised(guess.data, guess.noise, after.to(values), target)
    return values
