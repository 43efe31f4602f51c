"""sources.hdtf: annotated ranges of whole videos and clips that are cut already, with the release's traps."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpora import hdtf_lists, touch, video

from datapipe.records import Clip
from datapipe.sources import Memo, SourceConfig, Unusable, cut, examine, find_clips
from datapipe.sources.hdtf import CONSENT, LICENCE


def listed(root: Path, memo: Memo | None = None) -> dict[str, Clip | Unusable]:
    return {each.id: each for each in find_clips("hdtf", root, SourceConfig(), memo)}


def clips(root: Path) -> dict[str, Clip]:
    return {name: each for name, each in listed(root).items() if isinstance(each, Clip)}


def unusable(root: Path) -> dict[str, tuple[str, str]]:
    found = listed(root).items()
    return {name: (each.reason, each.message) for name, each in found if isinstance(each, Unusable)}


def hdtf(root: Path) -> Path:
    hdtf_lists(
        root,
        "WDA",
        "Alpha0.mp4 00:01-00:13 00:02-00:01\nGone1.mp4 0:00-0:09\n",
        video_url="\ufeffAlpha0 https://www.youtube.com/watch?v=aaaaaaaaaaa\nGone1 y\nNoTimes z\n",
        resolution="Alpha0.mp4 72\nGone1.mp4 0\n",
        crop_wh="Alpha0_0.mp4 10 20 30 40\n",
    )
    video(root / "videos" / "WDA_Alpha0.mp4", 14.0, gaps=(6.0,))
    return root


def test_ranges_are_cut_at_silence_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    found = clips(hdtf(tmp_path))
    first, second = found["WDA_Alpha0_000_000"], found["WDA_Alpha0_000_001"]
    assert first.start == 1.0 and second.end == 13.0 and first.end == second.start
    assert first.end == pytest.approx(6.0, abs=0.25)
    assert first.crop_hint == (5.0, 15.0, 15.0, 35.0)  # windows are for 72 lines, the video has 36
    assert (first.speaker, first.licence, first.consent) == ("Alpha", LICENCE, CONSENT)
    bad = unusable(tmp_path)
    assert set(bad) == {"WDA_Alpha0_001", "WDA_Gone1_000"}
    assert bad["WDA_Alpha0_001"][0] == "bad_annotation" and bad["WDA_Gone1_000"][0] == "missing_file"


def test_the_doctor_compares_ranges(tmp_path: Path) -> None:
    report = examine("hdtf", hdtf(tmp_path))
    assert (report.expected, report.have, report.missing) == (3, ("WDA_Alpha0_000",), ("WDA_Gone1_000",))
    assert [fault.partition(":")[0] for fault in report.broken] == ["WDA_Alpha0_001"]
    assert report.counts == {"RD": (0, 0), "WDA": (1, 3), "WRA": (0, 0)}
    notes = "\n".join(report.notes)
    assert "3 annotated ranges of 2 videos, 0.01 h" in notes
    assert "2 ranges without a crop window: WDA_Alpha0_001, WDA_Gone1_000" in notes
    assert "1 videos without an annotated resolution (windows not used): Gone1" in notes
    assert "1 videos with an address but no time range: WDA_NoTimes" in notes
    assert "WDA_Alpha0_000 36 for 72" in notes and "unusual resolution: Alpha0 72" in notes


def test_the_byte_order_mark_hides_no_video_and_one_address_is_one_person(tmp_path: Path) -> None:
    hdtf_lists(
        tmp_path,
        "WDA",
        "WhipJimClyburn.mp4 0:00-0:01\nJamesClyburn0.mp4 0:00-0:01\nJamesClyburn1.mp4 0:00-0:01\n",
        video_url="\ufeffWhipJimClyburn https://www.youtube.com/watch?v=gh3YqnvNdio\n"
        "JamesClyburn1 https://youtu.be/gh3YqnvNdio?t=6\n",
    )
    for name in ("WhipJimClyburn", "JamesClyburn0", "JamesClyburn1"):
        video(tmp_path / f"{name}.mp4", 1.0)
    assert {each.speaker for each in clips(tmp_path).values()} == {"JamesClyburn"}
    notes = examine("hdtf", tmp_path).notes
    assert "1 addresses with two names: WhipJimClyburn = JamesClyburn1" in notes


def test_a_speaker_is_one_person_over_groups_and_numbered_radio_videos_are_not(tmp_path: Path) -> None:
    hdtf_lists(tmp_path, "WDA", "JohnKasich1.mp4 0:00-0:01\n")
    hdtf_lists(tmp_path, "WRA", "JohnKasich2.mp4 0:00-0:01\n123.mp4 0:00-0:01\n")
    hdtf_lists(tmp_path, "RD", "Radio1.mp4 0:00-0:01\nRadio2.mp4 0:00-0:01\n")
    for name in ("JohnKasich1", "JohnKasich2", "123", "Radio1", "Radio2"):
        video(tmp_path / "videos" / f"{name}.mp4", 1.0)
    found = {each.video.stem: each.speaker for each in clips(tmp_path).values()}
    assert found == {
        "JohnKasich1": "JohnKasich",
        "JohnKasich2": "JohnKasich",
        "123": "123",
        "Radio1": "Radio1",
        "Radio2": "Radio2",
    }


@pytest.mark.parametrize(
    ("height", "window", "expected"),
    [
        (36, "4 20 6 20", (4.0, 6.0, 24.0, 26.0)),
        (0, "4 20 6 20", None),  # KevinMcCarthy1: nothing says what the window refers to
        (2160, "240 1200 360 1200", (4.0, 6.0, 24.0, 26.0)),  # Radio56
        (18, "2 10 3 40", (4.0, 6.0, 24.0, 36.0)),  # MazieHirono1: 1134 lines of 720
        (36, "-5 20 -5 20", (0.0, 0.0, 15.0, 15.0)),
        (36, "90 20 90 20", None),
        (36, "4 20 6", None),
        (36, "4 0 6 0", None),
        (36, "x y z w", None),
    ],
)
def test_crop_windows_are_brought_to_the_real_picture(
    tmp_path: Path, height: int, window: str, expected: tuple[float, ...] | None
) -> None:
    times = "A.mp4 0:00-0:01\n"
    hdtf_lists(tmp_path, "WRA", times, resolution=f"A.mp4 {height}\n", crop_wh=f"A_0.mp4 {window}\n")
    video(tmp_path / "A.mp4", 1.0)
    assert clips(tmp_path)["WRA_A_000_000"].crop_hint == (pytest.approx(expected) if expected else None)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0:01-0:03", (1, 3)),
        ("00:01-0:00:03", (1, 3)),
        ("0:00:01.5-00:03.25", (1.5, 3.25)),
        ("00:01–00:03", (1, 3)),
        ("00:01 - 00:03", (1, 3)),
        ("00:01-99:00", (1, 4)),
    ],
)
def test_spellings_of_a_range(tmp_path: Path, text: str, span: tuple[float, float]) -> None:
    hdtf_lists(tmp_path, "RD", f"Radio1.mp4 {text} \n")
    video(tmp_path / "Radio1.webm.mp4", 4.0).rename(tmp_path / "Radio1.mp4")
    (found,) = clips(tmp_path).values()
    assert (found.start, found.end) == span


@pytest.mark.parametrize(
    ("ranges", "word"),
    [
        ("0:03-0:01", "no mm:ss-mm:ss"),
        ("0:01-0:01", "no mm:ss-mm:ss"),
        ("nonsense", "no mm:ss-mm:ss"),
        ("1-2", "no mm:ss-mm:ss"),
        ("٠:٠١-٠:٠٣", "no mm:ss-mm:ss"),
        ("9" * 5000 + ":00-1:00", "no mm:ss-mm:ss"),
        ("1:00-2:00", "beyond the end"),
    ],
)
def test_ranges_that_are_none(tmp_path: Path, ranges: str, word: str) -> None:
    hdtf_lists(tmp_path, "RD", f"Radio1.mp4 {ranges}\n")
    video(tmp_path / "Radio1.mp4", 4.0)
    ((reason, message),) = unusable(tmp_path).values()
    assert reason == "bad_annotation" and word in message and not clips(tmp_path)
    assert len(examine("hdtf", tmp_path).broken) == 1


def test_a_range_over_another_is_said(tmp_path: Path) -> None:
    # MittRomney of the release: `08:10-08:30 00:33-08:53`
    hdtf_lists(tmp_path, "WRA", "MittRomney.mp4 0:02-0:03 0:00-0:04\n")
    video(tmp_path / "MittRomney.mp4", 4.0)
    assert list(clips(tmp_path)) == ["WRA_MittRomney_000_000"]
    reason, message = unusable(tmp_path)["WRA_MittRomney_001"]
    assert reason == "bad_annotation" and "0:00-0:04 overlaps 0:02-0:03" in message


@pytest.mark.parametrize(
    "place",
    ["{}.mp4", "videos/{}.mkv", "videos/WDA_{}.mp4", "_videos_raw/WDA_{}.mp4", "WDA/{}.webm", "a/b/c/{}.MP4"],
)
def test_where_whole_videos_may_lie(tmp_path: Path, place: str) -> None:
    hdtf_lists(
        tmp_path, "WDA", "Ann1.mp4 0:01-0:03\n", resolution="Ann1.mp4 36\n", crop_wh="Ann1_0 0 9 0 9\n"
    )
    made = video(tmp_path / "made.mp4", 4.0)
    target = tmp_path / place.format("Ann1")
    target.parent.mkdir(parents=True, exist_ok=True)
    made.rename(target)
    (found,) = clips(tmp_path).values()
    assert (found.start, found.end, found.video) == (1.0, 3.0, target) and found.crop_hint == (0, 0, 9, 9)


@pytest.mark.parametrize(
    "place", ["Ann1_1.mp4", "clips/Ann1_1.mp4", "WDA_Ann1_001.mp4", "videos/WDA_Ann1_001.mp4"]
)
def test_where_clips_may_lie_that_are_cut_and_cropped_already(tmp_path: Path, place: str) -> None:
    lists = {"resolution": "Ann1.mp4 36\n", "crop_wh": "Ann1_0 0 9 0 9\nAnn1_1 0 9 0 9\n"}
    hdtf_lists(tmp_path, "WDA", "Ann1.mp4 5:00-5:10 7:01-7:03\n", **lists)
    video(tmp_path / place, 2.0)
    (found,) = clips(tmp_path).values()
    assert found.id == "WDA_Ann1_001_000" and found.video == tmp_path / place
    assert (found.start, found.end, found.crop_hint) == (0.0, 2.0, None)
    report = examine("hdtf", tmp_path)
    assert (report.have, report.missing) == (("WDA_Ann1_001",), ("WDA_Ann1_000",))
    assert any("cut and cropped already: WDA_Ann1_001" in note for note in report.notes)


def test_a_clip_is_taken_once_from_the_whole_video_unless_that_is_silent(tmp_path: Path) -> None:
    hdtf_lists(tmp_path, "WDA", "Ann.mp4 0:01-0:03\n")
    video(tmp_path / "_videos_raw" / "WDA_Ann.mp4", 4.0)
    video(tmp_path / "WDA_Ann_000.mp4", 2.0)
    assert [each.video.name for each in clips(tmp_path).values()] == ["WDA_Ann.mp4"]
    # what the common download script leaves: pictures without sound
    video(tmp_path / "_videos_raw" / "WDA_Ann.mp4", 4.0, sound=False)
    assert [each.video.name for each in clips(tmp_path).values()] == ["WDA_Ann_000.mp4"]


def test_a_video_whose_name_ends_in_a_number_is_no_clip_of_another(tmp_path: Path) -> None:
    hdtf_lists(tmp_path, "WDA", "Ann.mp4 0:00-0:01 0:02-0:03\nAnn_1.mp4 0:01-0:02\n")
    video(tmp_path / "Ann_1.mp4", 4.0)
    video(tmp_path / "Ann_0.mp4", 1.0)
    assert {name: (each.video.name, each.start) for name, each in clips(tmp_path).items()} == {
        "WDA_Ann_1_000_000": ("Ann_1.mp4", 1.0),
        "WDA_Ann_000_000": ("Ann_0.mp4", 0.0),
    }
    assert set(unusable(tmp_path)) == {"WDA_Ann_001"}


def test_a_file_in_another_groups_folder_is_not_meant(tmp_path: Path) -> None:
    hdtf_lists(tmp_path, "WDA", "Ann.mp4 0:00-0:01\n")
    video(tmp_path / "WRA" / "Ann.mp4", 1.0)
    assert not clips(tmp_path)


@pytest.mark.parametrize("name", ["../../etc/x", "/etc/x", "..", "a/b", "..\\x", "x" * 300])
def test_a_list_never_names_a_file_elsewhere(tmp_path: Path, name: str) -> None:
    root = hdtf_lists(tmp_path / "root", "RD", f"Radio1.mp4 0:00-0:01\n{name}.mp4 0:00-0:01\n")
    video(root / "Radio1.mp4", 1.0)
    for place in ("etc/x.mp4", "root/etc/x.mp4"):
        touch(tmp_path / place)
    assert list(clips(root)) == ["RD_Radio1_000_000"]
    reason, message = unusable(root)["RD_annotion_time.txt:2"]
    assert reason == "bad_annotation" and "line 2 of RD_annotion_time.txt" in message


def test_both_spellings_of_the_list_and_a_line_that_comes_twice(tmp_path: Path) -> None:
    touch(
        tmp_path / "HDTF-main" / "HDTF_dataset" / "RD_annotation_time.txt",
        b"R.mp4 0:00-0:01\nR.mp4 0:00-0:02\n",
    )
    video(tmp_path / "R.mp4", 3.0)
    assert [each.end for each in clips(tmp_path).values()] == [1.0]
    assert "is named before" in unusable(tmp_path)["RD_annotation_time.txt:2"][1]


def test_a_video_that_cannot_be_read_is_said_by_range(tmp_path: Path) -> None:
    hdtf_lists(tmp_path, "RD", "Radio1.mp4 0:00-0:01 0:02-0:03\n")
    touch(tmp_path / "videos" / "Radio1.mp4", b"no video")
    assert {reason for reason, _ in unusable(tmp_path).values()} == {"not_a_video"} and not clips(tmp_path)
    assert len(examine("hdtf", tmp_path).broken) == 2


def test_what_the_memo_knows_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memo: Memo = {}
    before = listed(hdtf(tmp_path), memo)
    assert len(memo) == 1 and not any(str(tmp_path) in key for key in memo)

    def fail(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cut, "read_audio", fail)
    assert listed(tmp_path, memo) == before
    assert listed(tmp_path, {key: [list(span) for span in spans] for key, spans in memo.items()}) == before
    (tmp_path / "videos" / "WDA_Alpha0.mp4").touch()
    with pytest.raises(AssertionError, match="decoded"):
        listed(tmp_path, memo)
