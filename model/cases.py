"""Run a system over exported test cases and time it: one mp4 per case, and timing.json, written last."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from datapipe.console import say, track
from datapipe.files import publish, write_text
from datapipe.media import SAMPLE_RATE, read_audio, read_frames, write_video
from datapipe.records import Rejected, Sample, read_record

from .avatar import bind, load_avatar
from .avatarsync.forced import forced_keyframes
from .baselines import hold_still, make_shelves, retrieve
from .data import load_clips
from .generate import GenerateConfig, generate
from .layers import to_bytes, to_signed
from .marking.provenance import tag
from .marking.watermark import mark_blocks
from .picture import read_picture
from .speech.phonemes import Speech, from_audio


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
    force: Callable[[Case, NDArray[np.uint8]], NDArray[np.uint8]] | None = None
    """Teacher-forced keyframes (n, S, S, 3) of a case, given its true frames; None for a system without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where cases are read and videos are written, and what a system is made from."""

    cases: Path
    out: Path
    run: Path | None = None
    data: Sequence[Path] = ()
    config: GenerateConfig = field(default_factory=lambda: GenerateConfig(watermark=None))
    """How videos are made; unmarked, since some metrics see the faint texture of a mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one case took, from its files to its frames (speech analysis included, encoding not)."""

    seconds: float
    media_seconds: float
    num_frames: int
    first_frame_seconds: float


def make_cases(system: str, places: Places, keyframes: bool = False) -> int:
    """Make all videos and return how many cases failed; their reasons go into timing.json.

    Raises `Rejected("bad_input")` when the folder holds no cases, the system lacks its --run or --data, or
    keyframes are asked of a system without any.
    """
    out, found = places.out, sorted(places.cases.glob("*.json"))
    if not found:
        raise Rejected(
            "bad_input", f"{places.cases} holds no cases; write some with `avatarsync data export`"
        )
    began = time.perf_counter()
    maker = SYSTEMS[system](places)
    if keyframes and maker.force is None:
        raise Rejected("bad_input", f"the system {system} has no keyframes; leave --keyframes out")
    loaded = time.perf_counter() - began
    timings: dict[str, Timing] = {}
    failures: dict[str, str] = {}
    for path in track(found, f"generate {system}"):
        try:
            timings[path.stem] = _make_case(maker, path, out)
            if keyframes:
                _force_case(maker, path, out)
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


def _read_case(path: Path) -> Case:
    return Case(
        key=path.stem,
        sample=read_record(path, Sample, "export the cases again"),
        reference_HW3=read_picture(path.with_suffix(".png")),
        audio=read_audio(path.with_suffix(".wav")),
    )


def _force_case(system: System, path: Path, out: Path) -> None:
    """Write the teacher-forced keyframes of a case as PNGs, named by the index of their frame."""
    assert system.force is not None
    case, truth = _read_case(path), read_frames(path.with_suffix(".mp4"))
    last, folder = len(truth) - 1, out / f"{case.key}.keyframes"
    for old in folder.glob("*.png"):
        old.unlink()
    for keyframe, picture in zip(case.sample.keyframes, system.force(case, truth), strict=True):
        with publish(folder / f"{min(keyframe.frame, last):06d}.png") as temporary:
            Image.fromarray(picture).save(temporary, "PNG")


def _make_case(system: System, path: Path, out: Path) -> Timing:
    began = time.perf_counter()
    case = _read_case(path)
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
        seconds=seconds,
        media_seconds=speech.duration,
        num_frames=len(frames),
        first_frame_seconds=first,
    )


def _speech(case: Case, needed: bool) -> Speech:
    if needed:
        return from_audio(case.audio, case.sample.language, case.sample.text)
    duration = len(case.audio) / SAMPLE_RATE
    return Speech(language=case.sample.language, phonemes=(), duration=duration, audio=case.audio)


def _avatarsync(places: Places) -> System:
    if places.run is None:
        raise Rejected("bad_input", "the system avatarsync needs --run RUN, the folder of a trained run")
    avatar = load_avatar(places.run)

    def make(case: Case, speech: Speech) -> Iterator[NDArray[np.uint8]]:
        reference = bind(avatar, case.reference_HW3)
        return generate(avatar, reference, speech.phonemes, speech.duration, places.config)

    def force(case: Case, truth_THW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        given = [keyframe.phoneme for keyframe in case.sample.keyframes]
        ids = torch.tensor(avatar.keyframes.phoneme_ids(given))
        last = len(truth_THW3) - 1
        true = truth_THW3[[min(keyframe.frame, last) for keyframe in case.sample.keyframes]]
        reference = to_signed(torch.from_numpy(case.reference_HW3)[None])
        true_n3SS = to_signed(torch.from_numpy(true))
        made = forced_keyframes(avatar.tokenizer, avatar.keyframes, ids, reference, true_n3SS)
        return to_bytes(made).numpy()

    return System(name="avatarsync", run_id=avatar.run_id, make=make, force=force)


def _neighbour(name: str) -> Callable[[Places], System]:
    def system(places: Places) -> System:
        from .neighbours.train import load_neighbour, speak

        if places.run is None:
            raise Rejected("bad_input", f"the system {name} needs --run RUN, the folder of a trained run")
        neighbour = load_neighbour(name, places.run)

        def make(case: Case, speech: Speech) -> Iterator[NDArray[np.uint8]]:
            frames = speak(neighbour, case.reference_HW3, case.audio, speech.duration)
            return mark_blocks(frames, case.reference_HW3, neighbour.run_id, places.config.watermark)

        return System(name=name, run_id=neighbour.run_id, make=make, needs_speech=False)

    return system


def _static(places: Places) -> System:
    def make(case: Case, speech: Speech) -> Iterator[NDArray[np.uint8]]:
        return _marked(places, case, hold_still(case.reference_HW3, speech.duration))

    return System(name="static", run_id="none", make=make, needs_speech=False)


def _retrieval(places: Places) -> System:
    if not places.data:
        raise Rejected(
            "bad_input", "the system retrieval needs --data SHARDS, the clips to take pictures from"
        )
    shelves = make_shelves(load_clips(places.data, "train", None))

    def make(case: Case, speech: Speech) -> Iterator[NDArray[np.uint8]]:
        speaker = f"{case.sample.source}/{case.sample.speaker}"
        made = retrieve(shelves, speaker, case.reference_HW3, speech.phonemes, speech.duration)
        return _marked(places, case, made)

    return System(name="retrieval", run_id="none", make=make)


def _marked(places: Places, case: Case, frames_THW3: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Mark what no run made, where marks are wanted."""
    return mark_blocks(iter([frames_THW3]), case.reference_HW3, "none", places.config.watermark)


SYSTEMS: dict[str, Callable[[Places], System]] = {
    "avatarsync": _avatarsync,
    "static": _static,
    "retrieval": _retrieval,
    "eartalking": _neighbour("eartalking"),
    "joyavatar": _neighbour("joyavatar"),
}
