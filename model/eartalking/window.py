"""Sink Frame Window Attention: who sees whom, which position a frame has, and the cache (paper 3.3).

Frame 0 is the reference, the sink: every frame sees it and it is never dropped. Of the others a frame sees
itself and the `window` - 2 before it. `visible` is the one definition; the mask of a whole clip and what a
step sees in the cache both derive from it, so that the cache gives what the masked pass gives, however long
the clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .config import EARTalkingConfig

EMPTY = torch.iinfo(torch.int64).max
"""Frame of a place of the cache that nothing was written to: it lies in everyone's future."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What stands in each row of a sequence; two vectors of its length L."""

    frame: Tensor
    visual: Tensor
    """Whether it is a place of the picture, not a control."""


def rows_of(frames: Tensor, config: EARTalkingConfig) -> Rows:
    """Rows of the frames with these numbers: each its controls, then its places."""
    visual = torch.arange(config.rows, device=frames.device) >= config.controls
    return Rows(frames.repeat_interleave(config.rows), visual.repeat(len(frames)))


def visible(query: Rows, key: Rows, config: EARTalkingConfig) -> Tensor:
    """Whether each query row sees each key row, (queries, keys)."""
    back = query.frame[:, None] - key.frame
    alive = (back >= 0) & ((back < config.window - 1) | (key.frame == 0))
    if not config.audio_cache:
        alive &= key.visual | (back == 0)
    if config.one_way:
        alive &= query.visual[:, None] | ~key.visual
    return alive


def cyclic_index(frames: Tensor, table: int, offset: Tensor | int = 0) -> Tensor:
    """Row of the table of positions for each frame: 0 for the reference, then 1..P-1 in turn (eq. 5)."""
    return torch.where(frames == 0, 0, 1 + (frames - 1 + offset) % (table - 1))


class SinkCache:
    """Keys and values of the frames that live, for every layer; its memory never grows.

    The reference stays in slot 0. The others take turns in the slots after it: a new frame takes the place
    of the oldest one, which is the second frame of the window.
    """

    def __init__(self, config: EARTalkingConfig, like: Tensor) -> None:
        shape = (
            config.depth,
            len(like),
            config.heads,
            config.window * config.rows,
            config.width // config.heads,
        )
        self.config = config
        self.keys, self.values = like.new_zeros(shape), like.new_zeros(shape)
        self.frames = torch.full((config.window,), EMPTY, device=like.device)

    def slot(self, frame: int) -> int:
        """Where a frame is kept."""
        return 0 if frame == 0 else 1 + (frame - 1) % (self.config.window - 1)

    def begin(self, frame: int) -> Tensor:
        """Make room for a frame; what it sees, (G, W * G)."""
        self.frames[self.slot(frame)] = frame
        query = rows_of(torch.tensor([frame], device=self.frames.device), self.config)
        return visible(query, rows_of(self.frames, self.config), self.config)

    def write(self, layer: int, frame: int, k_BhGd: Tensor, v_BhGd: Tensor) -> tuple[Tensor, Tensor]:
        """Keep a frame's rows of one layer; all keys and values of that layer, (B, h, W * G, d)."""
        first = self.slot(frame) * self.config.rows
        place = slice(first, first + self.config.rows)
        self.keys[layer, :, :, place], self.values[layer, :, :, place] = k_BhGd, v_BhGd
        return self.keys[layer], self.values[layer]

    @property
    def num_bytes(self) -> int:
        """Memory of keys and values."""
        return self.keys.nbytes + self.values.nbytes
