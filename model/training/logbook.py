"""What a training tells: log.jsonl, TensorBoard events where asked for, speed, use of the machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from datapipe.files import write_text

from ..checkpoint import LOG
from .throughput import Pace, count_flops

EVENTS = "events"
Result = tuple[dict[str, float], bool]
"""Terms of a step, and whether it counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlan:
    """Where a training's log goes and what it measures."""

    folder: Path
    """Of the part in training."""
    writes: bool = True
    """Off in all processes but one."""
    events: bool = False
    """Write TensorBoard's files too."""
    pictures: int = 0
    """Pictures a step over all processes, for pictures per second; 0 leaves that out."""
    peak: float = 0.0
    """Measured floating-point operations a second of one process' device; 0 leaves the use of it out."""


class Logbook:
    """log.jsonl, published whole; lines of steps that will be run again are dropped."""

    def __init__(self, plan: LogPlan, first: int) -> None:
        self.plan, self.first = plan, first
        self.path, self.pace = plan.folder / LOG, Pace()
        kept = self.path.read_text(encoding="utf-8").splitlines() if first and self.path.exists() else []
        self.lines = [line for line in kept if json.loads(line)["step"] < first]
        self.skipped = json.loads(self.lines[-1]).get("skipped", 0) if self.lines else 0
        self.bad = 0
        """Steps on end that did not count."""
        self.terms: frozenset[str] = frozenset()
        self.events = _writer(plan, first)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.events is not None:
            self.events.close()
        if kind is None:
            self.publish()

    def watch(self, update: Callable[[int], Result], step: int) -> dict[str, float]:
        """Run a step under the clock and return its terms; the arithmetic of a phase's first is counted."""
        began = time.perf_counter()
        if self.pace.flops is None:
            result, flops = count_flops(lambda: update(step))
            self.terms, self.pace = frozenset(result[0]), replace(self.pace, flops=flops)
        else:
            result = update(step)
        self.pace = self.pace.after(time.perf_counter() - began)
        if self.terms != frozenset(result[0]):  # another phase: other losses, so other arithmetic
            self.pace = replace(self.pace, flops=None)
        self.skipped += not result[1]
        self.bad = 0 if result[1] else self.bad + 1
        return result[0]

    def add(self, step: int, terms: dict[str, float]) -> None:
        """Note a step's terms."""
        facts = terms | self.pace.facts(self.plan.pictures, self.plan.peak) | {"skipped": self.skipped}
        rounded = {name: float(f"{value:.6g}") for name, value in facts.items()}
        self.lines.append(json.dumps({"step": step, **rounded}))
        if self.events is not None:
            for name, value in facts.items():
                self.events.add_scalar(name, value, step)

    def publish(self) -> None:
        """Write all lines."""
        if self.plan.writes:
            write_text(self.path, "".join(f"{line}\n" for line in self.lines))
            if self.events is not None:
                self.events.flush()

    def summary(self) -> str:
        """The speed in one line."""
        return self.pace.sentence(self.plan.pictures, self.plan.peak)


def _writer(plan: LogPlan, first: int) -> Any:
    """TensorBoard's writer; what was written of steps that run again is struck out."""
    if not (plan.events and plan.writes):
        return None
    from torch.utils.tensorboard import SummaryWriter  # takes more than a second to import

    return SummaryWriter(str(plan.folder / EVENTS), purge_step=first or None)
