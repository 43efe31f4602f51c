"""The worker of a tool environment: answers messages with a program's operations until there are no more.

`python -I serve.py PROGRAM_FOLDER PARENT_PID` reads one JSON message a line from stdin and writes one answer
a line to stdout; arrays travel as .npy files in scratch folders that the parent owns. This file runs inside
the tool environment, on its numpy: it knows nothing of datapipe, which takes its array functions from here.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import json
import os
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

DIE_WITH_PARENT = 1
"""prctl's PR_SET_PDEATHSIG."""
MAPPED_BYTES = 1 << 20
"""Arrays from this size on are mapped, not read: their file may be in memory already."""
SHARE = 0.5
"""Part of a folder's free space that one array may take; another folder comes next, the last takes all."""
INTERNET = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"}
"""What Python tells its audit hooks before a connection is opened."""

Array = NDArray[Any]
Values = dict[str, Any]
Arrays = dict[str, Array]
Operation = Callable[[Values, Arrays], tuple[Values, Arrays]]


class ToolError(Exception):
    """The expected failure of an operation; `reason` is one of `datapipe.records.REASONS`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def write_arrays(arrays: Arrays, stem: str, folders: Sequence[Path]) -> list[list[Any]]:
    """Write arrays as `STEM-NUMBER.npy`, each into the first folder with room for it.

    Returns [name, index of the folder] in the order of the numbers. Raises `ValueError` for an array of
    objects, which only pickle could write, and `OSError` when no folder has room.
    """
    return [
        [name, _write(np.asanyarray(array), f"{stem}-{number}.npy", folders)]
        for number, (name, array) in enumerate(arrays.items())
    ]


def _write(array: Array, file: str, folders: Sequence[Path]) -> int:
    last = len(folders) - 1
    for index, folder in enumerate(folders):
        if index < last and array.nbytes > shutil.disk_usage(folder).free * SHARE:
            continue
        try:
            with (folder / file).open("wb") as stream:
                np.save(stream, array, allow_pickle=False)
            return index
        except OSError as error:
            (folder / file).unlink()
            if index == last or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
    raise ValueError("no folder to write to")


def take_arrays(written: Sequence[Sequence[Any]], stem: str, folders: Sequence[Path]) -> Arrays:
    """Read what `write_arrays` wrote and remove the files; nothing is unpickled.

    The file's name is made here, never taken from the message: a message cannot reach out of the folders.
    """
    return {
        str(name): _take(folders[index] / f"{stem}-{number}.npy")
        for number, (name, index) in enumerate(written)
    }


def _take(path: Path) -> Array:
    large = path.stat().st_size >= MAPPED_BYTES
    array = np.load(path, mmap_mode="c" if large else None, allow_pickle=False)
    path.unlink()  # a mapped file's content stays until the array is gone
    return np.asarray(array)


def answer(line: bytes, folder: Path) -> Values:
    """Do what one message asks: an `ok`, a `rejected` (expected) or an `error` (a traceback)."""
    try:
        message = json.loads(line)
        places = [Path(place) for place in message["scratch"]]
        arrays = take_arrays(message["arrays"], "question", places)
        values, results = _operation(folder, message["operation"])(message["values"], arrays)
        return {"ok": {"values": values, "arrays": write_arrays(results, "answer", places)}}
    except ToolError as error:
        return {"rejected": {"reason": error.reason, "message": error.message}}
    except Exception:  # noqa: BLE001 - a bug of a package ends this item alone, and is told with its traceback
        return {"error": traceback.format_exc()}


def _operation(folder: Path, name: str) -> Operation:
    operations: dict[str, Operation] = _program(folder).OPERATIONS
    if name not in operations:
        raise KeyError(f"{folder / 'program.py'} has no operation `{name}`; it has {sorted(operations)}")
    return operations[name]


def _program(folder: Path) -> Any:
    """Load `program.py` once; it may import its neighbours by name, and `ToolError` from `serve`."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return importlib.import_module("program")


def plain(value: Any) -> Any:
    """Write numpy's numbers, small arrays and paths as JSON's own."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be a value of a message; send an array, or a plain value")


def refuse_internet() -> None:
    """Let no library open a connection: weights come by the registry, telemetry not at all."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in INTERNET and getattr(arguments[0], "family", None) != socket.AF_UNIX:
            raise PermissionError(f"a tool tried to open a connection ({event}); it works offline only")

    sys.addaudithook(hook)


def die_with_parent(parent: int) -> None:
    """End this process when its parent ends, however that ends; at once when it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def own_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Give stdin and stdout to the messages alone.

    What a library prints goes to stderr, and a program that it starts reads nothing.
    """
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def main(folder: str, parent: str) -> None:
    """Answer until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent answers it
    die_with_parent(int(parent))
    requests, answers = own_pipes()
    sys.modules["serve"] = sys.modules["__main__"]
    refuse_internet()
    for line in requests:
        told = answer(line, Path(folder).resolve())
        answers.write(_encoded(told) + b"\n")
        answers.flush()


def _encoded(told: Values) -> bytes:
    try:
        return json.dumps(told, default=plain).encode()
    except (TypeError, ValueError):
        return json.dumps({"error": traceback.format_exc()}).encode()


if __name__ == "__main__":
    main(*sys.argv[1:])
