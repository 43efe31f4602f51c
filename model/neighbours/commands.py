"""The options of `avatarsync model train-neighbour`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from datapipe.places import Place


@dataclass(frozen=True, kw_only=True)
class TrainNeighbour:
    """Train EARTalking or JoyAvatar, at a size for two cores, on the latents of a run's tokenizer.

    Example: avatarsync model train-neighbour eartalking --run runs/demo --data shards/cmlr shards/hdtf
    """

    name: tyro.conf.Positional[Literal["eartalking", "joyavatar"]]
    """Which one; it is written into RUN/NAME."""
    run: Path
    """Folder of a run with a trained tokenizer."""
    data: tuple[Place, ...]
    """Folders of shards; their split `train` is read."""
    steps: int = 400
    """Updates of the weights."""
    batch: int = 4
    """Windows of 36 frames in each."""
    threads: int = 2
    """CPU threads; use 1 where two trainings run side by side."""
