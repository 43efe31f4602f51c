"""The ablation grids: what each variant changes, what is reused, and what is refused before any training."""

import json
import subprocess
from dataclasses import replace

import pytest
import torch
from toy import draw_face, make_clips

from avatarsync import main
from datapipe.records import Phoneme, Rejected
from model import ablate as ablate_module
from model.ablate import RECORD, AblateConfig, Record, ablate, planned, preset_of
from model.avatar import bind, load_avatar
from model.avatarsync import intervals
from model.avatarsync.allocate import allocate
from model.avatarsync.decode import DecodeConfig
from model.avatarsync.masks import PHONEME_REACH
from model.checkpoint import save_weights
from model.generate import GenerateConfig, generate
from model.grids import GRIDS, changed
from model.presets import demo, paper, tiny
from model.training.parts import make_interpolator, make_keyframes, make_tokenizer, to_dict

PRESET = tiny()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with fresh weights that names its preset."""
    torch.set_num_threads(1)
    folder, clips = tmp_path_factory.mktemp("run"), make_clips(2, PRESET.tokenizer.size)
    tokenizer = make_tokenizer(clips, PRESET).network
    keyframes = make_keyframes(clips, PRESET, tokenizer).network
    named = {"preset": to_dict(PRESET)}
    save_weights(folder / "tokenizer", tokenizer, {"network": to_dict(PRESET.tokenizer), **named})
    facts = {"network": to_dict(PRESET.keyframes), "vocabulary": to_dict(keyframes.vocabulary), **named}
    save_weights(folder / "keyframes", keyframes, facts)
    network = make_interpolator(clips, PRESET).network
    save_weights(folder / "interpolator", network, {"network": to_dict(PRESET.interpolator), **named})
    return folder


# --- the grids ------------------------------------------------------------------------------------------


def test_masks_are_the_four_of_the_paper():
    scopes = [changed(PRESET, each, 0, None).keyframes.phoneme_scope for each in GRIDS["masks"].variants]
    assert sorted(scopes) == sorted(PHONEME_REACH) and scopes[-1] == "one_to_one"


def test_losses_are_all_eight_subsets_and_nothing_of_our_own():
    grid = GRIDS["losses"]
    losses = [changed(demo(), each, 0, None).keyframes_loss for each in grid.variants]
    assert len({tuple(loss.looks) for loss in losses}) == 8 and losses[0].looks == {}
    assert [len(loss.looks) for loss in losses] == [0, 1, 1, 1, 2, 2, 2, 3]
    assert all(loss.points == loss.pixels == 0 for loss in losses)
    assert losses[-1].looks == {"lpips": 30.0, "identity": 8.0, "facial": 16.0}
    assert not losses[0].decodes


def test_a_preset_that_has_weights_keeps_them():
    loss = replace(paper().keyframes_loss, identity=0.25)
    full = GRIDS["losses"].variants[-1]
    assert changed(replace(paper(), keyframes_loss=loss), full, 0, None).keyframes_loss.identity == 0.25


def test_a_variant_changes_nothing_else():
    for grid in GRIDS.values():
        for variant in grid.variants:
            made = changed(PRESET, variant, 2, 7)
            assert (made.keyframes_train.seed, made.keyframes_train.steps) == (2, 7)
            same = replace(
                made,
                keyframes=replace(
                    made.keyframes, phoneme_scope=PRESET.keyframes.phoneme_scope, condition="phoneme"
                ),
                keyframes_loss=PRESET.keyframes_loss,
                keyframes_train=PRESET.keyframes_train,
            )
            assert same == PRESET


def test_every_grid_has_one_row_of_ours_and_seeds_only_where_they_tell():
    for grid in GRIDS.values():
        assert sum(each.is_ours for each in grid.variants) == 1
        assert len({each.name for each in grid.variants}) == len(grid.variants)
    assert len(list(planned(GRIDS["masks"], 3))) == 12 and len(list(planned(GRIDS["losses"], 3))) == 24
    drawn = [(variant.name, seed) for variant, seed in planned(GRIDS["allocation"], 3)]
    assert drawn == [("random", 0), ("fixed", 0), ("dynamic", 0), ("random", 1), ("random", 2)]


def test_a_run_that_names_no_preset_is_refused(run, tmp_path):
    assert preset_of(run) == PRESET
    with pytest.raises(Rejected, match="no trained keyframes"):
        preset_of(tmp_path)
    (tmp_path / "keyframes").mkdir()
    (tmp_path / "keyframes/config.json").write_text("{}")
    with pytest.raises(Rejected, match="does not name its preset"):
        preset_of(tmp_path)
    (tmp_path / "keyframes/config.json").write_text('{"preset": {"name": 3, "tokenizer": "old"}}')
    with pytest.raises(Rejected, match="another version"):
        preset_of(tmp_path)


# --- making ---------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch, run, tmp_path):
    """A grid whose videos are empty files and whose scores are not taken; counts what is made."""
    made: list[str] = []

    def make(system, places, keyframes=False):
        made.append(f"{places.out.parent.name} {places.config.allocation} {keyframes}")
        places.out.mkdir(parents=True, exist_ok=True)
        return 0

    def never(command, **options):
        assert command[3:5] == ["bench", "run"]
        made.append(" ".join(command[command.index("--system") + 1 : command.index("--metrics")]))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(ablate_module, "make_cases", make)
    monkeypatch.setattr(ablate_module.subprocess, "run", never)
    cases = tmp_path / "cases"
    cases.mkdir()
    (cases / "a.json").write_text("{}")
    config = AblateConfig(
        run=run, data=(), cases=cases, out=tmp_path / "out", grid="allocation", seeds=2, steps=None
    )
    return config, made


def test_a_finished_grid_is_reused_and_a_changed_case_is_not(quick):
    config, made = quick
    assert ablate(config) == 0
    assert made[:4] == [
        "random random False",
        "fixed fixed False",
        "dynamic dynamic False",
        "random random False",
    ]
    assert "dynamic-s0=" in made[4] and "random-s1=" in made[4] and "dynamic-s1=" not in made[4]
    record = Record(**json.loads((config.out / "allocation/fixed/seed0" / RECORD).read_text()))
    assert (record.variant, record.seed, record.place, record.is_ours) == ("fixed", 0, 1, False)
    assert record.settings["generate"]["allocation"] == "fixed" and len(record.run) == 12
    made.clear()
    assert ablate(config) == 0 and len(made) == 1  # scored again, made not
    (config.cases / "a.json").write_text('{"other": 1}')
    made.clear()
    assert ablate(config) == 0 and len(made) == 5


@pytest.mark.parametrize("allocation", ["random", "fixed"])
def test_another_seed_allots_frames_anew_only_where_they_are_drawn(run, monkeypatch, allocation):
    drawn = []

    def watched(*given):
        drawn.append(allocate(*given))
        return drawn[-1]

    monkeypatch.setattr(intervals, "allocate", watched)
    avatar = load_avatar(run)
    symbols = ("SIL", "AA", "M", "S")
    said = tuple(Phoneme(symbol=s, start=k / 5, end=k / 5 + 0.2) for k, s in enumerate(symbols))
    for seed in (0, 1):
        how = GenerateConfig(allocation=allocation, decode=DecodeConfig(seed=seed))
        reference = bind(avatar, draw_face(0, 0, 1, 64))
        assert sum(map(len, generate(avatar, reference, said, 0.8, how))) == 20
    first, other = (tuple(each.pair) for each in drawn)
    assert (first != other) == (allocation == "random")


def test_an_interrupted_grid_goes_on_where_it_was(quick, monkeypatch):
    config, made = quick
    whole = ablate_module.make_cases

    def stops(system, places, keyframes=False):
        if places.config.allocation == "dynamic":
            raise KeyboardInterrupt
        return whole(system, places, keyframes)

    monkeypatch.setattr(ablate_module, "make_cases", stops)
    with pytest.raises(KeyboardInterrupt):
        ablate(config)
    assert len(made) == 2 and not (config.out / "allocation/dynamic/seed0" / RECORD).exists()
    monkeypatch.setattr(ablate_module, "make_cases", whole)
    assert ablate(config) == 0
    assert [each.split()[0] for each in made[2:4]] == ["dynamic", "random"]


@pytest.mark.parametrize(("change", "what"), [({"seeds": 0}, "at least 1"), ({"steps": 0}, "at least 1")])
def test_what_cannot_go_is_refused_before_anything_is_trained(quick, change, what):
    config, made = quick
    with pytest.raises(Rejected, match=what):
        ablate(replace(config, **change))
    with pytest.raises(Rejected, match="holds no cases"):
        ablate(replace(config, cases=config.cases / "nowhere"))
    assert not made and not config.out.exists()


def test_a_broken_record_counts_as_none(quick):
    config, made = quick
    ablate(config)
    (config.out / "allocation/dynamic/seed0" / RECORD).write_text("{")
    made.clear()
    assert ablate(config) == 0 and made[0].startswith("dynamic") and len(made) == 2


def test_cases_without_a_video_end_with_the_code_for_rejects(quick, monkeypatch):
    monkeypatch.setattr(ablate_module, "make_cases", lambda *given, **options: 1)
    assert ablate(quick[0]) == 3


def test_scores_that_cannot_be_taken_are_one_sentence(quick, monkeypatch):
    monkeypatch.setattr(
        ablate_module.subprocess, "run", lambda command, **options: subprocess.CompletedProcess(command, 1)
    )
    with pytest.raises(Rejected, match="not scored"):
        ablate(quick[0])


@pytest.mark.slow
@pytest.mark.assets
def test_a_grid_from_shards_to_its_table(tmp_path, capfd):
    """In small, by the commands a user types: corpus, run, then masks and allocation with scores."""
    few = ["--num-cmlr-speakers", "2", "--clips-per-speaker", "3", "--num-hdtf-videos", "0"]
    places = ["--source", "cmlr", "--root", f"{tmp_path}/raw/cmlr", "--out", f"{tmp_path}/shards"]
    train = ["--data", f"{tmp_path}/shards", "--out", f"{tmp_path}/run", "--preset", "tiny", "--threads", "1"]
    study = ["--run", f"{tmp_path}/run", "--data", f"{tmp_path}/shards", "--cases", f"{tmp_path}/cases"]
    study += ["--out", f"{tmp_path}/out", "--steps", "3", "--threads", "1", "--json"]
    for command in (
        ["data", "sample", f"{tmp_path}/raw", *few],
        ["data", "build", *places, "--size", "64"],
        ["data", "export", "--shards", f"{tmp_path}/shards", "--out", f"{tmp_path}/cases", "--split", "test"],
        *(["model", "train", part, *train] for part in ("tokenizer", "interpolator", "keyframes")),
    ):
        assert main(command) == 0, command
    for grid, seeds in (("allocation", 2), ("losses", 1)):
        capfd.readouterr()
        assert main(["model", "ablate", *study, "--grid", grid, "--seeds", str(seeds)]) == 0
        (table,) = json.loads(capfd.readouterr().out)
        assert [row["variant"] for row in table["rows"]] == [each.name for each in GRIDS[grid].variants]
        cells = [row["cells"]["video/mouth_psnr"] for row in table["rows"]]
        assert all(cell["value"] > 5 and cell["num_clips"] == table["num_clips"] for cell in cells)
    assert all("keyframe/lpips_alex" in row["cells"] for row in table["rows"])
    dynamic = tmp_path / "out/allocation/dynamic/seed0"
    made = {path.name: path.stat().st_mtime_ns for path in dynamic.glob("*.mp4")}
    assert made and main(["model", "ablate", *study, "--grid", "allocation", "--seeds", "2"]) == 0
    assert {path.name: path.stat().st_mtime_ns for path in dynamic.glob("*.mp4")} == made
