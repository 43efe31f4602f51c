"""(f) What each preset computes and moves per output frame, counted without any hardware."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from datapipe.performance.figures import Figure, Line, Measurement, Table
from datapipe.performance.processes import run_module

from ..avatarsync.keyframes import KeyframeConfig
from ..presets import preset_named
from .sizes import Sizes
from .stages import DTYPES, NUM_FRAMES, RATES, num_keyframes

STAGES = ("reference", "keyframes", "pictures", "pairs", "frames")
EXPECTED = {"mandarin": "80 to 100", "english": "150 to 180"}
PLANNED = {"keyframes": (84.0, 164.0), "pictures": (129.0, 254.0), "pairs and frames": (43.0, 38.0)}
"""GMAC per frame (Mandarin, English) of the preset `paper` as it was planned, counted before it was built."""
Counted = Mapping[tuple[str, str], Mapping[str, Any]]
"""Stages by their names, of each preset and language."""
METHOD = (
    "`avatarsync bench cost --callable model.performance.stages:{preset}_{language}`: "
    "multiply-accumulates of matrix products, convolutions and attention, counted by torch on the meta "
    "device, over a clip of {frames} frames with {mandarin} keyframes (Mandarin, {zh:g} a second) or "
    "{english} (English, {en:g}), all different and written together, one reference per clip. "
    "Element-wise work, norms, warps and the state-space scan's recurrence are not counted. Weights are "
    "read once per call, and once per step of decoding; cache is what attention reads of keys and values, "
    "each once per step and the reference's shared by all keyframes. All in float32, but the transformer "
    "of paper in bfloat16."
)


def measure_cost(sizes: Sizes, folder: Path) -> Measurement:
    """Count every preset with the suite's own command."""
    told = {
        (preset, language): _counted(preset, language, sizes)
        for preset in sizes.presets
        for language in RATES
    }
    counted = {
        key: {each["name"]: each for each in record["counted"]["stages"]} for key, record in told.items()
    }
    figures = tuple(
        Figure(
            name=f"{preset}, {language}: GMAC per frame",
            unit="",
            values=(_gmac(stages, STAGES),),
            expected=EXPECTED[language] if preset == "paper" else "",
        )
        for (preset, language), stages in counted.items()
    )
    tables = [_by_stage(preset, counted) for preset in sizes.presets]
    if "paper" in sizes.presets:
        tables.append(_against_plan(counted))
    tables.append(_peers(next(iter(told.values()))["quoted"]["rows"]))
    zh, en = RATES["mandarin"], RATES["english"]
    method = METHOD.format(
        preset="PRESET",
        language="LANGUAGE",
        frames=NUM_FRAMES,
        mandarin=num_keyframes("mandarin"),
        english=num_keyframes("english"),
        zh=zh,
        en=en,
    )
    title = "Cost without hardware"
    return Measurement(name="f", title=title, method=method, figures=figures, tables=tuple(tables))


def cache_bytes(config: KeyframeConfig, keyframes: int, itemsize: int) -> float:
    """Bytes of keys and values that all steps of one clip read, whatever the attention kernel.

    A step reads the context (phonemes, [B], reference) once for all keyframes, and each keyframe's own rows,
    (K + 1) / 2 of them in the mean.
    """
    context = keyframes + 1 + config.num_tokens
    own = keyframes * (config.num_tokens + 1) / 2
    row = 2 * config.num_kv_heads * (config.width // config.heads) * itemsize
    return config.num_tokens * config.depth * row * (context + own)


def _counted(preset: str, language: str, sizes: Sizes) -> dict[str, Any]:
    name = f"model.performance.stages:{preset}_{language}"
    printed = run_module("avatarsync", ["bench", "cost", "--json", "--callable", name], sizes.longest)
    record: dict[str, Any] = json.loads(printed)
    return record


def _gmac(stages: Mapping[str, Any], names: Sequence[str]) -> float:
    return sum(float(stages[name]["gmac_per_call"] * stages[name]["calls_per_frame"]) for name in names)


def _by_stage(preset: str, counted: Counted) -> Table:
    """Small presets in millions, which are thousandths of those of large ones."""
    unit, scale = ("GMAC", 1.0) if _gmac(counted[preset, "english"], STAGES) >= 1 else ("MMAC", 1e3)
    lines = [Line(label=name, values=_line(preset, (name,), scale, counted)) for name in STAGES]
    lines.append(Line(label="all", values=_line(preset, STAGES, scale, counted)))
    kinds = (unit, "weights MB", "cache MB")
    columns = ("stage", *(f"{kind}, {language}" for kind in kinds for language in RATES))
    return Table(title=f"`{preset}`, per output frame", columns=columns, lines=tuple(lines))


def _line(preset: str, names: Sequence[str], scale: float, counted: Counted) -> tuple[float, ...]:
    both = [counted[preset, language] for language in RATES]
    gmac = [scale * _gmac(stages, names) for stages in both]
    weights = [sum(_weights(stages[name]) for name in names) for stages in both]
    cache = [_cache(preset, language) if "keyframes" in names else 0.0 for language in RATES]
    return (*gmac, *weights, *cache)


def _weights(stage: Mapping[str, Any]) -> float:
    return float(stage["weight_bytes"] * stage["calls_per_frame"] / 1e6)


def _cache(preset: str, language: str) -> float:
    config, itemsize = preset_named(preset).keyframes, torch.empty(0, dtype=DTYPES[preset]).itemsize
    return cache_bytes(config, num_keyframes(language), itemsize) / NUM_FRAMES / 1e6


def _against_plan(counted: Counted) -> Table:
    """Beside what the preset was planned to cost."""
    lines = []
    for name, planned in PLANNED.items():
        parts = name.split(" and ")
        here = [_gmac(counted["paper", language], parts) for language in RATES]
        lines.append(Line(label=name, values=(*here, *planned)))
    columns = ("stage", "mandarin", "english", "planned, mandarin", "planned, english")
    return Table(title="GMAC per frame of `paper`, beside its plan", columns=columns, lines=tuple(lines))


def _peers(rows: Sequence[Mapping[str, Any]]) -> Table:
    lines = tuple(
        Line(
            label=f"{row['system']} ({row['kind']})",
            values=(row["gmac_per_frame"], row["parameters_millions"], row["weights_gigabytes_per_frame"]),
        )
        for row in rows
    )
    return Table(
        title="Quoted, not counted here (reports/papers/peer-costs.json); A: the project's own code, B: a "
        "library's class or a checked formula, C: a proxy with assumptions, D: this design, as planned",
        columns=("system (kind)", "GMAC per frame", "parameters M", "weights GB per frame"),
        lines=lines,
    )
