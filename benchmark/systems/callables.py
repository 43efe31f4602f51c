"""A system as a Python callable, in a process of its own that keeps its model loaded between clips.

`function(reference: Path, audio: Path, out: Path, case: Case)` writes a video to `out` and returns nothing,
or a dict with any of `seconds`, `first_frame_seconds` and `load_seconds`.
"""

from __future__ import annotations

import importlib
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from datapipe.records import Rejected, Seconds

from ..records import Case

TIMES = ("seconds", "first_frame_seconds", "load_seconds")
GRACE: Seconds = 2.0
START_LIMIT: Seconds = 120.0
"""How long Python may take to start and import this package; loading the callable comes on top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back from one clip: times, or why there is no video."""

    times: dict[str, float]
    error: str = ""


class Caller:
    """The parent's side: starts the process, sends clips, ends it. Use as a context manager."""

    def __init__(self, target: str, timeout: Seconds) -> None:
        self.target, self.timeout = target, timeout
        self.load_seconds: Seconds | None = None
        """Importing the callable's module, measured when the process started."""
        self._process: Any = None

    def __enter__(self) -> Caller:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def call(self, reference: Path, audio: Path, out: Path, case: Case) -> dict[str, float]:
        """Make one video; raises `Rejected`: bad_input (the callable's error), timeout, crashed.

        After a timeout or a crash the next call starts a new process.
        """
        if self._process is None:
            self._start()
        return self._ask((reference, audio, out, case), self.timeout).times

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self.target))
        self._process.start()
        theirs.close()
        try:
            times = self._ask(None, self.timeout + START_LIMIT).times
        except BaseException:
            self._end()
            raise
        self.load_seconds = times["load_seconds"] if self.load_seconds is None else self.load_seconds

    def _ask(self, question: Any, timeout: Seconds) -> Reply:
        try:
            if question is not None:
                self._connection.send(question)
            if not self._connection.poll(timeout):
                self._end()
                raise Rejected(
                    "timeout", f"`{self.target}` took longer than {timeout:.0f} s; raise --timeout"
                )
            reply: Reply = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._crashed() from error
        if reply.error:
            raise Rejected("bad_input", f"`{self.target}`: {reply.error}")
        return reply

    def _crashed(self) -> Rejected:
        self._process.join(GRACE)
        code = self._process.exitcode
        self._end()
        return Rejected("crashed", f"the process of `{self.target}` ended with code {code}; see its messages")

    def _end(self) -> None:
        """Close the pipe, which ends an idle process; what is busy, and its children, are ended by force."""
        if self._process is None:
            return
        self._connection.close()
        self._process.join(GRACE)
        if self._process.is_alive():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.join()
        self._process = None


def _serve(connection: Connection, target: str) -> None:
    """The child's side: load once, then one reply per clip until the pipe closes."""
    os.setsid()
    os.dup2(2, 1)  # what the callable prints is no data of ours
    began = time.perf_counter()
    function = _reply(connection, lambda: _load(target))
    if function is None:
        return
    connection.send(Reply(times={"load_seconds": time.perf_counter() - began}))
    with suppress(EOFError, OSError):
        while True:
            reference, audio, out, case = connection.recv()
            times = _reply(connection, lambda: _timed(function, reference, audio, out, case))  # noqa: B023
            if times is not None:
                connection.send(Reply(times=times))


def _reply(connection: Connection, step: Callable[[], Any]) -> Any:
    """Do a step of foreign code; whatever it raises is one clip's failure, sent back, and None here."""
    try:
        return step()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code; its failure is the clip's
        connection.send(Reply(times={}, error=f"{type(error).__name__}: {error}"))
        return None


def _load(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    function = importlib.import_module(module)
    for part in name.split("."):
        function = getattr(function, part)
    if not callable(function):
        raise TypeError(f"{name} is no function")
    return function


def _timed(
    function: Callable[..., Any], reference: Path, audio: Path, out: Path, case: Case
) -> dict[str, float]:
    began = time.perf_counter()
    answer = function(reference, audio, out, case)
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
