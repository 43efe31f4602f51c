"""How much is measured, and the shorter trial of the same."""

from __future__ import annotations

from dataclasses import dataclass

from datapipe.records import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    preset: str
    """The generator that is run (a, b, d)."""
    repeats: int
    """Rounds of what takes seconds; each runs every way once."""
    decode_keyframes: int
    """Keyframes that are decoded (a)."""
    sweep_repeats: int
    """Runs of every number of phonemes (b)."""
    side_by_side: tuple[int, ...]
    """Numbers of keyframes that are decoded at once (b)."""
    scan_length: int
    """Places of the sequences that are scanned (c)."""
    film_repeats: int
    """Videos of each speech (d)."""
    film_seconds: Seconds
    """Length of the speech at most (d)."""
    presets: tuple[str, ...]
    """Generators whose cost is counted (f)."""
    accelerator_preset: str
    """The generator that runs on a GPU (g)."""
    longest: Seconds
    """Seconds after which a process counts as hung."""


FULL = Sizes(
    preset="demo",
    repeats=3,
    decode_keyframes=16,
    sweep_repeats=5,
    side_by_side=(1, 2, 4, 8, 16, 32, 64),
    scan_length=2048,
    film_repeats=5,
    film_seconds=20.0,
    presets=("tiny", "demo", "paper"),
    accelerator_preset="paper",
    longest=600.0,
)
QUICK = Sizes(
    preset="tiny",
    repeats=1,
    decode_keyframes=4,
    sweep_repeats=1,
    side_by_side=(1, 2, 4),
    scan_length=256,
    film_repeats=1,
    film_seconds=3.0,
    presets=("tiny",),
    accelerator_preset="tiny",
    longest=300.0,
)
