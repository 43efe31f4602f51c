"""Write whole or not at all: every file of the product is published by rename, or by one upload."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from .places import is_remote, local_file, upload, version_of
from .records import Rejected

CHUNK_BYTES = 1 << 20


@contextmanager
def publish(path: Path) -> Iterator[Path]:
    """Yield a temporary local path; on success it becomes `path`, on failure it is removed.

    A local file is written beside its place, fsynced and renamed; a remote one is written in a temporary
    folder and uploaded. The temporary name keeps the suffix, so that encoders that go by it work.
    Raises `Rejected`: disk_full, unreachable.
    """
    try:
        with _uploaded(path) if is_remote(path) else _renamed(path) as temporary:
            yield temporary
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Rejected(
                "disk_full", f"no space left to write {path.name}; free some and run again"
            ) from error
        raise


@contextmanager
def _renamed(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=f".tmp{path.suffix}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 would hide the file from a cluster's other users
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _uploaded(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="avatarsync.") as folder:
        temporary = Path(folder) / f"upload{path.suffix}"
        temporary.touch()
        yield temporary
        upload(temporary, path)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written; in a store there is no such thing."""
    for leftover in () if is_remote(folder) else folder.rglob(".*.tmp*"):
        leftover.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    with publish(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a binary file whole."""
    with publish(path) as temporary:
        temporary.write_bytes(data)


def sha256_of(path: Path) -> str:
    """Hash a file's content without holding it in memory."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def hash_once(path: Path) -> str:
    """Hash a file's content; again only when its version (`places.version_of`) differs."""
    return _hash_of_version(path, version_of(path))


@cache
def _hash_of_version(path: Path, version: str) -> str:
    with local_file(path) as local:
        return sha256_of(local)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
