"""Every preset builds, runs a step at its true sizes, and costs what is said."""

import json
from dataclasses import replace

import pytest
import torch
from toy import SYMBOLS, make_clips

from datapipe.phonemes import PHONEMES
from datapipe.records import Rejected
from model.__main__ import main
from model.avatarsync.keyframes import KeyframeTransformer
from model.avatarsync.vocabulary import Vocabulary
from model.presets import adjusted, demo, paper, tiny
from model.training.budget import as_table, budgets
from model.training.learner import Learner
from model.training.parts import make_interpolator, make_keyframes, make_tokenizer
from model.training.throughput import Pace, count_flops, measured_peak


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("preset", [tiny(), demo()], ids=lambda preset: preset.name)
def test_small_presets_take_a_step_for_real(preset, tmp_path):
    clips = make_clips(2, preset.tokenizer.size)
    made = {
        "tokenizer": make_tokenizer(clips, preset),
        "keyframes": make_keyframes(clips, preset, make_tokenizer(clips, preset).network, SYMBOLS),
        "interpolator": make_interpolator(clips, preset),
    }
    for part, trained in made.items():
        learner = Learner(trained, replace(getattr(preset, f"{part}_train"), warmup=0.0))
        learner.begin(tmp_path)
        before = [parameter.detach().clone() for parameter in trained.network.parameters()]
        terms, counted = learner.update(0)
        assert counted and terms["loss"] > 0
        moved = [not torch.equal(a, b) for a, b in zip(before, trained.network.parameters(), strict=True)]
        assert sum(moved) > 0.5 * len(moved)
        learner.end()


def test_the_paper_preset_runs_whole_on_shapes_alone():
    tokenizer, keyframes, interpolator = budgets(paper())
    assert [each.part for each in (tokenizer, keyframes, interpolator)] == [
        "tokenizer",
        "keyframes",
        "interpolator",
    ]
    assert 250e6 < keyframes.parameters < 350e6 and keyframes.weights_gb == pytest.approx(
        4e-9 * keyframes.parameters
    )
    # 2 FLOP forward and 4 back for each weight and token, and attention besides
    tokens = paper().keyframes_loss.units * paper().keyframes.num_tokens
    steps = paper().keyframes_train.accumulate
    assert keyframes.step_tflop > 0.9 * 6e-12 * keyframes.parameters * tokens * steps
    assert all(each.activations_gb > 1 for each in (tokenizer, keyframes, interpolator))
    assert all(each.total_gb < 80 for each in (tokenizer, keyframes, interpolator))  # one card of 80 GB


def test_the_paper_presets_layer_takes_a_step_for_real(tmp_path):
    preset = paper()
    vocabulary = Vocabulary(num_visual=2**preset.tokenizer.bits, phonemes=PHONEMES)
    network = KeyframeTransformer(replace(preset.keyframes, depth=1), vocabulary)
    ids_BnK = torch.randint(2**18, (1, 1, preset.keyframes.num_tokens))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    logits = network(torch.tensor([vocabulary.phoneme_ids(["AA"])]), ids_BnK[:, 0], ids_BnK, ids_BnK)
    assert [each.shape for each in logits] == [(1, 1, 1024, 64), (1, 1, 1024, 4096)]
    sum(each.float().logsumexp(-1).mean() for each in logits).backward()
    torch.optim.Adam(network.parameters(), lr=1e-3).step()
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_the_papers_training_is_the_papers():
    config = paper().keyframes_train
    assert (config.optimizer, config.learning_rate, config.warmup, config.steps) == (
        "adam",
        2e-4,
        0.02,
        10_000,
    )


def test_kept_bytes_and_arithmetic_on_shapes_are_those_of_a_real_pass():
    preset = tiny()
    counted = budgets(preset)[0]
    clips = make_clips(2, preset.tokenizer.size)
    network = make_tokenizer(clips, preset).network
    size, batch = preset.tokenizer.size, preset.tokenizer_loss.batch
    pictures, seen = torch.rand(2, batch, 3, size, size), {}

    def pack(tensor):
        seen[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no place is used twice
        return tensor

    def real():
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            rebuilt = network(*pictures)
        (rebuilt.picture.sum() + rebuilt.points_BL2.sum()).backward()

    _, flops = count_flops(real)
    weights = {parameter.data_ptr() for parameter in network.parameters()}
    kept = sum(t.untyped_storage().nbytes() for place, t in seen.items() if place not in weights)
    assert counted.step_tflop == pytest.approx(flops / 1e12, rel=0.02)
    assert counted.activations_gb == pytest.approx(kept / 1e9, rel=0.2)


def test_attention_on_the_cpu_is_counted_like_the_products_it_is():
    query = torch.randn(2, 3, 16, 8, requires_grad=True)
    attend = torch.nn.functional.scaled_dot_product_attention

    _, forward = count_flops(lambda: attend(query, query, query))
    assert forward == 2 * (2 * 3 * 16 * 16 * 8) * 2
    _, both = count_flops(lambda: attend(query, query, query).sum().backward())
    assert both == forward + 5 * 2 * (2 * 3 * 16 * 16 * 8)


def test_counting_changes_no_bit():
    torch.manual_seed(0)
    layer = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.SiLU(), torch.nn.Flatten(), torch.nn.Linear(288, 4)
    )
    given = torch.randn(5, 3, 8, 8)
    plain = layer(given)
    counted, flops = count_flops(lambda: layer(given))
    assert torch.equal(plain, counted) and flops == 2 * 5 * (36 * 8 * 27 + 288 * 4)


def test_speed_is_said_with_its_peak():
    pace = Pace(flops=10**9)
    for _ in range(4):
        pace = pace.after(0.5)
    assert pace.facts(6, 4e9) == {"steps_per_second": 2.0, "pictures_per_second": 12.0, "mfu": 0.5}
    assert "MFU 50% (2 of the 4 GFLOP/s" in pace.sentence(6, 4e9)
    assert pace.facts(0, 0.0) == {"steps_per_second": 2.0}
    assert 1e8 < measured_peak("cpu", torch.float32, torch.get_num_threads()) < 1e13


def test_presets_are_listed_for_people_and_for_scripts(capsys):
    assert main(["presets", "--preset", "tiny", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["part"] for row in rows] == ["tokenizer", "keyframes", "interpolator"]
    assert rows[0]["parameters"] == sum(
        p.numel() for p in make_tokenizer(make_clips(1, 64), tiny()).network.parameters()
    )
    assert len({len(line) for line in as_table(budgets(tiny())).splitlines()}) == 1
    assert main(["presets", "--preset", "tinny"]) == 2
    assert "did you mean tiny" in capsys.readouterr().err


def test_a_preset_is_adjusted_in_one_part_alone():
    changed = adjusted(tiny(), "keyframes", {"steps": 7, "ema": 0.9}, batch=3)
    assert changed.keyframes_train.steps == 7 and changed.keyframes_loss.clips == 3
    assert (
        changed.tokenizer_train == tiny().tokenizer_train
        and changed.interpolator_loss == tiny().interpolator_loss
    )
    for bad, batch in (({"steps": 0}, None), ({"accumulate": -1}, None), ({"ema": 1.0}, None), ({}, 0)):
        with pytest.raises(Rejected, match="give"):
            adjusted(tiny(), "tokenizer", bad, batch)
    with pytest.raises(Rejected, match="no setting of durations"):
        adjusted(tiny(), "durations", {}, 4)
    assert adjusted(tiny(), "durations", {"steps": 5}).durations_train.steps == 5
