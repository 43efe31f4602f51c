"""From folders of videos to tables: failures are counted, results do not depend on how they were computed."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark import leaderboard, scoring
from benchmark.__main__ import main, merged
from benchmark.cases import find_cases
from benchmark.evaluate import EvaluateConfig, evaluate
from benchmark.footage import Store
from benchmark.headlines import headlines
from benchmark.metrics import MetricConfig, metrics_for
from benchmark.records import GROUND_TRUTH, Difference, Run, Score, SystemRun, protocol
from benchmark.runs import read_run, write_run
from benchmark.selftest.selftest import pattern
from benchmark.systems.specs import open_system, parse_system
from datapipe.media import write_video
from datapipe.records import Rejected, from_json, to_json

LIGHT = ("psnr", "ssim", "flicker", "flicker_ratio", "latency")
HOSTILE = "<script>alert(1)</script>|**x**"


def config(*names: str, workers: int = 2, controls: tuple[str, ...] = ()) -> EvaluateConfig:
    return EvaluateConfig(metrics=MetricConfig(names=names or LIGHT), controls=controls, workers=workers)


def clip(number: int, num_frames: int = 12, side: int = 48) -> np.ndarray:
    return pattern(num_frames, side, 0.5 * number)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cases and four systems, one of which fails in every way a folder can."""
    root = tmp_path_factory.mktemp("world")
    for number in range(4):
        write_video(root / f"cases/clip{number}.mp4", clip(number), crf=8)
        write_video(root / f"good/clip{number}.mp4", clip(number), crf=24)
        write_video(root / f"static/clip{number}.mp4", np.repeat(clip(number)[:1], 12, axis=0))
        big = np.repeat(np.repeat(clip(number, 13), 2, axis=1), 2, axis=2)
        write_video(root / f"large/clip{number}.mp4", big)
    times = {"seconds": 0.4, "media_seconds": 0.48, "num_frames": 12, "first_frame_seconds": None}
    (root / "broken").mkdir()
    failures = {"clip3": "the words do not fit the sound"}
    (root / "broken/timing.json").write_text(
        json.dumps({"system": "broken", "clips": {}, "failures": failures})
    )
    record = {"system": "good", "load_seconds": 1.5, "clips": {f"clip{k}": times for k in range(4)}}
    (root / "good/timing.json").write_text(json.dumps(record))
    (root / "broken/clip0.mp4").write_bytes(b"")
    (root / "broken/clip1.mp4").write_bytes((root / "good/clip1.mp4").read_bytes()[:900])
    write_video(root / "broken/clip2.mp4", clip(2, 5))
    return root


def systems_of(root: Path, *names: str) -> tuple:
    return tuple(open_system(name, root / name) for name in names)


@pytest.fixture(scope="module")
def run(world: Path) -> Run:
    systems = systems_of(world, "good", "static", "large", "broken")
    return evaluate(find_cases(world / "cases"), systems, config())


def score_of(run: Run, system: str, metric: str) -> Score:
    (row,) = (each for each in run.systems if each.name == system)
    return next(score for score in row.scores if score.metric == f"video/{metric}")


def test_the_first_row_is_the_truth_against_itself(run: Run) -> None:
    assert run.systems[0].name == GROUND_TRUTH
    assert score_of(run, GROUND_TRUTH, "ssim").value == 1.0
    assert score_of(run, GROUND_TRUTH, "latency").not_measured == "not applicable to the ground truth"


def test_failures_are_counted_with_their_reason_and_never_scored(run: Run) -> None:
    for metric in LIGHT:
        score = score_of(run, "broken", metric)
        assert (score.value, score.num_ok, score.num_total, score.per_clip) == (None, 0, 4, {})
    why = score_of(run, "broken", "psnr").failures
    assert "cannot be read as a video" in why["clip0"]
    assert "clip1.mp4" in why["clip1"]
    assert (
        why["clip2"]
        == "clip2: 5 frames at 25 fps, the truth has 12; make them equal, or raise --alignment.most-trimmed"
    )
    assert why["clip3"] == "clip3: broken has no video for it: the words do not fit the sound"
    assert score_of(run, "static", "latency").num_ok == 0


def test_other_sizes_and_one_frame_more_are_handled_and_recorded(run: Run) -> None:
    (large,) = (each for each in run.systems if each.name == "large")
    assert large.notes["clip0"] == "resized from 96x96 to 48x48, area; trimmed from 13 to 12 frames"
    assert score_of(run, "large", "psnr").value > 25


