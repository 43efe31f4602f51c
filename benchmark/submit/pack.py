"""One JSON file that carries a run to another board: no media, every part hashed onto the one before.

The chain finds damage and careless edits, and says where. It is no signature: whoever writes a new chain over
changed values passes it, which is why scores are computed again too (`audit.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from datapipe.files import write_text
from datapipe.records import Rejected, from_dict, to_dict

from ..records import RUN_SCHEMA, Run
from ..runs import check_free
from .audit import audit

SUBMISSION_SCHEMA = "avatarsync-submission/1"
MOST_BYTES = 64 << 20
BEGIN = "avatarsync"
"""What the first link is hashed onto."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The hash of one part of a run and of all before it."""

    part: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A run and its chain."""

    run: Run
    chain: tuple[Link, ...]
    schema: str = SUBMISSION_SCHEMA

    @property
    def hash(self) -> str:
        """The last link, which stands for the whole run."""
        return self.chain[-1].sha256


def pack(run: Run, name: str) -> Submission:
    """Check a run as a board will, and chain it; raises what `audit` raises."""
    audit(run, name)
    return Submission(run=run, chain=chain_of(to_dict(run)))


def write_submission(path: Path, submission: Submission, replace: bool = False) -> None:
    """Write a submission; the same run always gives the same bytes."""
    check_free(path, replace)
    write_text(path, canonical(to_dict(submission)) + "\n")


def canonical(value: Any) -> str:
    """One text for one value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False, separators=(",", ":"))


def chain_of(run: dict[str, Any]) -> tuple[Link, ...]:
    """Hash every part of a run as a dict, each onto the one before."""
    links, before = [], BEGIN
    for part, value in parts_of(run):
        before = hashlib.sha256(f"{before}\n{part}\n{canonical(value)}".encode()).hexdigest()
        links.append(Link(part=part, sha256=before))
    return tuple(links)


def parts_of(run: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Parts small enough that a name says where a change is: fields, metrics, and each system's scores."""
    for field in sorted(run.keys() - {"metrics", "systems"}):
        yield field, run[field]
    for info in run["metrics"]:
        yield f"metrics, {info['name']}", info
    for system in run["systems"]:
        yield f"systems, {system['name']}", {name: each for name, each in system.items() if name != "scores"}
        for score in system["scores"]:
            yield f"systems, {system['name']}, {score['metric']}", score


def read_submission(path: Path) -> Submission:
    """Read and check a submission.

    Raises `Rejected("bad_input")` naming the file and the part when it is too large, not a submission,
    changed since it was packed, or when its scores do not follow from its own values per clip.
    """
    value = _parsed(path)
    if not isinstance(value, dict) or value.get("schema") != SUBMISSION_SCHEMA:
        _refuse(
            path, f"field schema is not {SUBMISSION_SCHEMA}", "pack the run with `avatarsync bench submit`"
        )
    run = value.get("run")
    if not isinstance(run, dict) or run.get("schema") != RUN_SCHEMA:
        _refuse(
            path, f"field run.schema is not {RUN_SCHEMA}", "score the videos with this version and pack again"
        )
    try:
        submission = from_dict(value, Submission)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, ExceptionGroup) as error:
        what = f"{path}: its fields are not those of a submission"
        raise Rejected("bad_input", f"{what}; pack the run again with `avatarsync bench submit`") from error
    _check_chain(path, submission, run)
    audit(submission.run, str(path))
    return submission


def _check_chain(path: Path, submission: Submission, run: dict[str, Any]) -> None:
    expected = chain_of(run)
    for ours, theirs in zip(expected, submission.chain, strict=False):
        if ours != theirs:
            _refuse(path, f"run, {ours.part}: changed since it was packed", "ask for the file again")
    if len(expected) != len(submission.chain):
        _refuse(path, "field chain: parts of the run were added or taken out", "ask for the file again")


def _parsed(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            _refuse(
                path, f"it is larger than {MOST_BYTES >> 20} MB", "a submission holds no media: pack it again"
            )
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except FileNotFoundError as error:
        raise Rejected(
            "bad_input", f"{path} is not there; give a file of `avatarsync bench submit`"
        ) from error
    except (ValueError, RecursionError) as error:
        what = f"{path} is not JSON"
        raise Rejected("bad_input", f"{what}; pack the run again with `avatarsync bench submit`") from error


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _refuse(path: Path, why: str, what_to_do: str) -> NoReturn:
    raise Rejected("bad_input", f"{path}: {why}; {what_to_do}")
