"""What may be done: how long an item takes, who hears Ctrl-C, and who writes to a folder."""

from __future__ import annotations

import ctypes
import fcntl
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from .files import sweep
from .places import is_remote
from .records import Rejected, Seconds

LOCK = ".lock"


def leave_interrupts_alone() -> None:
    """Make a worker deaf to Ctrl-C: it reaches the whole group, and the process that runs it answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class TimeUp(BaseException):
    """The item's time is over; no `except Exception` of a library can swallow it."""


@contextmanager
def time_limit(seconds: Seconds) -> Iterator[None]:
    """Raise `TimeUp` in the body when it takes longer; native code is left at its next return to Python."""
    if threading.current_thread() is threading.main_thread():
        with _by_signal(seconds):
            yield
    else:
        with _by_thread(seconds):
            yield


@contextmanager
def _by_signal(seconds: Seconds) -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> NoReturn:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _by_thread(seconds: Seconds) -> Iterator[None]:
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    me = ctypes.c_ulong(threading.get_ident())
    over = threading.Lock()

    def ring() -> None:
        if over.acquire(blocking=False):
            raise_in(me, ctypes.py_object(TimeUp))

    timer = threading.Timer(seconds, ring)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if not over.acquire(blocking=False):
            raise_in(me, None)  # it rang as the body ended: take back what was not delivered yet


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Be the only process that writes to a folder; what a killed one left half-written is removed.

    The lock ends with the process, however it ends; a store has no locks. Raises `Rejected("bad_input")`
    when it is taken.
    """
    if is_remote(folder):
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"another command is writing to {folder}; wait for it, or choose another folder"
            raise Rejected("bad_input", message) from error
        except OSError:
            pass  # some network file systems have no locks: there, as in a store, the user takes care
        sweep(folder)
        yield
