"""(d) One video on one core: a picture of a face and recorded speech in, an mp4 with sound out."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from datapipe.media import read_audio, read_frames, write_wav
from datapipe.performance.figures import Figure, Line, Measurement, Table
from datapipe.performance.processes import on_one_core, run_command, run_module
from datapipe.records import Seconds
from datapipe.weights import resolve

from ..presets import preset_named
from .clocks import MEANINGS, STAGES
from .seeded import write_run
from .sizes import Sizes

SPOKEN = (
    "Today, after two years of negotiations, the United States, together with international partners, "
    "has achieved some"
)
"""Words of the registry's public-domain clip."""
REST = "rest"
METHOD = (
    "The preset {preset} with seeded weights in a process that may use a single core, networks loaded "
    "before: the registry's public-domain clip of a speaking person gives the picture (its first frame) "
    "and the sound ({seconds:.1f} s, {frames} frames), the words are given. Real-time factor: seconds "
    "from files to the finished file over seconds of video. Stages: {stages}; {rest}: files, H.264, AAC, "
    "provenance. The first frame is finished, in memory, when the first frames come; the speech is heard "
    "whole by then. Below: `avatarsync model generate` as a command on one core, its start and loading "
    "included; and the same without words, where the speech is recognised first (Whisper base)."
)


def measure_film(sizes: Sizes, folder: Path) -> Measurement:
    """Make the video again and again, in processes held to one core."""
    preset = preset_named(sizes.preset)
    plan = {**write_materials(folder, sizes), "run": str(write_run(preset, folder / "run"))}
    told = _told(plan, folder, sizes)
    films, length = told["films"], told["films"][0]["media_seconds"]
    whole = [each["seconds"] for each in films]
    speech = [each["stages"]["speech"] for each in films]
    loud = [_command(plan, folder, sizes, plan["transcript"]), _command(plan, folder, sizes, None)]
    figures = (
        Figure(
            name="real-time factor, from files to a file, one core",
            unit="",
            values=_shares(whole, length),
            expected="0.4 to 0.8",
            limit=1.0,
        ),
        Figure(
            name="processor seconds per second of video",
            unit="",
            values=_shares([each["processor"] for each in films], length),
            expected="the same",
        ),
        Figure(
            name="real-time factor without the speech analysis",
            unit="",
            values=_shares([a - b for a, b in zip(whole, speech, strict=True)], length),
            expected="0.25 to 0.5",
        ),
        Figure(
            name="real-time factor of the speech analysis",
            unit="",
            values=_shares(speech, length),
            expected="0.1 to 0.3",
        ),
        Figure(
            name="time to the first frame",
            unit="s",
            values=tuple(each["first_frame"] for each in films),
            expected="2 to 4",
        ),
        Figure(
            name="time to the first frame once the phonemes are known",
            unit="s",
            values=tuple(each["first_frame"] - each["stages"]["speech"] for each in films),
            expected="1 to 2",
        ),
        Figure(name="loading the run", unit="s", values=(told["load"],), expected="0.05 to 0.3"),
        Figure(name="first video of the process", unit="s", values=(told["cold"]["seconds"],)),
        Figure(name="the command, words given", unit="s", values=(loud[0],), expected="RTF and 4 s"),
        Figure(name="the command, speech recognised", unit="s", values=(loud[1],), expected="10 s more"),
    )
    method = METHOD.format(
        preset=preset.name,
        seconds=length,
        frames=films[0]["num_frames"],
        stages="; ".join(f"{name}: {meaning}" for name, meaning in MEANINGS.items()),
        rest=REST,
    )
    tables = (_stages(films, length),)
    return Measurement(name="d", title="A video on one core", method=method, figures=figures, tables=tables)


def write_materials(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """Write picture and sound; a shorter speech gets as many of the words as fit."""
    clip = resolve("clip-obama")
    sound = read_audio(clip, 0.0, sizes.film_seconds)
    share = min(1.0, len(sound) / len(read_audio(clip)))
    words = SPOKEN.split()
    Image.fromarray(read_frames(clip, 0.0, 0.04)[0]).save(folder / "face.png")
    write_wav(folder / "speech.wav", sound)
    return {
        "reference": str(folder / "face.png"),
        "audio": str(folder / "speech.wav"),
        "transcript": " ".join(words[: max(4, int(share * len(words)))]),
        "language": "en",
        "out": str(folder / "film.mp4"),
        "repeats": sizes.film_repeats,
    }


def _told(plan: Mapping[str, Any], folder: Path, sizes: Sizes) -> dict[str, Any]:
    path, out = folder / "plan.json", folder / "told.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    with on_one_core():
        run_module("model.performance.one_core", [path, out], sizes.longest)
    told: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    if told["cores"] != 1:
        raise RuntimeError(f"the process had {told['cores']} cores, so its times say nothing of one")
    return told


def _command(plan: Mapping[str, Any], folder: Path, sizes: Sizes, words: str | None) -> Seconds:
    """Seconds of the command as a user runs it, held to one core."""
    command = [sys.executable, "-m", "avatarsync", "model", "generate", "--face", "largest"]
    for name in ("run", "reference", "audio", "language"):
        command += [f"--{name}", plan[name]]
    command += ["--out", str(folder / "command.mp4"), *(["--transcript", words] if words else [])]
    began = time.perf_counter()
    with on_one_core():
        run_command(command, sizes.longest, {})
    return time.perf_counter() - began


def _shares(seconds: Sequence[Seconds], length: Seconds) -> tuple[float, ...]:
    return tuple(each / length for each in seconds)


def _stages(films: Sequence[Mapping[str, Any]], length: Seconds) -> Table:
    taken = {name: [each["stages"][name] for each in films] for name in STAGES}
    taken[REST] = [each["seconds"] - sum(each["stages"].values()) for each in films]
    medians = {name: statistics.median(each) for name, each in taken.items()}
    lines = tuple(Line(label=name, values=(each, each / length)) for name, each in medians.items())
    return Table(title="Medians by stage", columns=("stage", "s", "s per s of video"), lines=lines)
