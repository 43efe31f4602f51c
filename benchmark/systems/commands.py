"""`avatarsync bench systems` and `avatarsync bench make`: the ready adapters, and videos of one system."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from datapipe.console import DONE, DONE_WITH_REJECTS, emit, say
from datapipe.records import Rejected, Seconds, to_dict

from ..cases import find_cases
from ..records import System
from .adapters import ADAPTERS, Adapter, adapter_named


@dataclass(frozen=True, kw_only=True)
class SystemsCommand:
    """List the ready adapters, or show all that is known of one.

    Example: avatarsync bench systems show sadtalker
    """

    action: tyro.conf.Positional[Literal["list", "show"]] = "list"
    """list them all, or show one."""
    name: tyro.conf.Positional[tuple[str, ...]] = field(default=())
    """Names of adapters, for show."""
    json: bool = False
    """Write JSON instead of text."""

    def execute(self) -> int:
        """Print what was asked for."""
        if self.action == "show" and not self.name:
            raise Rejected("bad_input", "show which adapter? `avatarsync bench systems list` lists them")
        chosen = [adapter_named(name) for name in self.name] or list(ADAPTERS.values())
        if self.json:
            emit(json.dumps([to_dict(each) for each in chosen], ensure_ascii=False, indent=1))
        else:
            emit("\n".join(_line(each) if self.action == "list" else _page(each) for each in chosen))
        return DONE


def _line(adapter: Adapter) -> str:
    return f"{adapter.name:<13} {adapter.title:<13} {adapter.paper:<17} {adapter.repository}"


def _page(adapter: Adapter) -> str:
    facts = {
        "paper": adapter.paper,
        "repository": f"{adapter.repository} (read at {adapter.commit[:10]})",
        "read in": ", ".join(adapter.source),
        "code": adapter.code_licence,
        "weights": adapter.weights_licence,
        "needs": "; ".join(adapter.needs),
        "takes": adapter.inputs,
        "writes": adapter.output,
        "command": adapter.command,
        "collects": adapter.collect,
    }
    options = [f"  {each.name}={each.default}: {each.about}" for each in adapter.options]
    lines = [adapter.title, *(f"  {label}: {text}" for label, text in facts.items())]
    lines += ["options:", *options] if options else []
    return "\n".join([*lines, *(f"note: {note}" for note in adapter.notes)])


@dataclass(frozen=True, kw_only=True)
class MakeCommand:
    """Make the videos of one system, one per case, and time each.

    Example: avatarsync bench make --system "ours=cmd:python run.py {reference} {audio} {out}" ...
    """

    system: str
    """NAME=cmd:TEMPLATE, NAME=py:package.module:function or NAME=adapter:METHOD?repo=DIR."""
    reference: Path
    """Folder with the cases."""
    out: Path
    """Folder for KEY.mp4, timing.json and logs/."""
    timeout: Seconds = 1800.0
    """Seconds after which a clip is a failure."""
    limit: int | None = None
    """Only the first cases."""
    again: bool = False
    """Make those again, too, that were made from the same inputs."""

    def execute(self) -> int:
        """Make them; exit code 3 when a clip has no video."""
        from .making import MakeConfig, make_videos
        from .specs import FolderSpec, parse_system

        spec = parse_system(self.system)
        if isinstance(spec, FolderSpec):
            raise Rejected("bad_input", f"{spec.folder} is a folder of videos: there is nothing to make")
        cases = find_cases(self.reference)[: self.limit]
        config = MakeConfig(timeout=self.timeout, again=self.again)
        return report_made(make_videos(spec, cases, self.out, config), len(cases))


def report_made(system: System, num_cases: int) -> int:
    """Say how many videos there are and why others are not; the exit code for that."""
    for key, why in sorted(system.failures.items()):
        say(f"failed: {key}: {why}")
    emit(f"{system.name}: {num_cases - len(system.failures)} of {num_cases} videos in {system.folder}")
    return DONE_WITH_REJECTS if system.failures else DONE
