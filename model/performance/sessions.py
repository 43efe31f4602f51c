"""Seeded generators as sessions that `avatarsync bench latency --callable` can time (docs/latency.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from datapipe.media import read_audio
from datapipe.records import Phoneme

from ..presets import preset_named
from .clocks import clocked, now
from .seeded import seeded_avatar


class Session:
    """A generator that is loaded once and asked many times, on one thread."""

    def __init__(self, preset: str) -> None:
        torch.set_num_threads(1)
        self.avatar = seeded_avatar(preset_named(preset))

    def speak(self, reference: Path, audio: Path, phonemes: tuple[Phoneme, ...], out: Path) -> dict[str, Any]:
        """Make the video of timed phonemes and their sound; the picture is a crop already."""
        began = now()
        with clocked(self.avatar) as stages:
            bound = self.avatar.set_reference(reference, crop=False)
            until_bound = now() - began
            made = bound.say(phonemes, read_audio(audio)).save(out)
        return {"stages": stages, "first_frame_seconds": until_bound + made.first_frame_seconds}


def tiny() -> Session:
    """The preset `tiny`."""
    return Session("tiny")


def demo() -> Session:
    """The preset `demo`."""
    return Session("demo")
