"""A training in a process of its own, for the tests that kill it or run several of them together."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from toy import make_clips

from model.checkpoint import save_tensors
from model.presets import tiny
from model.training.learner import this_process
from model.training.loop import TrainConfig, Trained, fit
from model.training.parts import make_interpolator

CONFIG = TrainConfig(steps=12, learning_rate=1e-3, checkpoint_every=3, log_every=1, ema=0.9)
SIZE = 32


def duel(batch: int = 2) -> Trained[torch.nn.Module]:
    """An interpolator with an opponent that sees its pictures' means."""
    preset = tiny()
    preset = replace(
        preset,
        interpolator=replace(preset.interpolator, size=SIZE, fine_width=16, coarse_width=16),
        interpolator_loss=replace(preset.interpolator_loss, batch=batch),
    )
    made = make_interpolator(make_clips(4, SIZE), preset)
    opponent = torch.nn.Linear(1, 1)

    def objective(rng, done):
        terms = made.objective(rng, done)
        said = opponent(terms["pixels"].reshape(1, 1)).square().mean()
        return terms | {"opponent_loss": said + torch.rand(()) * opponent.weight.sum()}

    return replace(made, objective=objective, opponent=opponent)


def main(folder: Path, changes: str) -> None:
    """Train, and let the main process write what came out."""
    torch.set_num_threads(1)
    assert this_process().num_processes == int(os.environ.get("WORLD_SIZE", "1"))  # as before a real training
    trained = duel()
    fit(trained, replace(CONFIG, **json.loads(changes)), folder, "child")
    if this_process().is_main_process:
        opponent = {f"opponent.{key}": value for key, value in trained.opponent.state_dict().items()}
        save_tensors(folder / "end.safetensors", dict(trained.network.state_dict()) | opponent)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
