"""Rotary positions in time, rows and columns, from a table that is finite in time (Su et al. 2021; Wan).

Only differences of positions matter to attention. So keys are kept as they are, and turned when they are
read, by where they lie in the window at that moment: no position ever grows with the length of the video.
"""

from __future__ import annotations

import torch
from torch import Tensor

from datapipe.records import Rejected

from .config import JoyAvatarConfig

SLOWEST = 1e4


class Rotation:
    """Angles of every place at every moment of the table."""

    def __init__(self, config: JoyAvatarConfig, device: torch.device | None = None) -> None:
        pairs = config.width // config.heads // 2
        along = pairs // 3
        counts = (pairs - 2 * along, along, along)
        time_Pp, *both = [
            torch.arange(length, device=device)[:, None]
            * SLOWEST ** (-torch.arange(count, device=device) / max(1, count))
            for length, count in zip((config.positions, config.side, config.side), counts, strict=True)
        ]
        rows = both[0].repeat_interleave(config.side, 0)
        columns = both[1].repeat(config.side, 1)
        self.time_Pp, self.place_Np = time_Pp, torch.cat((rows, columns), dim=1)

    def angles(self, times_T: Tensor) -> Tensor:
        """Angles of all places at these moments, (T * N, d / 2).

        Raises `Rejected("bad_input")` beyond the table: there are no such positions.
        """
        if int(times_T.max()) >= len(self.time_Pp):
            raise Rejected(
                "bad_input",
                f"moment {int(times_T.max())} is beyond the table of {len(self.time_Pp)}; reset the cache",
            )
        time = self.time_Pp[times_T].repeat_interleave(len(self.place_Np), 0)
        return torch.cat((time, self.place_Np.repeat(len(times_T), 1)), dim=1)


def turned(x_BhLd: Tensor, angles_Lp: Tensor) -> Tensor:
    """Queries or keys with each pair of numbers turned by its angle."""
    first, second = torch.unflatten(x_BhLd, -1, (-1, 2)).unbind(-1)
    cos, sin = torch.cos(angles_Lp), torch.sin(angles_Lp)
    pairs = torch.stack((first * cos - second * sin, first * sin + second * cos), dim=-1)
    return pairs.flatten(-2).to(x_BhLd.dtype)
