"""JoyAvatar's causal diffusion transformer: every latent has a time of its own between data and noise.

A layer is self-attention under rotary positions, attention to the latent's own sound, and a feed-forward.
The latent's time scales and shifts them, by numbers that all layers share (Wan 2.1; ours has no text). Clean
latents are those at time 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..avatarsync.attention import Attention
from ..latents.conditions import Modulation, ScalarEmbedding, modulated
from ..layers import FeedForward
from .config import JoyAvatarConfig

PICTURE, MOTION, REFERENCE = range(3)
"""What a latent is to the network."""
SelfAttend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Unturned queries, keys and values (B, h, L, d) of the rows to what they attend to."""


class Sight(Protocol):
    """What the rows of a pass see, layer by layer."""

    def attend(self, layer: int, q_BhLd: Tensor, k_BhLd: Tensor, v_BhLd: Tensor) -> Tensor:
        """What unturned queries, keys and values of a layer attend to, (B, h, L, d)."""
        ...


class Layer(nn.Module):
    """One layer; rows are (B, T, N, D), conditions (B, T, 1, D)."""

    def __init__(self, config: JoyAvatarConfig) -> None:
        super().__init__()
        width, head = config.width, config.width // config.heads
        self.offsets = nn.Parameter(torch.zeros(6, width))
        self.attention = Attention(width, config.heads, config.heads)
        self.norm_q, self.norm_k, self.norm_sound = nn.RMSNorm(head), nn.RMSNorm(head), nn.RMSNorm(width)
        self.ask, self.answer = nn.Linear(width, width, bias=False), nn.Linear(width, 2 * width, bias=False)
        self.hear = nn.Linear(width, width, bias=False)
        self.feed = FeedForward(width)
        self.heads = config.heads

    def forward(self, x: Tensor, time: tuple[Tensor, ...], sound: Tensor, attend: SelfAttend) -> Tensor:
        """Rows, what their times say to all layers (6 times), and the sound of each latent (B, T, A, D)."""
        said = [each + own for each, own in zip(time, self.offsets, strict=True)]
        shift1, scale1, gate1, shift2, scale2, gate2 = said
        plain = modulated(functional.layer_norm(x, x.shape[-1:]), shift1, scale1).flatten(1, 2)
        q, k, v = self.attention.project(plain)
        seen = self.attention.merge(attend(self.norm_q(q), self.norm_k(k), v))
        x = x + gate1 * torch.unflatten(seen, 1, tuple(x.shape[1:3]))
        x = x + self._heard(x, sound)
        fed = self.feed(modulated(functional.layer_norm(x, x.shape[-1:]), shift2, scale2))
        changed: Tensor = x + gate2 * fed
        return changed

    def _heard(self, x_BTND: Tensor, sound_BTAD: Tensor) -> Tensor:
        """Every place looks at the sound of its own latent and at no other."""
        q = self._split(self.ask(self.norm_sound(x_BTND)))
        k, v = (self._split(each) for each in self.answer(sound_BTAD).chunk(2, dim=-1))
        heard = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        answer: Tensor = self.hear(heard.view_as(x_BTND))
        return answer

    def _split(self, rows: Tensor) -> Tensor:
        return torch.unflatten(rows.flatten(0, 1), -1, (self.heads, -1)).transpose(1, 2)


class JoyAvatar(nn.Module):
    """Noised and clean latents with times and sound to the velocity of every place."""

    def __init__(self, config: JoyAvatarConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.enter = nn.Linear(config.channels, width)
        self.sound = nn.Sequential(nn.Linear(config.audio_dim, width), nn.SiLU(), nn.Linear(width, width))
        self.moments = nn.Parameter(0.02 * torch.randn(config.audio_rows, width))
        self.silence = nn.Parameter(0.02 * torch.randn(config.audio_rows, width))
        self.kinds = nn.Embedding(3, width)
        self.time = ScalarEmbedding(width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))
        self.said = Modulation(width, 6)
        self.leave, self.out = Modulation(width, 2), nn.Linear(width, config.channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def heard(self, audio_BTAF: Tensor) -> Tensor:
        """Sound of latents as layers look at it, (B, T, A, D)."""
        embedded: Tensor = self.sound(audio_BTAF) + self.moments
        return embedded

    def unheard(self, batch: int) -> Tensor:
        """What the reference hears: it has no sound; (B, 1, A, D)."""
        return self.silence.expand(batch, 1, -1, -1)

    def forward(
        self, latents_BTNC: Tensor, times_BT: Tensor, sound_BTAD: Tensor, kinds_T: Tensor, sight: Sight
    ) -> Tensor:
        """Velocities (B, T, N, C) of all rows; `kinds` are PICTURE, MOTION or REFERENCE."""
        x = self.enter(latents_BTNC) + self.kinds(kinds_T)[:, None]
        time = self.time(times_BT)[:, :, None]
        said = self.said(time)
        for number, layer in enumerate(self.layers):

            def attend(q: Tensor, k: Tensor, v: Tensor, number: int = number) -> Tensor:
                return sight.attend(number, q, k, v)

            x = layer(x, said, sound_BTAD, attend)
        shift, scale = self.leave(time)
        velocities: Tensor = self.out(modulated(functional.layer_norm(x, x.shape[-1:]), shift, scale))
        return velocities


def make_joyavatar(config: JoyAvatarConfig, seed: int = 0) -> JoyAvatar:
    """Return a network with seeded weights."""
    torch.manual_seed(seed)
    return JoyAvatar(config)
