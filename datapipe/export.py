"""Take samples out of shards as plain files, for people and for the benchmark."""

from __future__ import annotations

from pathlib import Path

from PIL import Image as Picture

from .files import publish, write_bytes, write_text
from .media import mux, read_audio, read_frames
from .records import Rejected, to_json
from .shards import StoredSample, read_samples


def export_cases(shards: Path, split: str | None, out: Path, limit: int | None = None) -> tuple[str, ...]:
    """Write KEY.mp4 (with sound), KEY.png (frame 0), KEY.wav and KEY.json of every sample; give the keys.

    The pictures of KEY.mp4 are the shard's own, copied, not encoded again.
    Raises `Rejected("bad_input")` when the split is empty.
    """
    keys: list[str] = []
    for sample in read_samples(shards, split):
        if limit is not None and len(keys) >= limit:
            break
        export_case(sample, out)
        keys.append(sample.meta.key)
    if not keys:
        raise Rejected("bad_input", f"{shards} has no sample in split `{split}`; see `avatarsync data stats`")
    return tuple(keys)


def export_case(sample: StoredSample, out: Path) -> None:
    """Write one sample as plain files."""
    key = sample.meta.key
    mux(out / f"{key}.mp4", sample.video, read_audio(sample.audio))
    first = read_frames(sample.video, 0.0, 1.0 / sample.meta.fps)[0]
    with publish(out / f"{key}.png") as temporary:
        Picture.fromarray(first).save(temporary)
    write_bytes(out / f"{key}.wav", sample.audio)
    write_text(out / f"{key}.json", to_json(sample.meta) + "\n")
