"""The manifest of a dataset: written last, so that its presence means that all its shards are whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .cache import used_versions, used_weights
from .config import BuildConfig
from .files import sha256_of, write_text
from .ledger import Counts
from .records import SCHEMA, Manifest, Rejected, Sample, Shard, from_json, read_record, to_dict, to_json
from .shards import MEMBERS, escape_key, read_shard

FILE = "manifest.json"


def blank_manifest(source: str, config: BuildConfig) -> Manifest:
    """Say what a dataset is made with, before anything of it is there."""
    return Manifest(
        name=source,
        source=source,
        versions=used_versions(config),
        config=to_dict(config),
        weights=used_weights(config),
        shards=(),
        num_samples=0,
        duration=0.0,
        rejected={},
        failed=0,
        splits={},
        licences={},
        consents={},
    )


def fill_manifest(
    made: Manifest, shards: Sequence[Shard], table: Sequence[Mapping[str, Any]], counts: Counts
) -> Manifest:
    """Describe a finished dataset, whose samples are the table's rows."""
    return replace(
        made,
        shards=tuple(shards),
        num_samples=len(table),
        duration=round(sum(row["duration"] for row in table), 6),
        rejected=counts.reasons,
        failed=counts.failed,
        splits=_counted(row["split"] for row in table),
        licences=_counted(row["licence"] for row in table),
        consents=_counted(row["consent"] for row in table),
    )


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Publish the manifest; call it when everything else is on disk."""
    write_text(folder / FILE, to_json(manifest) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """Read a dataset's manifest.

    Raises `Rejected("bad_input")` when the build did not get to its end, or another version wrote it.
    """
    path = folder / FILE
    if not path.exists():
        message = f"{folder} has no manifest: it is no dataset, or its build did not finish; build it again"
        raise Rejected("bad_input", message)
    return read_record(path, Manifest, "build into another folder")


def verify(folder: Path) -> tuple[str, ...]:
    """Check a dataset against its manifest; one sentence per problem, none when it is sound."""
    manifest = read_manifest(folder)
    problems = [problem for shard in manifest.shards for problem in _verify_shard(folder, shard)]
    keys = Counter(key for shard in manifest.shards for key in shard.keys)
    problems += [f"key {key} occurs {times} times" for key, times in keys.items() if times > 1]
    if sum(keys.values()) != manifest.num_samples:
        problems.append(
            f"the manifest counts {manifest.num_samples} samples, its shards {sum(keys.values())}"
        )
    known = {shard.name for shard in manifest.shards}
    strangers = sorted({path.name for path in folder.glob("[!.]*.tar")} - known)
    problems += [f"{name} is not in the manifest" for name in strangers]
    return tuple(problems)


def _verify_shard(folder: Path, shard: Shard) -> list[str]:
    path = folder / shard.name
    if not path.exists():
        return [f"{shard.name} is missing"]
    if sha256_of(path) != shard.sha256:
        return [f"{shard.name} has another sha256 than the manifest says"]
    entries = list(read_shard(path))
    problems = [] if tuple(key for key, _ in entries) == shard.keys else [f"{shard.name} holds other keys"]
    for key, members in entries:
        problems += [f"{key}: {problem}" for problem in _verify_sample(key, members)]
    return problems


def _verify_sample(key: str, members: dict[str, bytes]) -> list[str]:
    missing = [name for name in MEMBERS if name not in members]
    if missing:
        return [f"{', '.join(missing)} missing"]
    meta = from_json(members["meta.json"].decode("utf-8"), Sample)
    problems = [] if meta.key == key and escape_key(meta.id) == key else ["key does not fit the id"]
    if meta.schema != SCHEMA:
        problems.append(f"schema {meta.schema}, expected {SCHEMA}")
    return problems
