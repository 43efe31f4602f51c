"""What tests of places share: a secret that must never be seen, and trees that are compared."""

from __future__ import annotations

from pathlib import Path

from datapipe import files

SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCY"
KEY = "AKIAPLACESTEST"


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names(folder)}


def copy_tree(source: Path, target: Path) -> Path:
    for name, content in contents(source).items():
        files.write_bytes(target / name, content)
    return target
