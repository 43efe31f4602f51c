"""The table of a dataset: one row per sample in `samples.parquet`, to filter and to split by.

Columns are the plain fields of `Sample`; its dictionaries and its probe are spread out (`quality.face_px`,
`lineage.video`, `probe.width`), its tuples are counted (`num_phonemes`). `shard` says where the sample lies,
`identity` is the speaker's embedding. Equal rows give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .files import publish
from .records import Probe, Rejected, Sample

FILE = "samples.parquet"
IDENTITY = "identity"
IDENTITY_SIZE = 512
ROW_GROUP = 4096
"""Rows that are encoded, and held as Python objects, at a time."""
SPLIT_COLUMNS = (
    "key", "id", "source", "speaker", "day", "text", "split", "official_split", "num_frames", "fingerprint",
    "lineage.video", "lineage.video_sha256", IDENTITY,
)  # fmt: skip
"""What splitting and the leakage report read."""
Row = dict[str, Any]


def row_of(sample: Sample, shard: str, identity: NDArray[np.float32] | None = None) -> Row:
    """Make the row of a sample; `identity` is its (512,) unit embedding."""
    row: Row = {"shard": shard, IDENTITY: identity}
    for name, value in _items(sample):
        if isinstance(value, dict):
            row |= {_column(name, key): each for key, each in value.items()}
        elif isinstance(value, Probe):
            row |= {_column(name, key): float(v) if key == "fps" else v for key, v in _items(value)}
        elif isinstance(value, tuple):
            row[_column("num", name, "_")] = len(value)
        else:
            row[name] = value
    return row


def write_table(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows in the order given, whole or not at all."""
    schema = pa.schema([(name, _type(name)) for name in sorted(set().union(*rows) or {"key"})])
    words = [name for name in schema.names if name != IDENTITY]  # embeddings never repeat
    layout = {"compression": "zstd", "use_dictionary": words, "write_statistics": words}
    with publish(folder / FILE) as temporary, pq.ParquetWriter(temporary, schema, **layout) as out:
        for start in range(0, len(rows), ROW_GROUP):
            out.write_table(_encode(rows[start : start + ROW_GROUP], schema))


def read_table(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the table, or some of its columns; one that is not in the file is not in the result.

    Raises `Rejected("bad_input")` when there is no table.
    """
    path = folder / FILE
    if not path.exists():
        raise Rejected("bad_input", f"{folder} has no {FILE}; build it with `avatarsync data build`")
    with path.open("rb") as stream, pq.ParquetFile(stream) as file:
        return file.read(columns=None if columns is None else list(columns))


def rows_of(table: pa.Table) -> Iterator[Row]:
    """Yield the rows again, each as `row_of` made it; what a row does not have is None."""
    for batch in table.to_batches(max_chunksize=ROW_GROUP):
        columns = {name: _values(name, batch.column(name)) for name in batch.schema.names}
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values, strict=True))


def _items(record: Sample | Probe) -> list[tuple[str, Any]]:
    return [(field.name, getattr(record, field.name)) for field in fields(record)]


@cache
def _column(prefix: str, name: str, between: str = ".") -> str:
    """Name a column; a hundred thousand rows share the string."""
    return f"{prefix}{between}{name}"


def _encode(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    columns = [_array(name, [row.get(name) for row in rows]) for name in schema.names]
    return pa.table(columns, schema=schema)


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    if name != IDENTITY:
        return pa.array(values, _type(name))
    empty = np.zeros(IDENTITY_SIZE, np.float32)
    flat = np.concatenate([empty if value is None else np.asarray(value, np.float32) for value in values])
    mask = pa.array([value is None for value in values])
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=_type(name), mask=mask)


def _values(name: str, column: pa.Array) -> list[Any]:
    if name != IDENTITY:
        values: list[Any] = column.to_pylist()
        return values
    faces = iter(column.flatten().to_numpy(zero_copy_only=False).reshape(-1, IDENTITY_SIZE))
    return [next(faces) if valid else None for valid in column.is_valid().to_pylist()]


def _type(name: str) -> pa.DataType:
    if name == IDENTITY:
        return pa.list_(pa.float32(), IDENTITY_SIZE)
    return _types().get(name) or (pa.float64() if name.startswith("quality.") else pa.string())


@cache
def _types() -> dict[str, pa.DataType]:
    """Types of the columns whose names are known; the others are `quality.*` (float) and words."""
    plain = {int: pa.int64(), float: pa.float64()}
    types = {f"num_{field.name}": pa.int64() for field in fields(Sample)}
    for record, prefix in ((Sample, ""), (Probe, "probe.")):
        hints = get_type_hints(record)
        types |= {prefix + name: plain.get(hint, pa.string()) for name, hint in hints.items()}
    return types | {"num_frames": pa.int64(), "probe.fps": pa.float64(), "probe.sample_rate": pa.int64()}
