"""The arguments of the commands that need the stages' settings; kept apart, so that the others start fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from .config import BuildConfig
from .places import Place, reached
from .records import Rejected
from .run import RunConfig, read_replay
from .sample import SampleConfig
from .splits import SplitConfig

LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleArguments:
    """Write the embedded sample corpora."""

    out: tyro.conf.Positional[Path]
    """Folder for the corpora; it gets `cmlr`, `hdtf` and `answers`."""
    json: bool = False
    """Write the result to stdout as JSON."""
    config: Annotated[SampleConfig, tyro.conf.arg(name="")] = field(default_factory=SampleConfig)


def replayed(argv: Sequence[str]) -> BuildArguments | None:
    """Read the `build.json` that `--config` names, as what is left out on the command line; None without."""
    for index, word in enumerate(argv):
        name, _, value = word.partition("=")
        if name == "--config":
            path = value or (argv[index + 1] if index + 1 < len(argv) else "")
            source, root, config = read_replay(reached(path))
            still_needed: Any = tyro.MISSING
            known: Any = source
            return BuildArguments(source=known, root=root, out=still_needed, config=config)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitArguments:
    """Assign the samples of a dataset to new splits; media are not touched."""

    shards: Place
    """Folder that `build` wrote."""
    json: bool = False
    """Write the result to stdout as JSON."""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Which samples train, which validate, which test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildArguments:
    """Turn a corpus into shards, a ledger and a manifest."""

    source: Literal["cmlr", "hdtf", "folder"]
    """Layout of the corpus."""
    root: Place
    """Folder of the download; it is never written to."""
    out: Place
    """Folder for the shards."""
    size: int | None = None
    """Side of the square frames in pixels (even); short for --crop.size."""
    language: str | None = None
    """Language of a folder's clips (en, zh); left out, it is recognised."""
    replay: Annotated[Path | None, tyro.conf.arg(name="config")] = None
    """A `build.json` that an earlier build wrote: source, root and settings are taken from it."""
    json: bool = False
    """Write the result to stdout as JSON."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = field(default_factory=RunConfig)
    config: Annotated[BuildConfig, tyro.conf.arg(name="")] = field(default_factory=BuildConfig)

    @property
    def settings(self) -> BuildConfig:
        """The settings with the short options worked in; `Rejected` when one makes no sense."""
        size = self.config.crop.size if self.size is None else self.size
        if size < 32 or size % 2:
            raise Rejected("bad_input", f"--size {size} must be even and at least 32")
        if self.language is not None and self.language not in LANGUAGES:
            known = ", ".join(LANGUAGES)
            raise Rejected(
                "unknown_language", f"--language {self.language} cannot be aligned; known: {known}"
            )
        return replace(
            self.config,
            crop=replace(self.config.crop, size=size),
            source=replace(self.config.source, language=self.language or self.config.source.language),
        )
