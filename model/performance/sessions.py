"""Generators as sessions that `avatarsync bench latency --callable` can time (docs/latency.md)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from datapipe.media import read_audio
from datapipe.records import Phoneme, Rejected

from ..avatar import Avatar
from ..presets import preset_named
from .clocks import clocked, now
from .seeded import seeded_avatar

RUN = "AVATARSYNC_RUN"


class Session:
    """A generator that is loaded once and asked many times, on one thread."""

    def __init__(self, avatar: Avatar) -> None:
        torch.set_num_threads(1)
        self.avatar = avatar

    def speak(self, reference: Path, audio: Path, phonemes: tuple[Phoneme, ...], out: Path) -> dict[str, Any]:
        """Make the video of timed phonemes and their sound; the picture is a crop already."""
        began = now()
        with clocked(self.avatar) as stages:
            bound = self.avatar.set_reference(reference, crop=False)
            until_bound = now() - began
            made = bound.say(phonemes, read_audio(audio)).save(out)
        return {"stages": stages, "first_frame_seconds": until_bound + made.first_frame_seconds}


def tiny() -> Session:
    """The preset `tiny` with seeded weights: as quick as a trained one."""
    return Session(seeded_avatar(preset_named("tiny")))


def demo() -> Session:
    """The preset `demo` with seeded weights."""
    return Session(seeded_avatar(preset_named("demo")))


def trained() -> Session:
    """The trained run whose folder the variable AVATARSYNC_RUN names."""
    if RUN not in os.environ:
        raise Rejected("bad_input", f"{RUN} is not set; let it name the folder of a trained run")
    return Session(Avatar.load(Path(os.environ[RUN])))
