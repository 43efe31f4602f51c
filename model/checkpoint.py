"""Weights on disk: safetensors beside a readable config; nothing unknown is loaded silently.

A part of a run is a folder: weights.safetensors, config.json, log.jsonl, and done.json when training ended.
While training goes on, resume.safetensors holds parameters, optimizer moments and the step.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from datapipe.files import publish, write_text
from datapipe.records import Rejected

WEIGHTS, CONFIG, LOG, DONE, RESUME = (
    "weights.safetensors",
    "config.json",
    "log.jsonl",
    "done.json",
    "resume.safetensors",
)


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
    """Fill a network; a missing, unknown or misshapen tensor is refused by name."""
    check_and_load(network, load_tensors(folder / WEIGHTS), folder / WEIGHTS)


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


def check_and_load(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Load tensors that fit exactly."""
    wanted = network.state_dict()
    faults = [f"unknown `{name}`" for name in sorted(set(tensors) - set(wanted))]
    faults += [f"missing `{name}`" for name in sorted(set(wanted) - set(tensors))]
    common = sorted(set(wanted) & set(tensors))
    faults += [
        f"`{n}` is {tuple(tensors[n].shape)}, not {tuple(wanted[n].shape)}"
        for n in common
        if tensors[n].shape != wanted[n].shape
    ]
    if faults:
        shown = ", ".join(faults[:5]) + (f" and {len(faults) - 5} more" if len(faults) > 5 else "")
        raise Rejected("bad_weight", f"{path} does not fit this network: {shown}")
    network.load_state_dict(tensors)


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors whole or not at all."""
    with publish(path) as temporary:
        save_file({name: value.detach().contiguous() for name, value in tensors.items()}, temporary)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors; what is no safetensors file is `Rejected("bad_weight")`."""
    try:
        with safe_open(path, framework="pt") as stream:
            return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise Rejected(
            "bad_weight", f"{path} is no whole safetensors file; delete it and train again"
        ) from error


def save_resume(folder: Path, sides: dict[str, Side], step: int) -> None:
    """Publish all that a stopped training needs to go on exactly."""
    tensors = {"step": torch.tensor(step)}
    for name, side in sides.items():
        tensors |= {f"{name}/{key}": value for key, value in side.network.state_dict().items()}
        for index, state in side.optimizer.state_dict()["state"].items():
            tensors |= {
                f"{name}.optimizer/{index}/{key}": torch.as_tensor(value) for key, value in state.items()
            }
    save_tensors(folder / RESUME, tensors)


def load_resume(folder: Path, sides: dict[str, Side]) -> int:
    """Restore a stopped training in place and return its step; 0 when there is none."""
    path = folder / RESUME
    if not path.exists():
        return 0
    tensors = load_tensors(path)
    for name, side in sides.items():
        check_and_load(side.network, _under(f"{name}/", tensors), path)
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(f"{name}.optimizer/", tensors).items():
            index, field = key.split("/")
            state.setdefault(int(index), {})[field] = value
        groups = side.optimizer.state_dict()["param_groups"]
        side.optimizer.load_state_dict({"state": state, "param_groups": groups})
    return int(tensors["step"])


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
