"""Blocks of latents one after another while their sound comes in, in constant memory.

Progressive Step Bootstrapping (PSB): the first blocks, which all later ones build on, get more denoising
steps. Motion Condition Injection (MCI): a block is also given the last latents of the block before, with
noise on them. Each step says the data and noises them again for the next one, as few-step students do
(Self-Forcing); then one more pass over the clean block writes its keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from datapipe.records import Rejected

from ..latents.diffusion import noised, step_times, understood
from .cache import CacheSight, RawKeyCache
from .network import MOTION, PICTURE, REFERENCE, JoyAvatar

MOST_SEED = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockConfig:
    """How a block is drawn."""

    steps: tuple[int, ...] = (8, 6, 4)
    """Denoising steps of the first block, the second, ...; the last number serves all later ones (PSB)."""
    shift: float = 5.0
    """How far steps are moved towards noise; Wan's."""
    motion_noise: float = 0.1
    """Share of noise on the latents that a block is given of the one before (MCI)."""
    seed: int = 0
    """Of the noise. A block's draws depend on this and its number alone."""

    def __post_init__(self) -> None:
        if not self.steps or min(self.steps) < 1:
            raise Rejected("bad_input", f"steps {self.steps} must be one or more numbers from 1")

    def steps_of(self, block: int) -> int:
        """Denoising steps of a block, counted from 0."""
        return self.steps[min(block, len(self.steps) - 1)]


@torch.no_grad()
def generate_blocks(
    network: JoyAvatar, reference_NC: Tensor, sounds: Iterable[Tensor], config: BlockConfig = BlockConfig()
) -> Iterator[Tensor]:
    """Yield latents (block, N, C) for each block of sound (block, A, F), as it comes."""
    speaking = Speaking(network, reference_NC[None], config)
    for audio in sounds:
        sound = network.heard(audio[None])
        block = speaking.draw(sound)
        speaking.keep(block, sound)
        yield block[0]


class Speaking:
    """Videos in the making: what they have been, in fixed memory, and how many blocks there are."""

    def __init__(self, network: JoyAvatar, reference_BNC: Tensor, config: BlockConfig) -> None:
        self.network, self.config, self.blocks = network, config, 0
        self.reference_B1NC = reference_BNC[:, None]
        self.cache = RawKeyCache(network.config, reference_BNC)
        self.latents = self.reference_B1NC[:, :0]
        """The last latents, (B, up to past, N, C)."""
        self.sound = network.unheard(len(reference_BNC))[:, :0]
        """What they hear, (B, up to past, A, D)."""
        self._write_reference()

    def draw(self, sound_BTAD: Tensor, until: int | None = None) -> Tensor:
        """Denoise the next block under its sound, (B, block, N, C).

        With `until`, end at that step with what it says of the data; only this step has a gradient.
        """
        times = step_times(self.config.steps_of(self.blocks), "velocity", self.config.shift).tolist()
        last = len(times) - 2 if until is None else until
        draws = torch.Generator("cpu").manual_seed((self.config.seed * 1_000_003 + self.blocks) % MOST_SEED)
        motion, heard = self._motion(draws)
        sounds = torch.cat((heard, sound_BTAD), 1)
        x = self._noise(draws)
        for step in range(last + 1):
            with torch.set_grad_enabled(torch.is_grad_enabled() and step == last):
                data = self._step(x, motion, sounds, times[step])
            x = noised(data, self._noise(draws), x.new_tensor(times[step + 1]), "velocity")
        return data

    def keep(self, block_BTNC: Tensor, sound_BTAD: Tensor) -> None:
        """Go on from a clean block: write its keys, and begin the table anew where it would end."""
        past = self.network.config.past
        self.latents = torch.cat((self.latents, block_BTNC), 1)[:, -past:].detach()
        self.sound = torch.cat((self.sound, sound_BTAD), 1)[:, -past:].detach()
        self.blocks += 1
        self._write(block_BTNC, sound_BTAD, PICTURE)
        if self.cache.must_reset:
            self._reset()

    def _step(self, x: Tensor, motion: Tensor, sounds: Tensor, time: float) -> Tensor:
        """What one pass says of the data of noised latents at a time."""
        count, size = motion.shape[1], x.shape[1]
        first = self.cache.next_time()
        where = torch.arange(first - count, first + size, device=x.device)
        times = x.new_tensor([self.config.motion_noise] * count + [time] * size).expand(len(x), -1)
        kinds = torch.tensor([MOTION] * count + [PICTURE] * size, device=x.device)
        sight = CacheSight(self.cache, where)
        said = self.network(torch.cat((motion, x), 1), times, sounds, kinds, sight)[:, count:]
        return understood(x, said, x.new_tensor(time), "velocity").data

    def _noise(self, draws: torch.Generator) -> Tensor:
        batch, _, places, channels = self.reference_B1NC.shape
        shape = (batch, self.network.config.block, places, channels)
        noise = torch.randn(shape, generator=draws, device="cpu")  # also while training on another device
        return noise.to(self.reference_B1NC.device)

    def _motion(self, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        """The last latents of the block before, noised, and their sound; none for the first block."""
        count = min(self.network.config.motion, self.latents.shape[1])
        last = self.latents[:, self.latents.shape[1] - count :]
        noise = torch.randn(last.shape, generator=draws, device="cpu").to(last.device)
        share = last.new_tensor(self.config.motion_noise)
        return noised(last, noise, share, "velocity"), self.sound[:, self.sound.shape[1] - count :]

    @torch.no_grad()
    def _write(self, latents: Tensor, sound: Tensor, kind: int) -> None:
        """Run clean latents, and keep their keys."""
        batch, count = latents.shape[:2]
        first = self.cache.next_time()
        where = torch.arange(first, first + count, device=latents.device)
        still, kinds = latents.new_zeros(batch, count), torch.full((count,), kind, device=latents.device)
        self.network(latents, still, sound, kinds, CacheSight(self.cache, where, keeps=True))
        self.cache.added(count)

    def _write_reference(self) -> None:
        self._write(self.reference_B1NC, self.network.unheard(len(self.reference_B1NC)), REFERENCE)

    def _reset(self) -> None:
        """Write the cache anew from position 0: the reference, then the last latents block by block."""
        self.cache.clear()
        self._write_reference()
        size = self.network.config.block
        for at in range(0, self.latents.shape[1], size):
            self._write(self.latents[:, at : at + size], self.sound[:, at : at + size], PICTURE)
