"""What artefacts need from videos and logs, measured once and kept as records beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datapipe.files import write_text
from datapipe.records import to_json

from ..records import Case
from ..systems.specs import FolderSpec, open_system, parse_systems
from .conditioning import read_conditioning
from .curves import read_curves
from .maps import difference_maps

NUM_PICTURES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """Where videos and logs are."""

    names: tuple[str, ...]
    """Artefacts that are asked for."""
    cases: tuple[Case, ...] = ()
    systems: tuple[str, ...] = ()
    """NAME=DIR."""
    pictures: tuple[str, ...] = ()
    """Starts of the keys of the cases to show; empty takes the first two."""
    train_log: Path | None = None
    ablations: tuple[Path, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Starts of the keys of the cases to show."""
        return self.pictures or tuple(case.key for case in self.cases[:NUM_PICTURES])


def look(config: Looking, folder: Path) -> tuple[Path, ...]:
    """Write a record for each thing that can be looked at; the paths of what was written."""
    written = []
    for name, measure in _measures(config):
        record = measure()
        if record is not None:
            write_text(folder / f"{name}.json", to_json(record) + "\n")
            written.append(folder / f"{name}.json")
    return tuple(written)


def _measures(config: Looking) -> Iterator[tuple[str, Callable[[], Any]]]:
    if "fig4b" in config.names and config.cases and config.systems:
        specs = [spec for spec in parse_systems(config.systems) if isinstance(spec, FolderSpec)]
        systems = tuple(open_system(spec.name, spec.folder) for spec in specs)
        yield "difference-maps", partial(difference_maps, config.cases, systems, config.keys)
    if "fig11" in config.names and config.train_log is not None:
        yield "curves", partial(read_curves, config.train_log)
    if "fig5" in config.names:
        for number, folder in enumerate(config.ablations):
            yield (
                f"conditioning-{number + 1}",
                partial(read_conditioning, folder, config.cases, config.keys),
            )
