"""Fit timed units into a clip so that they and silence cover it, without gaps or overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .records import SILENCE, Phoneme, Seconds

SHORTEST = 0.001
"""Seconds; a unit of which less lies inside the clip is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A unit between two instants, before it is fitted into the clip."""

    symbol: str
    start: Seconds
    end: Seconds
    score: float = 0.0
    mark: int | None = None


def tile(units: Sequence[Span], duration: Seconds, shortest_pause: Seconds) -> tuple[Phoneme, ...]:
    """Cover [0, duration] with the units and silence between them.

    Units are in order and do not overlap, but may reach out of the clip (negative starts included): those
    parts are cut off, and units of which less than 1 ms is inside are left out. A pause shorter than
    `shortest_pause` is shared by its neighbours; at the clip's edges it goes to the one neighbour.
    """
    cut = [(unit, max(0.0, unit.start), min(duration, unit.end)) for unit in units]
    inside = [(unit, start, end) for unit, start, end in cut if end - start >= SHORTEST]
    edges = _close_pauses([(start, end) for _, start, end in inside], duration, shortest_pause)
    found: list[Phoneme] = []
    at = 0.0
    for (unit, _, _), (start, end) in zip(inside, edges, strict=True):
        if start > at:
            found.append(Phoneme(symbol=SILENCE, start=at, end=start))
        found.append(Phoneme(symbol=unit.symbol, start=start, end=end, score=unit.score, stress=unit.mark))
        at = end
    if at < duration:
        found.append(Phoneme(symbol=SILENCE, start=at, end=duration))
    return tuple(found)


def _close_pauses(
    edges: Sequence[tuple[Seconds, Seconds]], duration: Seconds, shortest_pause: Seconds
) -> list[tuple[Seconds, Seconds]]:
    if not edges:
        return []
    starts = [start for start, _ in edges]
    ends = [end for _, end in edges]
    for i in range(len(edges) - 1):
        if starts[i + 1] - ends[i] < shortest_pause:
            ends[i] = starts[i + 1] = round((ends[i] + starts[i + 1]) / 2, 4)
    starts[0] = 0.0 if starts[0] < shortest_pause else starts[0]
    ends[-1] = duration if duration - ends[-1] < shortest_pause else ends[-1]
    return list(zip(starts, ends, strict=True))
