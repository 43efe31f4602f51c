"""(g) The paper's sizes on a GPU, where there is one."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datapipe.console import track
from datapipe.media import FPS, SAMPLE_RATE
from datapipe.performance.figures import Figure, Line, Measurement, Table
from datapipe.phonemes import PHONEMES
from datapipe.records import SILENCE, Phoneme

from ..avatar import Avatar
from ..avatarsync.decode import DecodeConfig
from ..generate import GenerateConfig
from ..presets import preset_named
from ..speaking.speaker import Speaker
from .clocks import STAGES, clocked, now
from .growth import random_picture
from .seeded import seeded_avatar
from .sizes import Sizes
from .stages import DTYPES, NUM_FRAMES, RATES, num_keyframes

TITLE = "The paper's sizes on a GPU"
UNITS = 64
"""Keyframes that are written together."""
WAYS = {
    "raster": DecodeConfig(),
    "raster, captured": DecodeConfig(compile=True),
    "rows in parallel, captured": DecodeConfig(compile=True, window=8),
}
"""Steps as they are, as one launch each (CUDA graphs by torch.compile), and fewer of them."""
COLUMNS = ("way, language", "RTF of frames", "RTF to the mp4", "first frame s")
METHOD = (
    "The preset {preset} with seeded weights, the transformer in bfloat16, the rest in float32 (TF32 "
    "allowed): {frames} frames (3.92 s, the clip of the paper's Table 2) of {mandarin} (Mandarin) or "
    "{english} (English) different phonemes, from a bound picture and timed phonemes to frames in memory, "
    "and to the mp4. Up to {units} keyframes are written together, after a first pair. Captured: steps "
    "compiled, launched as CUDA graphs. The first call of each way, which compiles, does not count. The "
    "paper states a real-time factor of 14.8 on hardware that it does not name. To repeat on a machine "
    "with a GPU: `python -m model.performance --only g`."
)


def measure_accelerator(sizes: Sizes, folder: Path) -> Measurement:
    """Measure on CUDA; without it the table says that nothing was measured."""
    if torch.cuda.is_available():
        return measure_on("cuda", sizes, folder)
    lines = tuple(Line(label=f"{way}, {language}", values=(None,) * 3) for way in WAYS for language in RATES)
    table = Table(title="Not measured: this machine has no GPU", columns=COLUMNS, lines=lines)
    method = _method(sizes.accelerator_preset)
    return Measurement(name="g", title=f"{TITLE}: not measured", method=method, figures=(), tables=(table,))


def measure_on(device: str, sizes: Sizes, folder: Path) -> Measurement:
    """Measure every way of writing, for both languages."""
    torch.set_float32_matmul_precision("high")
    avatar = avatar_on(device, sizes.accelerator_preset)
    bound = avatar.set_reference(random_picture(avatar.size), crop=False)
    runs = {
        (way, language): _runs(bound, way, language, sizes, folder)
        for way in track(tuple(WAYS), "(g) paper's sizes")
        for language in RATES
    }
    best = {language: min((w for w in WAYS), key=lambda w: _rtf(runs[w, language])) for language in RATES}
    figures = tuple(
        Figure(
            name=f"real-time factor, {language}, {way}",
            unit="",
            values=tuple(each["frames"] * FPS / NUM_FRAMES for each in runs[way, language]),
            expected={"mandarin": "0.15 to 0.4", "english": "0.2 to 0.5"}[language],
            limit=1.0,
        )
        for language, way in best.items()
    )
    tables = (_ways(runs), _stages(bound, best, sizes))
    method = _method(sizes.accelerator_preset)
    return Measurement(name="g", title=TITLE, method=method, figures=figures, tables=tables)


def avatar_on(device: str, preset: str) -> Avatar:
    """Make a seeded generator on a device, its transformer in the numbers that the preset runs in."""
    with torch.device(device):
        avatar = seeded_avatar(preset_named(preset))
    avatar.keyframes.to(DTYPES[preset])
    return avatar


def speech(language: str) -> tuple[Phoneme, ...]:
    """As many different phonemes as the clip has keyframes, of equal length."""
    count = num_keyframes(language)
    symbols = [each for each in PHONEMES if each != SILENCE][:count]
    edges = np.linspace(0.0, NUM_FRAMES / FPS, count + 1)
    return tuple(
        Phoneme(symbol=symbol, start=float(start), end=float(end))
        for symbol, start, end in zip(symbols, edges, edges[1:], strict=False)
    )


def _runs(bound: Speaker, way: str, language: str, sizes: Sizes, folder: Path) -> list[dict[str, float]]:
    """Seconds to the first frame, to all frames, and to the file; the first round does not count."""
    video = _video(bound, way, language)
    runs = []
    for _ in range(sizes.repeats + 1):
        began = now()
        frames = video.frames()
        next(frames)
        first = now() - began
        for _ in frames:
            pass
        everything, again = now() - began, now()
        video.save(folder / "film.mp4")
        runs.append({"first": first, "frames": everything, "file": now() - again})
    return runs[1:]


def _video(bound: Speaker, way: str, language: str) -> Any:
    sound = np.zeros(NUM_FRAMES * SAMPLE_RATE // FPS, np.float32)
    config = GenerateConfig(decode=WAYS[way], units=UNITS)
    return bound.with_config(config).say(speech(language), sound)


def _rtf(runs: Sequence[Mapping[str, float]], what: str = "frames") -> float:
    return statistics.median(each[what] for each in runs) * FPS / NUM_FRAMES


def _ways(runs: Mapping[tuple[str, str], Sequence[Mapping[str, float]]]) -> Table:
    lines = tuple(
        Line(
            label=f"{way}, {language}",
            values=(_rtf(each), _rtf(each, "file"), statistics.median(one["first"] for one in each)),
        )
        for (way, language), each in runs.items()
    )
    return Table(title="Medians", columns=COLUMNS, lines=lines)


def _stages(bound: Speaker, best: Mapping[str, str], sizes: Sizes) -> Table:
    """Where the time of the quickest way goes, in a run with clocks."""
    spent = {}
    for language, way in best.items():
        with clocked(bound.avatar) as stages:
            for _ in _video(bound, way, language).frames():
                pass
        spent[language] = stages
    lines = tuple(
        Line(label=stage, values=tuple(spent[language][stage] for language in RATES))
        for stage in STAGES
        if any(spent[language][stage] for language in RATES)
    )
    columns = ("stage", *(f"{language} s" for language in RATES))
    return Table(title="Stages of the quickest way, one run with clocks", columns=columns, lines=lines)


def _method(preset: str) -> str:
    counts = {language: num_keyframes(language) for language in ("mandarin", "english")}
    return METHOD.format(preset=preset, frames=NUM_FRAMES, units=UNITS, **counts)
