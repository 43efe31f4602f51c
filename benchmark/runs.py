"""Runs as an append-only database of JSON files: a finished run is never changed."""

from __future__ import annotations

from pathlib import Path

import cattrs

from datapipe.files import write_text
from datapipe.records import Rejected, from_json, to_json

from .records import Run


def write_run(path: Path, run: Run, replace: bool = False) -> None:
    """Write a run; an existing file is kept unless `replace` says otherwise."""
    check_free(path, replace)
    write_text(path, to_json(run) + "\n")


def check_free(path: Path, replace: bool) -> None:
    """Refuse to write over a run, before any work is done."""
    if path.exists() and not replace:
        raise Rejected("bad_input", f"{path} is there already; name another file or add --replace")


def read_run(path: Path) -> Run:
    """Read a run back."""
    try:
        return from_json(path.read_text(encoding="utf-8"), Run)
    except FileNotFoundError as error:
        raise Rejected("bad_input", f"{path} is not there; make it with `avatarsync bench run`") from error
    except (ValueError, OSError, cattrs.BaseValidationError) as error:
        raise Rejected("bad_input", f"{path} is not a run of this benchmark; make it again") from error


def read_runs(paths: tuple[Path, ...]) -> tuple[Run, ...]:
    """Read files, and every *.json of folders."""
    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise Rejected("bad_input", "no run files; name one or a folder of them")
    return tuple(read_run(file) for file in files)
