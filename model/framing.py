"""How the faces of a run's training data were framed, noted with the run: a reference is framed likewise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datapipe.console import say
from datapipe.crop import CropConfig
from datapipe.files import write_text
from datapipe.manifest import read_manifest
from datapipe.records import from_dict, read_record, to_json

FILE = "crop.json"


def note_framing(data: Sequence[Path], run: Path) -> None:
    """Write the crop settings of the first dataset into the run, and say where another one differs."""
    crops = [from_dict(read_manifest(folder).config["crop"], CropConfig) for folder in data]
    for folder, crop in zip(data, crops, strict=True):
        if crop != crops[0]:
            say(f"{folder}: its faces are framed otherwise than those of {data[0]}, which count")
    write_text(run / FILE, to_json(crops[0]) + "\n")


def read_framing(run: Path) -> CropConfig:
    """Read the crop settings of a run; the defaults for one that has none noted."""
    path = run / FILE
    return read_record(path, CropConfig, "take it away, or train again") if path.exists() else CropConfig()
