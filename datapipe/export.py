"""Take samples out of shards as plain files, for people and for the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image as Picture

from .files import publish, write_bytes, write_text
from .media import mux, read_audio, read_frames
from .records import Rejected, Sample, from_json, to_json
from .shards import StoredSample, read_shard, stored
from .stats import read_rows
from .where import select


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which samples of a dataset are wanted."""

    split: str | None = None
    """Only this split; None is all."""
    where: tuple[str, ...] = ()
    """Conditions on columns, all of which must be met: see `datapipe.where`."""
    limit: int | None = None
    """At most so many, in the order of the shards."""


def choose(shards: Path, choice: Choice) -> pd.DataFrame:
    """Give the table's rows of the samples that are wanted; `Rejected("bad_input")` when there are none."""
    rows = read_rows(shards)
    inside = rows if choice.split is None else rows[rows["split"] == choice.split]
    if not len(inside):
        there = ", ".join(sorted(set(rows["split"])))
        raise Rejected("bad_input", f"{shards} has no sample in split `{choice.split}`; there is: {there}")
    selection = select(inside, choice.where)
    if not len(selection.rows):
        raise Rejected("bad_input", f"nothing is left to take: {selection.sentence()}")
    return selection.rows if choice.limit is None else selection.rows.head(choice.limit)


def read_chosen(shards: Path, rows: pd.DataFrame) -> Iterator[StoredSample]:
    """Yield the stored samples of the rows, shard by shard; only shards that hold one are opened.

    Raises `Rejected("bad_input")` when a shard lacks a sample that the table names.
    """
    for shard, group in rows.groupby("shard", sort=True):
        wanted = set(group["key"])
        for key, members in read_shard(shards / str(shard)):
            if key in wanted:
                wanted.remove(key)
                yield stored(from_json(members["meta.json"].decode("utf-8"), Sample), members)
            if not wanted:
                break
        if wanted:
            what = f"{shard} does not hold {min(wanted)}, which the table names"
            raise Rejected("bad_input", f"{what}; see `avatarsync data verify`, and build again")


def export_cases(shards: Path, out: Path, choice: Choice = Choice()) -> tuple[str, ...]:
    """Write KEY.mp4 (with sound), KEY.png (frame 0), KEY.wav and KEY.json of every sample; give the keys.

    The pictures of KEY.mp4 are the shard's own, copied, not encoded again. The folder may hold other cases.
    Raises `Rejected("bad_input")` when nothing is left to take.
    """
    keys: list[str] = []
    for sample in read_chosen(shards, choose(shards, choice)):
        export_case(sample, out)
        keys.append(sample.meta.key)
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


def _export_hf(shards: Path, out: Path, choice: Choice) -> tuple[str, ...]:
    from .huggingface import export_hf  # `datasets` takes seconds to import

    return export_hf(shards, out, choice)


EXPORTS: dict[str, Callable[[Path, Path, Choice], tuple[str, ...]]] = {
    "cases": export_cases,
    "hf": _export_hf,
}
"""How each `--format` is written; each gives the keys."""
