"""What a program and all its children cost: seconds, processor time, most memory, when a picture is there."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from datapipe.container import opened, video_stream
from datapipe.records import Rejected, Seconds

SAMPLE_SECONDS = 0.02
"""How often the first picture is looked for: the error of its time."""
LOOKS_PER_MEMORY = 5
"""Memory is looked at every 0.1 s: a look takes a millisecond of processor time. Between two looks a peak is
seen per process only."""
LINES_KEPT = 4096
"""Bytes of a program's last words that are read back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One run of a program, from start to end."""

    wall_seconds: Seconds
    cpu_seconds: Seconds
    """User and system time of the program and of every child it waited for."""
    peak_bytes: int | None
    """Most resident memory of the tree at once, sampled; pages that processes share count for each."""
    first_frame_seconds: Seconds | None
    """When the watched file first held a picture that can be decoded, to within `SAMPLE_SECONDS`."""


class Watch(threading.Thread):
    """Look at a process tree from a thread: at its memory, and at whatever else is given."""

    def __init__(
        self,
        pid: int,
        held_bytes: Callable[[psutil.Process], int | None],
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(daemon=True)
        self.root, self.held_bytes, self.on_look = psutil.Process(pid), held_bytes, on_look
        self.peak_bytes: int | None = None
        self._ended = threading.Event()

    def run(self) -> None:
        """Look at once, then again and again until `stop`."""
        for look in itertools.count():
            if look % LOOKS_PER_MEMORY == 0:
                held = self.held_bytes(self.root)
                self.peak_bytes = max(filter(None, (self.peak_bytes, held)), default=None)
            self.on_look()
            if self._ended.wait(SAMPLE_SECONDS):
                return

    def stop(self) -> None:
        """End the looking; `peak_bytes` is final afterwards."""
        self._ended.set()
        self.join()


def tree(root: psutil.Process) -> list[psutil.Process]:
    """List a process and all that descend from it; empty when it is gone."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def resident_bytes(root: psutil.Process) -> int | None:
    """Resident memory of a tree now; None when it is gone."""
    return sum(map(_resident, tree(root))) or None


def most_bytes(root: psutil.Process) -> int | None:
    """Resident memory of a tree now, or the most that one of its processes ever held where that is more.

    A short peak between two looks is so not lost, as long as it is one process'.
    """
    processes = tree(root)
    held = [sum(map(_resident, processes)), *(high_water_bytes(each.pid) for each in processes)]
    return max(filter(None, held), default=None)


def own_cpu_seconds() -> Seconds:
    """Processor time of this process, of its children that ended and were waited for, and of those alive.

    To the microsecond, but for children that are alive: those to the system's tick of 10 ms.
    """
    ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    alive = (_used(each) for each in tree(psutil.Process())[1:])
    return sum(each.ru_utime + each.ru_stime for each in ended) + sum(alive)


def _used(process: psutil.Process) -> Seconds:
    try:
        return float(sum(process.cpu_times()[:4]))  # user, system and both of the children
    except psutil.Error:
        return 0.0


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def high_water_bytes(pid: int) -> int | None:
    """Most resident memory of one process since it started; None where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(sizes[0]) * 1024 if sizes else None


class FirstFrame:
    """Tell when a growing video file first holds a picture that can be decoded."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.perf_counter) -> None:
        self.path, self.clock = path, clock
        self.began = clock()
        self.seconds: Seconds | None = None
        self._seen_bytes = 0

    def look(self) -> None:
        """Try again if the file grew; a file that cannot be read yet is no error."""
        if self.seconds is None and (size := _size(self.path)) > self._seen_bytes:
            self._seen_bytes, looked = size, self.clock()
            if has_picture(self.path):
                self.seconds = looked - self.began


def has_picture(path: Path) -> bool:
    """Whether the first picture of a file, perhaps half-written, can be decoded."""
    try:
        with opened(path) as container:
            return next(container.decode(video_stream(container, path.name)), None) is not None
    except Rejected:
        return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def run_command(
    command: Sequence[str],
    timeout: Seconds,
    watched: Path | None = None,
    to_stdout: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Usage:
    """Run a program to its end and measure it; no shell runs.

    `watched` is the file whose first picture counts; with `to_stdout` it is written from the program's
    standard output. Raises `Rejected`: bad_input (no such program, an exit code), timeout.
    """
    with tempfile.TemporaryFile() as errors, _output(watched if to_stdout else None) as output:
        began = clock()
        try:
            process = subprocess.Popen(command, stdout=output, stderr=errors, start_new_session=True)
        except (FileNotFoundError, PermissionError) as error:
            message = f"`{command[0]}` is not a program on this machine; check --command"
            raise Rejected("bad_input", message) from error
        first = FirstFrame(watched) if watched else None
        peak_bytes, cpu = _wait(process, timeout, first)
        wall = clock() - began
        if process.returncode:
            raise Rejected("bad_input", _failure(command[0], process.returncode, errors))
    if first:
        first.look()  # what became readable with the last byte
    return Usage(
        wall_seconds=wall,
        cpu_seconds=cpu,
        peak_bytes=peak_bytes,
        first_frame_seconds=first.seconds if first else None,
    )


def _output(path: Path | None) -> IO[bytes]:
    return path.open("wb") if path else Path(os.devnull).open("wb")


def _wait(
    process: subprocess.Popen[bytes], timeout: Seconds, first: FirstFrame | None
) -> tuple[int | None, Seconds]:
    """Wait without polling, so that the end is timed to the microsecond; a timer ends what takes too long."""
    watch = Watch(process.pid, most_bytes, first.look if first else lambda: None)
    late = threading.Event()
    timer = threading.Timer(timeout, _end_late, (process.pid, late))
    watch.start()
    timer.start()
    try:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        timer.cancel()
        end_group(process.pid)  # an interrupt, or children that outlive their parent
        watch.stop()
    if late.is_set():
        name = str(process.args[0])  # type: ignore[index] # a sequence, always, from `run_command`
        raise Rejected("timeout", f"`{name}` took longer than {timeout:.0f} s; raise --timeout")
    return watch.peak_bytes, used.ru_utime + used.ru_stime


def _end_late(pid: int, late: threading.Event) -> None:
    late.set()
    end_group(pid)


def end_group(pid: int) -> None:
    """End a program that leads its own process group, with all its children."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _failure(program: str, code: int, errors: IO[bytes]) -> str:
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - LINES_KEPT))
    last = errors.read().decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
    return f"`{program}` ended with code {code}: {last[0]}"
