"""What a block sees of the past: unturned keys of the reference and of the last latents, in fixed memory.

Unbounded RoPE via Cache-Resetting (URCR), two readings of the abstract. `relative`: a key is turned when it
is read, by its place in the window (the reference 0, the oldest latent 1, ...), so that positions start
anew with every block and nothing is computed twice. `recompute`: positions count on; when the table would
end, the cache is emptied and written again from position 0, by clean passes over the reference and the last
latents.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .config import JoyAvatarConfig
from .rotation import Rotation, turned


class RawKeyCache:
    """Unturned keys, and values, of the reference and up to `past` latents, for every layer.

    There is room for one block more, which is written while the past is still seen.
    """

    def __init__(self, config: JoyAvatarConfig, like: Tensor) -> None:
        rows = config.live * config.num_places
        shape = (config.depth, len(like), config.heads, rows, config.width // config.heads)
        self.config, self.rotation = config, Rotation(config, like.device)
        self.keys, self.values = like.new_zeros(shape), like.new_zeros(shape)
        self.held = 0
        """Latents in the cache, the reference among them."""
        self.newest = -1
        """Position of the newest one since the last reset."""

    @property
    def num_bytes(self) -> int:
        """Memory of keys and values."""
        return self.keys.nbytes + self.values.nbytes

    def held_times(self) -> Tensor:
        """Positions of the latents in the cache: 0, then the newest ones without a gap."""
        first = 1 if self.config.reset == "relative" else self.newest - self.held + 2
        times = torch.arange(self.held, device=self.keys.device)
        times[1:] += first - 1
        return times

    def next_time(self) -> int:
        """Position of the first latent of the block to come."""
        return self.held if self.config.reset == "relative" else self.newest + 1

    @property
    def must_reset(self) -> bool:
        """Whether the block to come would lie beyond the table."""
        return self.next_time() + self.config.block > self.config.positions

    def read(self, layer: int) -> tuple[Tensor, Tensor]:
        """Turned keys, and values, of what is held; (B, h, held * N, d)."""
        place = slice(0, self.held * self.config.num_places)
        keys = self.keys[layer, :, :, place]
        if self.held:
            keys = turned(keys, self.rotation.angles(self.held_times()))
        return keys, self.values[layer, :, :, place]

    def keep(self, layer: int, k_BhLd: Tensor, v_BhLd: Tensor) -> None:
        """Write unturned keys and values behind what is held; `added` then counts them in."""
        first = self.held * self.config.num_places
        place = slice(first, first + k_BhLd.shape[2])
        self.keys[layer, :, :, place], self.values[layer, :, :, place] = k_BhLd, v_BhLd

    def added(self, count: int) -> None:
        """Count latents in that were kept in all layers, and drop the oldest, but never the reference."""
        self.held += count
        self.newest += count
        over = self.held - (1 + self.config.past)
        if over > 0:
            size = self.config.num_places
            kept, moved = slice((1 + over) * size, self.held * size), slice(size, (self.held - over) * size)
            for rows in (self.keys, self.values):
                rows[:, :, :, moved] = rows[:, :, :, kept].clone()
            self.held -= over

    def clear(self) -> None:
        """Begin anew at position 0."""
        self.held, self.newest = 0, -1


@dataclass(frozen=True, slots=True, eq=False)
class CacheSight:
    """A pass over the cache: its rows see what is held, and each other."""

    cache: RawKeyCache
    times_T: Tensor
    """Positions of the pass's latents."""
    keeps: bool = False
    """Whether the pass's keys and values stay in the cache."""

    def attend(self, layer: int, q_BhLd: Tensor, k_BhLd: Tensor, v_BhLd: Tensor) -> Tensor:
        """As `network.Sight`."""
        angles = self.cache.rotation.angles(self.times_T)
        held_k, held_v = self.cache.read(layer)
        keys, values = torch.cat((held_k, turned(k_BhLd, angles)), 2), torch.cat((held_v, v_BhLd), 2)
        if self.keeps:
            self.cache.keep(layer, k_BhLd, v_BhLd)
        return functional.scaled_dot_product_attention(turned(q_BhLd, angles), keys, values)
