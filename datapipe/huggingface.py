"""Export for Hugging Face `datasets`: Parquet files by split and a card, for `load_dataset(FOLDER)`.

Media stay encoded: `Video(decode=False)` and `Audio(decode=False)` give their bytes without torchcodec.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray
from pandas.api.types import is_float_dtype, is_integer_dtype

from .card import data_card
from .export import Choice, choose, read_chosen
from .files import publish, write_text
from .leakage import leakage_sentence
from .manifest import read_manifest
from .media import SAMPLE_RATE
from .records import Manifest, Rejected, to_dict
from .shards import StoredSample

NOTE = "export.json"
"""Says that a folder is an export, what it holds, and whether it is complete; written first and last."""
FOLDER = "data"
SPLIT = re.compile(r"\w+(\.\w+)*", re.ASCII)
"""Names that `datasets` takes for a split."""
FILE_BYTES = 400 << 20
"""Aimed-at size of a Parquet file."""
GROUP_BYTES = 32 << 20
"""A row group is written when its samples reach this: what a reader of a stream holds, and the writer."""
FIRST = (
    "key",
    "id",
    "source",
    "speaker",
    "language",
    "split",
    "text",
    "duration",
    "num_frames",
    "fps",
    "size",
)
LISTS: dict[str, dict[str, str]] = {
    "words": {"text": "string", "start": "float64", "end": "float64", "score": "float64"},
    "phonemes": {
        **{"symbol": "string", "start": "float64", "end": "float64", "score": "float64"},
        "stress": "int64",
    },
    "keyframes": {"frame": "int64", "time": "float64", "phoneme": "string"},
}
"""Columns that hold a list of records, with the records' fields."""
ARRAYS: dict[str, tuple[str, Any]] = {
    "landmarks": ("landmarks_TK2", datasets.Array3D(shape=(None, 106, 2), dtype="float32")),
    "source_landmarks": ("source_landmarks_TK2", datasets.Array3D(shape=(None, 106, 2), dtype="float32")),
    "matrices": ("matrices_T23", datasets.Array3D(shape=(None, 2, 3), dtype="float64")),
    "identity": ("identity", datasets.List(datasets.Value("float32"))),
}
"""Columns that hold an array, with the field of the stored sample it comes from."""
MEDIA: dict[str, tuple[str, Any]] = {
    "video": ("video", datasets.Video(decode=False)),
    "keyframe_video": ("keyframes", datasets.Video(decode=False)),
    "audio": ("audio", datasets.Audio(sampling_rate=SAMPLE_RATE, decode=False)),
}
"""Columns that hold an encoded file, with the field of the stored sample it comes from."""


def export_hf(shards: Path, out: Path, choice: Choice) -> tuple[str, ...]:
    """Write `data/SPLIT-00000-of-0000N.parquet` for every split, and a card; give the keys.

    The folder must be empty or hold an earlier export, which is replaced when the new one is whole.
    Raises `Rejected("bad_input")` for another folder, and when nothing is left to take.
    """
    manifest = read_manifest(shards)
    rows = choose(shards, choice)
    _check_splits(rows)
    _claim(out)
    features = features_of(rows)
    per_file = _rows_per_file(manifest)
    facts = {str(key): row for key, row in zip(rows["key"], _plain_rows(rows), strict=True)}
    keys: list[str] = []
    with ExitStack() as publishing:
        with ExitStack() as writing:
            writers = {
                split: writing.enter_context(_SplitWriter(out, split, count, per_file, features, publishing))
                for split, count in sorted(Counter(rows["split"]).items())
            }
            for sample in read_chosen(shards, rows):
                row = facts[sample.meta.key]
                writers[row["split"]].add(row, sample)
                keys.append(sample.meta.key)
        names = [name for writer in writers.values() for name in writer.names]
        _make_room(out, names)
    _write_card(shards, out, rows, manifest, choice)
    _note(out, complete=True, choice=to_dict(choice), files=names, samples=len(keys))
    return tuple(keys)


def features_of(rows: pd.DataFrame) -> datasets.Features:
    """Name the columns and their types: the table's, then lists, media and arrays."""
    names = [*FIRST, *sorted(set(rows.columns) - set(FIRST) - {"shard"})]
    plain = {name: datasets.Value(_type_of(rows[name])) for name in names}
    lists = {
        name: datasets.List({part: datasets.Value(kind) for part, kind in fields.items()})
        for name, fields in LISTS.items()
    }
    rest = {name: feature for name, (_, feature) in [*MEDIA.items(), *ARRAYS.items()]}
    return datasets.Features(plain | lists | rest)


def _type_of(column: pd.Series[Any]) -> str:
    if is_integer_dtype(column):
        return "int64"
    return "float64" if is_float_dtype(column) else "string"


