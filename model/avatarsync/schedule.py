"""In which order the tokens of a picture are written: a static list of steps, each a vector of places.

In raster order a picture of H x W tokens takes H * W steps. Row-parallel (after ZipAR, He et al. 2024, which
needs no training) a row starts once the row above holds `window` tokens: W + (H - 1) * window steps, as what
lies far to the right in the row above says little of a token. A place that a step cannot see yet is hidden;
the token left of a row's first place, which raster order would know, is then the reference's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps of one picture."""

    steps: tuple[tuple[int, ...], ...]
    """Raster places that each step writes; every place once."""

    @property
    def num_tokens(self) -> int:
        """Places of the picture."""
        return sum(map(len, self.steps))

    def order(self, device: torch.device | None = None) -> Tensor:
        """Step at which every place is written, (K,)."""
        when = [0] * self.num_tokens
        for index, places in enumerate(self.steps):
            for place in places:
                when[place] = index
        return torch.tensor(when, device=device)

    def places(self, device: torch.device | None = None) -> Tensor:
        """Places of all steps as one (steps, widest) table; a narrow step repeats its first place."""
        widest = max(map(len, self.steps))
        padded = [places + places[:1] * (widest - len(places)) for places in self.steps]
        return torch.tensor(padded, device=device)

    def hidden(self, device: torch.device | None = None) -> Tensor:
        """Whether the row at place q (first axis) must not look at the row at place k; boolean (K, K)."""
        when, place = self.order(device), torch.arange(self.num_tokens, device=device)
        return (place[None] > place[:, None]) | (when[None] > when[:, None])


def make_schedule(num_tokens: int, window: int | None = None) -> Schedule:
    """Raster order without a window or with one as wide as a row; else rows in parallel."""
    side = int(num_tokens**0.5)
    lag = side if window is None else min(window, side)
    steps: list[list[int]] = [[] for _ in range(side + (side - 1) * lag)]
    for place in range(num_tokens):
        row, column = divmod(place, side)
        steps[row * lag + column].append(place)
    return Schedule(tuple(map(tuple, steps)))
