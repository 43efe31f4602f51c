"""A system as a Python callable, in a process of its own: loaded once, asked many times, timed inside.

`package.module:factory` names a function without arguments that returns a session. Its method `speak` takes
any of the arguments below by name, writes the video to `out`, and may return a dict with `stages` (name to
seconds) and `first_frame_seconds`.

    reference: Path          the reference picture
    audio: Path              16 kHz mono WAV
    phonemes: tuple[Phoneme, ...]
    out: Path                where the video must be when `speak` returns
    first_frame: Callable    to be called once the first frame is finished; preferred to the returned time
"""

from __future__ import annotations

import inspect
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from datapipe.records import Phoneme, Rejected, Seconds, from_dict, from_json, to_dict

from ..child import GRACE, Child, import_named, serve
from .own_record import check_times
from .process_tree import Watch, high_water_bytes, own_cpu_seconds, resident_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One query: make this video."""

    reference: Path
    audio: Path
    out: Path
    phonemes: tuple[Phoneme, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one query took, timed inside the process that did it."""

    seconds: Seconds
    cpu_seconds: Seconds
    peak_bytes: int | None
    first_frame_seconds: Seconds | None = None
    gpu_peak_bytes: int | None = None
    """Most memory that torch held on the accelerators during the query; None without one."""
    stages: dict[str, Seconds] = field(default_factory=dict)


class Session:
    """Parent's side of the process: starts it, asks it, watches its memory, ends it.

    Use as a context manager. Raises `Rejected`: bad_input (the callable's own error), timeout, crashed.
    """

    def __init__(self, factory: str, timeout: Seconds) -> None:
        self.timeout = timeout
        self.load_seconds: Seconds = 0.0
        """Importing the module and running the factory; Python's own start is not in it."""
        self._child = Child(_side, factory)

    def __enter__(self) -> Session:
        self._child.start(self.timeout)
        self.load_seconds = self._child.load_seconds
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.end(GRACE if kind is None else 0.0)

    def ask(self, request: Request) -> Answer:
        """Send one query, wait for its end, and add what was seen of the memory of its children.

        After a crash or a timeout the next query loads the system again, in a new process.
        """
        self._child.start(self.timeout)
        self._child.send(request)
        try:
            watch = Watch(self._child.pid, resident_bytes)
        except psutil.Error as error:
            raise self._child.crashed() from error
        watch.start()
        try:
            answer = from_dict(self._child.receive(self.timeout), Answer)
        finally:
            watch.stop()
        return replace(
            answer, peak_bytes=max(filter(None, (answer.peak_bytes, watch.peak_bytes)), default=None)
        )


def _side(connection: Connection, factory: str) -> None:
    serve(connection, lambda: _loaded(factory), lambda session, text: to_dict(_answered(session, text)))


def _loaded(factory: str) -> Any:
    session = import_named(factory)()
    _synchronise()
    return session


def _answered(session: Any, text: str) -> Answer:
    return answer(session, from_json(text, Request))


def answer(session: Any, request: Request, clock: Callable[[], float] = time.perf_counter) -> Answer:
    """Run one query here and time it; accelerators are waited for before and after.

    Raises `Rejected("bad_input")` when `speak` asks for what is not there, or returns what is no dict.
    """
    first_at: list[float] = []

    def first_frame() -> None:
        """Note when the first frame is finished, once."""
        if not first_at:
            _synchronise()
            first_at.append(clock())

    arguments = _arguments(session.speak, request, first_frame)
    has_high_water = _reset_high_water()
    _synchronise()
    worked, began = own_cpu_seconds(), clock()
    told = session.speak(**arguments)
    _synchronise()
    ended, worked = clock(), own_cpu_seconds() - worked
    told = _checked({} if told is None else told, ended - began)
    return Answer(
        seconds=ended - began,
        cpu_seconds=worked,
        peak_bytes=high_water_bytes(os.getpid()) if has_high_water else None,
        first_frame_seconds=first_at[0] - began if first_at else told.get("first_frame_seconds"),
        gpu_peak_bytes=_gpu_peak_bytes(),
        stages=told.get("stages", {}),
    )


def _arguments(
    speak: Callable[..., Any], request: Request, first_frame: Callable[[], None]
) -> dict[str, Any]:
    known: dict[str, Any] = {
        "reference": request.reference,
        "audio": request.audio,
        "phonemes": request.phonemes,
        "out": request.out,
        "first_frame": first_frame,
    }
    wanted = list(inspect.signature(speak).parameters)
    if strange := [name for name in wanted if name not in known]:
        raise Rejected("bad_input", f"speak() asks for {', '.join(strange)}; there is {', '.join(known)}")
    if "phonemes" in wanted and not request.phonemes:
        raise Rejected("bad_input", f"{request.out.stem} has no phonemes; export the case with its KEY.json")
    return {name: known[name] for name in wanted}


def _checked(told: Any, seconds: Seconds) -> dict[str, Any]:
    """Refuse a record that claims more time than went by."""
    if not isinstance(told, dict) or not isinstance(told.get("stages", {}), dict):
        raise Rejected("bad_input", "speak() must return None, or a dict of times whose `stages` is a dict")
    check_times("speak()", seconds, told.get("first_frame_seconds"), told.get("stages", {}))
    return told


def _torch_with_accelerator() -> Any:
    """Find torch if the system uses it on an accelerator; importing it here would be the system's cost."""
    torch = sys.modules.get("torch")
    return torch if torch and torch.cuda.is_available() and torch.cuda.is_initialized() else None


def _synchronise() -> None:
    """Wait until the accelerators are done: what was only queued is not finished."""
    if torch := _torch_with_accelerator():
        for device in range(torch.cuda.device_count()):
            torch.cuda.synchronize(device)


def _gpu_peak_bytes() -> int | None:
    """Most bytes of the query; the counters begin anew for the next one."""
    torch = _torch_with_accelerator()
    if not torch:
        return None
    devices = range(torch.cuda.device_count())
    peak = sum(int(torch.cuda.max_memory_allocated(device)) for device in devices)
    for device in devices:
        torch.cuda.reset_peak_memory_stats(device)
    return peak


def _reset_high_water() -> bool:
    """Let the kernel's record of most memory begin anew; False where it does not allow that."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        return False
    return True
