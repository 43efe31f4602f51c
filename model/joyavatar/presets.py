"""JoyAvatar by sizes: `tiny` for tests and two cores, `paper` as far as its abstract and backbone state."""

from __future__ import annotations

from .config import JoyAvatarConfig


def tiny() -> JoyAvatarConfig:
    """Two million weights: latents of 16 places of 48 numbers, four rows of an 80-band spectrum."""
    return JoyAvatarConfig()


def paper() -> JoyAvatarConfig:
    """About 1.3 billion weights: 30 layers of 1536 with 12 heads, as Wan 2.1's smaller model.

    Wan: 16 numbers of its VAE in patches of 2, a table of 1024 moments. Self-Forcing: blocks of 3, a window
    of 21 latents. The resolution is not stated; 512 x 512 gives these places.
    """
    return JoyAvatarConfig(
        side=32, channels=64, audio_rows=8, audio_dim=1024, width=1536, heads=12, depth=30, block=3, past=18
    )
