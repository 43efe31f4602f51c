"""sources.folder and sources.walk: any folder, with any names, links and transcripts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from corpora import touch, video

from datapipe.records import Clip, Rejected
from datapipe.shards import escape_key, unescape_key
from datapipe.sources import Memo, SourceConfig, Unusable, cut, examine, find_clips, folder, look
from datapipe.sources.found import LONGEST_KEY


def clips(root: Path, config: SourceConfig | None = None) -> dict[str, Clip]:
    found = find_clips("folder", root, config or SourceConfig())
    return {each.id: each for each in found if isinstance(each, Clip)}


def unusable(root: Path) -> dict[str, str]:
    found = find_clips("folder", root, SourceConfig())
    return {each.id: each.reason for each in found if isinstance(each, Unusable)}


def test_all_are_found_long_ones_cut_and_ids_kept_apart(tmp_path: Path) -> None:
    video(tmp_path / "ann" / "long.mp4", 13.0, gaps=(5.0,))
    video(tmp_path / "ann" / "a.b.mp4", 1.0)
    video(tmp_path / "one.mp4", 1.0)
    video(tmp_path / "one.mov.mp4", 1.0).rename(tmp_path / "one.mov")
    touch(tmp_path / "one.txt", b"\xef\xbb\xbf hello  there \n")
    touch(tmp_path / "broken.mp4", b"nothing")
    touch(tmp_path / "notes.pdf")
    found = clips(tmp_path, SourceConfig(language="en"))
    assert set(found) == {"ann/long_000", "ann/long_001", "ann/a.b", "one.mp4", "one.mov", "broken"}
    one = found["one.mp4"]
    assert (one.text, one.language, one.speaker) == ("hello there", "en", "one.mp4")
    assert (one.licence, one.consent, found["ann/a.b"].speaker) == ("unknown", "unknown", "ann")
    report = examine("folder", tmp_path)
    assert report.broken == ("broken.mp4: not_a_video",)
    assert report.counts == {"ann": (2, 2), "(at the top)": (2, 3)}
    assert (report.expected, len(report.have)) == (5, 4)


def test_a_piece_never_takes_anothers_id(tmp_path: Path) -> None:
    video(tmp_path / "a.mp4", 13.0, gaps=(5.0,))
    for name in ("a_000.mp4", "a.mp4_000.mov"):
        touch(tmp_path / name)
    assert set(clips(tmp_path)) == {"a.mp4_000", "a.mp4_001", "a_000"}
    assert unusable(tmp_path) == {"a.mp4_000#2": "bad_annotation"}


def test_what_the_user_knows_goes_into_the_clips(tmp_path: Path) -> None:
    for name in ("a.mp4", "zh/b.mp4", "zh/en/c.mp4", "zhx/d.mp4"):
        touch(tmp_path / name)
    config = SourceConfig(languages={"zh": "zh", "zh/en/": "en"}, licence="CC0-1.0", consent="signed")
    found = clips(tmp_path, config)
    assert {name: each.language for name, each in found.items()} == {
        "a": None,
        "zh/b": "zh",
        "zh/en/c": "en",
        "zhx/d": None,
    }
    assert {(each.licence, each.consent) for each in found.values()} == {("CC0-1.0", "signed")}
    for wrong in ({"language": "fr"}, {"languages": {"a": "fr"}}):
        with pytest.raises(Rejected, match="`fr` is no language"):
            SourceConfig(**wrong)


@pytest.mark.parametrize(
    ("name", "content", "language", "text"),
    [
        ("a.txt", b"hello\nthere", "en", "hello there"),
        ("a.lab", b"hello there\n", "en", "hello there"),
        ("a.lab", b"0 3500000 sil\n3500000 5000000 hh\n", "en", None),
        ("a.txt", "今天很好".encode("gb18030"), "zh", "今天很好"),
        ("a.txt", "café".encode("cp1252"), "en", "café"),
        ("a.txt", "今天".encode("utf-16"), None, "今天"),
        ("a.txt", b"", "en", None),
        ("a.txt", b"line\x1bone", "en", "line\\x1bone"),
        ("b.txt", b"hello", "en", None),
    ],
)
def test_transcripts(
    tmp_path: Path, name: str, content: bytes, language: str | None, text: str | None
) -> None:
    video(tmp_path / "a.mp4", 1.0)
    touch(tmp_path / name, content)
    assert clips(tmp_path, SourceConfig(language=language))["a"].text == text


@pytest.mark.parametrize("content", [b"\x00\x01\x02", b"\xff\xff\xff", b"word " * 20000])
def test_a_transcript_that_is_none_costs_its_clip_alone(tmp_path: Path, content: bytes) -> None:
    touch(tmp_path / "a.mp4"), touch(tmp_path / "b.mp4")
    touch(tmp_path / "a.txt", content)
    assert unusable(tmp_path) == {"a": "bad_annotation"} and set(clips(tmp_path)) == {"b"}


def test_a_long_video_with_a_transcript_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "LONGEST_WITH_TEXT", 0.5)
    video(tmp_path / "a.mp4", 1.0)
    touch(tmp_path / "a.txt", b"hello")
    assert unusable(tmp_path) == {"a": "bad_input"}


NAMES = [
    b"plain", b"with space", b"-rf", b".dot", b"..dots", b"new\nline", b"tab\tand\rreturn", b"caf\xe9",
    b"caf\xff\xe9", "日本語".encode(), b"back\\slash", b"back\\x5cslash", b"quote'\"`$(id)", b"%41", b"~41",
    "line\u2028separator".encode(), "next\x85line".encode(), b"x" * 240, "字".encode() * 80, b"*?[a-z]",
    b"a;b|c&d",
]  # fmt: skip


def test_every_name_a_disk_can_hold_gives_an_id_of_its_own(tmp_path: Path) -> None:
    for name in NAMES:
        with open(os.fsencode(tmp_path) + b"/" + name + b".mp4", "wb"):  # noqa: PTH123 - a name of bytes
            pass
    found = clips(tmp_path)
    assert len(found) == len(NAMES) and {"plain", "-rf", ".dot", "日本語", "caf\\udce9"} <= set(found)
    for clip_id, each in found.items():
        assert each.video.is_file() and len(clip_id.splitlines()) == 1 and clip_id.isprintable()
        assert (
            json.loads(json.dumps({"clip": clip_id}, ensure_ascii=False).encode().decode())["clip"] == clip_id
        )
        key = escape_key(clip_id)
        assert unescape_key(key) == clip_id and len(key) <= LONGEST_KEY + len("_000")
    lines = (*(report := examine("folder", tmp_path)).summary(), *report.have, *report.broken)
    assert "\n".join(lines).encode() and all(len(line.splitlines()) == 1 for line in lines)
    keys = {escape_key(clip_id).lower() for clip_id in found}
    assert len(keys) == len(NAMES)  # apart on a disk without case, too


def test_links_are_not_followed_out_of_the_root_and_loops_end(tmp_path: Path) -> None:
    root = tmp_path / "root"
    video(tmp_path / "elsewhere" / "secret.mp4", 1.0)
    touch(root / "a" / "one.mp4")
    links = {
        "a/loop": root,
        "a/self": root / "a" / "self",
        "again": root / "a",
        "out": tmp_path / "elsewhere",
        "file.mp4": tmp_path / "elsewhere" / "secret.mp4",
        "dead.mp4": root / "none.mp4",
        "same.mp4": root / "a" / "one.mp4",
        "hidden.mp4": root / ".annex" / "object",
        "hidden-folder": root / ".annex" / "deep",
    }
    touch(root / ".annex" / "object")
    touch(root / ".annex" / "deep" / "two.mp4")
    for name, target in links.items():
        (root / name).symlink_to(target)
    assert set(clips(root)) == {"a/one", "hidden", "hidden-folder/two"}
    assert unusable(root) == {"dead.mp4": "not_a_video", "file.mp4": "not_a_video"}
    report = examine("folder", root)
    assert "1 links out of the root, not followed: out" in report.notes
    assert "1 hidden folders and files, left out: .annex" in report.notes
    assert sum("file.mp4" in fault for fault in report.broken) == 1


def test_a_root_that_is_a_link_is_the_users_own_choice(tmp_path: Path) -> None:
    touch(tmp_path / "real" / "a.mp4")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert set(clips(tmp_path / "link")) == {"a"}


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    touch(tmp_path / "folder.mp4" / "in.mp4")
    touch(tmp_path / "._in.mp4")
    touch(tmp_path / "__MACOSX" / "in.mp4")
    assert set(clips(tmp_path)) == {"folder.mp4/in"} and unusable(tmp_path) == {"pipe.mp4": "not_a_video"}


def test_a_deep_tree_is_walked(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(300):
        deep = deep / "deeper"
    touch(deep / "a.mp4")
    (found,) = clips(tmp_path)
    assert len(escape_key(found)) <= LONGEST_KEY


def test_what_the_memo_knows_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video(tmp_path / "long.mp4", 13.0, gaps=(5.0,))
    video(tmp_path / "short.mp4", 1.0)
    memo: Memo = {}
    before = find_clips("folder", tmp_path, SourceConfig(), memo)

    def fail(*_: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(cut, "read_audio", fail)
    monkeypatch.setattr(look, "probe", fail)
    assert find_clips("folder", tmp_path, SourceConfig(), memo) == before and len(before) == 3
    (tmp_path / "short.mp4").touch()
    with pytest.raises(AssertionError, match="opened"):
        find_clips("folder", tmp_path, SourceConfig(), memo)


def test_sound_is_read_in_stretches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = video(tmp_path / "long.mp4", 24.0, gaps=(6.0, 13.0, 18.0))
    whole = cut.cut(path, (0.0, 24.0), SourceConfig().segment)
    monkeypatch.setattr(cut, "STRETCH", 5.0)
    parts = cut.cut(path, (0.0, 24.0), SourceConfig().segment)
    assert len(parts) == len(whole) == 4
    assert np.allclose(parts, whole, atol=0.081)
    late = cut.cut(path, (2.0, 60.0), SourceConfig().segment)
    assert late[0][0] == 2.0 and late[-1][1] == pytest.approx(24.0, abs=0.2)
