"""What a worker may do: how long an item takes, in the main thread or another, and who hears Ctrl-C."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from .records import Seconds


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
