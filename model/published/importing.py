"""Make a published tokenizer the tokenizer of a run; all that comes after loads it like a trained one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from datapipe.files import sha256_of
from datapipe.records import Rejected, to_dict

from ..checkpoint import CONFIG, DONE, WEIGHTS, save_weights
from .config import PublishedConfig
from .families import variant_named
from .layouts import load_published


def import_tokenizer(
    name: str, weights: Path, run: Path, size: int | None = None, ema: bool = True
) -> PublishedConfig:
    """Read a checkpoint in its published layout and write RUN/tokenizer in ours.

    `name` is one of `families.VARIANTS`; `size` the side of the run's pictures where it is not the published
    one. Raises `Rejected`: bad_input (unknown name, a size that does not fit, a run that has a tokenizer),
    missing_weight, bad_weight (see `load_published`).
    """
    config = variant_named(name)
    config = config if size is None else replace(config, size=size)
    folder = run / "tokenizer"
    network = load_published(weights, config, ema)
    source = {"variant": name, "file": weights.name, "sha256": sha256_of(weights), "averaged": ema}
    again = imported_in(run).get("imported") == source and not (folder / DONE).exists()
    if (folder / WEIGHTS).exists() and not again:
        raise Rejected("bad_input", f"{run} has another tokenizer already; name a new run with --out")
    save_weights(folder, network, {"family": config.family, "network": to_dict(config), "imported": source})
    return config


def imported_in(run: Path) -> dict[str, Any]:
    """Return what a run says of its imported tokenizer (`family`, `network`, `imported`), or nothing."""
    path = run / "tokenizer" / CONFIG
    config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: config[name] for name in ("family", "network", "imported")} if "imported" in config else {}
