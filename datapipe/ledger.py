"""What became of every clip: one row each, and the sum that must come out.

While a build runs, its rows go to the journal, a folder of small files that are each written whole; at the
end they are gathered in the ledger. A build that was killed is read from both.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .files import write_text
from .records import Rejected, Seconds, from_dict, to_dict

FILE = "ledger.jsonl"
JOURNAL = ".cache/journal"
EVERY: Seconds = 1.0
"""How long rows wait for company before they are written to the journal."""
Status = Literal["done", "rejected", "failed", "drafted"]
"""What became of a clip; drafted: it waits for a worker with a GPU, which no finished build has."""
PASSING = {"disk_full", "unreachable", "timeout", "missing_weight", "bad_weight", "missing_device"} | {
    "missing_tool"
}
"""Reasons that lie in the machine, not in the clip: such clips are tried again in every run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The outcome of one clip."""

    clip: str
    status: Status
    reason: str = ""
    """From the closed set of `records.REASONS` when rejected; the exception's name when failed."""
    message: str = ""
    seconds: Seconds = 0.0
    stages: dict[str, Seconds] = field(default_factory=dict)
    """Seconds spent in each stage."""
    traceback: str = ""
    attempt: int = 1
    key: str = ""
    """Content address of the sample, or of the attempt to make it."""
    inputs: str = ""
    """Content address of the clip's files and record."""
    stamp: str = ""
    """What the clip and the settings looked like from outside: while it is the same, the outcome stands."""
    reproduce: str = ""
    """The command that tries this clip alone; of clips that did not get through."""
    reused: bool = False
    """True when an earlier run's outcome was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The ledger in numbers."""

    total: int
    done: int
    rejected: int
    failed: int
    reused: int
    reasons: dict[str, int]
    """Rejected clips by reason."""

    def sentence(self) -> str:
        """Say the conservation law with its numbers."""
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self.reasons.items()))
        tail = f" ({reasons})" if reasons else ""
        return (
            f"in {self.total} = out {self.done} + rejected {self.rejected}{tail} + failed {self.failed}; "
            f"{self.reused} reused from an earlier run"
        )


def count(rows: Sequence[Row], total: int) -> Counts:
    """Count outcomes and check that no clip was lost or counted twice.

    `total` is the number of clips that went in; a mismatch is a bug of the runner, never the user's.
    """
    by = Counter(row.status for row in rows)
    if len({row.clip for row in rows}) != len(rows) or len(rows) != total:
        raise AssertionError(f"{total} clips went in, {len(rows)} rows came out")
    return Counts(
        total=total,
        done=by["done"],
        rejected=by["rejected"],
        failed=by["failed"],
        reused=sum(row.reused for row in rows),
        reasons=dict(sorted(Counter(row.reason for row in rows if row.status == "rejected").items())),
    )


def write_ledger(folder: Path, rows: Sequence[Row]) -> None:
    """Write one line per clip, ordered by clip; the journal has done its duty then."""
    write_text(folder / FILE, _lines(sorted(rows, key=lambda row: row.clip)))
    for path in _journal(folder):
        path.unlink(missing_ok=True)


def read_ledger(folder: Path) -> dict[str, Row]:
    """Read the rows of the last run by clip, an unfinished one included; empty when there was none.

    Raises `Rejected("bad_input")` when a line is none of this version's.
    """
    paths = [path for path in (folder / FILE, *_journal(folder)) if path.exists()]
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").split("\n") if line]
    try:
        rows = [from_dict(json.loads(line), Row) for line in lines]
    except (ValueError, ExceptionGroup) as error:
        message = f"{folder / FILE} is no ledger of this version; build into another folder"
        raise Rejected("bad_input", message) from error
    return {row.clip: row for row in rows}


def journalled(folder: Path, rows: Iterable[Row]) -> Iterator[Row]:
    """Pass rows on and write them down at least every second, so that a kill loses next to nothing."""
    number = len(_journal(folder))
    waiting: list[Row] = []
    last = time.monotonic()
    try:
        for row in rows:
            waiting.append(row)
            if time.monotonic() - last > EVERY:
                write_text(folder / JOURNAL / f"{number:06d}.jsonl", _lines(waiting))
                number, last = number + 1, time.monotonic()
                waiting.clear()
            yield row
    finally:
        if waiting:
            write_text(folder / JOURNAL / f"{number:06d}.jsonl", _lines(waiting))


def has_journal(folder: Path) -> bool:
    """Tell whether there are rows that the ledger does not have yet."""
    return bool(_journal(folder))


def _journal(folder: Path) -> list[Path]:
    return sorted((folder / JOURNAL).glob("*.jsonl"))


def _lines(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(to_dict(row), ensure_ascii=False, sort_keys=True) + "\n" for row in rows)


def wants_retry(row: Row, retry: str | None) -> bool:
    """Tell whether a clip that did not get through is tried again: `failed`, `rejected` or a reason."""
    if row.reason in PASSING:
        return True
    return retry is not None and retry in {row.status, row.reason}


def check_retry(retry: str | None, known: dict[str, Row]) -> None:
    """Refuse a `--retry` that fits no row, with what would."""
    possible = {row.status for row in known.values()} | {row.reason for row in known.values()}
    possible -= {"", "done"}
    if retry is not None and retry not in possible:
        there = ", ".join(sorted(possible)) or "nothing to retry"
        raise Rejected("bad_input", f"no clip of the last run is `{retry}`; there is: {there}")
