"""sources.cmlr: the corpus as it really lies on disk, with its traps."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpora import CMLR_IDS, CMLR_TEXT, MP4_HEAD, WAV_HEAD, cmlr, cmlr_files, touch
from hypothesis import given
from hypothesis import strategies as st

from datapipe.records import Clip, Rejected
from datapipe.shards import escape_key, unescape_key
from datapipe.sources import UNSEEN_SPEAKERS, SourceConfig, Unusable, examine, find_clips
from datapipe.sources.cmlr import CONSENT, LICENCE
from datapipe.sources.cmlr_text import read_transcript


def clips(root: Path) -> dict[str, Clip]:
    return {each.id: each for each in find_clips("cmlr", root, SourceConfig()) if isinstance(each, Clip)}


def unusable(root: Path) -> dict[str, tuple[str, str]]:
    found = find_clips("cmlr", root, SourceConfig())
    return {each.id: (each.reason, each.message) for each in found if isinstance(each, Unusable)}


@pytest.mark.parametrize("nested", [False, True])
def test_negative_starts_dots_and_doubled_folders(tmp_path: Path, nested: bool) -> None:
    found = clips(cmlr(tmp_path, nested))
    assert list(found) == sorted(CMLR_IDS)
    assert all(each.video.is_file() and each.audio and each.audio.is_file() for each in found.values())
    assert [found[each].split for each in CMLR_IDS] == ["train", "train", "test"]
    first = found[CMLR_IDS[0]]
    assert (first.text, first.language, first.speaker, len(first.words)) == ("今天很好", "zh", "s1", 2)
    assert (first.day, first.licence, first.consent) == ("20260105", LICENCE, CONSENT)
    assert {unescape_key(escape_key(each)) for each in found} == set(found)


def test_clips_of_one_name_and_of_a_fraction_of_a_second_stay_apart(tmp_path: Path) -> None:
    # 212 test clips of the release share their file name across speakers and days; the shortest has 0.82 s
    ids = ["s1/20150101_section_1_000.10_000.92", "s1/20150102_section_1_000.10_000.92"]
    ids += ["s11/20150101_section_1_000.10_000.92", "s1/20150101_section_1_000.10_000.9"]
    for each in ids:
        cmlr_files(tmp_path, each)
    assert set(clips(tmp_path)) == set(ids)
    assert len({escape_key(each).partition(".")[0] for each in ids}) == 4


@given(st.floats(-1, 999), st.integers(1, 13), st.integers(1, 11))
def test_ids_come_back_from_their_keys(start: float, section: int, speaker: int) -> None:
    clip_id = f"s{speaker}/20151009_section_{section}_{start:06.2f}_{start + 2:06.2f}"
    key = escape_key(clip_id)
    assert unescape_key(key) == clip_id and not set(key) & set("./")


def test_without_lists_and_with_holes(tmp_path: Path) -> None:
    root = cmlr(tmp_path)
    (root / "train.csv").unlink(), (root / "test.csv").unlink()
    next(root.glob("audio/s1/**/*.wav")).unlink()
    next(root.glob("video/s2/**/*.mp4")).unlink()
    assert [each.split for each in clips(root).values()] == [None]
    assert {reason for reason, _ in unusable(root).values()} == {"missing_file"}
    report = examine("cmlr", root)
    assert (report.expected, report.have) == (3, (CMLR_IDS[2],))
    assert report.missing == (f"{CMLR_IDS[0]}: no audio", f"{CMLR_IDS[1]}: no video")
    assert report.counts == {"s1": (0, 1), "s2": (0, 1), "s5": (1, 1)}


def test_speakers_that_were_not_downloaded_are_the_doctors_business(tmp_path: Path) -> None:
    root = cmlr(tmp_path)
    gone, absent = "s1/20260105_section_9_000.10_001.00", "s9/20150101_section_1_000.10_001.00"
    touch(root / "val.csv", f"{absent}\n{gone}\n".encode())
    assert set(unusable(root)) == {gone} and absent not in clips(root)
    report = examine("cmlr", root)
    assert f"{absent}: no video" in report.missing
    assert (
        report.counts["s9"] == (0, 1) and report.counts["val"] == (0, 2) and report.counts["train"] == (2, 2)
    )


@pytest.mark.parametrize("head", ["", "id\n", "video_id,text\n", "\n\n"])
@pytest.mark.parametrize(
    "line", ["{}", "{}.mp4", '"{}",x', "{}\t今天", " {} ", "video/{}.MP4", "{}\r", "\ufeff{}"]
)
def test_lists_with_and_without_a_header_and_suffixes(tmp_path: Path, head: str, line: str) -> None:
    cmlr_files(tmp_path, CMLR_IDS[2])
    touch(tmp_path / "val.csv", (head + line.format(CMLR_IDS[2]) + "\n\n").encode("utf-8-sig"))
    assert [each.split for each in clips(tmp_path).values()] == ["val"] and not unusable(tmp_path)


def test_a_list_may_have_the_slash_of_the_disk_and_another_encoding(tmp_path: Path) -> None:
    cmlr_files(tmp_path, CMLR_IDS[2])
    touch(tmp_path / "val.csv", CMLR_IDS[2].replace("_", "/", 1).encode("utf-16"))
    assert [each.split for each in clips(tmp_path).values()] == ["val"]


def test_a_clip_in_two_lists_is_never_trained_on(tmp_path: Path) -> None:
    root = cmlr(tmp_path)
    touch(root / "train.csv", "\n".join(CMLR_IDS).encode())
    assert clips(root)[CMLR_IDS[2]].split == "test"
    assert any("in two lists" in note for note in examine("cmlr", root).notes)


@pytest.mark.parametrize(
    "entry",
    ["../../etc/passwd", "/etc/passwd", "s1/../../x", "s1/.._passwd", "s1/a_../b", "..\\x/1_2", "a/b"],
)
def test_a_list_never_names_a_file_elsewhere(tmp_path: Path, entry: str) -> None:
    root = cmlr(tmp_path / "root")
    for outside in ("etc", "root/etc", "root/s1"):
        touch(tmp_path / outside / "passwd.mp4")
    touch(root / "val.csv", f"s1/20260105_section_9_000.10_001.00\n{entry}\n".encode())
    found = unusable(root)
    assert found["val.csv:2"][0] == "bad_annotation" and "line 2 of val.csv" in found["val.csv:2"][1]
    assert all(str(each.video).startswith(str(root / "video")) for each in clips(root).values())
    assert set(clips(root)) == set(CMLR_IDS)


def test_a_file_in_both_layouts_is_one_clip(tmp_path: Path) -> None:
    cmlr(tmp_path, nested=True), cmlr(tmp_path)
    found = clips(tmp_path)
    assert set(found) == set(CMLR_IDS) and found[CMLR_IDS[0]].video.parent.parent.parent.name == "video"
    assert any("files are there twice" in note for note in examine("cmlr", tmp_path).notes)


@pytest.mark.parametrize(
    ("part", "content", "word"),
    [
        ("video", b"", "empty file"),
        ("video", b"<html>not found</html>", "no MP4"),
        ("video", MP4_HEAD[:16] + b"\0\0\1\0mdat", "cut off: 24 of at least 272"),
        ("video", MP4_HEAD[:16], "no index"),
        ("video", MP4_HEAD + b"\0\0\0\1free" + (2**60).to_bytes(8, "big"), "cut off"),
        ("video", MP4_HEAD + b"\0\0\0\2free", "damaged after 24"),
        ("audio", b"ID3", "no WAV"),
        ("audio", b"RIFF\xff\x0f\0\0WAVE", "cut off: 12 of 4103"),
        ("text", b"", "no sentence"),
        ("text", b"\x89PNG\0\0\xff\xff\xff", "no text"),
        ("text", b"a" * 70000, "longer than any"),
    ],
)
def test_the_doctor_tells_what_is_broken(tmp_path: Path, part: str, content: bytes, word: str) -> None:
    root = cmlr(tmp_path)
    next(root.glob(f"{part}/s5/**/section*")).write_bytes(content)
    (fault,) = examine("cmlr", root).broken
    assert fault.startswith(f"{CMLR_IDS[2]}: {part}: ") and word in fault


def test_sound_headers_of_unknown_length_and_sound_ones_pass(tmp_path: Path) -> None:
    root = cmlr(tmp_path)
    assert examine("cmlr", root).broken == ()
    next(root.glob("audio/s5/**/section*")).write_bytes(WAV_HEAD[:4] + b"\xff" * 4 + WAV_HEAD[8:])
    assert examine("cmlr", root).broken == ()


def test_a_text_that_is_none_costs_its_clip_alone(tmp_path: Path) -> None:
    root = cmlr(tmp_path)
    next(root.glob("text/s5/**/*.txt")).write_bytes(b"\xff\x00\x81\x00")
    assert unusable(root)[CMLR_IDS[2]][0] == "bad_annotation" and len(clips(root)) == 2


@pytest.mark.parametrize(
    "line",
    [
        "今天 0.10 0.50",
        "0.10 0.50 今天",
        "0.10,0.50,今天",
        "今天\t0.1\t0.5",
        "  今天 ; 0.10 ; 0.50 ",
        "今天[0.10-0.50]",
        "('今天', 0.10, 0.50)",
        "今天|0.10|0.50",
    ],
)
def test_word_boundaries_in_any_columns(tmp_path: Path, line: str) -> None:
    noise = "garbage\n\n今 天\n今天 0.5 0.1\n今天 1 2 3\n今天 1e999 2\n"
    sentence, words = read_transcript(touch(tmp_path / "a.txt", f"今 天\n{line}\n{noise}".encode()), "")
    assert sentence == "今天" and [(w.text, w.start, w.end) for w in words] == [("今天", 0.1, 0.5)]


def test_word_times_of_the_section_are_brought_to_the_clip(tmp_path: Path) -> None:
    name = CMLR_IDS[2]  # 30.36 to 32.65 of its section
    ours = touch(tmp_path / "a.txt", CMLR_TEXT.encode())
    theirs = touch(tmp_path / "b.txt", "今天很好\n今天 30.46 30.86\n很好 30.86 31.26\n".encode())
    strange = touch(tmp_path / "c.txt", "今天很好\n今天 70.1 70.5\n".encode())
    spans = [
        [(round(w.start, 6), round(w.end, 6)) for w in read_transcript(path, name)[1]]
        for path in (ours, theirs)
    ]
    assert spans[0] == spans[1] == [(0.1, 0.5), (0.5, 0.9)]
    assert read_transcript(strange, name)[1][0].start == 70.1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_of_texts(tmp_path: Path, encoding: str) -> None:
    text = touch(tmp_path / "a.txt", "今天\u3000很好\r\n".encode(encoding))
    assert read_transcript(text, "")[0] == "今天很好"
    with pytest.raises(Rejected, match="cannot be read"):
        read_transcript(tmp_path / "none.txt", "")


def test_a_day_that_is_none_is_not_stated(tmp_path: Path) -> None:
    cmlr_files(tmp_path, "s1/extra_section_1_000.10_001.00")
    assert [each.day for each in clips(tmp_path).values()] == [None]


def test_the_unseen_speakers_of_public_code_are_known() -> None:
    assert UNSEEN_SPEAKERS == ("s2", "s6")
