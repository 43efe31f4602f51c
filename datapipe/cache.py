"""Finished samples by content: the same input, settings, stages and weights are computed once.

The key is a sha256 over the bytes of the input files, the clip's record without its paths, the build's
settings, the version of the stages, and the weights that the settings use. An entry is one small tar,
published by rename, so a crash leaves none that is half-written; one that is damaged counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import phonemes as inventory
from . import transcribe
from .config import BuildConfig
from .files import hash_once
from .records import Clip, to_dict
from .shards import MEMBERS, SUMS, read_shard, write_shard
from .weights import lookup

STAGES_VERSION = "stages/3"
"""Raised whenever a stage gives another result for the same input."""
VERSIONS = {"avatarsync": version("avatarsync"), "stages": STAGES_VERSION, "phonemes": inventory.VERSION}
"""What decides a sample's bytes beside its input, its settings and the weights."""
FACE_WEIGHTS = ("scrfd-500m", "2d106det", "w600k-mbf")


def used_weights(config: BuildConfig) -> dict[str, str]:
    """Name the registry files that a build with these settings may use, with their sha256."""
    names = [*FACE_WEIGHTS, *transcribe.WEIGHTS, "pocketsphinx-zh"]
    if config.upscale.backend == "realesrgan":
        names.append("realesrgan-x2")
    return {name: lookup(name).sha256 for name in names}


def sample_key(clip: Clip, config: BuildConfig) -> str:
    """Give the content address of a clip's sample; files that are absent count as empty."""
    record: dict[str, Any] = to_dict(clip)
    files = {"video": clip.video, "audio": clip.audio}
    record |= {name: _content(path) for name, path in files.items()}
    facts = {
        "clip": record,
        "config": to_dict(config),
        "stages": STAGES_VERSION,
        "phonemes": inventory.VERSION,
        "weights": used_weights(config),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def cache_path(folder: Path, key: str) -> Path:
    """Say where the sample of a key is kept."""
    return folder / key[:2] / f"{key}.tar"


def load(path: Path) -> dict[str, bytes] | None:
    """Read a kept sample's members; None when there is none or it is damaged."""
    try:
        ((_, members),) = read_shard(path)
    except (FileNotFoundError, tarfile.TarError, EOFError, ValueError):
        return None
    sums = members.pop(SUMS, b"")
    return members if set(MEMBERS) <= set(members) and sums == _sums(members) else None


def store(path: Path, key: str, members: dict[str, bytes]) -> None:
    """Keep a sample's members, whole or not at all."""
    write_shard(path, [(key, {**members, SUMS: _sums(members)})])


def _sums(members: dict[str, bytes]) -> bytes:
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    return json.dumps(sums, sort_keys=True).encode()


def _content(path: Path | None) -> list[str]:
    return [path.name, hash_once(path)] if path is not None and path.is_file() else []
