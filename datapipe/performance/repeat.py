"""Timing two ways of the same work in turns, so that a busy moment of the machine meets both."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..console import track
from ..records import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    repeats: int
    """Rounds, each of which runs every way once."""
    clip_seconds: Seconds
    """Length of the clip that is decoded, cropped and encoded (a)."""
    build_repeats: int
    """Rounds of the builds on one and on two workers (b), which take minutes."""
    build_clips: int
    """Clips of these builds."""
    chain_segments: int
    """Segments that are cut out of one video (c)."""
    chain_seconds: Seconds
    """Length of each."""
    catalogue_clips: int
    """Size of the synthetic corpus (d)."""
    backend_clips: int
    """Clips per backend (e)."""


FULL = Sizes(
    repeats=3,
    clip_seconds=6.0,
    build_repeats=2,
    build_clips=96,
    chain_segments=2,
    chain_seconds=5.0,
    catalogue_clips=102_072,
    backend_clips=5,
)
QUICK = Sizes(
    repeats=1,
    clip_seconds=1.0,
    build_repeats=1,
    build_clips=6,
    chain_segments=2,
    chain_seconds=1.0,
    catalogue_clips=1_000,
    backend_clips=2,
)


def interleaved(
    ways: Mapping[str, Callable[[], object]], repeats: int, label: str, warm_up: bool = True
) -> dict[str, tuple[Seconds, ...]]:
    """Time every way `repeats` times, in turns, in alternating order, after a round that does not count."""
    times: dict[str, list[Seconds]] = {name: [] for name in ways}
    rounds = range(0 if warm_up else 1, repeats + 1)
    for number in track(rounds, label):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            started = time.perf_counter()
            ways[name]()
            if number:
                times[name].append(time.perf_counter() - started)
    return {name: tuple(each) for name, each in times.items()}


def ratios(above: tuple[Seconds, ...], below: tuple[Seconds, ...]) -> tuple[float, ...]:
    """Divide round by round."""
    return tuple(a / b for a, b in zip(above, below, strict=True))
