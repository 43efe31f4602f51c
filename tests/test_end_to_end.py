"""The whole way in small, by the commands a user types: corpus, shards, training, videos, scores, report."""

import json
from pathlib import Path

import pytest

from avatarsync import main
from benchmark.records import Run
from datapipe.media import probe, read_audio
from datapipe.records import from_json
from datapipe.shards import read_samples

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run every command once; each test looks at one of the things they left."""
    out = tmp_path_factory.mktemp("whole")
    few = ["--num-cmlr-speakers", "2", "--clips-per-speaker", "3", "--num-hdtf-videos", "0"]
    videos = [f"{name}={out}/systems/{name}" for name in ("avatarsync", "static")]
    places = ["--source", "cmlr", "--root", f"{out}/raw/cmlr", "--out", f"{out}/shards"]
    train = ["--data", f"{out}/shards", "--out", f"{out}/run", "--preset", "tiny", "--threads", "1"]
    cases = ["--cases", f"{out}/cases"]
    for command in (
        ["data", "sample", f"{out}/raw", *few],
        ["data", "build", *places, "--size", "64"],
        ["data", "verify", "--shards", f"{out}/shards"],
        ["data", "export", "--shards", f"{out}/shards", "--out", f"{out}/cases", "--split", "test"],
        *(["model", "train", part, *train] for part in ("tokenizer", "interpolator", "keyframes")),
        ["model", "generate-cases", *cases, "--run", f"{out}/run", "--out", f"{out}/systems/avatarsync"],
        ["model", "generate-cases", *cases, "--system", "static", "--out", f"{out}/systems/static"],
        ["bench", "run", "--reference", f"{out}/cases", "--system", *videos, "--out", f"{out}/run.json",
         "--metrics", "psnr", "mouth_psnr", "flicker", "rtf"],
        ["bench", "report", "--run", f"{out}/run.json", *cases, "--system", *videos, "--out", f"{out}/report",
         "--train-log", f"{out}/run", "--ledger", f"{out}/shards"],
    ):  # fmt: skip
        assert main(command) == 0, command
    return out


def test_every_clip_is_accounted_for(work: Path) -> None:
    rows = [json.loads(line) for line in (work / "shards/ledger.jsonl").read_text().splitlines()]
    manifest = json.loads((work / "shards/manifest.json").read_text())
    done = [row for row in rows if row["status"] == "done"]
    assert len(rows) == 6 and len(done) == manifest["num_samples"]


def test_videos_have_the_length_and_the_sound_of_the_case(work: Path) -> None:
    keys = sorted(path.stem for path in (work / "cases").glob("*.wav"))
    assert keys
    for key in keys:
        duration = len(read_audio(work / f"cases/{key}.wav")) / 16_000
        made = probe(work / f"systems/avatarsync/{key}.mp4")
        assert made.num_frames == round(duration * 25) and made.audio_codec == "aac"


def test_scored_clips_were_not_trained_on(work: Path) -> None:
    samples = list(read_samples(work / "shards"))
    trained = {sample.meta.text for sample in samples if sample.meta.split == "train"}
    cases = [json.loads(path.read_text()) for path in (work / "cases").glob("*.json")]
    assert cases and trained
    assert all(case["split"] == "test" and case["text"] not in trained for case in cases)


def test_every_score_is_a_number_for_every_clip(work: Path) -> None:
    run = from_json((work / "run.json").read_text(), Run)
    num_cases = len(list((work / "cases").glob("*.wav")))
    (made,) = [system for system in run.systems if system.name == "avatarsync"]
    names = ("psnr", "mouth_psnr", "flicker", "rtf")
    assert {score.metric for score in made.scores} == {f"video/{name}" for name in names}
    assert all(score.value is not None and len(score.per_clip) == num_cases for score in made.scores)


def test_the_report_shows_what_was_measured(work: Path) -> None:
    page = (work / "report/index.html").read_text()
    assert "avatarsync" in page and "mouth" in page and "not measured" not in page.split("<footer")[0][:200]
    assert (work / "report/index.md").exists()


def test_a_second_build_reuses_what_is_there(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    places = ["--source", "cmlr", "--root", f"{work}/raw/cmlr", "--out", f"{work}/shards"]
    assert main(["data", "build", *places, "--size", "64"]) == 0
    assert "reused" in capfd.readouterr().err
