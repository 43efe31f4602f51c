"""sources, segment: what all adapters promise, whatever the disk holds."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from corpora import CMLR_IDS, MP4_HEAD, cmlr, cmlr_files, hdtf_lists, touch, video
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.__main__ import main
from datapipe.cell import Cell
from datapipe.records import Clip, Rejected, printable, to_json
from datapipe.segment import SegmentConfig, segments
from datapipe.shards import escape_key, unescape_key
from datapipe.sources import DOCTORS, Memo, SourceConfig, Unusable, examine, find_clips, look
from datapipe.sources.folder import folder_clips
from datapipe.sources.found import LONGEST_KEY, Found, clip_id, is_name


def test_a_root_without_anything_is_said(tmp_path: Path) -> None:
    for source in DOCTORS:
        with pytest.raises(Rejected, match="holds nothing"):
            find_clips(source, tmp_path, SourceConfig())
        assert examine(source, tmp_path).expected == 0
    for ask in (examine, lambda source, root: find_clips(source, root, SourceConfig())):
        with pytest.raises(Rejected, match="known: cmlr, hdtf, folder"):
            ask("grid", tmp_path)
        with pytest.raises(Rejected, match="not a folder"):
            ask("folder", tmp_path / "none")


def check(found: list[Found], root: Path) -> None:
    """Hold whatever was found to what run.py counts on."""
    assert [each.id for each in found] == sorted({each.id for each in found})
    for each in found:
        assert each.id == printable(each.id) and unescape_key(escape_key(each.id)) == each.id
        json.dumps(each.id, ensure_ascii=False).encode()
        if isinstance(each, Unusable):
            assert each.message == printable(each.message) and len(each.message) < 1000
            Rejected(each.reason, each.message)
        else:
            assert each.video.resolve().is_relative_to(root.resolve()) and each.video.is_file()
            assert to_json(each).encode()


NAMES = [*CMLR_IDS, "Ann1", "Ann1.mp4", "Ann1_0.mp4", "Ann1_1", "../../x", "..", "/etc/x", "今天 0.1 0.5"]
FIELDS = [
    "0:00-0:01",
    "0:01-0:00",
    "1:00:00-2:00:00",
    "0",
    "36",
    "²",
    "1e9",
    "-1",
    "nan",
    "9" * 5000,
    "?v=abcdefghi",
]
MARKS = [" ", " ", " ", "\n", "\n", "\n", ",", "\t", "\x85", "\u2028", "\ufeff", "\0"]
LINES = st.lists(
    st.sampled_from([*NAMES, *FIELDS, *MARKS, "10 20 30 40"]),
    max_size=40,
).map(lambda parts: "".join(parts).encode())
JUNK = st.one_of(st.binary(max_size=300), LINES, LINES.map(lambda raw: raw.decode().encode("utf-16")))


@settings(max_examples=50, deadline=None)
@given(st.lists(JUNK, min_size=4, max_size=4), st.sampled_from(["train.csv", "val.csv"]))
def test_no_bytes_in_cmlr_lists_or_texts_stop_a_listing(junk: list[bytes], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        cmlr_files(root, CMLR_IDS[0], text=junk[0]), cmlr_files(root, CMLR_IDS[1])
        touch(root / name, junk[1]), touch(root / "test.csv", junk[2])
        touch(Path(folder) / "x.mp4"), touch(root / "x.mp4")
        next(root.glob("audio/s1/**/*.wav")).write_bytes(junk[3])
        found = find_clips("cmlr", root, SourceConfig())
        check(found, root)
        assert {CMLR_IDS[0], CMLR_IDS[1]} <= {each.id for each in found}
        report = examine("cmlr", root)
        assert len(report.have) <= report.expected and json.dumps(report.summary())


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return video(tmp_path_factory.mktemp("video") / "a.mp4", 1.0)


@settings(max_examples=150, deadline=None)
@given(lists=st.lists(JUNK, min_size=4, max_size=4), begin=st.booleans())
def test_no_bytes_in_hdtf_lists_stop_a_listing(second: Path, lists: list[bytes], begin: bool) -> None:
    kinds = ("video_url", "resolution", "annotion_time", "crop_wh")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        for kind, junk in zip(kinds, lists, strict=True):
            touch(
                root / "HDTF_dataset" / f"WDA_{kind}.txt", (b"Ann1.mp4 0:00-0:01 " if begin else b"") + junk
            )
        touch(root / "videos" / "Ann1.mp4", second.read_bytes()), touch(root / "Ann1_1.mp4", MP4_HEAD)
        touch(Path(folder) / "x.mp4"), touch(root / "x.mp4")
        try:
            check(find_clips("hdtf", root, SourceConfig()), root)
        except Rejected as rejected:
            assert rejected.reason == "bad_input" and not begin
        assert json.dumps(examine("hdtf", root).summary())


@settings(max_examples=100, deadline=None)
@given(transcript=st.one_of(JUNK, st.binary(max_size=2000)), suffix=st.sampled_from([".txt", ".lab"]))
def test_no_bytes_in_transcripts_or_videos_stop_a_listing(transcript: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        touch(root / "a.mp4", transcript), touch(root / f"a{suffix}", transcript)
        found = find_clips("folder", root, SourceConfig(language="zh"))
        check(found, root)
        assert len(found) == 1 and examine("folder", root).expected == 1


ANY_NAME = st.text(st.characters(codec=None, exclude_characters="\0"), min_size=1, max_size=300)


@given(ANY_NAME)
def test_any_name_gives_an_id_and_a_key(name: str) -> None:
    made = clip_id(name)
    key = escape_key(made)
    assert unescape_key(key) == made and len(key) <= LONGEST_KEY and key.isascii()
    assert made == printable(made) and len(made.splitlines()) == 1
    if name == printable(name) and "\\" not in name and len(escape_key(name)) <= LONGEST_KEY:
        assert made == name


@given(
    st.lists(st.text("a\\x85\x85\n\udcff\\ud", min_size=1, max_size=8), min_size=2, max_size=8, unique=True)
)
def test_different_names_give_different_ids(names: list[str]) -> None:
    assert len({clip_id(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\\b", "a\0", "a\nb", "\udcff", "x" * 256])
def test_what_is_no_name(name: str) -> None:
    assert not is_name(name) and is_name("a-b.c_..d")


def test_a_list_that_cannot_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> bytes:
        raise OSError(5, "Input/output error", str(path))

    cmlr(tmp_path / "a"), hdtf_lists(tmp_path / "b", "RD", "R.mp4 0:00-0:01\n")
    monkeypatch.setattr(Path, "read_bytes", fail)
    for source, root in (("cmlr", "a"), ("hdtf", "b")):
        with pytest.raises(Rejected, match=r"cannot be read \(Input/output error\)") as caught:
            find_clips(source, tmp_path / root, SourceConfig())
        assert caught.value.reason == "bad_input"


def test_the_doctor_prints_have_missing_broken_and_sums(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = cmlr(tmp_path)
    next(root.glob("video/s2/**/*.mp4")).unlink()
    assert main(["doctor", "--source", "cmlr", "--root", str(root)]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert f"have: {CMLR_IDS[0]}" in lines and f"missing: {CMLR_IDS[1]}: no video" in lines
    assert "2 of 3 present, 0 broken" in lines and "s2: 0 of 1" in lines and "train: 1 of 2" in lines
    assert main(["doctor", "--source", "cmlr", "--root", str(root), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["counts"]["test"] == [1, 1]
    assert main(["doctor", "--source", "cmlr", "--root", str(root / "none")]) == 2


@given(st.integers(0, 60 * 25), st.integers(0, 9))
def test_segments_tile_the_sound_and_keep_their_length(num_frames: int, seed: int) -> None:
    spans = segments(np.random.default_rng(seed).normal(0, 0.1, num_frames))
    assert sum(end - start for start, end in spans) == pytest.approx(num_frames / 25)
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert all(end - start <= 10.0 + 1e-9 for start, end in spans)
    assert all(end - start >= 3.0 - 1e-9 for start, end in spans) or num_frames < 75


@pytest.mark.parametrize("wrong", [{"longest": 0.0}, {"shortest": 0.0}, {"longest": 5.0}, {"pause": -1.0}])
def test_pieces_that_cannot_be_cut_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(Rejected, match="cannot be cut"):
        SegmentConfig(**wrong)


def test_a_clip_is_what_its_corpus_says(tmp_path: Path) -> None:
    (first, *_) = find_clips("cmlr", cmlr(tmp_path), SourceConfig(licence="ours", consent="given"))
    assert isinstance(first, Clip) and (first.licence, first.consent) == ("ours", "given")


@pytest.mark.parametrize(
    ("name", "reason"), [("crash", "crashed"), pytest.param("hang", "timeout", marks=pytest.mark.slow)]
)
def test_a_file_that_kills_the_decoder_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    good = video(tmp_path / "a.mp4", 13.0, gaps=(5.0,))
    for other in (f"b-{name}.mp4", "c.mp4"):
        shutil.copy(good, tmp_path / other)
    memo: Memo = {}
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(look, "PROBE_LIMIT", 10.0)
    with closing(Cell("corpora:answer_or_die")) as cell:
        mine = look.Look(memo=memo, cell=cell)
        with pytest.raises(Rejected) as caught:
            mine.probe(tmp_path / f"b-{name}.mp4")
        found = folder_clips(tmp_path, SourceConfig(), mine)
    assert caught.value.reason == reason
    # one that cannot be looked at is left to its turn, where it is on record
    assert {each.id for each in found} == {"a_000", "a_001", f"b-{name}", "c_000", "c_001"}
    assert [spans for key, spans in memo.items() if name in key] == [[]]  # and is not tried again


def test_a_listing_is_the_same_in_a_child(tmp_path: Path) -> None:
    video(tmp_path / "a\nb.mp4", 13.0, gaps=(5.0,))
    touch(tmp_path / "broken.mp4")
    here, there = ({}, {})  # type: Memo, Memo
    assert find_clips("folder", tmp_path, SourceConfig(), here) == find_clips(
        "folder", tmp_path, SourceConfig(), there, isolate=True
    )
    assert here == there and examine("folder", tmp_path) == examine("folder", tmp_path, isolate=True)
