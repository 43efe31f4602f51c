"""The client of a tool environment: one long-lived worker process per tool and process of ours."""

from __future__ import annotations

import atexit
import json
import logging
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..cell import Cell, CellLost, Message
from ..records import REASONS, Rejected, Seconds
from ..scratch import fast_folder
from . import serve
from .home import folder_of, python_of
from .registry import Tool, lookup

TRIES = 2
"""How often a call is made: a worker that is killed in mid-call costs a repetition, not the item."""
MEMORY_BYTES = 32 << 30
"""Most that a worker may hold; within a build, the clip's own limit counts it too and is reached first."""
OUR_OWN = {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "LD_PRELOAD"}
"""Variables that would lead the tool's interpreter to our packages."""
LAST_LINES = 5
"""What of a lost worker's words goes into the message."""

logger = logging.getLogger(__name__)


class ToolFailed(Exception):
    """An operation ended with an error that nobody expected; the message holds the worker's traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an operation gave back."""

    values: dict[str, Any]
    """Plain JSON values."""
    arrays: dict[str, NDArray[Any]]
    """Arrays as they were sent: same dtype, shape and content; writable."""


class Worker:
    """Asks the worker process of a tool environment, which is started when it is first needed."""

    def __init__(self, tool: str) -> None:
        self._tool = lookup(tool)
        self._cell = Cell(tool, self._launch)
        self._turn = threading.Lock()
        self._owned = ExitStack()
        self._folders: list[Path] = []

    def ask(
        self,
        operation: str,
        *,
        arrays: Mapping[str, NDArray[Any]] | None = None,
        timeout: Seconds = 600.0,
        **values: Any,
    ) -> Answer:
        """Do an operation of the tool's `program.py`; the first call loads its packages.

        Values are plain JSON (numpy's numbers and absolute paths are made so). A worker that dies is started
        again and the call is repeated once. Raises `Rejected`: missing_tool, what the operation says,
        timeout, crashed (twice), too_large; and `ToolFailed`, with the worker's traceback, for a bug.
        """
        with self._turn:
            for attempt in range(1, TRIES + 1):
                try:
                    return self._once(operation, dict(arrays or {}), values, timeout)
                except CellLost as lost:
                    self._give_up(operation, lost, last=attempt == TRIES)
        raise AssertionError("the last attempt answers or raises")

    def close(self) -> None:
        """End the worker process, whatever it is doing, and take its files away."""
        self._cell.close()
        self._owned.close()
        self._folders = []

    def _once(self, operation: str, arrays: serve.Arrays, values: dict[str, Any], timeout: Seconds) -> Answer:
        self._folders = self._folders or self._own_folders()
        try:
            message = {
                "operation": operation,
                "values": json.loads(json.dumps(values, default=serve.plain)),
                "arrays": serve.write_arrays(arrays, "question", self._folders),
                "scratch": [str(folder) for folder in self._folders],
            }
            told = self._cell.ask(message, timeout, MEMORY_BYTES)
            self._heard()
            return _answer(told, self._folders, f"`{operation}` of the tool `{self._tool.name}`")
        finally:
            for left in (path for folder in self._folders for path in folder.glob("*.npy")):
                left.unlink()

    def _own_folders(self) -> list[Path]:
        """Where arrays are put: memory first, then the disk; gone when the worker is closed."""
        fast = self._owned.enter_context(fast_folder())
        roomy = Path(self._owned.enter_context(tempfile.TemporaryDirectory(prefix="avatarsync.")))
        return [roomy] if fast is None else [fast, roomy]

    def _launch(self, tool: str, scratch: Path) -> subprocess.Popen[bytes]:
        """Start the tool's interpreter on `serve.py`, as the leader of a group that ends together."""
        python = python_of(self._tool)
        with self._words().open("ab") as words:
            return subprocess.Popen(
                [str(python), "-I", serve.__file__, str(self._tool.folder), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                bufsize=0,
                cwd=scratch,
                env=_environment(self._tool, scratch),
                start_new_session=True,
            )

    def _give_up(self, operation: str, lost: CellLost, *, last: bool) -> None:
        said = " / ".join(self._heard()[-LAST_LINES:]) or "nothing"
        message = f"`{operation}` of the tool `{self._tool.name}` was lost: {lost}; its last words: {said}"
        if last or lost.how != "crashed":
            raise Rejected(
                lost.how, f"{message}; `avatarsync tools check {self._tool.name}` tries it"
            ) from lost
        logger.warning("%s; it is started again and the call repeated", message)

    def _words(self) -> Path:
        return self._folders[-1] / "words.txt"

    def _heard(self) -> list[str]:
        """Pass on what the packages printed since the last time, and forget it."""
        lines = self._words().read_text(encoding="utf-8", errors="replace").splitlines()
        os.truncate(self._words(), 0)  # the worker appends: it goes on at the new end
        for line in lines:
            logger.info("%s: %s", self._tool.name, line)
        return [line.strip() for line in lines if line.strip()]


def _environment(tool: Tool, scratch: Path) -> dict[str, str]:
    """Variables of the worker: ours, less what points into our own environment, more what the tool wants."""
    kept = {name: value for name, value in os.environ.items() if name not in OUR_OWN}
    path = os.pathsep.join([str(folder_of(tool) / "bin"), os.environ.get("PATH", os.defpath)])
    return kept | {"PATH": path, "TMPDIR": str(scratch), "PYTHONNOUSERSITE": "1"} | dict(tool.environment)


def _answer(told: Message, folders: list[Path], what: str) -> Answer:
    if "ok" in told:
        arrays = serve.take_arrays(told["ok"]["arrays"], "answer", folders)
        return Answer(values=told["ok"]["values"], arrays=arrays)
    if told.get("rejected", {}).get("reason") in REASONS:
        raise Rejected(told["rejected"]["reason"], told["rejected"]["message"])
    raise ToolFailed(f"{what} failed:\n{told.get('error', told)}")


_workers: dict[tuple[int, str], Worker] = {}


def worker_of(tool: str) -> Worker:
    """Give this process's worker of a tool; it ends with the process, however that ends."""
    key = (os.getpid(), tool)  # a forked process must not write into its parent's pipes
    if key not in _workers:
        _workers[key] = Worker(tool)
        atexit.register(_workers[key].close)
    return _workers[key]
