"""(b) How the time to make a video grows with its phonemes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from fractions import Fraction
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from datapipe.files import write_text
from datapipe.media import FPS, write_video
from datapipe.performance.figures import Figure, Line, Measurement, Table
from datapipe.performance.processes import run_command
from datapipe.performance.repeat import interleaved
from datapipe.phonemes import PHONEMES
from datapipe.records import SILENCE, Phoneme, Probe, Sample, Seconds, to_json

from ..avatarsync.decode import lockstep, read_prefix
from ..presets import Preset, preset_named
from ..speech.voice import say_by_rule
from .decoding import random_tokens
from .seeded import seeded_avatar
from .sizes import Sizes

NUM_PHONEMES = 20
LENGTH: Seconds = 0.1
"""Of each phoneme."""
FLAT = 1.1
"""Time over that of one keyframe up to which decoding counts as flat."""
SHOWN = ("reference", "keyframes", "pictures", "pairs", "frames")
METHOD = (
    "`avatarsync bench latency --sweep`: a clip of 20 different phonemes of 0.1 s cut after its first 2, "
    "3, ... 20, each made by the preset {preset} with seeded weights from a picture and timed phonemes to "
    "the finished mp4, in random order, {repeats} times after a warm-up, in a process of its own with one "
    "thread. The exponent is the slope of log time over log phonemes; intervals are 95 % bootstrap "
    "intervals over the repeats. Below it, decoding alone in lockstep: flat as long as more keyframes at "
    "a time cost no more time."
)


def measure_growth(sizes: Sizes, folder: Path) -> Measurement:
    """Take the sweep with the suite's own command, and decoding alone here."""
    preset = preset_named(sizes.preset)
    write_case(folder / "cases", preset.tokenizer.size)
    sweep = _sweep(folder, sizes)
    times = _side_by_side(preset, sizes)
    latency, work = sweep["latency_fit"]["exponent"], sweep["work_fit"]["exponent"]
    first = min(times[sizes.side_by_side[0]])
    flat = list(takewhile(lambda count: min(times[count]) <= FLAT * first, sizes.side_by_side))
    figures = (
        Figure(
            name="exponent of latency over phonemes",
            unit="",
            values=(latency["value"],),
            expected="0.6 to 0.9",
            limit=1.05,
        ),
        *_upper(latency),
        Figure(
            name="exponent of processor time over phonemes",
            unit="",
            values=(work["value"],),
            expected="0.6 to 0.9",
            limit=1.05,
        ),
        Figure(
            name="processor time explained by a line",
            unit="",
            values=(sweep["work_fit"]["r_squared"],),
            expected="0.98 to 1",
        ),
        Figure(
            name="more latency per phoneme",
            unit="ms",
            values=(1000 * sweep["latency_fit"]["slope"]["value"],),
            expected="15 to 40",
        ),
        Figure(
            name="keyframes at once up to which decoding is flat (10 %)",
            unit="",
            values=(float(flat[-1]),),
            expected="2 to 4 on one core",
        ),
    )
    method = METHOD.format(preset=preset.name, repeats=sizes.sweep_repeats)
    tables = (_curve(sweep["points"]), _flatness(times))
    return Measurement(name="b", title="Time over phonemes", method=method, figures=figures, tables=tables)


def write_case(folder: Path, size: int) -> None:
    """Write one clip of different phonemes, spoken by rule before a still picture: mp4, png and json."""
    symbols = [each for each in PHONEMES if each.isupper() and each != SILENCE][:NUM_PHONEMES]
    phonemes = tuple(
        Phoneme(symbol=symbol, start=round(at * LENGTH, 3), end=round((at + 1) * LENGTH, 3))
        for at, symbol in enumerate(symbols)
    )
    duration, picture = NUM_PHONEMES * LENGTH, random_picture(size)
    num_frames = round(duration * FPS)
    folder.mkdir(parents=True)
    Image.fromarray(picture).save(folder / "clip.png")
    write_video(folder / "clip.mp4", np.repeat(picture[None], num_frames, 0), say_by_rule(phonemes))
    sample = Sample(
        key="clip",
        id="clip",
        source="performance",
        speaker="nobody",
        language="en",
        split="test",
        text="",
        text_origin="none",
        licence="CC0",
        fps=FPS,
        num_frames=num_frames,
        size=size,
        duration=duration,
        phonemes=phonemes,
        keyframes=(),
        probe=Probe(
            width=size,
            height=size,
            fps=Fraction(FPS),
            num_frames=num_frames,
            duration=duration,
            video_codec="h264",
            audio_codec="aac",
            sample_rate=16000,
        ),
        quality={},
        notes={},
        lineage={},
    )
    write_text(folder / "clip.json", to_json(sample))


def random_picture(size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Smooth colours (S, S, 3), always the same ones."""
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    return np.array(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def _sweep(folder: Path, sizes: Sizes) -> dict[str, Any]:
    command = [sys.executable, "-m", "avatarsync", "bench", "latency", "--sweep", "--json"]
    command += ["--reference", str(folder / "cases"), "--out", str(folder / "sweep")]
    command += ["--name", sizes.preset, "--callable", f"model.performance.sessions:{sizes.preset}"]
    told = run_command([*command, "--repeats", str(sizes.sweep_repeats)], sizes.longest, {})
    sweep: dict[str, Any] = json.loads(told)
    return sweep


def _side_by_side(preset: Preset, sizes: Sizes) -> dict[int, tuple[Seconds, ...]]:
    """Seconds of decoding so many keyframes in lockstep, the reference being read already."""
    torch.set_num_threads(1)
    model = seeded_avatar(preset).keyframes
    prefix = read_prefix(model, random_tokens(model))
    phonemes = model.vocabulary.num_visual + torch.arange(max(sizes.side_by_side))

    def write(count: int) -> object:
        return lockstep(model, phonemes[:count], prefix)

    ways = {str(count): (lambda count=count: write(count)) for count in sizes.side_by_side}
    times = interleaved(ways, sizes.repeats, "(b) side by side")
    return {int(name): each for name, each in times.items()}


def _upper(exponent: dict[str, Any]) -> tuple[Figure, ...]:
    """The end of its interval; a single repeat has none."""
    if exponent["high"] is None:
        return ()
    name = "exponent of latency, upper end of its interval"
    return (Figure(name=name, unit="", values=(exponent["high"],), expected="0.6 to 0.9", limit=1.05),)


def _curve(points: Sequence[dict[str, Any]]) -> Table:
    columns = ("phonemes", "latency ms", "processor ms", *(f"{stage} ms" for stage in SHOWN), "rest ms")
    return Table(title="Medians", columns=columns, lines=tuple(map(_point, points)))


def _point(point: dict[str, Any]) -> Line:
    trials = point["latency"]["trials"]
    seconds = float(np.median([each["seconds"] for each in trials]))
    stages = [float(np.median([each["stages"][stage] for each in trials])) for stage in SHOWN]
    work = float(np.median([each["cpu_seconds"] for each in trials]))
    values = (seconds, work, *stages, seconds - sum(stages))
    return Line(label=str(point["num_phonemes"]), values=tuple(1000 * each for each in values))


def _flatness(times: dict[int, tuple[Seconds, ...]]) -> Table:
    one = min(times[min(times)])
    lines = tuple(
        Line(label=str(count), values=(1000 * min(each), 1000 * min(each) / count, min(each) / one))
        for count, each in times.items()
    )
    columns = ("keyframes at once", "ms", "ms per keyframe", "over the first")
    return Table(title="Decoding alone (the quickest of the repeats)", columns=columns, lines=lines)
