"""One update of the weights, on one device or many: accelerate's side of the training loop.

A step is made of slices, one for each process and round of gradient accumulation. What a slice draws
depends on the seed, the step and the slice alone; the gradient is the mean over slices. So two processes
learn what one process learns that takes twice as many rounds, and a run that was stopped goes on as if it
had not been.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from datapipe.files import write_text
from datapipe.records import Rejected

from ..checkpoint import RESUME, SHARDED, Side, check_and_load, load_resume, save_resume, under
from .logbook import LogPlan
from .loop import TrainConfig, Trained, make_optimizer, rate_at
from .throughput import measured_peak

Terms = dict[str, Tensor]
POINTER = "latest"


class Lesson(nn.Module):
    """Network, opponent and objective as one module: what wraps it (DDP, FSDP, autocast) sees whole steps."""

    def __init__(self, trained: Trained[Any], device: torch.device) -> None:
        super().__init__()
        self.network, self.opponent = trained.network, trained.opponent
        self.objective, self.device = trained.objective, device

    def forward(self, rng: np.random.Generator, done: float) -> Terms:
        """Draw a batch and return its terms, `total` among them."""
        if self.device.type == "cpu":
            terms = self.objective(rng, done)
        else:
            with self.device:  # tensors that the objective makes of arrays are made there
                terms = self.objective(rng, done)
        return terms | {"total": terms["loss"] + terms.get("opponent_loss", 0.0)}


class Learner:
    """A network in training: how its weights move, and all that a checkpoint of it must hold."""

    def __init__(self, trained: Trained[Any], config: TrainConfig) -> None:
        self.trained, self.config = trained, config
        self.accelerator = start_accelerator(config)
        _check(trained, config, self.accelerator)
        for helper in trained.helpers:
            helper.to(self.accelerator.device)
        self.sides = make_sides(trained, config)
        trained.network.to(self.accelerator.device)
        self.average = averaged(trained.network, config.ema)
        self.lesson: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks."""
        return bool(self.accelerator.is_main_process)

    @property
    def num_slices(self) -> int:
        """Batches that make one step, over all processes."""
        return self.config.accumulate * int(self.accelerator.num_processes)

    def begin(self, folder: Path) -> int:
        """Take up what lies in the folder, wrap the networks for this machine, and return the first step."""
        self.folder = folder
        tensors, first = load_resume(folder)
        if first:
            self.restore(tensors, folder / RESUME)
        self._wrap()
        pointer = folder / SHARDED / POINTER
        if is_sharded(self.accelerator) and pointer.exists():
            first = int(pointer.read_text(encoding="utf-8"))
            self.accelerator.load_state(str(folder / SHARDED / str(first)))
        return first

    def save(self, step: int) -> None:
        """Publish a checkpoint to go on from; the last one before it is kept until this one is whole."""
        if is_sharded(self.accelerator):
            self._save_sharded(step)
        elif self.is_main:
            save_resume(self.folder, self.tensors(), step)
        self.accelerator.wait_for_everyone()

    def log_plan(self) -> LogPlan:
        """What the log of this training holds."""
        device = self.accelerator.device.type
        kind = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[self.config.precision]
        return LogPlan(
            folder=self.folder,
            writes=self.is_main,
            events=self.config.events,
            pictures=self.trained.pictures * self.num_slices,
            peak=measured_peak(device, kind, torch.get_num_threads()),
        )

    def _save_sharded(self, step: int) -> None:
        """Every process writes its shards; the pointer names them when all are there."""
        home = self.folder / SHARDED
        self.accelerator.save_state(str(home / str(step)))
        self.accelerator.wait_for_everyone()
        if self.is_main:
            write_text(home / POINTER, str(step))
            for old in home.iterdir():
                if old.is_dir() and old.name != str(step):
                    shutil.rmtree(old)

    def _wrap(self) -> None:
        for side in self.sides.values():
            side.network.train()
        lesson = Lesson(self.trained, self.accelerator.device)
        if str(self.accelerator.distributed_type).endswith("DEEPSPEED"):  # it asks a data loader otherwise
            self.accelerator.state.deepspeed_plugin.deepspeed_config |= {
                "train_micro_batch_size_per_gpu": 1,
                "gradient_accumulation_steps": self.config.accumulate,
                "gradient_clipping": self.config.clip,
            }
        plain = [side.optimizer for side in self.sides.values()]
        self.lesson, *optimizers = self.accelerator.prepare(lesson, *plain)
        self.sides = {
            name: Side(side.network, optimizer)
            for (name, side), optimizer in zip(self.sides.items(), optimizers, strict=True)
        }

    def update(self, step: int) -> tuple[dict[str, float], bool]:
        """One step of all sides: its terms (this process' share), and whether it counted.

        A loss or a gradient that is not finite changes nothing: neither weights, nor moments, nor the
        statistics that networks keep.
        """
        kept = [buffer.clone() for buffer in self.lesson.buffers()]
        for name, side in self.sides.items():
            side.optimizer.zero_grad(set_to_none=True)
            share = self.config.opponent_rate if name == "opponent" else 1.0
            for group in side.optimizer.param_groups:
                group["lr"] = rate_at(step, self.config) * share
        rounds = [self._slice(step, turn) for turn in range(self.config.accumulate)]
        counted = self._move()
        if counted and self.average is not None:
            self.average.update_parameters(self.trained.network)
        if not counted:
            for buffer, before in zip(self.lesson.buffers(), kept, strict=True):
                buffer.copy_(before)
        return mean_terms(rounds), counted or self._too_steep(rounds)

    def tensors(self) -> dict[str, Tensor]:
        """What a stopped training needs to go on exactly; draws need nothing: they follow from the step."""
        found: dict[str, Tensor] = {}
        for name, side in self.sides.items():
            found |= {f"{name}/{key}": value for key, value in side.network.state_dict().items()}
            for index, state in side.optimizer.state_dict()["state"].items():
                found |= {f"{name}.optimizer/{index}/{key}": torch.as_tensor(v) for key, v in state.items()}
        if self.average is not None:
            found |= {f"average/{key}": value for key, value in self.average.state_dict().items()}
        if self.accelerator.scaler is not None:
            for key, value in self.accelerator.scaler.state_dict().items():
                found[f"scaler/{key}"] = torch.tensor(value, dtype=torch.float64)
        return found

    def restore(self, tensors: dict[str, Tensor], path: Path) -> None:
        """Undo `tensors`, before `begin`; what does not fit is `Rejected("bad_weight")` by name."""
        for name, side in self.sides.items():
            check_and_load(side.network, under(f"{name}/", tensors), path)
            side.optimizer.load_state_dict(optimizer_state(side, under(f"{name}.optimizer/", tensors)))
        if self.average is not None:
            check_and_load(self.average, under("average/", tensors), path)
        if self.accelerator.scaler is not None:
            saved = {key: value.item() for key, value in under("scaler/", tensors).items()}
            whole = {name: int(saved[name]) for name in ("growth_interval", "_growth_tracker")}
            self.accelerator.scaler.load_state_dict(saved | whole)

    def end(self) -> None:
        """Leave the network ready for use, with the averaged weights where they were asked for."""
        network = self.trained.network
        if self.average is not None:
            network.load_state_dict(self.average.module.state_dict())
        elif is_sharded(self.accelerator):  # only the main process gets them, which is the one that writes
            whole = under("network.", self.accelerator.get_state_dict(self.lesson))
            network.load_state_dict(whole, assign=True, strict=False)
        network.eval()
        self.accelerator.wait_for_everyone()
        self.accelerator.free_memory()

    def _slice(self, step: int, turn: int) -> Terms:
        """Add one slice's part of the gradient."""
        index = turn * int(self.accelerator.num_processes) + int(self.accelerator.process_index)
        torch.manual_seed(self.config.seed * 1_000_003 + step + (index << 40))
        rng = np.random.default_rng((self.config.seed, step, index) if index else (self.config.seed, step))
        if self.trained.stream is not None:
            self.trained.stream.turn_to(step, index, self.num_slices)
        with self.accelerator.accumulate(self.lesson):
            terms: Terms = self.lesson(rng, step / self.config.steps)
            self.accelerator.backward(terms.pop("total"))
        return {name: value.detach() for name, value in terms.items()}

    def _too_steep(self, rounds: Sequence[Terms]) -> bool:
        """Whether only fp16's range was left, which its scale mends in the next steps."""
        if self.accelerator.scaler is None:
            return False
        loss = self.accelerator.reduce(torch.stack([terms["loss"] for terms in rounds]), "mean")
        return bool(torch.isfinite(loss).all())

    def _move(self) -> bool:
        """Clip and step; False when the gradient was not finite."""
        self.accelerator.unscale_gradients()
        clip = self.config.clip
        norms = [nn.utils.clip_grad_norm_(side.network.parameters(), clip) for side in self.sides.values()]
        finite = all(math.isfinite(float(_whole(norm))) for norm in norms)
        if finite or self.accelerator.scaler is not None:  # a scaler skips by itself, and must be told
            for side in self.sides.values():
                side.optimizer.step()
        return finite


