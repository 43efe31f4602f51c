"""Put a dataset together: shards, table, splits, leakage, card, ledger, and last the manifest.

A shard holds the samples of `per_shard` consecutive clips of the plan. One whose recipe did not change is
left alone, so a build that was run before, or in which little changed, writes next to nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import cache
from .card import FILE as CARD_FILE
from .card import write_card
from .config import BuildConfig
from .files import sha256_of, write_text
from .leakage import FILE as LEAKAGE_FILE
from .leakage import write_leakage
from .ledger import Row, count, has_journal, write_ledger
from .manifest import FILE as MANIFEST_FILE
from .manifest import blank_manifest, fill_manifest, read_manifest, write_manifest
from .places import version_of
from .records import Manifest, Rejected, Sample, Shard, from_dict, from_json, to_dict, to_json
from .shards import escape_key, read_shard, write_shard
from .splits import FILE as SPLITS_FILE
from .splits import SplitConfig, assign_all, recorded, write_splits
from .table import FILE as TABLE_FILE
from .table import Row as TableRow
from .table import read_table, row_of, rows_of, write_table

SHELF = ".cache/shelf.json"
"""The shards as they were last seen, with size and time: what they hold need not be read again."""

WHERE = ("key", "shard", "content")
"""Columns of the table that say where a sample lies."""
ASIDE = "unfinished.json"
"""What a dataset will be, while it is being rewritten: its manifest, and the split of every sample."""
FILES = (MANIFEST_FILE, TABLE_FILE, SPLITS_FILE, LEAKAGE_FILE, CARD_FILE)
"""What describes the shards."""
Place = tuple[str, Row]
"""A shard's name, and the ledger's row of a sample that goes into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What a dataset folder already holds and can be relied on."""

    out: Path
    folder: Path
    """The cache."""
    sound: dict[str, Shard]
    """Shards whose bytes are those that were published, by name."""
    known: dict[str, tuple[str, str]]
    """Shard and content address of every sample in them, by key."""
    digest: str = ""
    """What the last build that came to its end was made of."""

    @classmethod
    def of(cls, out: Path, folder: Path) -> Shelf:
        """Look at a folder; one that is not there is an empty shelf."""
        facts = _read_shelf(out)
        sound = {each.name: each for each in _published(out, facts) if _is_sound(out, each, facts)}
        rows = rows_of(read_table(out, WHERE)) if sound and (out / TABLE_FILE).exists() else ()
        known = {row["key"]: (row["shard"], row["content"]) for row in rows if row["shard"] in sound}
        return cls(out=out, folder=folder, sound=sound, known=known, digest=facts.get("digest", ""))

    def holds(self, row: Row) -> bool:
        """Tell whether a finished sample lies in a sound shard."""
        return self.known.get(escape_key(row.clip), ("", ""))[1] == row.key

    def rows(self) -> dict[str, TableRow]:
        """Read the table's rows of the samples in sound shards, by key."""
        rows = rows_of(read_table(self.out)) if self.known else ()
        return {row["key"]: row for row in rows if row["key"] in self.known}


def publish(
    shelf: Shelf,
    source: str,
    config: BuildConfig,
    rows: Sequence[Row],
    planned: Sequence[str],
    per_shard: int,
) -> Manifest:
    """Write what changed; the manifest goes first and comes last, so it never lies.

    `planned` are the ids of all clips in order: a clip's place in it decides its shard.
    """
    out, made = shelf.out, blank_manifest(source, replace(config, split=recorded(config.split)))
    digest = _digest([source, made.config, made.versions, per_shard, _outcomes(rows)])
    if digest == shelf.digest and _is_whole(shelf):
        if has_journal(out):
            write_ledger(out, rows)
        return read_manifest(out)
    (out / MANIFEST_FILE).unlink(missing_ok=True)
    (out / ASIDE).unlink(missing_ok=True)
    places = _places(source, rows, planned, per_shard)
    before = shelf.rows()
    table = [_table_row(shelf, before, name, row) for name, row in places]
    before.clear()
    splits = assign_all(table, config.split)
    for row in table:  # in place: a corpus has a hundred thousand of them
        row["split"] = splits[row["key"]]
    shards = _write_shards(shelf, table)
    return finish(out, made, shards, table, rows, digest)


def finish(
    out: Path,
    made: Manifest,
    shards: Sequence[Shard],
    table: Sequence[TableRow],
    rows: Sequence[Row],
    digest: str = "",
) -> Manifest:
    """Write everything that describes the shards, and last the manifest.

    `made` says what they were made with; `table` has a row per sample in the shards' order, `rows` an
    outcome per clip, `digest` stands for all that went in (none: the next build puts it together again).
    """
    known = {shard.name for shard in shards}
    for stale in [path for path in out.glob("*.tar") if path.name not in known]:
        stale.unlink()
    manifest = fill_manifest(made, shards, table, count(rows, len(rows)))
    write_table(out, table)
    write_splits(out, table, from_dict(manifest.config["split"], SplitConfig))
    write_card(out, manifest, table, write_leakage(out, table))
    _write_shelf(out, shards, digest)
    write_ledger(out, rows)
    write_manifest(out, manifest)
    return manifest


