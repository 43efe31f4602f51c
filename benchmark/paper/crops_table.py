"""Table 4: identity distances per speaker and crop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..identity import BACKBONES
from ..intervals import mean_estimate
from .crops import CropOfClip, Crops, Measure, Mode, name_of
from .document import (
    Artefact,
    Cell,
    Column,
    Grid,
    Row,
    measured,
    missing,
    printed_grid,
    unmeasured,
    where,
)
from .quoted import quoted
from .sources import Found, Sources

GROUPS: dict[Mode, str] = {"face": "Face-Centric Cropping", "pose": "Landmark-Based Cropping"}
CAPTIONS: dict[Measure, str] = {
    "as cropped": "Ours: crops as a generator sees them, each held against the first of its clip",
    "aligned": "Ours: faces put upright, each crop held against the uncropped video",
}
ABSENT = (
    "The paper's four networks are in no package registry: ours are those that `avatarsync weights list` "
    "has, in columns of their own."
)
OTHER = (
    "‡ Ours are distances of the crops themselves; the paper compares videos made by "
    "generators, one trained on either crop, with the ground truth. Compare which crop is better, not values."
)


def table4(sources: Sources) -> Artefact:
    """Both crops, per speaker."""
    table = quoted().table("Table 4")
    found = sources.of(Crops)
    ours = [grid for file, crops in found for grid in _grids(file, crops)]
    return Artefact(
        name="table4",
        title="Table 4: identity distance per speaker and crop",
        where=where(table),
        grids=(printed_grid(table, "speaker", unmeasured("any speaker", bool(found))), *ours),
        command="avatarsync bench crops --data SHARDS --root RAW --out crops.json",
        is_measured=bool(found),
    )


def _grids(file: Found, crops: Crops) -> list[Grid]:
    return [_grid(file, crops, measure) for measure in CAPTIONS]


def _grid(file: Found, crops: Crops, measure: Measure) -> Grid:
    speakers = sorted({clip.speaker for clip in crops.clips})
    chosen = [(name, [clip for clip in crops.clips if clip.speaker == name]) for name in speakers]
    keys = [name_of(mode, measure, network) for mode in GROUPS for network in BACKBONES]
    rows = [_row(f"{name} ({len(clips)} clips)", clips, keys, file) for name, clips in chosen]
    failed = f"{len(crops.failures)} clips could not be measured. " if crops.failures else ""
    size = f"crops of {crops.size} px, intervals over clips. {failed}"
    facts = f"‡ {len(crops.clips)} clips of {crops.source}, {size}"
    return Grid(
        name=f"{file.path.stem} {measure}",
        caption=CAPTIONS[measure],
        head="speaker",
        columns=tuple(
            Column(title=entry.label, group=group, arrow="lower")
            for group in GROUPS.values()
            for entry in BACKBONES.values()
        ),
        rows=(*rows, _row(f"Total ({len(crops.clips)} clips)", crops.clips, keys, file)),
        notes=(facts.strip(), OTHER, ABSENT),
    )


def _row(name: str, clips: Sequence[CropOfClip], keys: Sequence[str], file: Found) -> Row:
    return Row(label=name, origin="ours", cells=tuple(_cell(clips, key, file) for key in keys))


def _cell(clips: Sequence[CropOfClip], key: str, file: Found) -> Cell:
    values = [clip.distances[key] for clip in clips if key in clip.distances]
    if not values:
        return missing(f"{file.path.name} has no distance by this network")
    estimate = mean_estimate(np.array(values))
    protocol: str = file.record.protocol.hash
    return measured(estimate.value, estimate.low, estimate.high, trace=file.trace(protocol))
