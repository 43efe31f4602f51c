"""Take a speaker, a source file or clips out of a dataset: shards, table, cache and every list of it.

The request is written down first; what follows only makes the folder agree with it, so a purge that was
interrupted is finished by giving the same command again.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from . import cache
from .ledger import Row, write_ledger
from .limits import only_one
from .records import Rejected
from .rewrite import Dataset, changed_shards, existing, open_dataset, rewrite
from .shards import escape_key, open_shard
from .takedown import Takedown, read_takedown, write_takedown


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeReport:
    """What a purge takes out."""

    ids: tuple[str, ...]
    """Samples that leave."""
    shards: tuple[str, ...]
    """Shards that are rewritten."""
    stays: int
    """Samples that stay."""


def purge(out: Path, request: Takedown, folder: Path | None = None, dry_run: bool = False) -> PurgeReport:
    """Take out what is asked for, and see that nothing of it is left below `out` or in the cache.

    `folder` is the cache when it is not OUT/.cache; `dry_run` only tells. Raises `Rejected("bad_input")`: a
    part of the request that fits nothing, no dataset, another process at work on it.
    """
    with only_one(existing(out)):
        dataset = open_dataset(out)
        asked = read_takedown(out)
        _check(request, asked, dataset)
        asked = asked.joined(request)
        gone = _falling_under(asked, dataset)
        splits = {row["key"]: row["split"] for row in dataset.rows if row["id"] not in gone}
        report = PurgeReport(
            ids=tuple(sorted({row["id"] for row in dataset.rows} & gone.keys())),
            shards=tuple(sorted(changed_shards(dataset, splits))),
            stays=len(splits),
        )
        if not dry_run:
            write_takedown(out, asked)
            outcomes = dataset.outcomes | {each: _purged(dataset, each, why) for each, why in gone.items()}
            write_ledger(out, list(outcomes.values()))
            _clear_cache(folder or out / ".cache", outcomes, gone)
            if folder is None:
                _clear_strays(out / ".cache", outcomes)
            rewrite(dataset, splits, dataset.manifest, outcomes)
    return report


def _check(request: Takedown, asked: Takedown, dataset: Dataset) -> None:
    """Refuse a part of the request that fits nothing and was not asked for before."""
    if request == Takedown():
        raise Rejected("bad_input", "say what to take out: --speaker, --source or --id")
    names = {row.get("lineage.video", "") for row in dataset.rows}
    known = (
        ("speaker", request.speakers, {row["speaker"] for row in dataset.rows} | {*asked.speakers}),
        ("source", request.videos, names | {Path(name).stem for name in names} | {*asked.videos}),
        ("id", request.ids, {row["id"] for row in dataset.rows} | dataset.outcomes.keys() | {*asked.ids}),
    )
    for option, wanted, there in known:
        for name in [each for each in wanted if each not in there]:
            near = ", ".join(get_close_matches(name, sorted(there), n=3, cutoff=0.0)) or "none"
            raise Rejected("bad_input", f"{dataset.out} holds nothing of --{option} {name}; near: {near}")


def _falling_under(asked: Takedown, dataset: Dataset) -> dict[str, str]:
    """Map the clips that have to leave to the reason in words."""
    before = {row.clip: row.message for row in dataset.outcomes.values() if row.reason == "purged"}
    gone = before | {clip_id: asked.why(clip_id, "", "") for clip_id in asked.ids}
    for row in dataset.rows:
        if why := asked.why(row["id"], row["speaker"], row.get("lineage.video", "")):
            gone[row["id"]] = why
    return gone


def _purged(dataset: Dataset, clip_id: str, why: str) -> Row:
    row = dataset.outcomes.get(clip_id, Row(clip=clip_id, status="rejected"))
    return replace(
        row,
        status="rejected",
        reason="purged",
        message=why,
        traceback="",
        stages={},
        reproduce="",
        reused=False,
    )


def _clear_cache(folder: Path, outcomes: Mapping[str, Row], gone: Mapping[str, str]) -> None:
    """Delete what the cache holds of the clips, whatever settings it was made with."""
    for clip_id in gone:
        cache.forget(folder, outcomes[clip_id].inputs, outcomes[clip_id].key)
    keys = {escape_key(clip_id) for clip_id in gone}
    for path, key in _cached_samples(folder):
        if key is None or key in keys:
            path.unlink()


def _clear_strays(folder: Path, outcomes: Mapping[str, Row]) -> None:
    """Delete the kept stages of all but finished samples: of the others nobody can tell whom they show."""
    known = {row.inputs for row in outcomes.values() if row.status == "done"}
    for path in folder.glob("stages/??/*"):
        if path.name not in known:
            cache.forget(folder, path.name, "")


def _cached_samples(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield every kept sample and draft with its key; None when it is damaged, and counts as absent."""
    drafts = cache.draft_path(folder, "any").parent.glob("*.tar")
    for path in sorted([*folder.glob("??/*.tar"), *drafts]):
        try:
            with open_shard(path) as tar:
                first = tar.next()
        except (tarfile.TarError, EOFError):
            first = None
        yield path, first.name.partition(".")[0] if first else None
