"""Folders in memory for arrays that go to another process, and what happens to those of the killed.

A killed process takes nothing away. So each folder holds a lock for as long as its owner lives, and whoever
comes later removes the folders whose locks are free.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

MEMORY = Path("/dev/shm")
PREFIX = "avatarsync-arrays."
LOCK = "owner.lock"


@contextlib.contextmanager
def fast_folder() -> Iterator[Path | None]:
    """Own a folder in shared memory until the block ends; None on a system that has no such place."""
    if not os.access(MEMORY, os.W_OK):
        yield None
        return
    sweep_fast_folders()
    folder = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=MEMORY))
    with (folder / LOCK).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        folder = folder.rename(folder.with_name(folder.name[1:]))  # locked: now a sweep may see it
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep_fast_folders() -> None:
    """Remove the folders in shared memory whose owners were killed."""
    for folder in MEMORY.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (folder / LOCK).open("r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
