"""Training on drawn faces: it learns, stops and resumes exactly, and refuses what does not fit."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import SYMBOLS, make_clips

from datapipe.records import Rejected, to_dict
from model.avatarsync.decode import generate_tokens, read_prefix
from model.avatarsync.interpolate import Interpolator, InterpolatorConfig
from model.checkpoint import Done, load_weights, save_tensors, save_weights
from model.layers import to_signed
from model.presets import demo, paper, preset_named, tiny
from model.training.learner import Learner
from model.training.loop import TrainConfig, Trained, finish, finished, fit, judged, rate_at
from model.training.parts import check_tokenizer, make_interpolator, make_keyframes, make_tokenizer

PRESET = tiny()


@pytest.fixture(scope="module")
def clips():
    return make_clips(8, PRESET.tokenizer.size)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fitted(trained, config, folder, label):
    fit(trained, config, folder, label)
    return trained.network


def mean_loss(folder, part):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return np.mean([line[part] for line in lines[:1]]), np.mean([line[part] for line in lines[-2:]])


def test_each_part_learns(clips, tmp_path):
    tokenizer = fitted(make_tokenizer(clips, PRESET), PRESET.tokenizer_train, tmp_path / "t", "tokenizer")
    first, last = mean_loss(tmp_path / "t", "loss")
    assert last < 0.8 * first
    trained = make_keyframes(clips, PRESET, tokenizer, SYMBOLS)
    fit(trained, PRESET.keyframes_train, tmp_path / "k", "keyframes")
    first, last = mean_loss(tmp_path / "k", "mouth_tokens")
    assert last < 0.6 * first
    interpolator = fitted(
        make_interpolator(clips, PRESET), PRESET.interpolator_train, tmp_path / "i", "interpolator"
    )
    assert all(torch.isfinite(p).all() for p in interpolator.parameters())


def test_silence_and_bilabials_close_the_mouth_and_vowels_open_it_in_their_order(tmp_path):
    preset = replace(
        PRESET,
        tokenizer_train=replace(PRESET.tokenizer_train, steps=200),
        keyframes_train=replace(PRESET.keyframes_train, steps=250),
    )
    clips = make_clips(12, PRESET.tokenizer.size)
    tokenizer = fitted(make_tokenizer(clips, preset), preset.tokenizer_train, tmp_path / "t", "tokenizer")
    trained = make_keyframes(clips, preset, tokenizer, SYMBOLS)
    keyframes = fitted(trained, preset.keyframes_train, tmp_path / "k", "keyframes")
    for clip in clips[:4]:
        opening = written_openings(tokenizer, keyframes, clip, SYMBOLS)
        assert max(opening["SIL"], opening["M"]) < 0.03
        assert opening["AA"] > opening["EH"] > opening["IY"] > opening["S"]


def written_openings(tokenizer, keyframes, clip, symbols):
    """Height of the lips, as the codes tell it, for each phoneme."""
    reference = tokenizer.encode(to_signed(torch.from_numpy(clip.frames_THW3[:1])))[0]
    ids = torch.tensor(keyframes.vocabulary.phoneme_ids(symbols))
    points = tokenizer.points(
        tokenizer.codes(generate_tokens(keyframes, ids, read_prefix(keyframes, reference)))
    )
    rest = 2 * 2 * 0.03  # lips that touch are this high
    heights = [float(each[:20, 1].max() - each[:20, 1].min()) - rest for each in points]
    return dict(zip(symbols, heights, strict=True))


def test_a_stopped_run_ends_like_one_that_was_not(clips, tmp_path):
    config = TrainConfig(steps=8, learning_rate=1e-3, checkpoint_every=4, log_every=1)
    whole = fitted(make_interpolator(clips, PRESET), config, tmp_path / "whole", "whole")

    class Stop(Exception):
        pass

    broken = make_interpolator(clips, PRESET)
    calls = iter(range(100))

    def stopping(rng, done):
        if next(calls) == 6:
            raise Stop
        return broken.objective(rng, done)

    with pytest.raises(Stop):
        fit(replace(broken, objective=stopping), config, tmp_path / "stopped", "stopped")
    resumed = fitted(make_interpolator(clips, PRESET), config, tmp_path / "stopped", "stopped")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    steps = [
        json.loads(line)["step"] for line in (tmp_path / "stopped" / "log.jsonl").read_text().splitlines()
    ]
    assert steps == list(range(8))


def test_a_loss_that_is_no_number_changes_nothing_and_ends_the_run(tmp_path):
    network = torch.nn.Linear(2, 1)
    before = network.weight.detach().clone()

    def bad(rng, done):
        return {"loss": network(torch.ones(1, 2)).sum() * float("nan")}

    config = TrainConfig(steps=20)
    learner = Learner(Trained(network, bad), config)
    learner.begin(tmp_path)
    assert not learner.update(0)[1]
    assert torch.equal(network.weight, before)
    with pytest.raises(Rejected, match="bad: no finite gradient for 5 steps up to 4"):
        fit(Trained(network, bad), config, tmp_path, "bad")


def duel(seed=0):
    """A network that draws to a line, and an opponent that tells its points from true ones."""
    torch.manual_seed(seed)
    network, opponent = torch.nn.Linear(1, 2), torch.nn.Linear(2, 1)

    def objective(rng, done):
        real = torch.from_numpy(rng.normal((1.0, -1.0), 0.1, (16, 2)).astype(np.float32))
        made = network(torch.from_numpy(rng.normal(size=(16, 1)).astype(np.float32)))
        softplus = torch.nn.functional.softplus
        told = softplus(-opponent(real)).mean() + softplus(opponent(made.detach())).mean()
        return {"loss": -judged(opponent, made).mean(), "opponent_loss": told}

    return Trained(network, objective, opponent)


def test_an_opponent_learns_from_its_own_loss_alone_and_is_taken_up_again(tmp_path):
    trained, config = duel(), TrainConfig(steps=6, learning_rate=0.05, checkpoint_every=3)
    terms = trained.objective(np.random.default_rng(0), 0.0)
    terms["loss"].backward(retain_graph=True)
    assert all(p.grad is None for p in trained.opponent.parameters())
    seen = [p.grad.clone() for p in trained.network.parameters()]
    terms["opponent_loss"].backward()
    assert all(torch.equal(p.grad, g) for p, g in zip(trained.network.parameters(), seen, strict=True))
    start = {name: value.clone() for name, value in trained.opponent.state_dict().items()}
    fit(trained, config, tmp_path, "duel")
    assert all(not torch.equal(start[name], value) for name, value in trained.opponent.state_dict().items())
    again = duel(seed=1)  # other weights: all must come from the checkpoint, which step 6 left
    fit(again, config, tmp_path, "duel")
    for one, other in ((trained.network, again.network), (trained.opponent, again.opponent)):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_schedule_warms_up_and_ends_near_zero():
    config = TrainConfig(steps=100, learning_rate=1.0, warmup=0.1)
    rates = [rate_at(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == 1.0 and rates[-1] < 0.01
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_unknown_missing_and_misshapen_tensors_are_named(tmp_path):
    network = torch.nn.Linear(2, 1)
    save_weights(tmp_path, network, {})
    load_weights(tmp_path, network)
    tensors = {"weight": torch.zeros(3, 1), "surprise": torch.zeros(1)}
    save_tensors(tmp_path / "weights.safetensors", tensors)
    with pytest.raises(Rejected, match=r"unknown `surprise`.*missing `bias`.*`weight` is \(3, 1\)"):
        load_weights(tmp_path, network)
    (tmp_path / "weights.safetensors").write_bytes(b"nonsense")
    with pytest.raises(Rejected, match="no whole safetensors"):
        load_weights(tmp_path, network)


def test_done_is_written_last_and_read_back(tmp_path):
    assert finished(tmp_path) is None
    finish(tmp_path, Done(identity="x", steps=3, seconds=1.0))
    assert finished(tmp_path) == Done(identity="x", steps=3, seconds=1.0)


def test_interpolation_returns_the_keyframes_at_both_ends():
    torch.manual_seed(0)
    model = Interpolator(InterpolatorConfig(size=32, fine_width=16, coarse_width=16, depth=1)).eval()
    torch.nn.init.normal_(model.paint.weight, std=0.5)
    torch.nn.init.normal_(model.flow.weight, std=0.5)
    left, right = torch.rand(2, 1, 3, 32, 32) * 2 - 1
    gap = torch.tensor([0.2])
    assert torch.allclose(model(left, right, gap, torch.tensor([0.0])), left, atol=1e-5)
    assert torch.allclose(model(left, right, gap, torch.tensor([1.0])), right, atol=1e-5)
    middle = model(left, right, gap, torch.tensor([0.5]))
    assert not torch.allclose(middle, (left + right) / 2, atol=1e-2)


def test_rendering_from_stored_features_is_the_whole_pass():
    torch.manual_seed(0)
    model = Interpolator(InterpolatorConfig(size=32, fine_width=16, coarse_width=16, depth=1)).eval()
    left, right = torch.rand(2, 3, 3, 32, 32) * 2 - 1
    gaps, t = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.2, 0.5, 0.7])
    features = model.pairs(left, right, gaps)
    one = model.render(features.at(torch.tensor([1])), left[1:2], right[1:2], t[1:2])
    assert torch.allclose(model(left, right, gaps, t)[1:2], one, atol=1e-5)


def test_presets_fit_together_and_unknown_ones_are_refused():
    for preset in (tiny(), demo(), paper()):
        assert preset.keyframes.num_tokens == preset.tokenizer.num_tokens
        assert preset.keyframes.groups == preset.tokenizer.groups
        assert preset.interpolator.size == preset.tokenizer.size
    with pytest.raises(Rejected, match="did you mean demo"):
        preset_named("dema")
    assert replace(demo(), name="x").name == "x"


def test_running_out_of_memory_names_the_setting_to_lower(tmp_path):
    network = torch.nn.Linear(1, 1)

    def hungry(rng, done):
        return {"loss": network(torch.empty(1 << 50, 1)).sum()}

    with pytest.raises(Rejected, match=r"hungry: .*does not fit into memory; lower --batch") as refused:
        fit(Trained(network, hungry), TrainConfig(steps=1), tmp_path, "hungry")
    assert refused.value.reason == "too_large"

    def broken(rng, done):
        return {"loss": network(torch.ones(1, 2)).sum()}

    with pytest.raises(RuntimeError, match="mat1 and mat2"):  # a bug stays a bug
        fit(Trained(network, broken), TrainConfig(steps=1), tmp_path, "broken")


def test_weights_without_numbers_are_refused_by_name(tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Linear(1, 1))
    network[1].weight.data.fill_(float("nan"))
    save_weights(tmp_path, network, {})
    with pytest.raises(Rejected, match=r"weights.safetensors has no numbers in `1.weight`") as refused:
        load_weights(tmp_path, network)
    assert refused.value.reason == "bad_weight"


def test_a_tokenizer_of_another_preset_is_refused_naming_both(clips, tmp_path):
    tokenizer = make_tokenizer(clips, PRESET).network
    facts = {"network": to_dict(PRESET.tokenizer), "preset": to_dict(PRESET)}
    save_weights(tmp_path / "tokenizer", tokenizer, facts)
    check_tokenizer(tokenizer, PRESET, tmp_path)
    with pytest.raises(Rejected, match=r"of the preset tiny \(16 tokens .*not of demo \(64 ") as refused:
        check_tokenizer(tokenizer, demo(), tmp_path)
    assert refused.value.reason == "bad_weight"


def test_the_log_has_speeds_and_events_say_the_same(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    torch.manual_seed(0)
    network, calls = torch.nn.Linear(4, 1), iter(range(100))

    def objective(rng, done):
        loss = network(torch.ones(3, 4)).square().mean()
        bad = next(calls) == 2
        return {"loss": loss * float("nan") if bad else loss} | (
            {"late": loss.detach()} if done >= 0.5 else {}
        )

    config = TrainConfig(steps=6, log_every=1, events=True)
    fit(Trained(network, objective, pictures=3), config, tmp_path, "x")
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["skipped"] for row in rows] == [0, 0, 1, 1, 1, 1]
    assert all(
        row["pictures_per_second"] == pytest.approx(3 * row["steps_per_second"], rel=1e-4) for row in rows
    )
    assert all(0 < row["mfu"] < 1 for row in rows)
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert {"loss", "late", "mfu", "steps_per_second"} <= set(events.Tags()["scalars"])
    late = [(event.step, event.value) for event in events.Scalars("late")]
    assert late == [(row["step"], pytest.approx(row["late"], rel=1e-4)) for row in rows if "late" in row]
