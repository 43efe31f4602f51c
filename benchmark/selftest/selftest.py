"""Published and closed-form values that the metrics must reproduce before anyone trusts a table.

Each vector names its source. Those that need weights are skipped, with the reason, when the weights are not
here; "conformant" may only be said of metrics all of whose parts reproduced their vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from datapipe.records import Rejected

from . import known_values
from .vectors import Vector, pattern

__all__ = ["PARTS", "VECTORS", "Outcome", "Vector", "as_record", "conformant", "pattern", "run_vectors"]

VECTORS: tuple[Vector, ...] = (
    *known_values.FRECHET,
    *known_values.PSNR,
    *known_values.SSIM,
    *known_values.LPIPS,
    *known_values.FID,
    *known_values.FVD,
)
PARTS: dict[str, tuple[str, ...]] = {
    "fid": ("distance", "fid network"),
    "fid_clean": ("distance", "fid network", "clean resize"),
    "fvd_debiased": ("distance", "fvd network", "debiased preparation"),
    "fvd_styleganv": ("distance", "fvd network"),
}
"""Metrics that are conformant when each of these is; any other stands for itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a vector."""

    vector: Vector
    status: Literal["pass", "fail", "skip"]
    measured: float | None
    why: str = ""


def run_vectors(slow: bool = False) -> tuple[Outcome, ...]:
    """Compute every vector that the present weights allow, those that take minutes only when `slow`."""
    return tuple(_outcome(vector) for vector in VECTORS if slow or not vector.slow)


def _outcome(vector: Vector) -> Outcome:
    try:
        measured = vector.compute()
    except Rejected as rejected:
        return Outcome(vector, "skip", None, rejected.message)
    scale = abs(vector.expected) or 1.0
    passed = abs(measured - vector.expected) <= vector.tolerance * scale
    return Outcome(vector, "pass" if passed else "fail", measured)


def conformant(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """What reproduced every vector of all its parts, with a value from elsewhere for each part."""
    unproven = {outcome.vector.metric for outcome in outcomes if outcome.status != "pass"}
    proven = {outcome.vector.metric for outcome in outcomes if outcome.vector.published} - unproven
    in_parts = {part for parts in PARTS.values() for part in parts}
    whole = {name for name, parts in PARTS.items() if proven.issuperset(parts)}
    return tuple(sorted(whole | (proven - in_parts)))


def as_record(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What `--json` prints: every vector with its outcome, and the metrics that may be called conformant."""
    rows = [
        {
            "metric": outcome.vector.metric,
            "vector": outcome.vector.name,
            "status": outcome.status,
            "measured": outcome.measured,
            "expected": outcome.vector.expected,
            "tolerance": outcome.vector.tolerance,
            "published": outcome.vector.published,
            "source": outcome.vector.source,
            "why": outcome.why,
        }
        for outcome in outcomes
    ]
    return {"vectors": rows, "conformant": list(conformant(outcomes))}
