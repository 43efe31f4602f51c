"""What generators of latents learn from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """Latents of a few clips: B clips, T latents, N places of C numbers, A rows of F numbers of sound."""

    reference_BNC: Tensor
    latents_BTNC: Tensor
    """Those to be made; the ones before a latent are also what it is made from."""
    audio_BTAF: Tensor
    motion_BT: Tensor
    """How strongly each moves: the mean distance that landmarks at the face's edge go from frame to frame."""