def _plain_rows(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows as dictionaries in which an absent value is None."""
    columns = [rows[name].astype(object).where(rows[name].notna(), None) for name in rows.columns]
    names = [str(name) for name in rows.columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


class _SplitWriter:
    """Writes the samples of one split, a row group at a time, into files of a known number.

    The files appear under their names when `publishing` ends, all of them or none.
    """

    def __init__(
        self, out: Path, split: str, count: int, per_file: int, features: Any, publishing: ExitStack
    ) -> None:
        total = math.ceil(count / per_file)
        self.names = [f"{split or 'unsplit'}-{k:05d}-of-{total:05d}.parquet" for k in range(total)]
        self._folder, self._per_file, self._features = out / FOLDER, per_file, features
        self._publishing = publishing
        self._waiting: list[tuple[dict[str, Any], StoredSample]] = []
        self._num_bytes = self._num_written = 0
        self._file: Any = None

    def __enter__(self) -> _SplitWriter:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._flush()
        self._close()

    def add(self, row: dict[str, Any], sample: StoredSample) -> None:
        """Take one sample; it is written when enough have come."""
        self._waiting.append((row, sample))
        self._num_bytes += sum(len(getattr(sample, name)) for name, _ in MEDIA.values())
        self._num_bytes += sum(getattr(sample, name).nbytes for name, _ in ARRAYS.values())
        full = (self._num_written + len(self._waiting)) % self._per_file == 0
        if full or self._num_bytes >= GROUP_BYTES:
            self._flush()
        if full:
            self._close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        if self._file is None:
            path = self._folder / self.names[self._num_written // self._per_file]
            temporary = self._publishing.enter_context(publish(path))
            self._file = parquet.ParquetWriter(temporary, self._features.arrow_schema, write_page_index=True)
        self._file.write_table(to_table(self._waiting, self._features))
        self._num_written += len(self._waiting)
        self._num_bytes = 0
        self._waiting.clear()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


def to_table(samples: Sequence[tuple[dict[str, Any], StoredSample]], features: Any) -> pa.Table:
    """Lay rows and their stored samples out as Arrow columns of the features' schema."""
    schema = features.arrow_schema
    columns = [pa.array([_value(row, sample, name) for row, sample in samples], schema.field(name).type)
               for name in schema.names if name not in ARRAYS]  # fmt: skip
    for name, (attribute, _) in ARRAYS.items():
        arrays = [getattr(sample, attribute) for _, sample in samples]
        columns.append(_nested(arrays, schema.field(name).type))
    return pa.Table.from_arrays(columns, schema=schema)


def _value(row: dict[str, Any], sample: StoredSample, name: str) -> Any:
    if name in LISTS:
        return to_dict(getattr(sample.meta, name))
    if name in MEDIA:
        suffix = "wav" if name == "audio" else "mp4"
        return {
            "bytes": getattr(sample, MEDIA[name][0]),
            "path": f"{sample.meta.key}.{name}.{suffix}",
        }
    return row[name]


def _nested(arrays: Sequence[NDArray[Any]], kind: Any) -> Any:
    """Turn arrays that differ in length into one Arrow column of nested lists, without Python numbers."""
    values: Any = pa.array(np.concatenate([each.ravel() for each in arrays]))
    for axis in range(arrays[0].ndim - 1, 0, -1):
        length = arrays[0].shape[axis]
        ends = np.arange(0, len(values) + 1, length, dtype=np.int32)
        values = pa.ListArray.from_arrays(pa.array(ends), values)
    ends = np.cumsum([0, *(len(each) for each in arrays)], dtype=np.int32)
    column = pa.ListArray.from_arrays(pa.array(ends), values)
    if isinstance(kind, pa.ExtensionType):
        return pa.ExtensionArray.from_storage(kind, column.cast(kind.storage_type))
    return column.cast(kind)


def _rows_per_file(manifest: Manifest) -> int:
    num_bytes = sum(shard.num_bytes for shard in manifest.shards)
    mean = max(1, num_bytes // max(1, manifest.num_samples))
    return max(1, FILE_BYTES // mean)


def _check_splits(rows: pd.DataFrame) -> None:
    strange = [split for split in sorted(set(rows["split"])) if split and not SPLIT.fullmatch(split)]
    if strange:
        raise Rejected(
            "bad_input",
            f"split `{strange[0]}` cannot name a file; split anew with names of letters, digits and _",
        )


def _claim(out: Path) -> None:
    """Mark a new or empty folder as an export; one that is an export already stays as it is."""
    if (out / NOTE).exists():
        for path in (out / FOLDER).glob(".*.tmp.parquet"):  # of an export that was killed
            path.unlink()
        return
    if out.exists() and any(out.iterdir()):
        raise Rejected(
            "bad_input",
            f"{out} is not empty and holds no export of `--format hf`; name a new or empty folder",
        )
    _note(out, complete=False)


def _make_room(out: Path, names: Sequence[str]) -> None:
    """Remove what an earlier export has and this one has not; from here on the folder is not whole."""
    _note(out, complete=False)
    for path in (out / FOLDER).glob("[!.]*.parquet"):
        if path.name not in names:
            path.unlink()


def _note(out: Path, **facts: Any) -> None:
    text = json.dumps({"format": "hf", **facts}, indent=1, sort_keys=True, ensure_ascii=False)
    write_text(out / NOTE, text + "\n")


def _write_card(shards: Path, out: Path, rows: pd.DataFrame, manifest: Manifest, choice: Choice) -> None:
    files = {
        split or "unsplit": f"{FOLDER}/{split or 'unsplit'}-*.parquet" for split in sorted(set(rows["split"]))
    }
    said = leakage_sentence(shards)
    filters = choice.where if choice.limit is None else (*choice.where, f"the first {choice.limit}")
    write_text(out / "README.md", data_card(manifest, rows, said, files=files, filters=filters))
