"""Change a finished dataset where it lies: samples that leave, splits that change; media stay as they are.

The manifest is set aside first and written last. When that was interrupted, the shards themselves say what
is there, and the same command gets to its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from .files import sha256_of, write_text
from .ledger import Row, read_ledger
from .limits import only_one
from .manifest import FILE as MANIFEST_FILE
from .manifest import read_manifest
from .publish import ASIDE, finish, identity_of, recipe_of, with_split
from .records import Manifest, Rejected, Sample, Shard, from_dict, from_json, to_dict
from .run import REPLAY
from .shards import read_shard, write_shard
from .splits import SplitConfig, assign_all, recorded, settle
from .table import Row as TableRow
from .table import read_table, row_of, rows_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset folder that can be rewritten."""

    out: Path
    manifest: Manifest
    rows: tuple[TableRow, ...]
    """Of the table, in the shards' order."""
    held: dict[str, list[tuple[str, str]]]
    """Key and split of the samples that each shard really holds."""
    sound: dict[str, Shard]
    """Shards that are known to be as the manifest says, by name."""
    outcomes: dict[str, Row]
    """The ledger."""


def split_again(out: Path, config: SplitConfig) -> Manifest:
    """Assign new splits; only shards in which one changes are rewritten.

    Raises `Rejected("bad_input")`: no dataset, another process at work on it, settings that contradict.
    """
    with only_one(existing(out)):
        dataset = open_dataset(out)
        splits = assign_all(dataset.rows, config)
        settings = dataset.manifest.config | {"split": to_dict(recorded(config))}
        _update_replay(out, config)
        return rewrite(dataset, splits, replace(dataset.manifest, config=settings), dataset.outcomes)


def open_dataset(out: Path) -> Dataset:
    """Read what a folder holds; one whose rewriting was interrupted is what it was going to be."""
    outcomes = read_ledger(existing(out))
    if (out / ASIDE).exists() and not (out / MANIFEST_FILE).exists():
        return _interrupted(out, outcomes)
    manifest = read_manifest(out)
    sound = {shard.name: shard for shard in manifest.shards}
    rows = tuple(rows_of(read_table(out)))
    return Dataset(out=out, manifest=manifest, rows=rows, held=_held(rows), sound=sound, outcomes=outcomes)


def rewrite(
    dataset: Dataset, splits: Mapping[str, str], made: Manifest, outcomes: Mapping[str, Row]
) -> Manifest:
    """Keep the samples whose keys have a split, and give them that; all that describes them follows.

    `made` says what the shards are made with from now on, `outcomes` what became of every clip.
    """
    out = dataset.out
    write_text(out / ASIDE, json.dumps({"manifest": to_dict(made), "splits": dict(splits)}))
    (out / MANIFEST_FILE).unlink(missing_ok=True)
    table = [row | {"split": splits[row["key"]]} for row in dataset.rows if row["key"] in splits]
    groups = [(name, list(rows)) for name, rows in groupby(table, key=lambda row: str(row["shard"]))]
    shards = [_rewritten(dataset, name, rows) for name, rows in groups]
    manifest = finish(out, made, shards, table, list(outcomes.values()))
    (out / ASIDE).unlink()
    return manifest


def changed_shards(dataset: Dataset, splits: Mapping[str, str]) -> set[str]:
    """Name the shards that a rewriting would touch."""
    return {
        name for name, held in dataset.held.items() if any(splits.get(key) != split for key, split in held)
    }


def existing(out: Path) -> Path:
    """Refuse a folder that is not there, which a lock would make."""
    if not out.is_dir():
        raise Rejected("bad_input", f"{out} is not a folder; give the one that `avatarsync data build` wrote")
    return out


def _interrupted(out: Path, outcomes: dict[str, Row]) -> Dataset:
    facts: dict[str, Any] = json.loads((out / ASIDE).read_text(encoding="utf-8"))
    manifest = from_dict(facts["manifest"], Manifest)
    there = [row for shard in manifest.shards for row in _rows_in(out / shard.name, outcomes)]
    splits = facts["splits"]
    rows = tuple(row | {"split": splits[row["key"]]} for row in there if row["key"] in splits)
    return Dataset(out=out, manifest=manifest, rows=rows, held=_held(there), sound={}, outcomes=outcomes)


def _held(rows: Sequence[TableRow]) -> dict[str, list[tuple[str, str]]]:
    return {
        name: [(row["key"], row["split"]) for row in group]
        for name, group in groupby(rows, key=lambda row: str(row["shard"]))
    }


def _rewritten(dataset: Dataset, name: str, rows: Sequence[TableRow]) -> Shard:
    path = dataset.out / name
    if dataset.held[name] == _held(rows)[name]:
        return dataset.sound.get(name) or _described(path, rows)
    return replace(write_shard(path, _entries(path, rows)), recipe=recipe_of(rows))


def _entries(path: Path, rows: Sequence[TableRow]) -> Iterator[tuple[str, dict[str, bytes]]]:
    splits = {row["key"]: row["split"] for row in rows}
    for key, members in read_shard(path):
        if key in splits:
            yield key, with_split(members, splits[key])


def _described(path: Path, rows: Sequence[TableRow]) -> Shard:
    keys = tuple(row["key"] for row in rows)
    size = path.stat().st_size
    return Shard(name=path.name, sha256=sha256_of(path), num_bytes=size, keys=keys, recipe=recipe_of(rows))


def _rows_in(path: Path, outcomes: Mapping[str, Row]) -> Iterator[TableRow]:
    """Make the rows of a shard from what it holds; one that lost all its samples is gone."""
    for _, members in read_shard(path) if path.exists() else ():
        sample = from_json(members["meta.json"].decode("utf-8"), Sample)
        content = outcomes[sample.id].key if sample.id in outcomes else ""
        yield row_of(sample, path.name, identity_of(members)) | {"content": content}


def _update_replay(out: Path, config: SplitConfig) -> None:
    """Let a replay of the build give the new splits."""
    path = out / REPLAY
    if path.exists():
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        settled = settle(config)
        placed = settled if settled.file is None else replace(settled, file=settled.file.absolute())
        facts["config"]["split"] = to_dict(placed)
        write_text(path, json.dumps(facts, ensure_ascii=False, sort_keys=True, indent=1) + "\n")
