"""Runs made of numbers alone, for the tests of tables and tests."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.intervals import mean_estimate
from benchmark.records import GROUND_TRUTH, Direction, MetricInfo, RowKind, Run, Score, SystemRun

DIRECTIONS: dict[str, Direction] = {
    "psnr": "higher",
    "ssim": "higher",
    "csim_w600k_mbf": "higher",
    "mouth_opening_r": "higher",
    "sync_c_syncnet": "higher",
    "flicker_ratio": "target",
    "sync_offset_syncnet": "target",
}
TARGETS = {"flicker_ratio": 1.0, "sync_offset_syncnet": 0.0}


def keys(num: int) -> list[str]:
    return [f"clip{number:02d}" for number in range(num)]


def info(name: str, **settings: str) -> MetricInfo:
    return MetricInfo(
        name=f"video/{name}",
        title=name,
        unit="",
        direction=DIRECTIONS.get(name, "lower"),
        target=TARGETS.get(name),
        about="",
        protocol=dict(settings),
        protocol_hash="0123456789ab",
    )


def clips(name: str, values: Sequence[float | None], **changes: object) -> Score:
    """A score with a value per clip; None is a failed clip."""
    made = {key: float(v) for key, v in zip(keys(len(values)), values, strict=True) if v is not None}
    estimate = mean_estimate(np.array([made[key] for key in sorted(made)])) if made else None
    fields = {
        "metric": f"video/{name}",
        "value": estimate.value if estimate else None,
        "low": estimate.low if estimate else None,
        "high": estimate.high if estimate else None,
        "num_ok": len(made),
        "num_total": len(values),
        "failures": {key: "lost" for key in keys(len(values)) if key not in made},
        "per_clip": made,
        "not_measured": None if made else "every clip failed",
    }
    return Score(**{**fields, **changes})


def whole_set(name: str, value: float, replicates: Sequence[float] = (), num: int = 9) -> Score:
    """A score of a set: no values per clip."""
    return Score(
        metric=f"video/{name}",
        value=value,
        num_ok=num,
        num_total=num,
        failures={},
        per_clip={},
        replicates=tuple(replicates),
    )


def row(name: str, *scores: Score, kind: RowKind = "system") -> SystemRun:
    return SystemRun(
        name=name, kind="truth" if name == GROUND_TRUTH else kind, scores=scores, videos={}, notes={}
    )


def run_of(infos: Sequence[MetricInfo], rows: Sequence[SystemRun], num: int, **changes: object) -> Run:
    fields: dict = {
        "created": "2026-01-01",
        "reference": dict.fromkeys(keys(num), "sha"),
        "metrics": tuple(infos),
        "systems": tuple(rows),
        "differences": (),
        "weights": {},
        "environment": {},
        "seconds": {},
    }
    return Run(**{**fields, **changes})


def values_of(rows: Mapping[str, Mapping[str, float]], kinds: Mapping[str, RowKind]) -> list[SystemRun]:
    """Rows with one number per metric."""
    return [
        row(
            name,
            *(whole_set(metric, value) for metric, value in cells.items()),
            kind=kinds.get(name, "system"),
        )
        for name, cells in rows.items()
    ]
