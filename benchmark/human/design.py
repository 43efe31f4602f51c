"""Which videos a rater sees, and in which order: a Latin square over systems and clips, repeats and checks.

A round shows every clip once. Round k of rater r shows clip c as made by the system in column k of row r + c
of a Williams square (1949): over as many raters as there are systems every video stands in every round
equally often, and every system follows every other one on a clip equally often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from datapipe.records import Rejected

from ..records import GROUND_TRUTH
from .records import BEST, WORST, Item, Plan

MOST_ITEMS = 400
"""Items per rater that a page takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """How much each rater is shown."""

    raters: int
    rounds: int | None = None
    """Times that a rater meets each clip, each time made by another system; None is once per system."""
    repeats: int = 2
    """Items that come a second time, for test-retest; at least one."""
    told: int = 1
    """Checks that say which answer to give."""
    broken: int = 1
    """Checks that show a damaged clip."""

    def __post_init__(self) -> None:
        limits = {"raters": (1, 1000), "rounds": (1, 100), "repeats": (1, 20)}
        limits |= {"told": (0, 10), "broken": (0, 10)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise Rejected("bad_input", f"--{name} {value}: it must be between {low} and {high}")
        if self.told + self.broken < 1:
            raise Rejected("bad_input", "a study needs an attention check; give --told 1 or --broken 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Names of the kit's videos."""

    of: dict[tuple[str, str], str]
    """(system, case) to file."""
    plain: str
    """Shown where the answer is told."""
    broken: str
    case: str
    """The clip of both checks."""


def williams_square(num: int) -> list[list[int]]:
    """Rows in which every number stands once, and after every other one equally often over all rows.

    `num` rows for an even number; for an odd one as many again, mirrored (Williams 1949).
    """
    first = [(k + 1) // 2 if k % 2 else (num - k // 2) % num for k in range(num)]
    rows = [[(value + row) % num for value in first] for row in range(num)]
    return rows if num % 2 == 0 else rows + [row[::-1] for row in rows]


def make_plans(
    systems: Sequence[str], cases: Sequence[str], files: Files, design: Design, seed: int
) -> tuple[Plan, ...]:
    """Plan every rater's page; the same arguments always give the same plans."""
    rounds = design.rounds or len(systems)
    if rounds > len(systems):
        what = f"--rounds {rounds}: a clip can be shown by {len(systems)} systems only"
        raise Rejected("bad_input", f"{what}; give at most that many")
    num_items = rounds * len(cases) + design.repeats + design.told + design.broken
    if num_items > MOST_ITEMS:
        what = f"{num_items} videos per rater are more than {MOST_ITEMS}"
        raise Rejected("bad_input", f"{what}; show fewer with --rounds, or give fewer cases")
    random = np.random.default_rng(seed)
    shuffled_systems = [systems[k] for k in random.permutation(len(systems))]
    shuffled_cases = [cases[k] for k in random.permutation(len(cases))]
    return tuple(
        _plan(rater, shuffled_systems, shuffled_cases, files, replace(design, rounds=rounds), seed)
        for rater in range(design.raters)
    )


def _plan(
    rater: int, systems: Sequence[str], cases: Sequence[str], files: Files, design: Design, seed: int
) -> Plan:
    random = np.random.default_rng([seed, rater])
    pairs = _pairs(rater, systems, cases, design.rounds or 1, random)
    items = [
        Item(id="", kind="rating", case=case, system=system, video=files.of[system, case])
        for system, case in pairs
    ]
    with_repeats = _with_repeats(items, design.repeats, random)
    return Plan(rater=f"{rater + 1:02d}", items=_numbered(_with_checks(with_repeats, files, design, random)))


def _pairs(
    rater: int, systems: Sequence[str], cases: Sequence[str], rounds: int, random: np.random.Generator
) -> list[tuple[str, str]]:
    """(system, case) in the order of showing; no clip follows itself unless it is the only one."""
    square, num = williams_square(len(systems)), len(systems)
    half = num * (rater // num % (len(square) // num))
    pairs: list[tuple[str, str]] = []
    for column in range(rounds):
        order = [int(k) for k in random.permutation(len(cases))]
        if pairs and len(cases) > 1 and cases[order[0]] == pairs[-1][1]:
            order = [*order[1:], order[0]]
        pairs += [(systems[square[half + (rater + k) % num][column]], cases[k]) for k in order]
    return pairs


def _with_repeats(items: list[Item], num: int, random: np.random.Generator) -> list[Item]:
    """Show items of the first half again in the second; until numbered, `again` is a place in `items`."""
    half = max(1, len(items) // 2)
    chosen = random.choice(half, size=min(num, half), replace=False)
    mixed = list(items)
    for place in sorted(int(k) for k in chosen):
        at = int(random.integers(min(half + 1, len(mixed)), len(mixed) + 1))
        mixed.insert(at, replace(items[place], kind="repeat", again=str(place)))
    return mixed


def _with_checks(items: list[Item], files: Files, design: Design, random: np.random.Generator) -> list[Item]:
    """Put checks anywhere but at the very beginning."""
    told = [
        Item(
            id="",
            kind="told",
            case=files.case,
            system=GROUND_TRUTH,
            video=files.plain,
            choose=int(random.integers(WORST, BEST + 1)),
        )
        for _ in range(design.told)
    ]
    damaged = Item(id="", kind="broken", case=files.case, system=GROUND_TRUTH, video=files.broken)
    mixed = list(items)
    for check in [*told, *[damaged] * design.broken]:
        mixed.insert(int(random.integers(1, len(mixed) + 1)), check)
    return mixed


def _numbered(items: list[Item]) -> tuple[Item, ...]:
    """Give every item its place as its id, and every repeat the id of what it repeats."""
    ids = [f"{number:03d}" for number in range(1, len(items) + 1)]
    ratings = [id for id, item in zip(ids, items, strict=True) if item.kind == "rating"]
    return tuple(
        replace(item, id=id, again=ratings[int(item.again)] if item.kind == "repeat" else "")
        for id, item in zip(ids, items, strict=True)
    )
