"""A dataset in numbers: splits, languages, speakers, and the spread of every quality column."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from .records import SILENCE, Sample, from_json
from .shards import read_shard

PERCENTILES = {"min": 0, "p5": 5, "median": 50, "p95": 95, "max": 100}


def read_metas(shards: Path) -> list[Sample]:
    """Read the records of all samples."""
    entries = [members for path in sorted(shards.glob("*.tar")) for _, members in read_shard(path)]
    return [from_json(members["meta.json"].decode("utf-8"), Sample) for members in entries]


def summarise(metas: list[Sample]) -> dict[str, Any]:
    """Count and measure; quality columns by name, each as min, p5, median, p95, max and n."""
    columns: dict[str, list[float]] = {}
    for meta in metas:
        for name, value in meta.quality.items():
            columns.setdefault(name, []).append(value)
    symbols = [phoneme.symbol for meta in metas for phoneme in meta.phonemes if phoneme.symbol != SILENCE]
    return {
        "samples": len(metas),
        "seconds": round(sum(meta.duration for meta in metas), 3),
        "frames": sum(meta.num_frames for meta in metas),
        "keyframes": sum(len(meta.keyframes) for meta in metas),
        "speakers": len({(meta.source, meta.speaker) for meta in metas}),
        "splits": dict(sorted(Counter(meta.split for meta in metas).items())),
        "languages": dict(sorted(Counter(meta.language for meta in metas).items())),
        "transcripts": dict(sorted(Counter(meta.text_origin for meta in metas).items())),
        "phonemes": dict(Counter(symbols).most_common()),
        "quality": {name: _spread(values) for name, values in sorted(columns.items())},
    }


def _spread(values: list[float]) -> dict[str, float]:
    spread = {name: round(float(np.percentile(values, at)), 4) for name, at in PERCENTILES.items()}
    return spread | {"n": len(values)}


def table(facts: dict[str, Any]) -> str:
    """Lay the summary out for a terminal."""
    simple = ("samples", "seconds", "frames", "keyframes", "speakers", "splits", "languages", "transcripts")
    lines = [f"{name:<12} {_plain(facts[name])}" for name in simple]
    lines.append(f"{'rejected':<12} {_plain(facts.get('rejected', {})) or 'none'}")
    lines += ["", f"{'column':<18}" + "".join(f"{name:>11}" for name in [*PERCENTILES, "n"])]
    for column, spread in facts["quality"].items():
        lines.append(f"{column:<18}" + "".join(f"{spread[name]:>11g}" for name in [*PERCENTILES, "n"]))
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
