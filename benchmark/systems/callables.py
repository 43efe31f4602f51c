"""A system as a Python callable, in a process of its own that keeps its model loaded between clips.

`function(reference: Path, audio: Path, out: Path, case: Case)` writes a video to `out` and returns nothing,
or a dict with any of `seconds`, `first_frame_seconds` and `load_seconds`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from datapipe.records import Seconds, from_json

from ..child import GRACE, Child, import_named, serve
from ..records import Case

TIMES = ("seconds", "first_frame_seconds", "load_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One clip: make this video."""

    reference: Path
    audio: Path
    out: Path
    case: Case


class Caller:
    """The parent's side of the process. Use as a context manager."""

    def __init__(self, target: str, timeout: Seconds) -> None:
        self.target, self.timeout = target, timeout
        self.load_seconds: Seconds | None = None
        """Importing the callable's module, measured when the process first started."""
        self._child = Child(_side, target)

    def __enter__(self) -> Caller:
        self._child.start(self.timeout)
        self.load_seconds = self._child.load_seconds
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.end(GRACE if kind is None else 0.0)

    def call(self, reference: Path, audio: Path, out: Path, case: Case) -> dict[str, float]:
        """Make one video; raises `Rejected`: bad_input (the callable's error), timeout, crashed.

        After a timeout or a crash the next call starts a new process.
        """
        self._child.start(self.timeout)
        self._child.send(Question(reference=reference, audio=audio, out=out, case=case))
        return self._child.receive(self.timeout)


def _side(connection: Connection, target: str) -> None:
    serve(connection, lambda: _load(target), _timed)


def _load(target: str) -> Callable[..., Any]:
    function: Callable[..., Any] = import_named(target)
    if not callable(function):
        raise TypeError(f"{target} is no function")
    return function


def _timed(function: Callable[..., Any], question: str) -> dict[str, float]:
    asked = from_json(question, Question)
    began = time.perf_counter()
    answer = function(asked.reference, asked.audio, asked.out, asked.case)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, **checked_times(answer)}


def checked_times(answer: object) -> dict[str, float]:
    """The times a callable returned; raises `ValueError` naming what is wrong with them."""
    if answer is None:
        return {}
    if not isinstance(answer, dict) or not set(answer) <= set(TIMES):
        raise ValueError(f"it must return None or a dict with {', '.join(TIMES)}, not {answer!r:.80}")
    times = {str(name): float(value) for name, value in answer.items() if value is not None}
    if not all(math.isfinite(value) and value >= 0 for value in times.values()):
        raise ValueError(f"its times must be seconds of 0 or more, not {times}")
    return times
