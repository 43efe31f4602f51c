"""Run a system over exported test cases and time it: one mp4 per case, and timing.json, written last."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datapipe.console import say, track
from datapipe.files import write_text
from datapipe.media import SAMPLE_RATE, read_audio, write_video
from datapipe.records import Rejected, Sample, read_record

from .avatar import load_avatar
from .baselines import hold_still, make_shelves, retrieve
from .data import load_clips
from .film import read_picture
from .generate import generate
from .provenance import tag
from .speech import Speech, from_audio


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One exported case, read."""

    key: str
    sample: Sample
    reference_HW3: NDArray[np.uint8]
    audio: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class System:
    """Something that makes videos: blocks of frames, from a case and its timed speech."""

    name: str
    run_id: str
    make: Callable[[Case, Speech], Iterator[NDArray[np.uint8]]]
    needs_speech: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one case took, from its files to its frames (speech analysis included, encoding not)."""

    seconds: float
    media_seconds: float
    num_frames: int
    first_frame_seconds: float


def make_cases(system: str, cases: Path, out: Path, run: Path | None, data: Sequence[Path]) -> int:
    """Make all videos and return how many cases failed; their reasons go into timing.json.

    Raises `Rejected("bad_input")` when the folder holds no cases or the system lacks its --run or --data.
    """
    found = sorted(cases.glob("*.json"))
    if not found:
        raise Rejected("bad_input", f"{cases} holds no cases; write some with `avatarsync data export`")
    began = time.perf_counter()
    maker = SYSTEMS[system](run, data)
    loaded = time.perf_counter() - began
    timings: dict[str, Timing] = {}
    failures: dict[str, str] = {}
    for path in track(found, f"generate {system}"):
        try:
            timings[path.stem] = _make_case(maker, path, out)
        except Rejected as rejected:
            failures[path.stem] = rejected.message
            say(f"{path.stem}: {rejected.message}")
    clips = {key: asdict(each) for key, each in timings.items()}
    facts = {
        "system": system,
        "run": maker.run_id,
        "load_seconds": loaded,
        "clips": clips,
        "failures": failures,
    }
    write_text(out / "timing.json", json.dumps(facts, indent=1))
    return len(failures)


def _make_case(system: System, path: Path, out: Path) -> Timing:
    sample = read_record(path, Sample, "export the cases again")
    began = time.perf_counter()
    case = Case(
        key=path.stem,
        sample=sample,
        reference_HW3=read_picture(path.with_suffix(".png")),
        audio=read_audio(path.with_suffix(".wav")),
    )
    speech = _speech(case, system.needs_speech)
    blocks, first = [], 0.0
    for block in system.make(case, speech):
        first = first or time.perf_counter() - began
        blocks.append(block)
    frames = np.concatenate(blocks)
    seconds = time.perf_counter() - began
    metadata = tag(system.name, system.run_id, case.reference_HW3)
    write_video(out / f"{case.key}.mp4", frames, case.audio, metadata=metadata)
    return Timing(
        seconds=seconds, media_seconds=speech.duration, num_frames=len(frames), first_frame_seconds=first
    )


def _speech(case: Case, needed: bool) -> Speech:
    if needed:
        return from_audio(case.audio, case.sample.language, case.sample.text)
    duration = len(case.audio) / SAMPLE_RATE
    return Speech(language=case.sample.language, phonemes=(), duration=duration, audio=case.audio)


def _avatarsync(run: Path | None, data: Sequence[Path]) -> System:
    if run is None:
        raise Rejected("bad_input", "the system avatarsync needs --run RUN, the folder of a trained run")
    avatar = load_avatar(run)

    def make(case: Case, speech: Speech) -> Iterator[NDArray[np.uint8]]:
        if case.reference_HW3.shape[0] != avatar.size:
            side = case.reference_HW3.shape[0]
            raise Rejected("bad_input", f"the reference has {side} px, the run works at {avatar.size}")
        return generate(avatar, case.reference_HW3, speech.phonemes, speech.duration)

    return System(name="avatarsync", run_id=avatar.run_id, make=make)


def _static(run: Path | None, data: Sequence[Path]) -> System:
    def make(case: Case, speech: Speech) -> Iterator[NDArray[np.uint8]]:
        return iter([hold_still(case.reference_HW3, speech.duration)])

    return System(name="static", run_id="none", make=make, needs_speech=False)


def _retrieval(run: Path | None, data: Sequence[Path]) -> System:
    if not data:
        raise Rejected(
            "bad_input", "the system retrieval needs --data SHARDS, the clips to take pictures from"
        )
    shelves = make_shelves(load_clips(data, "train", None))

    def make(case: Case, speech: Speech) -> Iterator[NDArray[np.uint8]]:
        speaker = f"{case.sample.source}/{case.sample.speaker}"
        return iter([retrieve(shelves, speaker, case.reference_HW3, speech.phonemes, speech.duration)])

    return System(name="retrieval", run_id="none", make=make)


SYSTEMS: dict[str, Callable[[Path | None, Sequence[Path]], System]] = {
    "avatarsync": _avatarsync,
    "static": _static,
    "retrieval": _retrieval,
}
