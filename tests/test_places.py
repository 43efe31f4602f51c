"""places: what lies in a store is read and written as on a disk, byte for byte, and whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from corpora import video
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st
from small import dataset, sample
from stores import KEY, SECRET, contents, copy_tree, names

from datapipe import __main__ as data
from datapipe import files, media, places, shards, task
from datapipe import run as run_module
from datapipe.config import BuildConfig
from datapipe.ledger import Row, read_ledger
from datapipe.media import probe
from datapipe.places import is_inside, is_remote, local_file, place, version_of
from datapipe.records import Clip, Rejected, from_json, to_json
from datapipe.run import RunConfig, build
from datapipe.shards import identity_of
from datapipe.sources import SourceConfig, find_clips
from datapipe.sources.walk import walk


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty folder of the store in memory, with temporary files where they can be counted."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield place(f"memory://{uuid4().hex}")
    MemoryFileSystem.store.clear()


def test_a_local_name_stays_a_path_and_an_address_a_place() -> None:
    assert place("raw/cmlr") == Path("raw/cmlr") and not is_remote(place("raw/cmlr"))
    assert place("file:///raw/a b") == Path("/raw/a b") and not is_remote(place("file:///raw"))
    assert place(Path("x")) == Path("x")
    remote = place("s3://bucket/a/b.mp4/")
    assert is_remote(remote) and str(remote) == "s3://bucket/a/b.mp4" and remote.name == "b.mp4"
    assert str(remote.parent / "c d?#%.txt") == "s3://bucket/a/c d?#%.txt"
    assert is_remote(place("memory://a/b"))
    assert not is_remote(place("a:b")) and not is_remote(place("C:/videos"))


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("s3x://bucket/a", "`s3x` is no store"),
        ("simplecache::s3://bucket/a", "is no store"),
        ("sftp://someone@host/a", "give host, username by fsspec"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(address: str, told: str) -> None:
    with pytest.raises(Rejected, match=told):
        place(address)


@pytest.mark.parametrize("store", ["s3", "webdav+https", "sftp"])
def test_a_password_in_an_address_is_refused_and_not_repeated(store: str) -> None:
    with pytest.raises(Rejected, match="no password") as caught:
        place(f"{store}://someone:{SECRET}@host/a")
    assert SECRET not in str(caught.value) and "someone" not in str(caught.value)


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30))
def test_a_clip_in_a_store_survives_json_and_pickle(name: str) -> None:
    for root in ("s3://bucket/raw", "memory://bucket/raw", "gs://bucket"):
        if name in (".", ".."):
            continue
        path = place(root) / f"{name}.mp4"
        clip = Clip(id="a", source="folder", speaker="a", video=path, audio=path.with_suffix(".wav"))
        for again in (from_json(to_json(clip), Clip), pickle.loads(pickle.dumps(clip))):
            assert again == clip and str(again.video) == f"{root}/{name}.mp4" and is_remote(again.video)


def test_a_place_is_inside_another_by_its_parts_only() -> None:
    assert is_inside(place("s3://a/raw/out"), place("s3://a/raw"))
    assert is_inside(place("s3://a/raw"), place("s3://a/raw"))
    assert not is_inside(place("s3://a/raw2"), place("s3://a/raw"))
    assert not is_inside(place("s3://b/raw/out"), place("s3://a/raw"))
    assert not is_inside(place("/a/raw"), place("s3://a")) and not is_inside(place("s3://a/b"), Path("/"))


def test_what_is_written_to_a_store_is_there_and_nothing_else(store: Path, tmp_path: Path) -> None:
    files.write_text(store / "deep" / "a.txt", "早上好")
    files.write_text(store / "deep" / "a.txt", "晚上好")
    assert (store / "deep" / "a.txt").read_text(encoding="utf-8") == "晚上好"
    assert names(store) == {"deep/a.txt"} and list(tmp_path.iterdir()) == []
    assert files.sha256_of(store / "deep" / "a.txt") == files.hash_once(store / "deep" / "a.txt")


def test_a_store_that_holds_a_clip_back_is_a_reason_and_is_tried_again(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store / "a.mp4").write_bytes(b"no video, but there")
    info = MemoryFileSystem.info

    def refused(self: Any, *words: Any, **options: Any) -> Any:
        raise PermissionError(f"signed {SECRET}")

    def build_it() -> Row:
        run = RunConfig(isolate=False)
        build("folder", store, tmp_path / "out", BuildConfig(), run)
        (row,) = read_ledger(tmp_path / "out").values()
        return row

    monkeypatch.setattr(task, "flow", lambda clip, *_: probe(clip.video))
    clip = Clip(id="a", source="folder", speaker="a", video=store / "a.mp4")
    monkeypatch.setattr(run_module, "find_clips", lambda *_: [clip])
    monkeypatch.setattr(MemoryFileSystem, "info", refused)
    row = build_it()
    assert row.reason == "unreachable" and row.key == "" and SECRET not in row.message
    monkeypatch.setattr(MemoryFileSystem, "info", info)
    assert build_it().reason == "not_a_video"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_body_that_fails_uploads_nothing(store: Path, tmp_path: Path, error: type[BaseException]) -> None:
    files.write_text(store / "a.txt", "old")
    with pytest.raises(error), files.publish(store / "a.txt") as temporary:
        assert temporary.suffix == ".txt" and not is_remote(temporary)
        temporary.write_text("half")
        raise error
    assert contents(store) == {"a.txt": b"old"} and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["put_file", "mv"])
def test_an_upload_that_breaks_off_shows_nothing(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    files.write_text(store / "a.txt", "old")
    put_file = MemoryFileSystem.put_file

    def broken(self: Any, source: str, target: str, **options: Any) -> None:
        if step == "put_file":
            put_file(self, source, target)
        raise ConnectionError(f"reset by peer, signed {SECRET}")

    monkeypatch.setattr(MemoryFileSystem, step, broken)
    with pytest.raises(Rejected, match=r"a\.txt cannot be written to \(ConnectionError\)") as caught:
        files.write_text(store / "a.txt", "new")
    assert caught.value.reason == "unreachable" and SECRET not in str(caught.value)
    assert contents(store) == {"a.txt": b"old"} and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_here_or_there_is_said(store: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    with pytest.raises(Rejected, match="no space left") as caught, files.publish(store / "a.bin"):
        full()
    assert caught.value.reason == "disk_full"
    files.write_bytes(store / "b.bin", b"x")
    monkeypatch.setattr(MemoryFileSystem, "get_file", full)
    with pytest.raises(Rejected, match="no space left") as caught, local_file(store / "b.bin"):
        pass
    assert caught.value.reason == "disk_full"


def test_a_file_is_copied_once_until_it_changes(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    get_file = MemoryFileSystem.get_file
    monkeypatch.setattr(
        MemoryFileSystem, "get_file", lambda self, *names: (fetched.append(names[0]), get_file(self, *names))
    )
    path = store / "a.mp4"
    files.write_bytes(path, b"one")
    before = version_of(path)
    with local_file(path) as first, local_file(path) as second:
        assert first == second and first.name == "a.mp4" and first.read_bytes() == b"one"
    assert files.hash_once(path) == files.hash_once(path) and len(fetched) == 1
    files.write_bytes(path, b"two")
    assert version_of(path) != before
    with local_file(path) as third:
        assert third.read_bytes() == b"two"
    assert len(fetched) == 2
    with pytest.raises(FileNotFoundError), local_file(store / "absent.mp4"):
        pass
    local = Path(tempfile.gettempdir()) / "here.bin"
    with local_file(local) as same:
        assert same is local


def test_few_copies_are_kept(store: Path) -> None:
    copies = []
    for number in range(places.KEEP + 3):
        files.write_bytes(store / f"{number}.bin", bytes([number]))
        with local_file(store / f"{number}.bin") as copy:
            copies.append(copy)
            assert copy.read_bytes() == bytes([number])
    assert [copy.exists() for copy in copies] == [False] * 3 + [True] * places.KEEP
    long = store / ("很" * 300 + ".mp4")
    files.write_bytes(long, b"x")
    with local_file(long) as copy:
        assert copy.suffix == ".mp4" and copy.read_bytes() == b"x"


def test_media_in_a_store_are_read_as_from_a_disk(store: Path, tmp_path: Path) -> None:
    local = video(tmp_path / "in" / "a.mp4", 1.2)
    copy_tree(local.parent, store)
    assert media.probe(store / "a.mp4") == media.probe(local)
    assert (media.read_frames(store / "a.mp4") == media.read_frames(local)).all()
    assert (media.read_audio(store / "a.mp4", 0.2, 0.9) == media.read_audio(local, 0.2, 0.9)).all()
    files.write_bytes(store / "bad.mp4", b"no video" * 50)
    for name, reason in (("bad.mp4", "not_a_video"), ("absent.mp4", "missing_file")):
        with pytest.raises(Rejected, match=name) as caught:
            media.probe(store / name)
        assert caught.value.reason == reason


def test_a_remote_root_lists_what_a_local_one_does(store: Path, tmp_path: Path) -> None:
    root = tmp_path / "in"
    video(root / "s1" / "a.mp4", 0.6)
    video(root / "s1" / "long.mp4", 12.0, gaps=(4.0, 8.0))
    (root / "s1" / "a.txt").write_text("two words")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "b.mp4").write_bytes(b"x")
    (root / "._a.mp4").write_bytes(b"x")
    copy_tree(root, store)
    assert walk(store).files == walk(root).files == ("s1/a.mp4", "s1/a.txt", "s1/long.mp4")
    assert walk(store, "s1") == walk(root, "s1") and walk(store, "absent") == walk(root, "absent")
    here, there = (find_clips("folder", each, SourceConfig()) for each in (root, store))
    assert [to_json(clip).replace(str(root), "ROOT") for clip in here] == [
        to_json(clip).replace(str(store), "ROOT") for clip in there
    ]
    assert len(here) > 2
    with pytest.raises(Rejected, match="is not a folder"):
        find_clips("folder", store / "absent", SourceConfig())


def test_names_that_no_folder_could_have_are_not_followed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = ["a/../../b.mp4", "a//b.mp4", "./c.mp4", "ok/d.mp4", "folder/"]
    start = store.path  # type: ignore[attr-defined]
    monkeypatch.setattr(MemoryFileSystem, "find", lambda *_: [f"{start}/{name}" for name in strange])
    tree = walk(store)
    assert tree.files == ("ok/d.mp4",) and set(tree.special) == {"a/../../b.mp4", "a//b.mp4", "./c.mp4"}


def test_a_dataset_in_a_store_is_the_one_on_disk(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metas = [sample(number) for number in range(5)]
    here, there = dataset(tmp_path / "here", metas), dataset(store / "there", metas)
    assert contents(here) == contents(there) and len(list(there.glob("*.tar"))) == 2
    assert [each.meta.id for each in shards.read_samples(there)] == [meta.id for meta in metas]
    assert [meta for _, meta in shards.read_metas(there)] == metas
    assert identity_of([there]) == identity_of([here])
    assert data.main(["verify", "--shards", str(there)]) == 0
    assert data.main(["stats", "--shards", str(there), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["samples"] == 5
    for shown, out in ((here, tmp_path / "cases"), (there, store / "cases"), (there, tmp_path / "back")):
        assert data.main(["export", "--shards", str(shown), "--out", str(out)]) == 0
    assert contents(tmp_path / "cases") == contents(store / "cases") == contents(tmp_path / "back")
    assert data.main(["preview", "--shards", str(there), "--out", str(store / "page.html")]) == 0
    assert (store / "page.html").read_bytes().startswith(b"<!doctype html>")
    damaged = next(iter(sorted(there.glob("*.tar"))))
    damaged.write_bytes(damaged.read_bytes()[:-600] + bytes(600)[:-1] + b"x")
    assert data.main(["verify", "--shards", str(there)]) == 1


def test_the_command_line_takes_addresses_and_says_what_is_wrong_with_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        data._read(data.ShardsArguments, ["--help"], "x")
    assert "PATH|URL" in capsys.readouterr().out
    assert data.main(["verify", "--shards", "memory://nothing/here"]) == 2
    assert data.main(["verify", "--shards", "s3x://nothing/here"]) == 2
    assert data.main(["verify", "--shards", f"s3://{KEY}:{SECRET}@host/here"]) == 2
    told = capsys.readouterr().err
    assert "memory://nothing/here has no manifest" in told and "`s3x` is no store" in told
    assert SECRET not in told
