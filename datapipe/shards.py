"""Samples in tar files, by the layout of docs/shard-format.md: deterministic, whole, readable by anyone.

The same samples in the same order give the same bytes: fixed member order, no times, no owners.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import publish, sha256_of
from .records import Manifest, Rejected, Sample, Shard, from_json, read_record

ARRAYS = ("landmarks.npy", "source_landmarks.npy", "matrices.npy", "identity.npy")
MEMBERS = ("video.m4v", "keyframes.m4v", "audio.wave", *ARRAYS, "meta.json")
ORIGINAL = "original.m4v"
PLAIN, SUMS = "plain.npz", "sums.json"
"""Only in the cache: what is still to be enhanced, and the sha256 of the other members."""
UNSAFE = re.compile(rb"[^A-Za-z0-9_-]")
ESCAPED = re.compile(rb"~([0-9A-F]{2})")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredSample:
    """One sample as it lies in a shard; media are still encoded."""

    meta: Sample
    video: bytes
    """mp4, silent: `meta.num_frames` square frames of `meta.size` pixels at 25 fps."""
    keyframes: bytes
    """mp4: one intra-coded frame per keyframe."""
    audio: bytes
    """wav: 16 kHz mono PCM."""
    landmarks_TK2: NDArray[np.float32]
    """(num_frames, 106, 2) in pixels of the crop."""
    source_landmarks_TK2: NDArray[np.float32]
    """The same in pixels of the source picture, as they were detected."""
    matrices_T23: NDArray[np.float64]
    """(num_frames, 2, 3) maps from source pixels to crop pixels."""
    identity: NDArray[np.float32]
    """(512,) embedding of the speaker's face, of unit length."""


def escape_key(clip_id: str) -> str:
    """Turn any id into a key without dots and slashes, which WebDataset would split at."""
    raw = clip_id.encode("utf-8")
    return UNSAFE.sub(lambda match: f"~{match[0][0]:02X}".encode(), raw).decode("ascii")


def unescape_key(key: str) -> str:
    """Give back the id that `escape_key` was given."""
    return ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), key.encode("ascii")).decode("utf-8")


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Serialise an array as .npy."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def write_shard(path: Path, samples: Iterable[tuple[str, dict[str, bytes]]]) -> Shard:
    """Write (key, members by suffix) pairs as one tar, whole or not at all, and describe it."""
    keys = []
    with publish(path) as temporary:
        with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as out:
            for key, members in samples:
                keys.append(key)
                for suffix in [name for name in (*MEMBERS, ORIGINAL, PLAIN, SUMS) if name in members]:
                    _add(out, f"{key}.{suffix}", members[suffix])
        sha256, num_bytes = sha256_of(temporary), temporary.stat().st_size
    return Shard(name=path.name, sha256=sha256, num_bytes=num_bytes, keys=tuple(keys))


def read_shard(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield (key, members by suffix) in the order of the tar."""
    with open_shard(path) as tar:
        current, members = "", dict[str, bytes]()
        for entry in tar:
            key, _, suffix = entry.name.partition(".")
            if key != current and members:
                yield current, members
                members = {}
            stream = tar.extractfile(entry)
            current, members[suffix] = key, stream.read() if stream else b""
        if members:
            yield current, members


def read_samples(folder: Path, split: str | None = None) -> Iterator[StoredSample]:
    """Yield the samples of a dataset folder, all or one split's, in a fixed order.

    Raises `Rejected("bad_input")` when the folder holds no shards.
    """
    paths = sorted(folder.glob("[!.]*.tar"))
    if not paths:
        raise Rejected("bad_input", f"{folder} holds no shards; build them with `avatarsync data build`")
    for path in paths:
        for _, members in read_shard(path):
            meta = from_json(members["meta.json"].decode("utf-8"), Sample)
            if split is None or meta.split == split:
                yield stored(meta, members)


def read_metas(folder: Path) -> Iterator[tuple[str, Sample]]:
    """Yield (shard name, record) of every sample of a dataset folder; the media are skipped, not read."""
    for path in sorted(folder.glob("[!.]*.tar")):
        with open_shard(path) as tar:
            for entry in tar:
                stream = tar.extractfile(entry) if entry.name.endswith(".meta.json") else None
                if stream is not None:
                    yield path.name, from_json(stream.read().decode("utf-8"), Sample)


def stored(meta: Sample, members: dict[str, bytes]) -> StoredSample:
    """Gather the members of one sample."""
    return StoredSample(
        meta=meta,
        video=members["video.m4v"],
        keyframes=members["keyframes.m4v"],
        audio=members["audio.wave"],
        landmarks_TK2=_array(members["landmarks.npy"]),
        source_landmarks_TK2=_array(members["source_landmarks.npy"]),
        matrices_T23=_array(members["matrices.npy"]),
        identity=_array(members["identity.npy"]),
    )


@contextmanager
def open_shard(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar for reading, here or in a store."""
    with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        yield tar


def _array(data: bytes) -> NDArray[Any]:
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))


def _add(out: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o644, 0
    out.addfile(entry, io.BytesIO(data))


def identity_of(folders: Sequence[Path]) -> str:
    """Hash the shards' hashes: equal data gives an equal name, wherever and whenever it was built."""
    digest = hashlib.sha256()
    for folder in folders:
        path = folder / "manifest.json"
        if not path.exists():
            raise Rejected(
                "bad_input", f"{folder} has no manifest.json; build it with `avatarsync data build`"
            )
        manifest = read_record(path, Manifest, "build it again")
        digest.update("".join(shard.sha256 for shard in manifest.shards).encode())
    return digest.hexdigest()
