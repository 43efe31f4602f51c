"""The opponent: its patches, its losses, and a short training of a tokenizer against it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import make_clips

from model.avatarsync.tokenizer_objective import Usage
from model.checkpoint import RESUME, WEIGHTS, load_tensors, save_weights
from model.presets import tiny
from model.training.adversary import PatchAdversary, deceive, lecam, unmask
from model.training.loop import fit
from model.training.parts import make_tokenizer


def test_a_patch_is_seventy_pixels():
    opponent = PatchAdversary(8, 3)
    for layer in opponent.body:  # group norms look at the whole picture; a patch is what convolutions see
        if isinstance(layer, torch.nn.GroupNorm):
            layer.forward = lambda x: x
    picture = torch.randn(1, 3, 128, 128, requires_grad=True)
    said = opponent(picture)
    assert said.shape == (1, 1, 14, 14)
    said[0, 0, 7, 7].backward()
    rows = picture.grad.abs().sum((0, 1, 3)).nonzero()
    assert rows.max() - rows.min() + 1 == 70


def test_what_is_said_of_a_picture_does_not_depend_on_the_batch():
    torch.manual_seed(0)
    opponent, pictures = PatchAdversary(16, 2), torch.randn(4, 3, 32, 32)
    assert torch.allclose(opponent(pictures)[1:2], opponent(pictures[1:2]), atol=1e-5)


def test_losses_by_hand():
    real, made = torch.full((2, 1, 3, 3), 0.5), torch.full((2, 1, 3, 3), -2.0)
    assert unmask(real, made).item() == pytest.approx(0.5 * (0.5 + 0.0))
    assert unmask(made, real).item() == pytest.approx(0.5 * (3.0 + 1.5))
    assert deceive(made).item() == pytest.approx(math.log(1 + math.exp(2.0)))
    said = torch.tensor([1.0, -0.5])
    assert lecam(said, real, made).item() == pytest.approx((0.5 + 0.5) ** 2 + (1.0 + 2.0) ** 2)
    assert lecam(torch.tensor([-3.0, 1.0]), real, made).item() == 0.0


def test_running_means_are_kept_and_nonsense_is_not():
    opponent = PatchAdversary(8, 1)
    opponent.remember(torch.full((1, 1, 2, 2), 2.0), torch.full((1, 1, 2, 2), math.nan))
    assert opponent.said.tolist() == pytest.approx([0.002, 0.0])
    assert "said" in opponent.state_dict()


def test_usage_counts_the_last_batches_only():
    usage = Usage(16, batches=2)
    first = usage.add(torch.arange(8))
    assert first["codes_used"] == 8 and first["codes_share"] == 0.5
    assert first["perplexity"].item() == pytest.approx(8.0)
    usage.add(torch.zeros(8, dtype=torch.long))
    last = usage.add(torch.tensor([0, 0, 0, 0, 5, 5, 5, 5]))
    assert last["codes_used"] == 2
    p = np.array([0.75, 0.25])
    assert last["perplexity"].item() == pytest.approx(np.exp(-(p * np.log(p)).sum()))


@pytest.fixture(scope="module")
def clips():
    return make_clips(4, 64)


def preset_with(**loss):
    plain = tiny()
    return replace(
        plain,
        tokenizer_train=replace(plain.tokenizer_train, steps=24, checkpoint_every=20, log_every=1),
        tokenizer_loss=replace(plain.tokenizer_loss, batch=4, **loss),
    )


def test_a_tokenizer_trains_against_an_opponent_and_lpips(clips, tmp_path):
    preset = preset_with(
        adversary=0.1,
        adversary_width=8,
        adversary_layers=2,
        adversary_from=0.25,
        lpips=1.0,
        lpips_trunk="alex",
    )
    trained = make_tokenizer(clips, replace(preset, tokenizer=replace(preset.tokenizer, use_reference=False)))
    before = {name: value.clone() for name, value in trained.opponent.state_dict().items()}
    fit(trained, preset.tokenizer_train, tmp_path, "tokenizer")
    save_weights(tmp_path, trained.network, {})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert all(line["opponent_loss"] == 0 for line in lines[:6])
    opponent = [line["opponent_loss"] for line in lines[6:]]
    assert np.mean(opponent[-4:]) < np.mean(opponent[:4]) - 0.05
    seen = [line["lpips"] for line in lines]
    assert np.mean(seen[-6:]) < 0.9 * np.mean(seen[:6])
    assert lines[-1]["said_real"] > lines[-1]["said_made"]
    assert lines[-1]["codes_used"] > 1 and 1 < lines[-1]["perplexity"] <= lines[-1]["codes_used"]
    after = trained.opponent.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before if name.endswith("weight"))
    assert after["said"].abs().sum() > 0
    resume, weights = load_tensors(tmp_path / RESUME), load_tensors(tmp_path / WEIGHTS)
    assert any("opponent" in name and name.endswith("said") for name in resume)
    assert not any("opponent" in name for name in weights)
    assert set(weights) == set(trained.network.state_dict())


def test_a_stopped_training_against_an_opponent_ends_like_one_that_was_not(clips, tmp_path):
    preset = preset_with(adversary=0.1, adversary_width=8, adversary_layers=1)
    config = replace(preset.tokenizer_train, steps=6, checkpoint_every=3)
    whole = make_tokenizer(clips, preset)
    fit(whole, config, tmp_path / "whole", "whole")

    class Stop(Exception):
        pass

    broken = make_tokenizer(clips, preset)
    calls = iter(range(100))

    def stopping(rng, done):
        if next(calls) == 4:
            raise Stop
        return broken.objective(rng, done)

    with pytest.raises(Stop):
        fit(replace(broken, objective=stopping), config, tmp_path / "stopped", "stopped")
    resumed = make_tokenizer(clips, preset)
    fit(resumed, config, tmp_path / "stopped", "stopped")
    for one, other in ((whole.network, resumed.network), (whole.opponent, resumed.opponent)):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name


def test_without_weights_there_is_no_opponent_and_no_cost(clips):
    trained = make_tokenizer(clips, preset_with())
    terms = trained.objective(np.random.default_rng(0), 0.0)
    assert trained.opponent is None
    assert not {"opponent_loss", "lpips", "deceived"} & set(terms)


@pytest.mark.parametrize("steps", [40])
def test_vectors_train_too_and_stay_in_use(clips, tmp_path, steps):
    plain = preset_with()
    network = replace(plain.tokenizer, groups=(8,), quantiser="vq", vector_dim=6)
    config = replace(plain.tokenizer_train, steps=steps)
    trained = make_tokenizer(clips, replace(plain, tokenizer=network))
    before = trained.network.codebook.weight.detach().clone()
    fit(trained, config, tmp_path, "tokenizer")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert np.mean([line["loss"] for line in lines[-4:]]) < 0.8 * lines[0]["loss"]
    assert lines[-1]["codes_used"] >= 16
    assert not torch.equal(before, trained.network.codebook.weight)
