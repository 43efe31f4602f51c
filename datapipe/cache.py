"""What was computed once, by content: the same input, settings, stages and weights give the same sample.

`inputs_key` is a sha256 over the bytes of a clip's files and its record without paths; `sample_key` adds
the settings, the version of the stages and the weights. A finished sample is one small tar, published by
rename, so that a crash leaves none that is half-written; one that is damaged counts as absent. The slow
stages are kept too, each by what it depends on: another crop or keyframe rule detects nothing again.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import fields
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import phonemes as inventory
from . import transcribe, vision, whisperx
from .config import BuildConfig
from .files import hash_once, write_bytes
from .places import delete_folder, is_plain_file, version_of
from .records import Clip, to_dict
from .shards import SUMS, open_shard, read_shard, write_shard
from .stages import CODECS
from .weights import lookup

STAGES_VERSION = "stages/6"
"""Raised whenever a stage gives another result for the same input."""
LIBRARIES = (
    "av",
    "faster-whisper",
    "onnxruntime",
    "opencc-python-reimplemented",
    "opencv-python-headless",
    "pocketsphinx",
)
"""Packages whose versions show in what they decode, recognise, detect and encode."""
VERSIONS = {
    "avatarsync": version("avatarsync"),
    "stages": STAGES_VERSION,
    "phonemes": inventory.VERSION,
    **{name: version(name) for name in LIBRARIES},
}
"""What decides a sample's bytes beside its input, its settings and the weights."""
FACE_WEIGHTS = ("scrfd-500m", "2d106det", "w600k-mbf")
DEPENDS = {
    "understand": ("decode", "transcribe"),
    "align": ("decode", "transcribe", "align"),
    "track_speaker": ("decode", "track"),
}
"""The stages that are kept, with the settings that their results depend on."""


def used_weights(config: BuildConfig) -> dict[str, str]:
    """Name the files that a build with these settings may use, with their sha256."""
    names = [*FACE_WEIGHTS, "pocketsphinx-zh", "cmudict"]
    if config.upscale.backend == "realesrgan":
        names.append("realesrgan-x2")
    found = {name: lookup(name).sha256 for name in names} | transcribe.used_weights(config.transcribe)
    found |= vision.weights_of(_face_backends(config))
    return found | (whisperx.network_hashes(config.align.model) if config.align.backend == "whisperx" else {})


def used_versions(config: BuildConfig) -> dict[str, str]:
    """Name the versions that decide a sample's bytes, those of the tool environments in use included."""
    named = "whisperx" in (config.transcribe.backend, config.align.backend)
    found = VERSIONS | vision.versions_of(_face_backends(config))
    return found | (whisperx.versions() if named else {})


def _face_backends(config: BuildConfig) -> tuple[str, ...]:
    return (config.track.detector.finder, config.track.detector.landmarks, config.upscale.backend)


def settings_key(config: BuildConfig) -> str:
    """Hash everything but the input that decides a sample's bytes.

    How a corpus is read shows in the clips, and splits are decided later.
    """
    stages = tuple(
        (each.name, getattr(config, each.name))
        for each in fields(config)
        if each.name not in ("source", "split")
    )
    made_with = (used_weights(config), used_versions(config))
    return _settings_key(stages, *(tuple(sorted(each.items())) for each in made_with))


@lru_cache(maxsize=8)
def _settings_key(
    stages: tuple[tuple[str, Any], ...],
    weights: tuple[tuple[str, str], ...],
    versions: tuple[tuple[str, str], ...],
) -> str:
    settings = {name: to_dict(value) for name, value in stages}
    return _digest([settings, weights, versions])


def inputs_key(clip: Clip) -> str:
    """Hash what a clip is made of; files that are absent count as empty."""
    files = {"video": clip.video, "audio": clip.audio}
    return _digest(_record(clip) | {name: _content(path) for name, path in files.items()})


def sample_key(clip: Clip, config: BuildConfig) -> str:
    """Give the content address of a clip's sample."""
    return _digest([inputs_key(clip), settings_key(config)])


def stamp(clip: Clip, config: BuildConfig) -> str:
    """Tell cheaply whether anything changed: as `sample_key`, but by the files' sizes and times."""
    files = {"video": clip.video, "audio": clip.audio}
    return _digest([_record(clip) | {n: _state(p) for n, p in files.items()}, settings_key(config)])


def cache_path(folder: Path, key: str) -> Path:
    """Say where the sample of a key is kept."""
    return folder / key[:2] / f"{key}.tar"


def draft_path(folder: Path, key: str) -> Path:
    """Say where a sample waits for its super-resolution."""
    return folder / "drafts" / f"{key}.tar"


def load(path: Path) -> dict[str, bytes] | None:
    """Read the members of a kept sample or draft; None when there is none or it is damaged."""
    try:
        ((_, members),) = read_shard(path)
    except (FileNotFoundError, tarfile.TarError, EOFError, ValueError):
        return None
    sums = members.pop(SUMS, b"")
    return members if sums == _sums(members) else None


def peek(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Read some members of a kept sample, unchecked; the others are skipped, not read."""
    with open_shard(path) as tar:
        picked = ((entry.name.partition(".")[2], entry) for entry in tar)
        streams = {name: tar.extractfile(entry) for name, entry in picked if name in names}
        return {name: stream.read() for name, stream in streams.items() if stream is not None}


def store(path: Path, key: str, members: dict[str, bytes]) -> None:
    """Keep a finished sample."""
    write_shard(path, [(key, {**members, SUMS: _sums(members)})])


def stage_path(folder: Path, inputs: str, stage: str, config: BuildConfig) -> Path:
    """Say where the result of a kept stage lies."""
    settings = {name: to_dict(getattr(config, name)) for name in DEPENDS[stage]}
    key = _digest([settings, used_versions(config), used_weights(config)])
    return _stages(folder, inputs) / f"{stage}-{key[:32]}{CODECS[stage].suffix}"


def load_stage(path: Path, stage: str) -> Any:
    """Read the result of a kept stage; None when there is none or it is damaged."""
    try:
        return CODECS[stage].read(path.read_bytes())
    except (FileNotFoundError, ValueError, KeyError, EOFError):
        return None


def store_stage(path: Path, stage: str, result: Any) -> None:
    """Keep the result of a stage."""
    write_bytes(path, CODECS[stage].write(result))


def forget(folder: Path, inputs: str, key: str) -> None:
    """Delete everything that is kept of a clip."""
    cache_path(folder, key).unlink(missing_ok=True)
    if inputs:
        delete_folder(_stages(folder, inputs))


def _stages(folder: Path, inputs: str) -> Path:
    return folder / "stages" / inputs[:2] / inputs


def _record(clip: Clip) -> dict[str, Any]:
    record: dict[str, Any] = to_dict(clip)
    return {name: value for name, value in record.items() if name not in ("video", "audio")}


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _sums(members: dict[str, bytes]) -> bytes:
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    return json.dumps(sums, sort_keys=True).encode()


def _content(path: Path | None) -> list[str]:
    try:
        there = path is not None and is_plain_file(path)
    except (OSError, ValueError):
        there = False
    return [path.name, hash_once(path)] if path is not None and there else []


def _state(path: Path | None) -> list[str]:
    try:
        return [] if path is None else [path.name, version_of(path)]
    except OSError:
        return []
