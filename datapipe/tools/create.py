"""Make a tool environment: in its place, under a lock; a record that is written last marks it as whole."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..child import run_child
from ..console import say, track
from ..files import sha256_of, write_text
from ..records import Rejected, to_json
from .check import faults
from .home import COMPLETE, Made, folder_of, home, made, state_of
from .installer import LONGEST, Installer, build_key, pip_settings
from .needs import check_needs, check_room
from .registry import Tool

PYTHON = "bin/python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One part of the making."""

    about: str
    """What the user is told."""
    do: Callable[[], None]
    """Raises `Rejected` when it cannot be done."""


def create(tool: Tool) -> Made:
    """Make an environment unless it is there and whole; another command that makes it is waited for.

    An environment cannot be moved, so it grows in its place; `complete.json` is written last, and without it
    the folder counts as broken. What fails or is interrupted is removed; compiled wheels are kept. Raises
    `Rejected`: bad_input (the system lacks something, a step failed), disk_full, timeout, crashed.
    """
    check_needs(tool)
    with _alone(tool):
        known = made(tool)
        if known is not None and state_of(tool) == "ready":
            say(f"`{tool.name}` is whole already, in {folder_of(tool)}")
            return known
        check_room(tool, home(), disk_bytes(folder_of(tool)))
        say(
            f"`{tool.name}`: about {tool.download_bytes / 1e9:.1f} GB to download, "
            f"{tool.disk_bytes / 1e9:.1f} GB of disk, {tool.minutes:.0f} minutes; into {folder_of(tool)}"
        )
        log = home() / f"{tool.name}.log"
        try:
            return _make(tool, log)
        except BaseException as error:
            shutil.rmtree(folder_of(tool), ignore_errors=True)
            if isinstance(error, Rejected):
                message = f"`{tool.name}` was not made: {error.message}; {log} tells the whole story"
                raise Rejected(error.reason, message) from error
            raise


def remove(tool: Tool) -> int:
    """Take an environment away and give the bytes that it held; its compiled wheels stay for the next."""
    with _alone(tool):
        held = disk_bytes(folder_of(tool))
        # first what makes it count as whole: an interrupted removal leaves a broken one
        (folder_of(tool) / COMPLETE).unlink(missing_ok=True)
        if folder_of(tool).exists():
            shutil.rmtree(folder_of(tool))
    return held


def _make(tool: Tool, log: Path) -> Made:
    began = time.monotonic()
    shutil.rmtree(folder_of(tool), ignore_errors=True)
    installer = Installer(
        python=folder_of(tool) / PYTHON,
        log=log,
        uv=shutil.which("uv"),
        settings=pip_settings(),
    )
    for step in track(list(_steps(tool, installer)), tool.name):
        say(f"{tool.name}: {step.about}")
        step.do()
    record = Made(
        lock_sha256=sha256_of(tool.lock),
        python=PYTHON,
        installer=installer.name(),
        seconds=round(time.monotonic() - began, 1),
        num_bytes=disk_bytes(folder_of(tool)),
        versions=_versions(installer.python),
    )
    write_text(folder_of(tool) / COMPLETE, to_json(record))
    return record


def _steps(tool: Tool, installer: Installer) -> Iterator[Step]:
    pins = tool.pins()
    rest = [name for name in pins if name not in (*tool.first, *tool.compiled)]
    options = ["--no-build-isolation"] if tool.first else []
    yield Step(about="an empty environment", do=partial(_empty, tool, installer.log))
    if tool.first:
        yield Step(about="what builds packages", do=partial(installer.install, _chosen(pins, tool.first)))
    yield Step(about=f"{len(rest)} packages", do=partial(installer.install, _chosen(pins, rest), *options))
    if tool.compiled:
        about = f"{', '.join(tool.compiled)}: compiled where no wheel is kept"
        compiled = _chosen(pins, tool.compiled)
        yield Step(about=about, do=partial(_compile, installer, compiled, build_key(pins)))
    if tool.programs:
        yield Step(about=", ".join(name for name, _ in tool.programs), do=partial(_link, tool))
    yield Step(about="a trial: everything is imported", do=partial(_try, tool, installer.python))


def _chosen(pins: Mapping[str, str], names: Sequence[str]) -> list[str]:
    return [f"{name}=={pins[name]}" for name in names]


def _empty(tool: Tool, log: Path) -> None:
    command = [sys.executable, "-m", "venv", str(folder_of(tool))]
    run_child(command, cwd=home(), env={"PYTHONPATH": ""}, timeout=LONGEST, log=log)


def _compile(installer: Installer, pins: list[str], key: str) -> None:
    """Install packages from wheels that are kept, compiling those that are not there yet."""
    kept = home() / "wheels" / key
    kept.mkdir(parents=True, exist_ok=True)
    wheels = [_wheel(installer, pin, kept) for pin in pins]
    installer.install([str(wheel) for wheel in wheels])


def _wheel(installer: Installer, pin: str, kept: Path) -> Path:
    name, _, version = pin.partition("==")
    known = sorted(kept.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    if known:
        return known[0]
    say(f"compiling {pin}")
    with tempfile.TemporaryDirectory(prefix=".wheel.", dir=kept) as folder:
        built = installer.wheel(pin, Path(folder))
        return built.rename(kept / built.name)


def _link(tool: Tool) -> None:
    """Give programs that packages carry their usual names on the worker's path."""
    (packages,) = (folder_of(tool) / "lib").glob("python3.*/site-packages")
    for name, pattern in tool.programs:
        (program,) = packages.glob(pattern)
        (folder_of(tool) / "bin" / name).symlink_to(os.path.relpath(program, folder_of(tool) / "bin"))


def _try(tool: Tool, python: Path) -> None:
    found = faults(tool, python)
    if found:
        raise Rejected("bad_input", f"it is there but does not work: {'; '.join(found)}")


def _versions(python: Path) -> dict[str, str]:
    command = [str(python), "-I", "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {row["name"]: row["version"] for row in json.loads(said)}


def disk_bytes(folder: Path) -> int:
    """What a folder's files take on the disk; a link counts as itself, files linked twice once."""
    blocks: dict[tuple[int, int], int] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            found = (Path(parent) / name).lstat()
            blocks[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(blocks.values())


@contextmanager
def _alone(tool: Tool) -> Iterator[None]:
    """Be the only command that makes or removes this environment; the lock ends with its process."""
    home().mkdir(parents=True, exist_ok=True)
    with (home() / f".{tool.name}.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another command works on `{tool.name}`; waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
