"""Look at a dataset: a contact sheet as one picture, or a page with sound, curves and rejects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..export import Choice, choose, read_chosen
from ..files import publish, write_text
from ..leakage import leakage_sentence
from ..ledger import read_ledger
from ..manifest import read_manifest
from ..records import Rejected
from ..stats import quality_columns, read_rows
from .page import Looks, page
from .sheet import stacked, strip
from .strips import strip_html
from .worst import thumbnail, worst_rows

MEDIA_BYTES = 4 << 20
"""Videos that a page carries in all; samples beyond have pictures and wave, and no player."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewConfig:
    """What a preview shows."""

    count: int = 12
    """Samples to show, spread evenly over those that fit."""
    worst: int = 4
    """Samples to show of the worst of every quality column; on a page only."""


def write_preview(shards: Path, out: Path, choice: Choice, config: PreviewConfig = PreviewConfig()) -> int:
    """Write a contact sheet (.png) or a page (.html) of the chosen samples; give the number shown.

    A page of a dataset without samples shows why there are none.
    Raises `Rejected("bad_input")` for another suffix or when nothing fits.
    """
    if out.suffix not in (".png", ".html"):
        raise Rejected("bad_input", f"{out.name}: a preview is a .png or .html file")
    if out.suffix == ".png":
        shown = _spread(choose(shards, choice), config.count)
        with publish(out) as temporary:
            stacked([strip(sample) for sample in read_chosen(shards, shown)]).save(temporary)
        return len(shown)
    manifest = read_manifest(shards)
    rows = choose(shards, choice) if manifest.num_samples else read_rows(shards)
    shown = _spread(rows, config.count)
    looks = _look(shards, rows, shown, config)
    text = page(manifest, rows, looks, list(read_ledger(shards).values()), leakage_sentence(shards))
    write_text(out, text)
    return len(shown)


def _spread(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Take so many rows at even distances."""
    if len(rows) <= count:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, count).round().astype(int)]


def _look(shards: Path, rows: pd.DataFrame, shown: pd.DataFrame, config: PreviewConfig) -> Looks:
    """Draw the shown samples whole and the worst as thumbnails, in one way through the shards."""
    whole = set(shown["key"])
    small = {key for name in quality_columns(rows) for key in worst_rows(rows, name, config.worst)["key"]}
    strips, thumbnails, media = dict[str, str](), dict[str, str](), 0
    for sample in read_chosen(shards, rows[rows["key"].isin(whole | small)]):
        key = sample.meta.key
        if key in small:
            thumbnails[key] = thumbnail(sample)
        if key in whole:
            media += len(sample.video) + len(sample.audio) // 3  # AAC takes a third of PCM at most
            strips[key] = strip_html(sample, media <= MEDIA_BYTES)
    return Looks(strips=tuple(strips[key] for key in shown["key"]), thumbnails=thumbnails, worst=config.worst)