def _whole(norm: Any) -> Any:
    """A norm that FSDP has spread over the processes, put together; another one as it is."""
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm


def make_sides(trained: Trained[Any], config: TrainConfig) -> dict[str, Side]:
    """The network, and its opponent where there is one, each with its own optimizer."""
    sides = {"network": Side(trained.network, make_optimizer(trained.network, config))}
    if trained.opponent is not None:
        sides["opponent"] = Side(trained.opponent, make_optimizer(trained.opponent, config))
    return sides


def optimizer_state(side: Side, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """What an optimizer loads, of tensors named INDEX/MOMENT."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, moment = key.split("/")
        state.setdefault(int(index), {})[moment] = value
    return {"state": state, "param_groups": side.optimizer.state_dict()["param_groups"]}


def averaged(network: nn.Module, decay: float) -> AveragedModel | None:
    """A moving average of the weights; statistics that a network keeps are taken over as they are."""
    ema: Any = get_ema_multi_avg_fn  # untyped
    return AveragedModel(network, multi_avg_fn=ema(decay)) if decay else None


def mean_terms(rounds: Sequence[Terms]) -> dict[str, float]:
    """Mean of the rounds' terms; a term that only some have is the mean of those."""
    names = dict.fromkeys(name for terms in rounds for name in terms)
    found = {name: [float(terms[name]) for terms in rounds if name in terms] for name in names}
    return {name: sum(values) / len(values) for name, values in found.items()}


def start_accelerator(config: TrainConfig) -> Any:
    """Make accelerate's view of this machine; the launcher's environment says how many processes there are.

    Raises `Rejected("missing_device")` for fp16 on a CPU.
    """
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.state import AcceleratorState, GradientState

    # one process trains several networks in turn, and accelerate keeps the first one's settings otherwise
    AcceleratorState._reset_state()
    GradientState._reset_state()
    made = Accelerator(
        cpu=on_cpu(),
        mixed_precision="no" if config.precision == "fp32" else config.precision,
        gradient_accumulation_steps=config.accumulate,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    made.gradient_accumulation_steps = config.accumulate  # a launcher's environment would count more
    if config.precision == "fp16" and made.device.type == "cpu":
        raise Rejected("missing_device", "fp16 needs a GPU; train with --precision bf16 or fp32 here")
    return made


def this_process() -> Any:
    """Accelerate's view of this process among those that train together: `is_main_process`, `device`."""
    from accelerate import PartialState

    return PartialState(cpu=on_cpu())


def on_cpu() -> bool:
    """Whether to train on the CPU: there is nothing else, or accelerate's own switch says so."""
    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    return asked or not torch.accelerator.is_available()


def is_sharded(accelerator: Any) -> bool:
    """Whether no process holds all weights and moments (FSDP, DeepSpeed)."""
    return str(accelerator.distributed_type).rsplit(".", 1)[-1] in ("FSDP", "DEEPSPEED")


def _check(trained: Trained[Any], config: TrainConfig, accelerator: Any) -> None:
    if trained.opponent is not None and config.precision == "fp16":
        raise Rejected(
            "bad_input", "an opponent cannot be trained in fp16, whose one scale serves one loss; use bf16"
        )
    if is_sharded(accelerator) and (config.ema or trained.opponent is not None):
        raise Rejected(
            "bad_input", "neither averaged weights (--ema) nor an opponent go with FSDP or DeepSpeed; "
            "set them to 0, or train with plain data parallelism"
        )  # fmt: skip
