"""Two processes on gloo learn what one learns that takes twice the batches; mixed precision; accumulation."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy import SYMBOLS, make_clips
from training_child import CONFIG, duel

from datapipe.records import Rejected
from model.checkpoint import load_tensors
from model.presets import tiny
from model.training.learner import Learner
from model.training.loop import Trained, fit
from model.training.parts import make_interpolator, make_keyframes, make_tokenizer

HERE = Path(__file__).parent


def launch(folder, processes, changes):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    command += [str(HERE / "training_child.py"), str(folder), changes]
    paths = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stderr


def test_two_processes_are_one_with_the_doubled_batch(tmp_path):
    said = launch(tmp_path / "two", 2, '{"steps": 4}')
    assert said.count("steps/s") == 1  # one of them speaks
    single = duel()
    fit(single, replace(CONFIG, steps=4, accumulate=2), tmp_path / "one", "one")
    ended = load_tensors(tmp_path / "two" / "end.safetensors")
    start = duel().network.state_dict()
    for name, value in single.network.state_dict().items():
        assert torch.allclose(ended[name], value, atol=1e-5), name
    moved = [name for name in start if not torch.allclose(start[name], ended[name], atol=1e-4)]
    assert moved
    half = duel()
    fit(half, replace(CONFIG, steps=4), tmp_path / "half", "half")
    other = half.network.state_dict()
    assert any(not torch.allclose(ended[name], other[name], atol=1e-4) for name in moved)


def linear_case(draws):
    """A network whose gradient is the mean of what is drawn."""
    network = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(network.weight)

    def objective(rng, done):
        point = torch.from_numpy(rng.normal(size=(1, 2))).float()
        draws.append(point)
        return {"loss": network(point).sum()}

    return Trained(network, objective)


def test_accumulated_gradients_are_the_mean_over_slices_that_all_differ(tmp_path):
    draws = []
    trained = linear_case(draws)
    learner = Learner(trained, replace(CONFIG, accumulate=3, ema=0.0, clip=1e9))
    learner.begin(tmp_path)
    seen = []
    trained.network.weight.register_hook(lambda grad: seen.append(grad.clone()))
    learner.update(5)
    assert len({tuple(point[0].tolist()) for point in draws}) == 3
    assert torch.allclose(trained.network.weight.grad, torch.cat(draws).mean(0, keepdim=True), atol=1e-6)
    again = list(draws)
    draws.clear()
    learner.update(5)
    assert all(torch.equal(one, other) for one, other in zip(draws, again, strict=True))


def test_bf16_computes_in_bf16_and_keeps_weights_in_fp32(tmp_path):
    kinds = set()
    network = torch.nn.Linear(4, 4)

    def objective(rng, done):
        made = network(torch.ones(2, 4))
        kinds.add(made.dtype)
        return {"loss": made.float().square().mean()}

    learner = Learner(Trained(network, objective), replace(CONFIG, precision="bf16", ema=0.0))
    learner.begin(tmp_path)
    learner.update(0)
    assert kinds == {torch.bfloat16}
    assert network.weight.dtype == network.weight.grad.dtype == torch.float32


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(Rejected, match=r"opponent cannot be trained in fp16|fp16 needs a GPU"):
        Learner(duel(), replace(CONFIG, precision="fp16"))


@pytest.mark.parametrize("name", ["zero2", "fsdp"])
def test_configurations_of_accelerate_are_read_by_it_and_name_a_block_that_there_is(name):
    from accelerate.commands.config.config_args import load_config_from_file

    from model.avatarsync import attention

    config = load_config_from_file(str(HERE.parent / "model" / "training" / "configs" / f"{name}.yaml"))
    assert config.distributed_type.name == {"zero2": "DEEPSPEED", "fsdp": "FSDP"}[name]
    if name == "fsdp":
        block = getattr(attention, config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"])
        assert issubclass(block, torch.nn.Module)
    else:
        assert config.deepspeed_config["zero_stage"] == 2


@pytest.mark.parametrize("part", ["tokenizer", "keyframes", "interpolator"])
def test_every_part_learns_in_bf16(part, tmp_path):
    """The first steps of mixed precision are near those of fp32, for all that the paper preset turns on."""
    preset, clips = tiny(), make_clips(3, 64)
    ends = {}
    for precision in ("fp32", "bf16"):
        made = {
            "tokenizer": lambda: make_tokenizer(clips, preset),
            "keyframes": lambda: make_keyframes(
                clips, preset, make_tokenizer(clips, preset).network, SYMBOLS
            ),
            "interpolator": lambda: make_interpolator(clips, preset),
        }[part]()
        learner = Learner(made, replace(CONFIG, precision=precision, ema=0.0))
        learner.begin(tmp_path)
        told = [learner.update(step) for step in (0, 1, 11)]  # the last one is in the second phase
        assert all(counted for _, counted in told)
        ends[precision] = [terms["loss"] for terms, _ in told]
        learner.end()
    assert ends["bf16"] == pytest.approx(ends["fp32"], rel=0.05) and ends["bf16"] != ends["fp32"]