def test_scores_are_bit_equal_for_any_number_of_workers_and_from_the_cache(
    world: Path, tmp_path: Path
) -> None:
    cases, systems = find_cases(world / "cases"), systems_of(world, "good", "static")
    names = (*LIGHT, "fid", "lpips_alex")
    runs = [
        evaluate(cases, systems, config(*names, workers=1)),
        evaluate(tuple(reversed(cases)), systems, config(*names, workers=3), tmp_path),
        evaluate(cases, systems, config(*names, workers=2), tmp_path),
    ]
    assert runs[0].systems == runs[1].systems == runs[2].systems
    assert runs[0].differences == runs[2].differences
    assert "inception" in runs[1].seconds and "inception" not in runs[2].seconds


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.get("ab", "x", lambda: np.arange(3)).tolist() == [0, 1, 2]
    (stored,) = tmp_path.rglob("*.npy")
    stored.write_bytes(stored.read_bytes()[:-5])
    assert store.get("ab", "x", lambda: np.arange(4)).tolist() == [0, 1, 2, 3]
    assert Store(tmp_path).get("ab", "x", lambda: pytest.fail("not from the cache")).tolist() == [0, 1, 2, 3]


def test_an_unusable_ground_truth_costs_its_clip_only(world: Path, tmp_path: Path) -> None:
    for name in ("clip0", "clip1"):
        (tmp_path / f"{name}.mp4").write_bytes((world / f"cases/{name}.mp4").read_bytes())
    (tmp_path / "clip1.mp4").write_bytes(b"not a video")
    result = evaluate(find_cases(tmp_path), systems_of(world, "good"), config("psnr"))
    score = score_of(result, "good", "psnr")
    assert (score.num_ok, score.num_total, list(score.failures)) == (1, 2, ["clip1"])
    assert score.low is None


