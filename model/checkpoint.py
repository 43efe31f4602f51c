"""Weights on disk: safetensors beside a readable config; nothing unknown is loaded silently.

A part of a run is a folder: weights.safetensors, config.json, log.jsonl, and done.json when training ended.
While training goes on, resume.safetensors holds parameters, optimizer moments and the step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from datapipe.files import publish, write_text
from datapipe.records import Rejected

WEIGHTS, CONFIG, LOG, DONE = "weights.safetensors", "config.json", "log.jsonl", "done.json"
RESUME, SHARDED = "resume.safetensors", "resume"
"""What a stopped training goes on from: a file, or a folder where no process holds everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a finished training says of itself."""

    identity: str
    """Hash of data, configuration and the weights it was built on; equal means nothing to do."""
    steps: int
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A network in training and its optimizer; an opponent is a second side."""

    network: nn.Module
    optimizer: torch.optim.Optimizer


def save_weights(folder: Path, network: nn.Module, config: dict[str, Any]) -> None:
    """Publish the config, then the weights."""
    write_text(folder / CONFIG, json.dumps(config, ensure_ascii=False, indent=1))
    save_tensors(folder / WEIGHTS, dict(network.state_dict()))


def load_weights(folder: Path, network: nn.Module) -> None:
    """Fill a network; a missing, unknown or misshapen tensor, or one with no numbers, is refused by name."""
    tensors = load_tensors(folder / WEIGHTS)
    check_and_load(network, tensors, folder / WEIGHTS)
    broken = [name for name, value in tensors.items() if not bool(torch.isfinite(value).all())]
    if broken:
        named = _listed([f"`{name}`" for name in broken])
        raise Rejected("bad_weight", f"{folder / WEIGHTS} has no numbers in {named}; train this part again")


def load_config(folder: Path, part: str) -> dict[str, Any]:
    """Read a part's config; `Rejected("missing_weight")` says how to train what is not there."""
    path = folder / CONFIG
    if not path.exists() or not (folder / WEIGHTS).exists():
        raise Rejected(
            "missing_weight",
            f"{folder.parent} holds no trained {part}; make it: "
            f"`avatarsync model train {part} --data SHARDS --out {folder.parent}`",
        )
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def check_and_load(
    network: nn.Module, tensors: dict[str, Tensor], path: Path, called: Mapping[str, str] | None = None
) -> None:
    """Load tensors that fit exactly; `called` says what the file calls the network's tensors, if not so."""
    inside, called = network.state_dict(), called or {}
    wanted = {called.get(name, name): value for name, value in inside.items()}
    faults = [f"unknown `{name}`" for name in sorted(set(tensors) - set(wanted))]
    faults += [f"missing `{name}`" for name in sorted(set(wanted) - set(tensors))]
    common = sorted(set(wanted) & set(tensors))
    faults += [
        f"`{n}` is {tuple(tensors[n].shape)}, not {tuple(wanted[n].shape)}"
        for n in common
        if tensors[n].shape != wanted[n].shape
    ]
    if faults:
        raise Rejected("bad_weight", f"{path} does not fit this network: {_listed(faults)}")
    network.load_state_dict({name: tensors[called.get(name, name)] for name in inside})


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def save_tensors(path: Path, tensors: dict[str, Tensor], notes: dict[str, str] | None = None) -> None:
    """Write tensors, and notes in the file's header, whole or not at all."""
    with publish(path) as temporary:
        save_file({name: value.detach().contiguous() for name, value in tensors.items()}, temporary, notes)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors; what is no safetensors file is `Rejected("bad_weight")`."""
    return load_noted(path)[0]


def load_noted(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and the notes in the file's header; likewise."""
    try:
        with safe_open(path, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - not a dict
            return tensors, dict(stream.metadata() or {})
    except SafetensorError as error:
        raise Rejected(
            "bad_weight", f"{path} is no whole safetensors file; delete it and train again"
        ) from error


def save_resume(folder: Path, tensors: dict[str, Tensor], step: int) -> None:
    """Publish all that a stopped training needs to go on exactly from `step`."""
    save_tensors(folder / RESUME, tensors | {"step": torch.tensor(step)})


def load_resume(folder: Path) -> tuple[dict[str, Tensor], int]:
    """Read a stopped training and its step; nothing and 0 when there is none."""
    path = folder / RESUME
    if not path.exists():
        return {}, 0
    tensors = load_tensors(path)
    return tensors, int(tensors.pop("step"))


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
