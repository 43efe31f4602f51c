"""EARTalking by sizes: `tiny` for tests and two cores, `paper` as the paper and its backbone state."""

from __future__ import annotations

from .config import EARTalkingConfig


def tiny() -> EARTalkingConfig:
    """Two million weights: latents of 16 places of 48 numbers, four rows of an 80-band spectrum."""
    return EARTalkingConfig(target="velocity")  # told from few steps it draws truer than noise


def paper() -> EARTalkingConfig:
    """About 0.6 billion weights: the widths and depths of NOVA, which the paper's weights begin from.

    NOVA: 16 layers over frames and 32 over places of width 1024, a head of 3 x 1280, 16 numbers of Wan's VAE
    in patches of 2; 37 frames are 10 of its latents. WavLM-Large gives 8 rows of 1024 for the 4 frames of a
    latent. The paper's resolution is not readable; 512 x 512 gives these places.
    """
    return EARTalkingConfig(
        num_places=1024,
        channels=64,
        audio_rows=8,
        audio_dim=1024,
        width=1024,
        heads=16,
        depth=16,
        spatial_depth=32,
        head_width=1280,
        head_depth=3,
        window=10,
        table=20,
    )