def test_missing_weights_read_not_measured(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Path:
        raise Rejected("missing_weight", f"`{name}` is not here: put it there")

    monkeypatch.setattr(scoring, "resolve", missing)
    result = evaluate(find_cases(world / "cases"), systems_of(world, "good"), config("psnr", "fid"))
    assert score_of(result, "good", "fid").not_measured == "`fid-inception` is not here: put it there"
    assert result.weights == {}
    assert score_of(result, "good", "psnr").value is not None
    assert "| not measured |" in leaderboard.markdown([result])


def test_differences_are_paired(run: Run) -> None:
    (gain,) = (
        d for d in run.differences if (d.metric, d.system, d.baseline) == ("video/psnr", "good", "static")
    )
    good, static = (score_of(run, name, "psnr").per_clip for name in ("good", "static"))
    assert gain.value == pytest.approx(np.mean([good[key] - static[key] for key in good]))
    assert gain.num_clips == 4
    assert not any("broken" in (d.system, d.baseline) for d in run.differences)


def test_a_run_survives_the_disk_and_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_run(path, run)
    assert read_run(path) == run == from_json(to_json(run), Run)
    with pytest.raises(Rejected, match="--replace"):
        write_run(path, run)
    assert "NaN" not in path.read_text() and str(tmp_path) not in path.read_text()
    path.write_text("{}")
    with pytest.raises(Rejected, match="not a run"):
        read_run(path)


def with_row(run: Run, name: str, **scores: Score) -> Run:
    (row,) = (each for each in run.systems if each.name == "good")
    changed = tuple(scores.get(score.metric.split("/")[1], score) for score in row.scores)
    return dataclasses.replace(
        run, systems=(*run.systems, SystemRun(name=name, scores=changed, videos={}, notes={}))
    )


def test_failing_wins_no_place(run: Run) -> None:
    best = dataclasses.replace(
        score_of(run, "good", "psnr"), value=99.0, num_ok=3, failures={"clip3": "lost"}
    )
    (table,) = leaderboard.tables([with_row(run, "cheat", psnr=best)])
    column = next(name for name in table.ranks if name.startswith("video/psnr@"))
    whole = sorted(("good", "large", "static"), key=lambda name: -(score_of(run, name, "psnr").value or 0))
    assert table.ranks[column] == {whole[0]: 1, whole[1]: 2, whole[2]: 3, "cheat": 4}
    assert "(3/4)" in leaderboard.markdown([with_row(run, "cheat", psnr=best)])


def test_ranks_follow_the_direction(run: Run) -> None:
    (table,) = leaderboard.tables([run])
    by_name = {name.split("@")[0]: ranks for name, ranks in table.ranks.items()}
    assert by_name["video/flicker"] == {}
    assert by_name["video/flicker_ratio"]["static"] == 3
    assert by_name["video/latency"] == {"good": 1}
    assert all(GROUND_TRUTH not in ranks for ranks in by_name.values())


def test_other_protocols_and_references_never_meet(run: Run) -> None:
    other = protocol(colour="Y").hash
    infos = tuple(
        dataclasses.replace(i, protocol_hash=other) if i.name == "video/psnr" else i for i in run.metrics
    )
    (table,) = leaderboard.tables([run, dataclasses.replace(run, metrics=infos, created="later")])
    assert sum(info.name == "video/psnr" for info in table.columns) == 2
    names = [name for name, _ in table.rows]
    assert names.count(GROUND_TRUTH) == 1 and "good (later)" in names
    assert other in leaderboard.markdown([run, dataclasses.replace(run, metrics=infos)])
    elsewhere = dataclasses.replace(run, reference={"clip0": "another"})
    assert len(leaderboard.tables([run, elsewhere])) == 2


def test_hostile_names_stay_text(run: Run) -> None:
    table = leaderboard.markdown([with_row(run, HOSTILE)])
    assert "<script>" not in table
    assert (
        len({line.replace("\\|", "").count("|") for line in table.splitlines() if line.startswith("|")}) == 1
    )
    assert "'=cmd" in leaderboard.as_csv([with_row(run, "=cmd|x")])


def test_headlines_say_what_was_reached(run: Run) -> None:
    gain = Difference(
        metric="video/mouth_psnr", system="good", baseline="static", value=2.5, low=2.0, high=3.5, num_clips=4
    )
    found = headlines(dataclasses.replace(run, differences=(gain,)))
    assert [each.met for each in found] == [False, False]
    assert "good minus static picture: mouth PSNR: +2.50 dB [+2.00, +3.50], 4 clips" in found[0].sentence()
    assert found[1].sentence() == "good: mouth opening r: not measured (bar 0.6)"


@pytest.mark.parametrize(
    "text", ["", "name", "=dir", "name=", f"{GROUND_TRUTH}=.", "name=/no/such/folder", "a=b=c"]
)
def test_a_wrong_system_is_refused(text: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_system(text)
    assert caught.value.reason == "bad_input"


@pytest.mark.parametrize("content", ["[]", "{", '{"clips": {"a": {"seconds": 1}}}', '{"clips": 3}'])
def test_a_wrong_timing_record_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "timing.json").write_text(content)
    with pytest.raises(Rejected, match="timing"):
        open_system("a", tmp_path)


def test_command_line(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, cache = tmp_path / "run.json", str(tmp_path / "cache")
    words = [
        "run",
        "--reference",
        str(world / "cases"),
        "--out",
        str(out),
        "--cache",
        cache,
        "--metrics",
        "psnr,ssim",
        "--controls",
        "none",
    ]
    good, broken = (f"{name}={world / name}" for name in ("good", "broken"))
    assert main([*words, "--system", good]) == 0
    assert "| good | " in capsys.readouterr().out
    assert main([*words, "--system", good]) == 2
    assert "--replace" in capsys.readouterr().err
    assert main([*words, "--system", good, "--system", broken, "--replace"]) == 3
    assert "broken has no video" in capsys.readouterr().err
    assert [each.name for each in read_run(out).systems] == [GROUND_TRUTH, "good", "broken"]
    table = tmp_path / "table.csv"
    assert main(["leaderboard", "--runs", str(out), "--format", "csv", "--out", str(table)]) == 0
    assert table.read_text().startswith("reference,system,metric,protocol,unit,direction,value")
    assert main(["run", "--reference", str(tmp_path / "none"), "--out", "x.json", "--system", good]) == 2
    assert main(["leaderboard", "--runs", str(tmp_path / "none.json")]) == 2
    assert main(["nonsense"]) == 2
    assert main(["run", "--help"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "table.csv"]


def test_an_unknown_metric_suggests_the_nearest() -> None:
    with pytest.raises(Rejected, match="unknown metric `video/psrn`; did you mean video/psnr"):
        metrics_for(MetricConfig(names=("psrn",)))
    wanted = ["video/ssim", "video/fid", "keyframe/psnr"]
    assert list(metrics_for(MetricConfig(names=("ssim,fid", "keyframe/psnr")))) == wanted


def test_list_options_may_be_repeated() -> None:
    given = ["run", "--system", "a=1", "--out", "x", "--system=b=2", "c=3", "--replace"]
    assert merged(given) == ["run", "--out", "x", "--replace", "--system", "a=1", "b=2", "c=3"]


def test_help_is_quick() -> None:
    """What only some subcommands need is loaded by those: no options page waits for torch."""
    heavy = ("torch", "scipy", "matplotlib", "pandas", "onnxruntime")
    code = f"import sys, benchmark.__main__; print([each for each in {heavy} if each in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
