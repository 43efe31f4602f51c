"""sources, segment, splits: corpora as they really lie on disk, with their traps."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe import media
from datapipe.records import Clip, Rejected
from datapipe.segment import SegmentConfig, segments
from datapipe.sources import DOCTORS, SourceConfig, Unusable, find_clips
from datapipe.sources.cmlr import read_text
from datapipe.splits import SplitConfig, assign

IDS = (
    "s1/20260105_section_6_-00.01_001.87",
    "s2/20260105_section_1_000.19_002.55",
    "s5/20151009_section_3_030.36_032.65",
)


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def cmlr(root: Path, nested: bool = False) -> Path:
    for clip_id in IDS:
        speaker, _, rest = clip_id.partition("/")
        date, _, section = rest.partition("_")
        folder = f"{speaker}/{speaker}/{date}" if nested else f"{speaker}/{date}"
        touch(root / "video" / folder / f"{section}.mp4")
        touch(root / "audio" / folder / f"{section}.wav")
        touch(
            root / "text" / folder / f"{section}.txt", "今天 很好\n今天 0.10 0.50\n很好 0.50 0.90\n".encode()
        )
    touch(root / "train.csv", f"{IDS[0]}\n{IDS[1]}\n".encode())
    touch(root / "test.csv", b"\xef\xbb\xbf" + f"{IDS[2]}\n".encode())
    return root


@pytest.mark.parametrize("nested", [False, True])
def test_cmlr_ids_survive_negative_starts_dots_and_doubled_folders(tmp_path: Path, nested: bool) -> None:
    clips = find_clips("cmlr", cmlr(tmp_path, nested), SourceConfig())
    assert [clip.id for clip in clips] == sorted(IDS)
    assert all(
        isinstance(clip, Clip) and clip.video.exists() and clip.audio and clip.audio.exists()
        for clip in clips
    )
    splits = {clip.id: clip.split for clip in clips if isinstance(clip, Clip)}
    assert splits[IDS[0]] == "train" and splits[IDS[2]] == "test"
    first = clips[0]
    assert (
        isinstance(first, Clip)
        and first.text == "今天很好"
        and first.language == "zh"
        and len(first.words) == 2
    )


def test_cmlr_without_lists_and_with_holes(tmp_path: Path) -> None:
    root = cmlr(tmp_path)
    (root / "train.csv").unlink(), (root / "test.csv").unlink()
    next(root.glob("audio/s1/**/*.wav")).unlink()
    next(root.glob("video/s2/**/*.mp4")).unlink()
    clips = find_clips("cmlr", root, SourceConfig())
    assert len(clips) == 3 and all(clip.split is None for clip in clips if isinstance(clip, Clip))
    report = DOCTORS["cmlr"](root)
    assert (report.expected, report.present) == (3, 1) and len(report.missing) == 2


def test_cmlr_speakers_that_were_not_downloaded_are_the_doctors_business(tmp_path: Path) -> None:
    root = cmlr(tmp_path)
    touch(root / "val.csv", b"s9/20150101_section_1_000.10_001.00\ns1/20260105_section_9_000.10_001.00\n")
    ids = [clip.id for clip in find_clips("cmlr", root, SourceConfig())]
    assert "s1/20260105_section_9_000.10_001.00" in ids and not any(each.startswith("s9") for each in ids)
    assert any(each.startswith("s9/") for each in DOCTORS["cmlr"](root).missing)


@pytest.mark.parametrize(
    "line", ["今天 0.10 0.50", "0.10 0.50 今天", "0.10,0.50,今天", "今天\t0.1\t0.5", "  今天 ; 0.10 ; 0.50 "]
)
def test_word_boundaries_in_any_column_order(tmp_path: Path, line: str) -> None:
    sentence, words = read_text(touch(tmp_path / "a.txt", f"今天\n{line}\ngarbage\n\n".encode()))
    assert sentence == "今天" and [(w.text, w.start, w.end) for w in words] == [("今天", 0.1, 0.5)]


def test_old_chinese_encoding_is_read(tmp_path: Path) -> None:
    assert read_text(touch(tmp_path / "a.txt", "今天很好".encode("gb18030")))[0] == "今天很好"


def video(path: Path, seconds: float, gaps: tuple[float, ...] = ()) -> Path:
    t = np.arange(round(seconds * 16000)) / 16000
    sound = (0.3 * np.sin(2 * np.pi * 220 * t)).astype(np.float32)
    for gap in gaps:
        sound[round((gap - 0.2) * 16000) : round((gap + 0.2) * 16000)] = 0.0
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = (
        np.random.default_rng(0).integers(0, 255, (1, 36, 64, 3), np.uint8).repeat(round(seconds * 25), 0)
    )
    media.write_video(path, frames, sound)
    return path


def hdtf(root: Path) -> Path:
    lists = root / "HDTF_dataset"
    touch(lists / "WDA_video_url.txt", b"\xef\xbb\xbfAlpha0 https://x\nGone1 https://y\nNoTimes https://z\n")
    touch(lists / "WDA_resolution.txt", b"Alpha0.mp4 72\nGone1.mp4 0\n")
    touch(lists / "WDA_annotion_time.txt", b"Alpha0.mp4 00:01-00:13 00:02-00:01\nGone1.mp4 0:00-0:09\n")
    touch(lists / "WDA_crop_wh.txt", b"Alpha0_0.mp4 10 20 30 40\n")
    video(root / "videos" / "WDA_Alpha0.mp4", 14.0, gaps=(6.0,))
    return root


def test_hdtf_cuts_ranges_at_silence_and_names_what_it_cannot_read(tmp_path: Path) -> None:
    found = {each.id: each for each in find_clips("hdtf", hdtf(tmp_path), SourceConfig())}
    first, second = found["WDA_Alpha0_000_000"], found["WDA_Alpha0_000_001"]
    assert isinstance(first, Clip) and isinstance(second, Clip)
    assert first.start == 1.0 and second.end == 13.0 and first.end == second.start
    assert first.end == pytest.approx(6.0, abs=0.25)
    assert first.crop_hint == (5.0, 15.0, 15.0, 35.0)  # windows are for 72 lines, the video has 36
    assert first.speaker == "Alpha"
    broken = found["WDA_Alpha0_001"]
    assert isinstance(broken, Unusable) and broken.reason == "bad_annotation"
    gone = found["WDA_Gone1_000_000"]
    assert isinstance(gone, Clip) and not gone.video.exists() and gone.crop_hint is None
    report = DOCTORS["hdtf"](tmp_path)
    assert (report.expected, report.present) == (2, 1) and report.missing == ("WDA_Gone1",)


def test_folder_finds_all_cuts_long_ones_and_keeps_ids_apart(tmp_path: Path) -> None:
    video(tmp_path / "ann" / "long.mp4", 13.0, gaps=(5.0,))
    video(tmp_path / "ann" / "a.b.mp4", 1.0)
    video(tmp_path / "one.mp4", 1.0)
    video(tmp_path / "one.mov.mp4", 1.0).rename(tmp_path / "one.mov")
    touch(tmp_path / "one.txt", b"\xef\xbb\xbf hello  there \n")
    touch(tmp_path / "broken.mp4", b"nothing")
    touch(tmp_path / "notes.pdf")
    found = {each.id: each for each in find_clips("folder", tmp_path, SourceConfig(language="en"))}
    assert set(found) == {"ann/long_000", "ann/long_001", "ann/a.b", "one.mp4", "one.mov", "broken"}
    one = found["one.mp4"]
    assert (
        isinstance(one, Clip)
        and one.text == "hello there"
        and one.language == "en"
        and one.speaker == "one.mp4"
    )
    assert found["ann/a.b"].speaker == "ann"  # type: ignore[union-attr]
    assert DOCTORS["folder"](tmp_path).broken == ("broken.mp4: not_a_video",)


def test_a_root_without_anything_is_said(tmp_path: Path) -> None:
    for source in DOCTORS:
        with pytest.raises(Rejected, match="holds nothing"):
            find_clips(source, tmp_path, SourceConfig())
    with pytest.raises(Rejected, match="known: cmlr, hdtf, folder"):
        find_clips("grid", tmp_path, SourceConfig())
    with pytest.raises(Rejected, match="not a folder"):
        find_clips("folder", tmp_path / "none", SourceConfig())


@given(st.integers(0, 60 * 25), st.integers(0, 9))
def test_segments_tile_the_sound_and_keep_their_length(num_frames: int, seed: int) -> None:
    audio = np.random.default_rng(seed).normal(0, 0.1, num_frames * 640).astype(np.float32)
    spans = segments(audio, SegmentConfig())
    assert sum(end - start for start, end in spans) == pytest.approx(num_frames / 25)
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert all(end - start <= 10.0 + 1e-9 for start, end in spans)
    assert all(end - start >= 3.0 - 1e-9 for start, end in spans) or num_frames < 75


def clip(clip_id: str, speaker: str = "s", split: str | None = None) -> Clip:
    return Clip(id=clip_id, source="folder", speaker=speaker, video=Path("v.mp4"), split=split)


def test_splits_are_stable_seeded_and_near_their_shares() -> None:
    names = [assign(clip(str(number))) for number in range(4000)]
    assert abs(names.count("test") / 4000 - 0.05) < 0.015 and abs(names.count("val") / 4000 - 0.05) < 0.015
    assert assign(clip("7")) == names[7]  # alone or among others
    other = [assign(clip(str(number)), SplitConfig(seed=1)) for number in range(4000)]
    assert other != names
    assert assign(clip("1", split="val")) == "val"


def test_speakers_are_not_torn_apart() -> None:
    config = SplitConfig(test=0.3, val=0.3, by="speaker")
    for speaker in "abcdefgh":
        assert len({assign(clip(f"{speaker}{n}", speaker), config) for n in range(20)}) == 1
    with pytest.raises(Rejected):
        SplitConfig(test=0.6, val=0.4)
