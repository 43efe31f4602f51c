"""Small datasets with real media inside, made without any corpus: for what reads finished shards."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from datapipe import media, shards
from datapipe.ledger import Row, write_ledger
from datapipe.manifest import write_manifest
from datapipe.records import Keyframe, Manifest, Phoneme, Probe, Sample, Shard, to_json

SIZE, FRAMES = 32, 10


def sample(number: int, **changes: Any) -> Sample:
    """Make the record of a clip of 0.4 s; every number has its own quality."""
    clip_id = changes.pop("id", f"s{number % 2}/clip.{number}")
    made = Sample(
        key=shards.escape_key(clip_id), id=clip_id, source="folder", speaker=f"s{number % 2}", language="en",
        split=("train", "train", "val", "test")[number % 4], text=f"words of {number}",
        text_origin="released", licence="CC BY 4.0", consent="given", fps=25, num_frames=FRAMES,
        size=SIZE, duration=FRAMES / 25,
        phonemes=(
            Phoneme(symbol="SIL", start=0.0, end=0.1),
            Phoneme(symbol="AA", start=0.1, end=0.12, stress=1),
            Phoneme(symbol="M", start=0.12, end=0.4),
        ),
        keyframes=(
            Keyframe(frame=1, time=0.05, phoneme="SIL"),
            Keyframe(frame=2, time=0.11, phoneme="AA"),
            Keyframe(frame=2, time=0.11, phoneme="M"),
        ),
        probe=Probe(width=8, height=8, fps=Fraction(25), num_frames=FRAMES, duration=0.4,
                    video_codec="h264", audio_codec=None, sample_rate=None),
        quality={
            "face_px": 100.0 + number, "exposure": 0.5, "snr_db": 30.0 - number, "jitter_px": 0.1 * number,
        },
        notes={"asr": "released"},
        lineage={"video": f"clip.{number}.mp4", "video_sha256": f"{number:064x}", "start": "0", "end": ""},
    )  # fmt: skip
    return replace(made, **changes)


def members(meta: Sample, seed: int = 0) -> dict[str, bytes]:
    """Encode media that fit a record."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(rng.integers(0, 255, (meta.num_frames, 1, 1, 3), np.uint8), SIZE, 1).repeat(SIZE, 2)
    points = rng.random((meta.num_frames, 106, 2), np.float32)
    tone = 0.3 * np.sin(np.arange(meta.num_frames * 640) / 8).astype(np.float32)
    arrays = {
        "landmarks.npy": points,
        "source_landmarks.npy": points * 2,
        "matrices.npy": np.tile(np.eye(2, 3), (meta.num_frames, 1, 1)),
        "identity.npy": np.full(512, 512**-0.5, np.float32),
    }
    stills = frames[[each.frame for each in meta.keyframes]]
    return {
        "video.m4v": _mp4(frames),
        "keyframes.m4v": _mp4(stills, keyframes_only=True),
        "audio.wave": media.wav_bytes(tone),
        **{name: shards.npy_bytes(array) for name, array in arrays.items()},
        "meta.json": to_json(meta).encode(),
    }


def _mp4(frames: Any, **options: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        media.write_video(Path(folder) / "x.mp4", frames, **options)
        return (Path(folder) / "x.mp4").read_bytes()


def manifest(metas: list[Sample], made: tuple[Shard, ...], **changes: Any) -> Manifest:
    """Describe a dataset of these records."""
    plain = Manifest(
        name="small", source="folder", versions={"avatarsync": "0"}, config={"crop": {"size": SIZE}},
        weights={"net": "ab" * 32}, shards=made, num_samples=len(metas),
        duration=sum(meta.duration for meta in metas), rejected={}, failed=0, splits={}, licences={},
        consents={},
    )  # fmt: skip
    return replace(plain, **changes)


def dataset(folder: Path, metas: list[Sample], rows: list[Row] | None = None, per_shard: int = 3) -> Path:
    """Write shards, ledger and manifest; no table, so that readers must do without one."""
    made = []
    for start in range(0, len(metas), per_shard):
        entries = [
            (meta.key, members(meta, start + k)) for k, meta in enumerate(metas[start : start + per_shard])
        ]
        made.append(shards.write_shard(folder / f"small-{start // per_shard:06d}.tar", entries))
    write_ledger(folder, [*(Row(clip=meta.id, status="done") for meta in metas), *(rows or [])])
    write_manifest(folder, manifest(metas, tuple(made)))
    return folder
