"""Systems under test: a folder of videos, a command line, a Python callable, or a ready adapter.

`NAME=DIR`, `NAME=cmd:TEMPLATE`, `NAME=py:package.module:function`, `NAME=adapter:sadtalker?repo=DIR`. A
folder is read as it is; the others are asked for one video per case by `make_videos`.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import cattrs

from datapipe import template
from datapipe.records import Rejected, from_dict, printable

from ..controls import CONTROLS
from ..records import GROUND_TRUTH, System, Timing
from .adapters import Adapter, adapter_named
from .adapters.adapter import FACES
from .adapters.scratch import Setup

RESERVED = (GROUND_TRUTH, *CONTROLS)
"""Rows that every table can have besides the systems."""
PLACES = ("out", "reference", "audio", "video", "text", "key", "repo")
"""What a command may hold in braces."""
KIND = re.compile(r"(cmd|py|adapter)(\?[^:]*)?:(.*)", re.DOTALL)
CALLABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
EXAMPLES = (
    "NAME=DIR, NAME=cmd:TEMPLATE, NAME=py:package.module:function or NAME=adapter:METHOD?repo=DIR; "
    "for example avatarsync=out/generated"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSpec:
    """Videos that are there already."""

    name: str
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A command per clip, in the method's own environment."""

    name: str
    words: tuple[str, ...]
    """The template, split; places are filled per clip."""
    cwd: Path
    repo: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CallableSpec:
    """A Python function, called per clip in one process that stays."""

    name: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSpec:
    """A ready adapter with the user's repository and options."""

    name: str
    setup: Setup


Spec = FolderSpec | CommandSpec | CallableSpec | AdapterSpec


def parse_systems(texts: tuple[str, ...]) -> tuple[Spec, ...]:
    """Read all systems; names must differ from each other and from the rows that are there anyway."""
    specs = tuple(parse_system(text) for text in texts)
    if not specs:
        raise Rejected("bad_input", "no system to score; add --system NAME=DIR")
    if len({spec.name for spec in specs}) < len(specs):
        raise Rejected("bad_input", "two systems have the same name; give each its own")
    return specs


def parse_system(text: str) -> Spec:
    """Read one system; raises `Rejected("bad_input")` that says what is wrong with it."""
    name, separator, rest = text.partition("=")
    if not separator or not name.strip() or not rest:
        raise Rejected("bad_input", f"`{text}` is not {EXAMPLES}")
    _check_name(name)
    kind = KIND.fullmatch(rest)
    if kind is None:
        return _folder(name, rest)
    settings, body = _settings(kind[2] or "", text), kind[3]
    if kind[1] == "cmd":
        return _command(name, body, settings)
    if kind[1] == "py":
        return _callable(name, body)
    return _adapter(name, body, text)


def _check_name(name: str) -> None:
    if name.strip().lower() in RESERVED:
        raise Rejected("bad_input", f"a system cannot be called `{name}`: that row is there already")
    if printable(name) != name:
        raise Rejected(
            "bad_input", f"the name `{name}` holds what cannot be printed in a table; choose another"
        )


def _folder(name: str, text: str) -> FolderSpec:
    if not Path(text).is_dir():
        raise Rejected("bad_input", f"{text} (system {name}) is no folder; give the one with its videos")
    return FolderSpec(name=name, folder=Path(text))


def _settings(query: str, text: str) -> dict[str, str]:
    try:
        return dict(
            parse_qsl(query.removeprefix("?"), keep_blank_values=True, strict_parsing=bool(query[1:]))
        )
    except ValueError as error:
        raise Rejected("bad_input", f"`{text}`: settings are written ?NAME=VALUE&NAME=VALUE") from error


def _command(name: str, body: str, settings: dict[str, str]) -> CommandSpec:
    _check_known(settings, ("repo", "cwd"), f"the command of {name}")
    repo = _directory(settings.get("repo", "."), f"the repository of {name}")
    cwd = _directory(settings.get("cwd", str(repo)), f"the working folder of {name}")
    return CommandSpec(name=name, words=template.split(body, PLACES, required=("out",)), cwd=cwd, repo=repo)


