"""Where files lie: a folder of this machine, or a store that fsspec knows, by its address (`s3://...`).

A place is a `Path`, or for an address a `UPath`, which has the methods of a `Path` but is none: it goes
through code as one and has no local name. What must have one (decoders, libraries in C) asks for
`local_file`. Addresses carry no credentials: those are fsspec's and the store's library's own business.
"""

from __future__ import annotations

import errno
import re
import shutil
import stat
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast
from uuid import uuid4

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from .records import Rejected

if TYPE_CHECKING:
    from upath import UPath
    from upath._stat import UPathStatResult

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]+)://")
PASSWORD = re.compile(r"[^/@]*:[^/@]*@")
"""After `//`: a user with a password."""
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "tos"}
"""Stores where an object is there whole or not at all, and where folders need not be made."""
KEEP = 4
"""Copies of remote files that a process keeps at hand: picture and sound of a clip, and of the one before."""
LONGEST_NAME = 60
"""Characters of a copy's name; a store's names may be longer than a disk's."""


def place(text: str | Path) -> Path:
    """Give the path of a local name, or of an address like `s3://bucket/folder`; nothing is asked of a store.

    Raises `Rejected("bad_input")` for an unknown kind of store and for an address with a password in it.
    """
    found = ADDRESS.match(text) if isinstance(text, str) else None
    if found is None:
        return Path(text)
    if found[1] in ("file", "local"):
        return Path(str(text)[found.end() :])
    return _remote(str(text), found)


def _remote(address: str, found: re.Match[str]) -> Path:
    from upath import UPath
    from upath.registry import available_implementations

    store = found[1]
    if PASSWORD.match(address, found.end()):
        message = f"an address ({store}://...) must hold no password; see Stores in docs/operations.md"
        raise Rejected("bad_input", message)
    if store not in available_implementations(fallback=True):
        raise Rejected(
            "bad_input", f"`{store}` is no store known here; known are s3, gs, az and fsspec's others"
        )
    path = UPath(address.rstrip("/"))
    if path.storage_options:  # they would not travel with the address
        told = ", ".join(sorted(path.storage_options))
        message = f"write {path} and give {told} by fsspec's configuration; see Stores in docs/operations.md"
        raise Rejected("bad_input", message)
    return cast(Path, path)


def reached(text: str) -> Path:
    """Give a place, after asking its store once, so that a wrong address or key is told at once.

    Raises `Rejected`: bad_input (a package is missing), unreachable.
    """
    path = place(text)
    if is_remote(path):
        with asking(path):
            path.exists()
    return path


Place = Annotated[
    Path,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH|URL",
        instance_from_str=lambda words: reached(words[0]),
        is_instance=lambda value: isinstance(value, Path) or is_remote(value),
        str_from_instance=lambda path: [str(path)],
    ),
    tyro.conf.arg(),
]
"""A path on the command line that may be an address."""


def is_remote(path: Path) -> bool:
    """Tell whether a place has no local name."""
    return not isinstance(cast(object, path), Path)


def is_inside(path: Path, folder: Path) -> bool:
    """Tell whether a place is a folder or lies somewhere in it; links are followed."""
    if is_remote(path) != is_remote(folder):
        return False
    return path.resolve().is_relative_to(folder.resolve())


def version_of(path: Path) -> str:
    """Tell one state of a file from another without reading it: by size, and time of change or store's tag.

    Raises `FileNotFoundError`.
    """
    state = path.stat()
    if not is_remote(path):
        return f"{state.st_size}-{state.st_mtime_ns}"
    facts = cast("UPathStatResult", state).as_info()
    tag = facts.get("ETag") or facts.get("etag") or facts.get("md5Hash")
    changed = str(tag).strip('"') if tag else state.st_mtime_ns or facts.get("created")
    return f"{state.st_size}-{changed}"


def list_files(root: Path, below: str = "") -> list[str]:
    """Name everything in a folder of a remote root, to any depth, by one listing of the store; sorted.

    Names are relative to the root. What the listing says of the files is remembered for this process.
    """
    folder = root / below if below else root
    remote = cast("UPath", folder)
    with asking(folder):
        remote.fs.invalidate_cache()
        names = remote.fs.find(remote.path)
    start = cast("UPath", root).path.rstrip("/") + "/"
    return sorted(name.removeprefix(start) for name in map(str, names) if not name.endswith("/"))


def is_plain_file(path: Path) -> bool:
    """Tell whether something can be read whole: not a folder, a pipe or a device.

    Raises `OSError` or `ValueError` when nothing of the name is there, `Rejected("unreachable")` when a store
    does not tell.
    """
    if not is_remote(path):
        return stat.S_ISREG(path.stat().st_mode)
    with asking(path):
        return stat.S_ISREG(path.stat().st_mode)


@contextmanager
def local_file(path: Path) -> Iterator[Path]:
    """Give a file a local name: its own, or that of a copy, which later calls in this process share.

    A copy is made again when the file has changed. Raises `FileNotFoundError`, and `Rejected`: unreachable,
    disk_full.
    """
    yield _copied(path) if is_remote(path) else path


def _copied(path: Path) -> Path:
    remote, copies = cast("UPath", path), _copies()
    with asking(path):
        key = (str(path), version_of(path))
        if key not in copies:
            folder = _scratch() / uuid4().hex
            folder.mkdir()
            copy = folder / path.name[-LONGEST_NAME:]
            remote.fs.get_file(remote.path, str(copy))
            copies[key] = copy
    copies.move_to_end(key)
    while len(copies) > KEEP:
        shutil.rmtree(copies.popitem(last=False)[1].parent, ignore_errors=True)
    return copies[key]


@cache
def _copies() -> OrderedDict[tuple[str, str], Path]:
    return OrderedDict()


@cache
def _scratch_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="avatarsync.")  # goes when the process ends


def _scratch() -> Path:
    return Path(_scratch_folder().name)


def upload(source: Path, path: Path) -> None:
    """Put a local file into a store, whole or not at all, over what is there.

    Raises `Rejected("unreachable")`.
    """
    remote = cast("UPath", path)
    with asking(path, writing=True):
        if remote.protocol in OBJECT_STORES:
            remote.fs.put_file(str(source), remote.path)
            return
        remote.parent.mkdir(parents=True, exist_ok=True)
        temporary = remote.parent / f".{path.stem}.{uuid4().hex}.tmp{path.suffix}"
        try:
            remote.fs.put_file(str(source), temporary.path)
            remote.fs.mv(temporary.path, remote.path)
        finally:
            temporary.unlink(missing_ok=True)


def delete_folder(path: Path) -> None:
    """Take a folder away with all that is in it; one that is not there is no error."""
    if not is_remote(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    remote = cast("UPath", path)
    with asking(path, writing=True):
        if remote.exists():
            remote.fs.rm(remote.path, recursive=True)


@contextmanager
def asking(path: Path, writing: bool = False) -> Iterator[None]:
    """Say in one sentence what a store's library has to say; a missing file stays one, unless writing.

    The library's own words are left out of the sentence: they may hold what signs a request.
    """
    try:
        yield
    except (Rejected, MemoryError):
        raise
    except ImportError as error:
        raise Rejected("bad_input", f"{path}: this kind of store needs a package: {error}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no space left to copy {path.name}; free some and run again"
            raise Rejected("disk_full", message) from error
        if isinstance(error, FileNotFoundError) and not writing:
            raise
        what = "written to" if writing else "read"
        message = f"{path} cannot be {what} ({type(error).__name__}); check address, network and credentials"
        raise Rejected("unreachable", message) from error