def _is_whole(shelf: Shelf) -> bool:
    """Tell whether everything that a build writes is there, and the shards as they were."""
    if not all((shelf.out / name).exists() for name in FILES):
        return False
    return {shard.name for shard in read_manifest(shelf.out).shards} == set(shelf.sound)


def _places(source: str, rows: Sequence[Row], planned: Sequence[str], per_shard: int) -> list[Place]:
    number = {clip: index // per_shard for index, clip in enumerate(planned)}
    done = sorted((row for row in rows if row.status == "done"), key=lambda row: row.clip)
    return [(f"{source}-{number[row.clip]:06d}.tar", row) for row in done]


def _table_row(shelf: Shelf, before: Mapping[str, TableRow], name: str, row: Row) -> TableRow:
    """Describe a sample: as the table did before, or from what the cache holds of it."""
    if shelf.holds(row):
        known = before[escape_key(row.clip)]
    else:
        # the cache checks a sample's bytes when it goes into a shard
        members = cache.peek(cache.cache_path(shelf.folder, row.key), ("meta.json", "identity.npy"))
        sample = from_json(members["meta.json"].decode("utf-8"), Sample)
        known = row_of(sample, name, identity_of(members))
    known.update(shard=name, content=row.key)
    return known


def _write_shards(shelf: Shelf, table: Sequence[TableRow]) -> list[Shard]:
    recipes = [(name, list(rows)) for name, rows in groupby(table, key=lambda row: row["shard"])]
    stale = [rows for name, rows in recipes if not _stands(shelf, name, rows)]
    _restock(shelf, [row for rows in stale for row in rows])
    return [_write_shard(shelf, name, rows) for name, rows in recipes]


def _stands(shelf: Shelf, name: str, rows: Sequence[TableRow]) -> bool:
    return name in shelf.sound and shelf.sound[name].recipe == recipe_of(rows)


def _write_shard(shelf: Shelf, name: str, rows: Sequence[TableRow]) -> Shard:
    if _stands(shelf, name, rows):
        return shelf.sound[name]
    shard = write_shard(shelf.out / name, (_entry(shelf, row) for row in rows))
    return replace(shard, recipe=recipe_of(rows))


def _entry(shelf: Shelf, row: TableRow) -> tuple[str, dict[str, bytes]]:
    return row["key"], with_split(_cached(shelf, row["id"], row["content"]), row["split"])


def with_split(members: dict[str, bytes], split: str) -> dict[str, bytes]:
    """Write the split into a sample's record."""
    sample = from_json(members["meta.json"].decode("utf-8"), Sample)
    return members | {"meta.json": to_json(replace(sample, split=split)).encode("utf-8")}


def _restock(shelf: Shelf, rows: Sequence[TableRow]) -> None:
    """Take samples back into the cache that only the old shards hold, before those are written over."""
    lacking = {
        row["key"]: row
        for row in rows
        if shelf.known.get(row["key"], ("", ""))[1] == row["content"]
        and cache.load(cache.cache_path(shelf.folder, row["content"])) is None
    }
    for name in sorted({shelf.known[key][0] for key in lacking}):
        for key, members in read_shard(shelf.out / name):
            if key in lacking:
                blank = with_split(members, lacking[key]["official_split"])
                cache.store(cache.cache_path(shelf.folder, lacking[key]["content"]), key, blank)


def _cached(shelf: Shelf, clip_id: str, content: str) -> dict[str, bytes]:
    members = cache.load(cache.cache_path(shelf.folder, content))
    if members is None:
        raise Rejected("bad_input", f"the sample of {clip_id} left the cache meanwhile; run it again")
    return members


def identity_of(members: Mapping[str, bytes]) -> NDArray[np.float32]:
    """Read the embedding of the speaker's face."""
    return np.asarray(np.load(io.BytesIO(members["identity.npy"]), allow_pickle=False), np.float32)


def recipe_of(rows: Sequence[TableRow]) -> str:
    """Hash what a shard of these samples is made of."""
    return _digest([[row["key"], row["content"], row["split"]] for row in rows])


def _outcomes(rows: Sequence[Row]) -> list[list[str]]:
    return sorted([row.clip, row.status, row.key if row.status == "done" else row.reason] for row in rows)


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _read_shelf(out: Path) -> dict[str, Any]:
    path = out / SHELF
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return facts


def _write_shelf(out: Path, shards: Sequence[Shard], digest: str) -> None:
    facts = {
        "digest": digest,
        "shards": to_dict(tuple(shards)),
        "states": {shard.name: version_of(out / shard.name) for shard in shards},
    }
    write_text(out / SHELF, json.dumps(facts, sort_keys=True))


def _published(out: Path, facts: Mapping[str, Any]) -> tuple[Shard, ...]:
    if (out / MANIFEST_FILE).exists():
        return read_manifest(out).shards
    return tuple(from_dict(each, Shard) for each in facts.get("shards", ()))


def _is_sound(out: Path, shard: Shard, facts: Mapping[str, Any]) -> bool:
    """Tell whether a shard is the one that was published: by size and time, or by its bytes."""
    path = out / shard.name
    if not path.exists():
        return False
    return version_of(path) == facts.get("states", {}).get(shard.name) or sha256_of(path) == shard.sha256