def _callable(name: str, target: str) -> CallableSpec:
    if not CALLABLE.fullmatch(target):
        message = (
            f"`{target}` (system {name}) is not package.module:function; for example mymethod.bench:speak"
        )
        raise Rejected("bad_input", message)
    return CallableSpec(name=name, target=target)


def _adapter(name: str, body: str, text: str) -> AdapterSpec:
    method, _, query = body.partition("?")
    adapter, settings = adapter_named(method), _settings(f"?{query}", text)
    _check_known(settings, ("repo", "python", *(each.name for each in adapter.options)), f"adapter {method}")
    if "repo" not in settings:
        where = f"{adapter.repository} and say where: adapter:{method}?repo=DIR"
        raise Rejected("bad_input", f"{name}: {adapter.title} runs from its own repository; clone {where}")
    repo = _directory(settings["repo"], f"the repository of {name}")
    if not (repo / adapter.entry).is_file():
        raise Rejected(
            "bad_input", f"{repo} does not look like {adapter.repository}: it has no {adapter.entry}"
        )
    options = {each.name: settings.get(each.name, each.default) for each in adapter.options}
    _check_face(adapter, options)
    python = _python(settings.get("python", ""), repo)
    return AdapterSpec(name=name, setup=Setup(adapter=adapter, repo=repo, python=python, options=options))


def _check_known(settings: dict[str, str], known: tuple[str, ...], what: str) -> None:
    for key in settings:
        if key not in known:
            raise Rejected("bad_input", f"{what} has the setting `{key}`, {template.hint(key, known)}")


def _check_face(adapter: Adapter, options: dict[str, str]) -> None:
    face = options.get("face", "picture")
    if face not in FACES:
        raise Rejected("bad_input", f"{adapter.name}: face={face}, {template.hint(face, list(FACES))}")


def _directory(text: str, what: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise Rejected("bad_input", f"{text}, {what}, is no folder")
    return path.resolve()


def _python(text: str, repo: Path) -> str:
    """The Python that was asked for, else the repository's own: a method rarely runs in our environment.

    A path is made absolute, for the method runs elsewhere; its links are kept, as an environment is one.
    """
    inside = repo / ".venv" / "bin" / "python"
    if not text:
        return str(inside) if inside.is_file() else sys.executable
    return str(Path(text).expanduser().absolute()) if "/" in text else text


def folder_name(name: str) -> str:
    """A folder for a system's videos: its name, with a digest where the name cannot be one as it is."""
    safe = re.sub(r"[^\w-]+", "-", name).strip("-")[:60]
    return safe if safe == name else f"{safe or 'system'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def open_system(name: str, folder: Path) -> System:
    """A folder of videos with what the system wrote about itself in timing.json, when it did."""
    content = read_timing(folder)
    try:
        load = content.get("load_seconds")
        return System(
            name=name,
            folder=folder,
            load_seconds=None if load is None else float(load),
            timings={key: from_dict(value, Timing) for key, value in content.get("clips", {}).items()},
            failures={key: str(why) for key, why in content.get("failures", {}).items()},
        )
    except (ValueError, TypeError, AttributeError, cattrs.BaseValidationError) as error:
        raise Rejected("bad_input", _no_record(folder)) from error


def read_timing(folder: Path) -> dict[str, Any]:
    """The content of timing.json; empty where there is none. Raises `Rejected("bad_input")`."""
    path = folder / "timing.json"
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Rejected("bad_input", _no_record(folder)) from error
    if not isinstance(content, dict):
        raise Rejected("bad_input", _no_record(folder))
    return content


def _no_record(folder: Path) -> str:
    return f"{folder / 'timing.json'} is not a timing record; see docs/adding-a-method.md"
