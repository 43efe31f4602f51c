"""Seeded generators as sessions that `avatarsync bench latency --callable` can time (docs/latency.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from datapipe.media import write_video
from datapipe.records import Phoneme, Seconds

from ..film import read_picture
from ..presets import preset_named
from .flow import timed
from .seeded import seeded_avatar


class Speaker:
    """A generator that is loaded once and asked many times, on one thread."""

    def __init__(self, preset: str) -> None:
        torch.set_num_threads(1)
        self.avatar = seeded_avatar(preset_named(preset))

    def speak(
        self, reference: Path, phonemes: tuple[Phoneme, ...], out: Path, first_frame: Callable[[], None]
    ) -> dict[str, dict[str, Seconds]]:
        """Make the video of timed phonemes."""
        made = timed(self.avatar, read_picture(reference), phonemes, phonemes[-1].end, first_frame)
        write_video(out, made.frames_THW3)
        return {"stages": made.stages}


def tiny() -> Speaker:
    """The preset `tiny`."""
    return Speaker("tiny")


def demo() -> Speaker:
    """The preset `demo`."""
    return Speaker("demo")
