"""One training loop for every network: Adam, cosine, clipping, a log, and exact resumption.

The random draws of a step depend on the seed and the step alone, so a run that was stopped and taken up
again ends with the same weights as one that was not.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from datapipe.console import say, track
from datapipe.files import write_text
from datapipe.records import Rejected

from ..avatarsync.draws import Objective
from ..checkpoint import DONE, RESUME, SHARDED, Done
from .loader import Stream
from .logbook import Logbook

BAD_STEPS = 5
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""What torch says of the CPU's memory, in an error of no kind of its own."""
Precision = Literal["fp32", "fp16", "bf16"]
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
    helpers: tuple[nn.Module, ...] = ()
    """Frozen networks that the objective asks; moved to the network's device."""
    stream: Stream | None = None
    """Clips that do not fit into memory, turned to each step's before the objective draws."""
    pictures: int = 0
    """Pictures that one call of the objective learns from; for the log's pictures per second."""


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
    optimizer: Literal["adam", "adamw"] = "adamw"
    """AdamW decays weights apart from the moments; Adam adds the decay to the gradient."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Of the moments."""
    precision: Precision = "fp32"
    """fp16 and bf16: mixed, with weights and moments in fp32."""
    accumulate: int = 1
    """Batches of one step and process; their gradients are averaged."""
    ema: float = 0.0
    """Decay of a moving average of the weights, which is what is saved then; 0 is off."""
    in_memory_gb: float = 8.0
    """Larger corpora are streamed from their shards, with this much of them at hand."""
    events: bool = False
    """Write TensorBoard's files beside log.jsonl."""


def rate_at(step: int, config: TrainConfig) -> float:
    """Learning rate of a step, 0-based."""
    warm = max(1, round(config.warmup * config.steps))
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, config.steps - warm)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam or AdamW that decays matrices and kernels, but no biases, norms or embeddings' scales."""
    wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in wanted if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in wanted if p.dim() < 2], "weight_decay": 0.0},
    ]
    kind: type[torch.optim.Adam] = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=config.learning_rate, betas=config.betas)


def fit(trained: Trained[NetworkT], config: TrainConfig, folder: Path, label: str) -> float:
    """Train in place from the last checkpoint in `folder`, and return the seconds spent.

    Started by `accelerate launch` or `torchrun`, all processes call this, and the main one writes and speaks.
    Raises `Rejected`: diverged (no number for several steps on end), too_large (memory), bad_weight (a
    checkpoint of another network), missing_device and bad_input (a precision or spreading that does not go).
    """
    from .learner import Learner  # accelerate takes its time to import

    folder.mkdir(parents=True, exist_ok=True)
    began, learner = time.perf_counter(), Learner(trained, config)
    first = learner.begin(folder)
    with Logbook(learner.log_plan(), first) as book, _memory_named(label):
        for step in _steps(range(first, config.steps), label, learner.is_main):
            terms = book.watch(learner.update, step)
            if book.bad >= BAD_STEPS:
                raise Rejected("diverged", _DIVERGED.format(label, BAD_STEPS, step))
            if step % config.log_every == 0 or step == config.steps - 1:
                book.add(step, terms)
            if (step + 1) % config.checkpoint_every == 0:
                book.publish()
                learner.save(step + 1)
        learner.end()
    if learner.is_main:
        say(f"{label}: {book.summary()}")
    return time.perf_counter() - began


_DIVERGED = "{}: no finite gradient for {} steps up to {}; lower the learning rate, or train in fp32"


def _steps(steps: range, label: str, speaks: bool) -> Iterable[int]:
    if speaks and steps.start:
        say(f"{label}: going on from step {steps.start}")
    return track(steps, label) if speaks else steps


@contextmanager
def _memory_named(label: str) -> Iterator[None]:
    """Turn running out of memory into one sentence that names what to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not known and not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        raise Rejected(
            "too_large",
            f"{label}: a training step does not fit into memory; lower --batch, and raise --accumulate by as "
            "much to keep what a step sees",
        ) from error


def finish(folder: Path, done: Done) -> None:
    """Mark a part as complete; written last."""
    text = {"identity": done.identity, "steps": done.steps, "seconds": done.seconds}
    write_text(folder / DONE, json.dumps(text))
    (folder / RESUME).unlink(missing_ok=True)
    shutil.rmtree(folder / SHARDED, ignore_errors=True)


def finished(folder: Path) -> Done | None:
    """What a finished part says of itself; None when it is not finished."""
    path = folder / DONE
    return Done(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
