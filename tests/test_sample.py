"""The sample corpus as a whole: layouts, splits, answers, determinism, and how it is published."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest

from datapipe.media import SAMPLE_RATE, read_audio, read_frames
from datapipe.records import Rejected
from datapipe.sample import SampleConfig, SampleReport, make, make_sample
from datapipe.sample.cmlr import path_of
from datapipe.sample.mesh import known_portraits
from datapipe.sample.plan import plan_cmlr, plan_hdtf
from datapipe.sample.speech import timeline

TINY = SampleConfig(num_cmlr_speakers=2, clips_per_speaker=3, num_hdtf_videos=1)
pytestmark = pytest.mark.assets


def quiet(items, label, total):
    yield from items


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> SampleReport:
    return make_sample(tmp_path_factory.mktemp("sample") / "corpus", TINY, quiet)


def ids(corpus: SampleReport) -> dict[str, list[str]]:
    lists = {}
    for split in ("train", "val", "test"):
        with (corpus.path / "cmlr" / f"{split}.csv").open(encoding="utf-8", newline="") as stream:
            lists[split] = [row[0] for row in csv.reader(stream)]
    return lists


def answer(corpus: SampleReport, clip_id: str, source: str = "cmlr") -> dict:
    return json.loads((corpus.path / "answers" / source / f"{clip_id}.json").read_text(encoding="utf-8"))


def test_cmlr_layout_is_the_releases(corpus: SampleReport):
    root = corpus.path / "cmlr"
    names = [each for listed in ids(corpus).values() for each in listed]
    assert len(names) == len(set(names)) == corpus.num_cmlr_clips == 6
    for name in names:
        speaker, rest = name.split("/")
        _, section, _, start, end = rest.split("_")
        assert section == "section" and speaker in ("s1", "s2")
        place = path_of(name)
        with av.open(str(root / "video" / f"{place}.mp4")) as container:
            assert not container.streams.audio, "CMLR video has no sound"
            num_frames = container.streams.video[0].frames
        sound = read_audio(root / "audio" / f"{place}.wav")
        assert len(sound) == num_frames * SAMPLE_RATE // 25
        assert float(end) - float(start) == pytest.approx(num_frames / 25, abs=0.011)
    assert any("_-00.01_" in name for name in names), (
        "one clip starts before its section, as 41 of the release do"
    )


def test_cmlr_text_has_the_sentence_then_word_boundaries(corpus: SampleReport):
    for name in (each for listed in ids(corpus).values() for each in listed):
        text = (
            (corpus.path / "cmlr" / "text" / f"{path_of(name)}.txt").read_text(encoding="utf-8").splitlines()
        )
        words = [line.split(" ") for line in text[1:]]
        assert text[0] == "".join(word for word, _, _ in words) == answer(corpus, name)["text"]
        times = [float(each) for _, start, end in words for each in (start, end)]
        assert times == sorted(times)


def test_our_own_adapters_read_both_corpora(corpus: SampleReport):
    sources = pytest.importorskip("datapipe.sources")
    config = pytest.importorskip("datapipe.config").SourceConfig()
    assert len(sources.find_clips("cmlr", corpus.path / "cmlr", config)) == 6
    assert len(sources.find_clips("hdtf", corpus.path / "hdtf", config)) == corpus.num_hdtf_clips == 2


def test_hdtf_layout_is_a_downloads(corpus: SampleReport):
    root = corpus.path / "hdtf"
    assert (root / "HDTF_dataset" / "WDA_video_url.txt").read_bytes().startswith(b"\xef\xbb\xbf")
    names = {path.name for path in (root / "HDTF_dataset").iterdir()}
    assert "WRA_annotion_time.txt" in names and len(names) == 15
    with av.open(str(root / "videos" / "Collins0.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        video = container.streams.video[0]
        assert (video.width, video.height, int(video.average_rate)) == (480, 360, 25)
    truth = answer(corpus, "Collins0", "hdtf")
    assert truth["language"] == "en" and truth["num_frames"] == 250 and truth["sync_offset"] == 0


def test_hdtf_annotations_hold_whole_recordings_and_one_crop_is_missing():
    plans = plan_hdtf(SampleConfig(), ["a", "b", "c", "d", "e"])
    assert sum(len(plan.ranges) for plan in plans) == 11 and {plan.clip.fps for plan in plans} == {25, 30}
    for plan in plans:
        spoken = [p for p in timeline(plan.clip.utterance).phonemes if p.symbol != "SIL"]
        for second in {edge for span in plan.ranges for edge in span}:
            assert not any(p.start < second < p.end for p in spoken), (
                "a cut at a whole second falls into a word"
            )


def test_answers_lie_outside_the_corpora(corpus: SampleReport):
    for part in ("cmlr", "hdtf"):
        suffixes = {path.suffix for path in (corpus.path / part).rglob("*") if path.is_file()}
        assert suffixes <= {".mp4", ".wav", ".txt", ".csv"}
    assert len(list((corpus.path / "answers").rglob("*.json"))) == 7
    assert str(corpus.path) not in (corpus.path / "sample.json").read_text()


def test_answers_fit_the_frames(corpus: SampleReport):
    for name in (each for listed in ids(corpus).values() for each in listed):
        truth = answer(corpus, name)
        lips = np.load(corpus.path / "answers" / "cmlr" / f"{name}.npz")
        assert lips["lips_TK2"].shape == (truth["num_frames"], 22, 2) and lips["opening_T"].min() >= 0
        ends = [0.0] + [each["end"] for each in truth["phonemes"]]
        starts = [each["start"] for each in truth["phonemes"]]
        assert starts == pytest.approx(ends[:-1]) and ends[-1] == pytest.approx(truth["num_frames"] / 25)


def test_no_sentence_is_said_twice_and_every_speaker_is_tested():
    known = known_portraits()
    faces = [(name, known[name].voice) for name in make.CMLR_FACES]
    for seed in range(5):
        plans = plan_cmlr(SampleConfig(seed=seed), faces)
        texts = [timeline(plan.utterance).text for plan in plans]
        assert len(set(texts)) == len(plans) == 54 and len({plan.id for plan in plans}) == 54
        tested = [plan for plan in plans if plan.split == "test"]
        assert {plan.id.split("/")[0] for plan in tested} == {f"s{n}" for n in range(1, 7)}
        assert 0.1 < len(tested) / len(plans) < 0.2
        assert all(1.3 < plan.utterance.duration < 5 for plan in plans)


def test_the_same_config_gives_the_same_files(tmp_path: Path):
    sizes = {"num_cmlr_speakers": 1, "clips_per_speaker": 2, "num_hdtf_videos": 0}
    one, two = (make_sample(tmp_path / str(n), SampleConfig(**sizes, workers=n), quiet) for n in (1, 2))
    assert one.config_hash == two.config_hash
    files = [{p.relative_to(c.path): p for p in c.path.rglob("*.*") if p.is_file()} for c in (one, two)]
    assert files[0].keys() == files[1].keys()
    for name in files[0]:
        first, second = (each[name] for each in files)
        if name.suffix == ".mp4":
            assert np.array_equal(read_frames(first), read_frames(second)), name
        elif name.name != "sample.json":
            assert first.read_bytes() == second.read_bytes(), name


def test_another_seed_gives_another_corpus():
    faces = [("hopper", "f")]
    first, second = (plan_cmlr(SampleConfig(num_cmlr_speakers=1, seed=seed), faces) for seed in (0, 1))
    assert [plan.id for plan in first] != [plan.id for plan in second]


def test_a_finished_corpus_is_reused_and_a_stale_one_replaced(
    corpus: SampleReport, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(make, "_render_all", lambda *_: pytest.fail("rendered again"))
    again = make_sample(corpus.path, TINY, quiet)
    assert again.reused and again.num_frames == corpus.num_frames and again.identities == corpus.identities


def test_an_older_sample_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(make, "_render_all", lambda *_: 0)
    make_sample(tmp_path / "out", TINY, quiet)
    (tmp_path / "out" / "old").touch()
    report = make_sample(tmp_path / "out", SampleConfig(seed=1, num_cmlr_speakers=1), quiet)
    assert not report.reused and not (tmp_path / "out" / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_foreign_folder_is_refused(tmp_path: Path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(Rejected, match="no sample corpus") as caught:
        make_sample(tmp_path, TINY, quiet)
    assert caught.value.reason == "bad_input" and [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_nothing_is_left_of_an_interrupted_run(error: type[BaseException], tmp_path: Path, monkeypatch):
    def stop(folder: Path, *_: object) -> int:
        (folder / "cmlr").mkdir()
        raise error

    monkeypatch.setattr(make, "_render_all", stop)
    with pytest.raises(error):
        make_sample(tmp_path / "out", TINY, quiet)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong", [{"clips_per_speaker": 0}, {"num_hdtf_videos": 7}, {"articulation": 2.0}, {"longest_clip": 1.0}]
)
def test_sizes_that_make_no_sense_are_refused(wrong: dict[str, float]):
    with pytest.raises(Rejected, match="sample: "):
        SampleConfig(**wrong)


def test_more_speakers_than_faces_are_refused(tmp_path: Path):
    with pytest.raises(Rejected, match="add portraits"):
        make_sample(tmp_path / "out", SampleConfig(num_cmlr_speakers=10), quiet)


def test_the_note_says_who_may_be_shown(corpus: SampleReport):
    rows = [
        line.split("|")
        for line in (corpus.path / "README.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    shown = {row[1].strip() for row in rows if row[3].strip() == "yes"}
    assert shown == {"hopper", "collins"}
