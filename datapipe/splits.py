"""Which split a clip belongs to: the corpus' own when it has one, else a stable hash of its id."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from .records import Clip, Rejected

NAMES = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """Shares of the splits where the corpus names none."""

    seed: int = 0
    """Another seed gives another assignment."""
    val: float = 0.05
    """Share of the clips that go to val."""
    test: float = 0.05
    """Share of the clips that go to test."""
    by: Literal["id", "speaker"] = "id"
    """What is held together: a clip alone, or all clips of a speaker (no identity in two splits)."""

    def __post_init__(self) -> None:
        if self.val < 0 or self.test < 0 or self.val + self.test >= 1:
            raise Rejected("bad_input", f"val {self.val} and test {self.test} leave nothing to train on")


def assign(clip: Clip, config: SplitConfig = SplitConfig()) -> str:
    """Name the split of a clip; it does not depend on which other clips there are."""
    if clip.split is not None:
        return clip.split
    unit = f"{clip.source}/{clip.speaker if config.by == 'speaker' else clip.id}"
    digest = hashlib.sha256(f"{config.seed}:{unit}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < config.test:
        return "test"
    return "val" if place < config.test + config.val else "train"
