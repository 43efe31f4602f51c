"""A system's Python code in a process of its own: loaded once, asked in JSON, ended with all that it started.

Questions and answers are JSON, so that code under test cannot make the process that measures it run anything.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import reduce
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from datapipe.records import Rejected, Seconds, to_json

GRACE: Seconds = 5.0
"""How long an idle process may take to end after its pipe was closed."""
START_LIMIT: Seconds = 120.0
"""How long Python may take to start and import this package; loading the system comes on top."""


def import_named(text: str) -> Any:
    """Import `package.module:name`; the current folder is looked in last.

    Raises `Rejected("bad_input")` when there is no such module or name.
    """
    module, separator, name = text.partition(":")
    if not separator or not module or not name:
        raise Rejected(
            "bad_input", f"`{text}` is not package.module:name; for example mymethod.bench:factory"
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return reduce(getattr, name.split("."), importlib.import_module(module))
    except (ImportError, AttributeError, ValueError) as error:
        raise Rejected("bad_input", f"`{text}` cannot be imported: {error}; check the name") from error


class Child:
    """The parent's side: starts the process, asks, ends it.

    `side(connection, target)` is what runs over there; it calls `serve`. Raises `Rejected`: bad_input (the
    system's own error), timeout, crashed. After a timeout or a crash the next `start` makes a new process.
    """

    def __init__(self, side: Callable[[Connection, str], None], target: str) -> None:
        self.target = target
        self.load_seconds: Seconds = 0.0
        """Importing and loading the system when it last started; Python's own start is not in it."""
        self._side = side
        self._process: Any = None

    @property
    def pid(self) -> int:
        """The process that was started last."""
        return int(self._process.pid)

    def start(self, timeout: Seconds) -> None:
        """Start the process and load the system, unless it is there already."""
        if self._process is not None:
            return
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=self._side, args=(theirs, self.target))
        self._process.start()
        theirs.close()
        try:
            self.load_seconds = float(self.receive(timeout + START_LIMIT)["load_seconds"])
        except BaseException:
            self.end(0.0)
            raise

    def send(self, question: Any) -> None:
        """Send a record."""
        try:
            self._connection.send_bytes(to_json(question).encode())
        except OSError as error:
            raise self.crashed() from error

    def receive(self, timeout: Seconds) -> dict[str, Any]:
        """Wait for the answer to what was sent."""
        try:
            if not self._connection.poll(timeout):
                self.end(0.0)
                message = f"`{self.target}` took longer than {timeout:.0f} s; raise --timeout"
                raise Rejected("timeout", message)
            answer: dict[str, Any] = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise self.crashed() from error
        if "error" in answer:
            raise Rejected("bad_input", f"`{self.target}`: {answer['error']}")
        return answer

    def crashed(self) -> Rejected:
        """What to say of a process that is gone."""
        self._process.join(GRACE)
        code = self._process.exitcode
        self.end(0.0)
        return Rejected("crashed", f"the process of `{self.target}` ended with code {code}; see its messages")

    def end(self, grace: Seconds = GRACE) -> None:
        """Close the pipe, which ends an idle process; what is busy, and its children, are ended by force."""
        if self._process is None:
            return
        self._connection.close()
        self._process.join(grace)
        if self._process.is_alive():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.join()
        self._process = None


def serve(connection: Connection, load: Callable[[], Any], answer: Callable[[Any, str], Any]) -> None:
    """The child's side: load once, then give one answer per question until the pipe closes."""
    os.setsid()
    os.dup2(2, 1)  # what the system prints is no data of ours
    began = time.perf_counter()
    loaded = _tried(connection, load)
    if loaded is None:
        return
    _send(connection, {"load_seconds": time.perf_counter() - began})
    with suppress(EOFError, OSError):
        while True:
            question = connection.recv_bytes().decode()
            answered = _tried(connection, lambda: answer(*loaded, question))  # noqa: B023
            if answered is not None:
                _send(connection, *answered)


def _tried(connection: Connection, step: Callable[[], Any]) -> tuple[Any] | None:
    """Do a step of foreign code; whatever it raises is sent back as this question's answer, and None here."""
    try:
        return (step(),)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code; its failure is its answer
        is_ours = isinstance(error, Rejected)
        if not is_ours:
            traceback.print_exception(error)
        _send(connection, {"error": str(error) if is_ours else f"{type(error).__name__}: {error}"})
        return None


def _send(connection: Connection, message: Any) -> None:
    connection.send_bytes(json.dumps(message).encode())
