"""One flat training loop for every network: AdamW, cosine, clipping, a log, and exact resumption.

The random draws of a step depend on the seed and the step alone, so a run that was stopped and taken up
again ends with the same weights as one that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from datapipe.console import say, track
from datapipe.files import write_text

from .avatarsync.draws import Objective
from .checkpoint import DONE, LOG, RESUME, Done, Side, load_resume, save_resume

BAD_STEPS = 5
NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True, slots=True, eq=False)
class Trained(Generic[NetworkT]):
    """A network with what it is trained on."""

    network: NetworkT
    objective: Objective
    """Gives `loss`, and where there is an opponent `opponent_loss`; both go back in one pass, so `loss` must
    reach no weight of the opponent (see `judged`) and `opponent_loss` none of the network (detach)."""
    opponent: nn.Module | None = None
    """A discriminator: trained beside the network, kept in its checkpoints but not in its weights."""


def judged(opponent: nn.Module, *inputs: Tensor) -> Tensor:
    """What the opponent says, with gradients for the inputs but none for its own weights."""
    still = {name: value.detach() for name, value in opponent.named_parameters()}
    said: Tensor = torch.func.functional_call(opponent, still, inputs)
    return said


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How one network is trained."""

    steps: int
    """Updates of the weights."""
    learning_rate: float = 2e-3
    """Peak of the schedule: linear warm-up, then half a cosine to zero."""
    warmup: float = 0.05
    """Part of the steps that warms up."""
    weight_decay: float = 0.01
    """AdamW's, on matrices only."""
    clip: float = 1.0
    """Largest norm of a gradient."""
    seed: int = 0
    """Seed of weights and batches."""
    log_every: int = 10
    """Steps between lines of log.jsonl."""
    checkpoint_every: int = 100
    """Steps between resumable checkpoints."""
    opponent_rate: float = 1.0
    """Learning rate of an opponent as a share of the network's."""


def rate_at(step: int, config: TrainConfig) -> float:
    """Learning rate of a step, 0-based."""
    warm = max(1, round(config.warmup * config.steps))
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, config.steps - warm)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW that decays matrices and kernels, but no biases, norms or embeddings' scales."""
    wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in wanted if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in wanted if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))


def fit(trained: Trained[NetworkT], config: TrainConfig, folder: Path, label: str) -> float:
    """Train in place from the last checkpoint in `folder`, and return the seconds spent.

    Raises RuntimeError when the loss is not a number for several steps on end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sides = make_sides(trained, config)
    first = load_resume(folder, sides)
    if first:
        say(f"{label}: going on from step {first}")
    log = _Log(folder / LOG, first)
    for side in sides.values():
        side.network.train()
    began, bad = time.perf_counter(), 0
    for step in _steps(first, config, label):
        terms = update(trained.objective, sides, config, step)
        bad = 0 if math.isfinite(terms["loss"]) else bad + 1
        if bad >= BAD_STEPS:
            raise RuntimeError(f"{label}: the loss was not a number for {bad} steps up to {step}")
        if step % config.log_every == 0 or step == config.steps - 1:
            log.add(step, terms, began, first)
        if (step + 1) % config.checkpoint_every == 0:
            log.publish()
            save_resume(folder, sides, step + 1)
    log.publish()
    trained.network.eval()
    return time.perf_counter() - began


def make_sides(trained: Trained[NetworkT], config: TrainConfig) -> dict[str, Side]:
    """The network, and its opponent where there is one, each with its own optimizer."""
    sides = {"network": Side(trained.network, make_optimizer(trained.network, config))}
    if trained.opponent is not None:
        sides["opponent"] = Side(trained.opponent, make_optimizer(trained.opponent, config))
    return sides


def update(objective: Objective, sides: dict[str, Side], config: TrainConfig, step: int) -> dict[str, float]:
    """One step of all sides; a loss or gradient that is not finite changes nothing."""
    torch.manual_seed(config.seed * 1_000_003 + step)
    terms = objective(np.random.default_rng((config.seed, step)), step / config.steps)
    for name, side in sides.items():
        side.optimizer.zero_grad(set_to_none=True)
        share = config.opponent_rate if name == "opponent" else 1.0
        for group in side.optimizer.param_groups:
            group["lr"] = rate_at(step, config) * share
    total = terms["loss"] + terms["opponent_loss"] if "opponent" in sides else terms["loss"]
    total.backward()  # type: ignore[no-untyped-call]
    norms = [
        torch.nn.utils.clip_grad_norm_(side.network.parameters(), config.clip) for side in sides.values()
    ]
    if all(torch.isfinite(norm) for norm in norms):
        for side in sides.values():
            side.optimizer.step()
    return {name: float(value.detach()) for name, value in terms.items()}


def finish(folder: Path, done: Done) -> None:
    """Mark a part as complete; written last."""
    text = {"identity": done.identity, "steps": done.steps, "seconds": done.seconds}
    write_text(folder / DONE, json.dumps(text))
    (folder / RESUME).unlink(missing_ok=True)


def finished(folder: Path) -> Done | None:
    """What a finished part says of itself; None when it is not finished."""
    path = folder / DONE
    return Done(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def _steps(first: int, config: TrainConfig, label: str) -> Iterator[int]:
    return track(range(first, config.steps), label)


class _Log:
    """log.jsonl, published whole; lines of steps that will be run again are dropped."""

    def __init__(self, path: Path, first: int) -> None:
        self.path = path
        kept = path.read_text(encoding="utf-8").splitlines() if first and path.exists() else []
        self.lines = [line for line in kept if json.loads(line)["step"] < first]

    def add(self, step: int, terms: dict[str, float], began: float, first: int) -> None:
        rate = (step + 1 - first) / max(time.perf_counter() - began, 1e-9)
        rounded = {name: round(value, 6) for name, value in terms.items()}
        self.lines.append(json.dumps({"step": step, **rounded, "steps_per_second": round(rate, 3)}))

    def publish(self) -> None:
        write_text(self.path, "".join(f"{line}\n" for line in self.lines))
