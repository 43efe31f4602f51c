"""Killed at any moment, a training goes on to the very same weights."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_child import CONFIG, duel

from datapipe.records import Rejected
from model.checkpoint import RESUME, load_tensors, save_tensors
from model.training.learner import Learner
from model.training.loop import Trained, fit

HERE = Path(__file__).parent


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def start(folder, changes="{}"):
    command = [sys.executable, str(HERE / "training_child.py"), str(folder), changes]
    paths = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def kill_when(child, moment):
    """SIGKILL a child once something is so."""
    deadline = time.monotonic() + 120
    while not moment() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()


def unbroken(folder, **changes):
    trained = duel()
    fit(trained, replace(CONFIG, **changes), folder, "whole")
    opponent = {f"opponent.{key}": value for key, value in trained.opponent.state_dict().items()}
    return dict(trained.network.state_dict()) | opponent


def assert_same(folder, whole):
    ended = load_tensors(folder / "end.safetensors")
    assert ended.keys() == whole.keys()
    for name, value in whole.items():
        assert torch.equal(ended[name], value), name


def test_killed_once_it_ends_with_the_same_bits(tmp_path):
    """Weights, averaged weights, moments and the opponent all come from the checkpoint."""
    child = start(tmp_path / "killed")
    kill_when(child, (tmp_path / "killed" / RESUME).exists)
    assert child.returncode == -signal.SIGKILL and not (tmp_path / "killed" / "end.safetensors").exists()
    child = start(tmp_path / "killed")
    said = child.communicate()[1].decode()
    assert child.returncode == 0 and "going on from step" in said, said
    assert_same(tmp_path / "killed", unbroken(tmp_path / "whole"))
    lines = [json.loads(line) for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(CONFIG.steps))


@pytest.mark.slow
def test_killed_again_and_again_at_random_moments_it_ends_with_the_same_bits(tmp_path):
    whole, rng = unbroken(tmp_path / "whole", steps=40), np.random.default_rng(0)
    resume, kills = tmp_path / "killed" / RESUME, 0
    while not (tmp_path / "killed" / "end.safetensors").exists():
        child, moment = start(tmp_path / "killed", '{"steps": 40}'), after_some_checkpoints(resume, rng)
        kill_when(child, moment)
        kills += child.returncode == -signal.SIGKILL
        assert child.returncode in (0, -signal.SIGKILL)
    assert kills > 2
    assert_same(tmp_path / "killed", whole)


def after_some_checkpoints(path, rng):
    """Say yes a random while after the checkpoint was written anew a few times."""
    seen, least, wait = set(), int(rng.integers(1, 4)), float(rng.uniform(0.0, 0.3))

    def moment():
        if path.exists():
            seen.add(path.stat().st_mtime_ns)
        if len(seen) <= least:
            return False
        time.sleep(wait)
        return True

    return moment


def test_unknown_and_missing_tensors_of_a_checkpoint_are_named(tmp_path):
    fit(duel(), replace(CONFIG, steps=3), tmp_path, "x")
    tensors = load_tensors(tmp_path / RESUME)
    assert {name.split("/")[0] for name in tensors} == {
        "network", "network.optimizer", "opponent", "opponent.optimizer", "average", "step",
    }  # fmt: skip
    tensors["network/surprise"] = tensors.pop("network/paint.weight")
    save_tensors(tmp_path / RESUME, tensors)
    with pytest.raises(Rejected, match=r"unknown `surprise`, missing `paint.weight`") as refused:
        fit(duel(), replace(CONFIG, steps=6), tmp_path, "x")
    assert refused.value.reason == "bad_weight"


def test_averaged_weights_are_what_is_left_and_follow_the_definition(tmp_path):
    torch.manual_seed(0)
    network, seen = torch.nn.Linear(3, 2), []

    def objective(rng, done):
        seen.append(network.weight.detach().clone())
        return {"loss": (network(torch.ones(1, 3)) - 1).square().sum()}

    config = replace(CONFIG, steps=5, ema=0.5, checkpoint_every=100)
    learner = Learner(Trained(network, objective), config)
    learner.begin(tmp_path)
    weights = []
    for step in range(5):
        learner.update(step)
        weights.append(network.weight.detach().clone())
    expected = weights[0]  # torch starts the average at the first step's weights
    for weight in weights[1:]:
        expected = 0.5 * expected + 0.5 * weight
    learner.end()
    assert torch.allclose(network.weight, expected, atol=1e-6)
    assert not torch.allclose(network.weight, weights[-1], atol=1e-4)


def test_a_step_without_numbers_leaves_statistics_moments_and_averages_alone(tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    fault = [False]

    def objective(rng, done):
        given = torch.rand(8, 3) * (float("nan") if fault[0] else 1.0)
        return {"loss": network(given).square().mean()}

    learner = Learner(Trained(network, objective), CONFIG)
    learner.begin(tmp_path)
    assert learner.update(0)[1]
    before = {name: value.clone() for name, value in learner.tensors().items()}
    fault[0] = True
    assert not learner.update(1)[1]
    after = learner.tensors()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    fault[0] = False
    assert learner.update(2)[1]
