"""model.performance: all measurements run in small, their references are right; no time is judged."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.cases import find_cases
from benchmark.speed.cost import cost_of
from datapipe.media import read_frames
from datapipe.performance.figures import read_performance
from datapipe.performance.processes import on_one_core
from datapipe.performance.render import render
from datapipe.records import Phoneme, Rejected
from model.avatar import load_avatar
from model.avatarsync import write
from model.avatarsync.decode import DecodeConfig, one_by_one
from model.performance import accelerator, cost, decoding, film, growth, stages
from model.performance.__main__ import SUITE
from model.performance.clocks import STAGES, clocked
from model.performance.seeded import seeded_avatar, write_run
from model.performance.sessions import Session, tiny, trained
from model.performance.sizes import QUICK
from model.presets import preset_named

ROOT = Path(__file__).parent.parent
TINY = replace(QUICK, decode_keyframes=2, side_by_side=(1, 2))


@pytest.fixture(scope="module")
def avatar():
    return seeded_avatar(preset_named("tiny"))


def spoken(count: int) -> tuple[Phoneme, ...]:
    symbols = ("AA", "M", "IY", "S", "UW")[:count]
    return tuple(Phoneme(symbol=s, start=0.1 * at, end=0.1 * at + 0.1) for at, s in enumerate(symbols))


def test_seeded_weights_are_awake_and_always_the_same(avatar, tmp_path: Path) -> None:
    assert all(parameter.any() for parameter in avatar.keyframes.parameters())
    again = load_avatar(write_run(preset_named("tiny"), tmp_path))
    pairs = zip(avatar.keyframes.state_dict().values(), again.keyframes.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_three_ways_of_decoding_write_the_same_and_no_constant_tokens(avatar) -> None:
    model = avatar.keyframes
    phonemes, reference = model.vocabulary.num_visual + torch.arange(3), decoding.random_tokens(model)
    quick = decoding.in_lockstep(model, phonemes, reference)
    assert torch.equal(quick, decoding.own_rows(model, phonemes, reference))
    assert torch.equal(quick, one_by_one(model, phonemes, reference))
    assert len(quick.unique()) > 10 and not torch.equal(quick[0], quick[1])


def test_decoding_is_measured_with_its_bars() -> None:
    figures = {each.name: each for each in decoding.measure_decoding(TINY, Path()).figures}
    assert figures["tokens that differ"].holds is True
    assert figures["time of sequential decoding over lockstep"].limit == 30.0


def test_a_clocked_generator_makes_the_same_and_is_free_again(avatar) -> None:
    bound = avatar.set_reference(growth.random_picture(64), crop=False)
    free = np.concatenate(list(bound.say(spoken(4), np.zeros(6400, np.float32)).frames()))
    names = set(vars(avatar.tokenizer)), set(vars(avatar.interpolator)), write.generate_tokens
    with clocked(avatar) as spent:
        timed = np.concatenate(list(bound.say(spoken(4), np.zeros(6400, np.float32)).frames()))
    assert np.array_equal(free, timed)
    assert [name for name in STAGES if spent[name] == 0] == ["speech", "picture", "reference"]
    assert (set(vars(avatar.tokenizer)), set(vars(avatar.interpolator)), write.generate_tokens) == names


def test_the_clip_of_the_sweep_has_twenty_different_phonemes(tmp_path: Path) -> None:
    growth.write_case(tmp_path / "cases", 64)
    (case,) = find_cases(tmp_path / "cases")
    assert case.sample is not None and case.picture is not None
    assert len({each.symbol for each in case.sample.phonemes}) == 20
    assert case.sample.phonemes[-1].end == pytest.approx(2.0)


def test_a_session_makes_a_video_and_says_its_stages(tmp_path: Path) -> None:
    growth.write_case(tmp_path / "cases", 64)
    picture, sound, out = tmp_path / "cases/clip.png", tmp_path / "cases/clip.mp4", tmp_path / "out.mp4"
    told = tiny().speak(picture, sound, spoken(3), out)
    assert told["stages"]["keyframes"] > 0 and told["first_frame_seconds"] > 0
    assert len(read_frames(out)) == 8


def test_a_process_is_held_to_one_core() -> None:
    before = os.sched_getaffinity(0)
    with on_one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("language", ["mandarin", "english"])
def test_what_a_preset_costs_is_what_its_sizes_say(language: str) -> None:
    counted = cost_of(f"model.performance.stages:tiny_{language}")
    gmac = {each.name: each.gmac_per_call for each in counted.stages}
    config, count = preset_named("tiny").keyframes, stages.num_keyframes(language)
    width, half = config.width, config.num_tokens // 2
    hidden = -(-8 * width // 96) * 32
    layer = width * (2 * width + 2 * width * config.num_kv_heads // config.heads + 3 * hidden)
    attended = 2 * width * (count + 1 + config.num_tokens + half)
    heads = width * sum(2**bits for bits in config.groups)
    assert gmac["keyframes"] == pytest.approx(count * (config.depth * (layer + attended) + heads) / 1e9)
    assert set(gmac) == set(cost.STAGES) and all(value > 0 for value in gmac.values())


def test_the_cache_is_counted_by_hand() -> None:
    config = replace(preset_named("tiny").keyframes, depth=1, num_tokens=4, heads=4, kv_heads=2, width=8)
    # 4 steps; each reads the rows of 3 phonemes, [B] and 4 reference tokens, and per keyframe 1, 2, 3, 4 rows
    # of its own; a row is a key and a value of 2 heads of 2 numbers of 4 bytes
    assert cost.cache_bytes(config, 3, 4) == (4 * 8 + 3 * (1 + 2 + 3 + 4)) * 2 * 2 * 2 * 4


@pytest.mark.slow
def test_the_quick_trial_counts_and_quotes(tmp_path: Path) -> None:
    measured = cost.measure_cost(TINY, tmp_path)
    ours, quoted = measured.tables
    assert [line.label for line in ours.lines] == [*cost.STAGES, "all"]
    assert ours.lines[-1].values[0] == pytest.approx(sum(line.values[0] or 0 for line in ours.lines[:-1]))
    assert len(quoted.lines) > 20 and 1e3 * measured.figures[0].values[0] == ours.lines[-1].values[0]


def test_without_a_gpu_the_table_says_not_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    measured = accelerator.measure_accelerator(TINY, tmp_path)
    assert "not measured" in measured.title and not measured.figures
    assert all(value is None for line in measured.tables[0].lines for value in line.values)


def test_the_measurement_for_gpus_runs_on_a_cpu_in_small(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(accelerator, "RATES", {"english": 10.0})
    monkeypatch.setattr(accelerator, "NUM_FRAMES", 10)
    monkeypatch.setattr(accelerator, "WAYS", {"raster": DecodeConfig(), "rows": DecodeConfig(window=2)})
    measured = accelerator.measure_on("cpu", TINY, tmp_path)
    assert [each.limit for each in measured.figures] == [1.0] and len(measured.tables[0].lines) == 2
    assert {line.label for line in measured.tables[1].lines} == {*STAGES[3:]}
    assert len({each.symbol for each in accelerator.speech("english")}) == 39


def test_the_committed_page_is_drawn_from_the_committed_figures() -> None:
    folder = ROOT / "reports/performance"
    if not (folder / SUITE.file).exists():
        pytest.skip("not measured yet")
    measured = read_performance(folder, SUITE.file)
    assert not measured.quick
    assert (folder / SUITE.page).read_text(encoding="utf-8") == render(measured, SUITE.head)


@pytest.mark.slow
def test_growth_is_measured_by_the_suites_own_sweep(tmp_path: Path) -> None:
    measured = growth.measure_growth(TINY, tmp_path)
    assert [line.label for line in measured.tables[0].lines] == [str(count) for count in range(2, 21)]
    assert len(measured.tables[1].lines) == 2


@pytest.mark.slow
@pytest.mark.assets
def test_a_video_is_made_on_one_core_in_small(tmp_path: Path) -> None:
    measured = film.measure_film(TINY, tmp_path)
    assert measured.figures[0].limit == 1.0 and measured.figures[0].median > 0
    assert json.loads((tmp_path / "told.json").read_text())["cores"] == 1
    assert [line.label for line in measured.tables[0].lines] == [*STAGES, film.REST]


def test_a_trained_run_is_timed_by_the_folder_that_a_variable_names(tmp_path, monkeypatch):
    monkeypatch.delenv("AVATARSYNC_RUN", raising=False)
    with pytest.raises(Rejected, match="AVATARSYNC_RUN is not set"):
        trained()
    monkeypatch.setenv("AVATARSYNC_RUN", str(write_run(preset_named("tiny"), tmp_path / "run")))
    assert isinstance(trained(), Session)
