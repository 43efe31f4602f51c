"""The subcommand `avatarsync bench selftest`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datapipe.console import DONE, FAILED, emit

if TYPE_CHECKING:
    from .selftest import Outcome


@dataclass(frozen=True, kw_only=True)
class SelftestCommand:
    """Reproduce published and closed-form values; exit code 1 when one differs."""

    slow: bool = False
    """Also those that take minutes."""
    json: bool = False
    """Print one JSON object instead of lines."""

    def execute(self) -> int:
        """Print a line per value and the metrics that may be called conformant."""
        from .selftest import as_record, run_vectors

        outcomes = run_vectors(self.slow)
        emit(json.dumps(as_record(outcomes), indent=1) if self.json else _lines(outcomes))
        return FAILED if any(outcome.status == "fail" for outcome in outcomes) else DONE


def _lines(outcomes: Sequence[Outcome]) -> str:
    from .selftest import conformant

    widths = [
        max((len(text) for text in column), default=0)
        for column in zip(*((o.vector.metric, o.vector.name) for o in outcomes), strict=True)
    ]
    rows = [_line(outcome, *widths) for outcome in outcomes]
    return "\n".join([*rows, f"conformant: {', '.join(conformant(outcomes)) or 'none'}"])


def _line(outcome: Outcome, metric_width: int, name_width: int) -> str:
    vector = outcome.vector
    measured = "" if outcome.measured is None else f"{outcome.measured:.10g}"
    named = f"{outcome.status:<5} {vector.metric:<{metric_width}} {vector.name:<{name_width}}"
    return f"{named} {measured:<14} expected {vector.expected:<14.10g} {outcome.why or vector.source}"
