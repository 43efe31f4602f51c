"""Read a published tokenizer's checkpoint: names by its family's table, strangers refused, no code run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from datapipe.records import Rejected

from ..checkpoint import check_and_load, load_tensors
from .config import PublishedConfig
from .families import FAMILIES
from .network import PublishedTokenizer

EMA = "model_ema."
"""Lightning's averaged weights stand under this, their names without dots."""


class _Inert:
    """Stands for a class that old checkpoints name beside their weights; nothing of it is read."""


INERT = tuple(
    (_Inert, f"{package}.callbacks.{module}.{name}")
    for package in ("pytorch_lightning", "lightning.pytorch")
    for module, name in (("model_checkpoint", "ModelCheckpoint"), ("early_stopping", "EarlyStopping"))
)
"""Keys of the `callbacks` of checkpoints that Lightning wrote before 1.5, as taming's are."""


def load_published(path: Path, config: PublishedConfig, ema: bool = True) -> PublishedTokenizer:
    """Build a published tokenizer and fill it from its own checkpoint.

    Reads safetensors, or what torch saved (.pt, .ckpt, .pth) with tensors and plain values only. With `ema`
    averaged weights are preferred where there are any.
    Raises `Rejected`: missing_weight (no such file), bad_weight (unknown, missing or misshapen tensors, by
    their name in the file; pickled code).
    """
    if not path.is_file():
        raise Rejected("missing_weight", f"there is no checkpoint {path}; download it, then name it here")
    network = PublishedTokenizer(config)
    names = published_names(config, network.state_dict())
    stored = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled(path, ema)
    check_and_load(network, _wanted(stored, set(names.values()), config, ema), path, names)
    network.eval().requires_grad_(False)
    return network


def published_names(config: PublishedConfig, ours: Iterable[str]) -> dict[str, str]:
    """Our tensors' names to the published ones."""
    rows = [(_pattern(our), their) for our, their in FAMILIES[config.family].rows]
    last = len(config.multipliers) - 1
    return {name: _renamed(name, rows, last) for name in ours}


def _pattern(our: str) -> re.Pattern[str]:
    escaped = re.escape(our).replace(r"\{i\}", r"(?P<i>\d+)").replace(r"\{j\}", r"(?P<j>\d+)")
    return re.compile(rf"{escaped}\.")


def _renamed(name: str, rows: list[tuple[re.Pattern[str], str]], last: int) -> str:
    for pattern, their in rows:
        if found := pattern.match(name):
            places = found.groupdict()
            mirrored = last - int(places.get("i", 0))
            return f"{their.format(**places, r=mirrored)}.{name[found.end() :]}"
    return name


def _wanted(
    stored: dict[str, Tensor], names: set[str], config: PublishedConfig, ema: bool
) -> dict[str, Tensor]:
    """Leave out what only training needs, and one of the two copies where there are averaged weights."""
    skip = re.compile("|".join(FAMILIES[config.family].training_only))
    kept = {name: value for name, value in stored.items() if not skip.fullmatch(name)}
    averaged = {EMA + name.replace(".", ""): name for name in names}
    if not averaged.keys() & kept.keys():
        return kept
    if ema:
        kept = {name: value for name, value in kept.items() if name not in names}
        return {averaged.get(name, name): value for name, value in kept.items()}
    return {name: value for name, value in kept.items() if name not in averaged}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_tensors(path)
    except Rejected as error:
        raise Rejected("bad_weight", f"{path} is no whole safetensors file; download it once more") from error


def _read_pickled(path: Path, ema: bool) -> dict[str, Tensor]:
    try:
        with torch.serialization.safe_globals(list(INERT)):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise Rejected(
            "bad_weight",
            f"{path} is no checkpoint of tensors alone, and code in it is not run: {_first_line(error)}; "
            "save its state dict as safetensors",
        ) from error
    tensors = _state_dict(loaded, ema)
    strange = [name for name, value in tensors.items() if not isinstance(value, Tensor)]
    if strange:
        raise Rejected("bad_weight", f"{path} holds no tensor under `{strange[0]}`")
    return tensors


def _state_dict(loaded: Any, ema: bool) -> dict[str, Any]:
    """Find the weights: LlamaGen's under `ema` or `model`, Lightning's under `state_dict`, or the whole."""
    wrappers = ("ema", "model", "state_dict") if ema else ("model", "state_dict", "ema")
    found = next((loaded[name] for name in wrappers if isinstance(loaded, dict) and loaded.get(name)), loaded)
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {"": found}


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
