"""What became of every clip: one row each, and the sum that must come out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .files import write_text
from .records import Rejected, Seconds, from_dict, to_dict

FILE = "ledger.jsonl"
Status = Literal["done", "rejected", "failed"]
PASSING = {"disk_full", "timeout", "missing_weight", "bad_weight"}
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
    """Write one line per clip, ordered by clip."""
    ordered = sorted(rows, key=lambda row: row.clip)
    lines = [json.dumps(to_dict(row), ensure_ascii=False, sort_keys=True) for row in ordered]
    write_text(folder / FILE, "".join(line + "\n" for line in lines))


def read_ledger(folder: Path) -> dict[str, Row]:
    """Read the rows of the last run by clip; empty when there was none."""
    path = folder / FILE
    if not path.exists():
        return {}
    rows = [
        from_dict(json.loads(line), Row) for line in path.read_text(encoding="utf-8").splitlines() if line
    ]
    return {row.clip: row for row in rows}


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
