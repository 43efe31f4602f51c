"""What a command says of its own run: a timing.json beside its video, read with suspicion."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cattrs

from datapipe.records import Rejected, Seconds, from_dict

from ..records import Timing

MAX_BYTES = 1 << 20
HELP = "docs/latency.md shows one"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRecord:
    """A command's times of one clip, by its own clock."""

    seconds: Seconds
    load_seconds: Seconds | None
    first_frame_seconds: Seconds | None
    stages: dict[str, Seconds]


def read_own_record(path: Path, key: str, wall_seconds: Seconds) -> OwnRecord | None:
    """Read the record of the clip; None when the command wrote none.

    Raises `Rejected("bad_input")` when it is no record, misses the clip, or claims more time than went by.
    """
    if not path.is_file():
        return None
    if path.is_symlink() or path.stat().st_size > MAX_BYTES:
        raise Rejected("bad_input", f"{path.name} of the command is a link, or larger than 1 MiB; {HELP}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        load = content.get("load_seconds")
        clips = {name: from_dict(value, Timing) for name, value in content.get("clips", {}).items()}
        if key not in clips:
            raise Rejected("bad_input", f"{path.name} of the command has no clip `{key}`; {HELP}")
        return _checked(clips[key], None if load is None else float(load), wall_seconds)
    except (ValueError, TypeError, AttributeError, cattrs.BaseValidationError) as error:
        raise Rejected("bad_input", f"{path.name} of the command is no timing record; {HELP}") from error


def _checked(timing: Timing, load: Seconds | None, wall_seconds: Seconds) -> OwnRecord:
    check_claim("the command", wall_seconds, timing.seconds, load or 0.0)
    check_times("the command", timing.seconds, timing.first_frame_seconds, timing.stages)
    return OwnRecord(
        seconds=timing.seconds,
        load_seconds=load,
        first_frame_seconds=timing.first_frame_seconds,
        stages=dict(timing.stages),
    )


def check_times(who: str, seconds: Seconds, first_frame_seconds: Any, stages: dict[str, Any]) -> None:
    """Refuse a first frame or stages that do not fit into the run they are of."""
    check_claim(who, seconds, *stages.values())
    check_claim(who, seconds, 0.0 if first_frame_seconds is None else first_frame_seconds)


def check_claim(who: str, went_by: Seconds, *parts: Any) -> None:
    """Refuse parts of a time that are no times, or sum up to more than all of it.

    Raises `Rejected("bad_input")`.
    """
    numbers = [part for part in parts if isinstance(part, (int, float)) and math.isfinite(part) and part >= 0]
    if len(numbers) < len(parts):
        raise Rejected("bad_input", f"{who} reports times that are no numbers of seconds: {parts}")
    if sum(numbers) > went_by:
        claimed = f"{sum(numbers):.3f} s where {went_by:.3f} s went by"
        raise Rejected(
            "bad_input", f"{who} reports {claimed}; check its clock, and that stages do not overlap"
        )
