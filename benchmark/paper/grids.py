"""The paper's comparisons of a generator with itself, and which runs of ours repeat them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..ablation import Ablation, Made, ablation
from ..records import Run

VARIANT = re.compile(r"(?P<variant>[\w-]+)-s(?P<seed>\d+)")
"""How `avatarsync model ablate` names its systems."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridOfPaper:
    """One table of the paper and the variants that repeat it."""

    grid: str
    table: str
    level: str
    """Metrics of whole videos, or of teacher-forced keyframes."""
    variants: Mapping[str, str]
    """Variant to the row of the paper."""
    ours: str
    """The variant that the paper chose."""


MASKS = GridOfPaper(
    grid="masks",
    table="Table 3",
    level="video",
    variants={
        "full": "Non-Causal Global Attention",
        "accumulative": "Causal Accumulative Attention",
        "window2": "Limited History Attention",
        "one_to_one": "One-to-One Attention (Ours)",
    },
    ours="one_to_one",
)
ALLOCATION = GridOfPaper(
    grid="allocation",
    table="Table 5",
    level="video",
    variants={"random": "Random", "fixed": "Fixed", "dynamic": "Dynamic (ours)"},
    ours="dynamic",
)
LOSSES = GridOfPaper(
    grid="losses",
    table="Table 6",
    level="keyframe",
    variants={
        "ce": "CE",
        "ce-lpips": "CE + LPIPS",
        "ce-identity": "CE + Identity",
        "ce-facial": "CE + Facial",
        "ce-lpips-identity": "CE + LPIPS + Identity",
        "ce-lpips-facial": "CE + LPIPS + Facial",
        "ce-identity-facial": "CE + Identity + Facial",
        "ce-lpips-identity-facial": "CE + LPIPS + Identity + Facial",
    },
    ours="ce-lpips-identity-facial",
)
CONDITIONING = GridOfPaper(
    grid="conditioning",
    table="Figure 5",
    level="video",
    variants={"syllable": "Syllables (without PRL)", "phoneme": "Phonemes (PRL)"},
    ours="phoneme",
)
GRIDS = (MASKS, ALLOCATION, LOSSES, CONDITIONING)


def grid_of(run: Run) -> GridOfPaper | None:
    """The comparison that a run repeats: all its systems are variants of it; None for any other run."""
    names = {variant for variant, _ in variants_of(run)}
    return next((grid for grid in GRIDS if names and names <= set(grid.variants)), None)


def variants_of(run: Run) -> list[tuple[str, int]]:
    """(variant, seed) of every system; none where one of them is no variant."""
    found = [VARIANT.fullmatch(each.name) for each in run.systems if each.kind == "system"]
    named = [(match["variant"], int(match["seed"])) for match in found if match]
    return named if len(named) == len(found) else []


def scored_variants(grid: GridOfPaper, run: Run) -> Ablation:
    """The run's systems gathered into variants, with means over seeds and paired intervals."""
    order = list(grid.variants)
    made = [
        Made(
            grid=grid.grid, title=grid.table, variant=variant, label=variant, place=order.index(variant),
            is_ours=variant == grid.ours, seed=seed, system=f"{variant}-s{seed}", run="", seconds=0.0,
        )
        for variant, seed in variants_of(run)
    ]  # fmt: skip
    return ablation(run, sorted(made, key=lambda each: (each.place, each.seed)))
