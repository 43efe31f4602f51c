"""places on S3: the same bytes as on a disk, few requests, and no secret anywhere."""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec.config
import numpy as np
import pytest
from small import dataset, sample
from stores import KEY, SECRET, contents, copy_tree

from datapipe import __main__ as data
from datapipe import files, media, places
from datapipe.ledger import read_ledger
from datapipe.places import local_file, place, version_of
from datapipe.records import Rejected
from datapipe.sources.walk import walk
from datapipe.weights import resolve


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A store with two empty buckets, `raw` and `out`, whose credentials are in the environment."""
    import s3fs

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("FSSPEC_S3_ENDPOINT_URL", s3_server)
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": s3_server})
    s3fs.S3FileSystem.clear_instance_cache()
    client = s3fs.S3FileSystem()
    for bucket in ("raw", "out"):
        client.mkdir(bucket)
    yield client
    urllib.request.urlopen(urllib.request.Request(f"{s3_server}/moto-api/reset", method="POST")).close()
    s3fs.S3FileSystem.clear_instance_cache()


def test_s3_holds_the_same_bytes_and_no_half_ones(s3: Any, tmp_path: Path) -> None:
    metas = [sample(number) for number in range(4)]
    here, there = dataset(tmp_path / "here", metas), dataset(place("s3://out/shards"), metas)
    assert contents(here) == contents(there)
    assert data.main(["verify", "--shards", "s3://out/shards"]) == 0
    for shards_, out in ((str(here), tmp_path / "a"), ("s3://out/shards", tmp_path / "b")):
        assert data.main(["export", "--shards", shards_, "--out", str(out)]) == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    with pytest.raises(RuntimeError), files.publish(there / "manifest.json") as temporary:
        temporary.write_text("{}")
        raise RuntimeError
    assert contents(here) == contents(there)
    with pytest.raises(Rejected, match="cannot be written to"):
        files.write_text(place("s3://no-such-bucket/a.txt"), "x")
    places.delete_folder(there)
    places.delete_folder(there)
    assert not there.exists()


def test_s3_is_listed_once_and_files_are_fetched_once(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        s3.pipe_file(f"raw/clips/s{number % 3}/{number}.mp4", b"x" * number)
    calls: list[str] = []
    call = type(s3)._call_s3

    async def counted(self: Any, method: str, *arguments: Any, **options: Any) -> Any:
        calls.append(method)
        return await call(self, method, *arguments, **options)

    monkeypatch.setattr(type(s3), "_call_s3", counted)
    root = place("s3://raw/clips")
    names_ = walk(root).files
    versions = {name: version_of(root / name) for name in names_}
    assert len(names_) == 30 and len(set(versions.values())) == 30
    assert calls == ["list_objects_v2"]
    path = root / names_[-1]
    assert files.hash_once(path) == files.hash_once(path)
    with local_file(path) as copy:
        assert copy.read_bytes() == path.read_bytes()
    assert calls.count("get_object") == 2  # one is the test's own
    type(s3).clear_instance_cache()
    assert {name: version_of(place(f"s3://raw/clips/{name}")) for name in names_} == versions


def test_a_store_that_does_not_answer_is_one_sentence(
    s3: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refused(self: Any, *_: Any, **__: Any) -> Any:
        raise PermissionError(f"{KEY} may not")

    monkeypatch.setattr(type(s3), "_call_s3", refused)
    assert data.main(["verify", "--shards", "s3://out/shards"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "PermissionError" in told and KEY not in told


@pytest.mark.slow
@pytest.mark.assets
def test_a_build_from_s3_to_s3_gives_the_local_bytes_and_keeps_its_secrets(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "clips"
    source = resolve("clip-obama")
    frames, sound = media.read_frames(source, 0.8, 2.6)[:, :120, 130:270], media.read_audio(source, 0.8, 2.6)
    for name, shown in (("a.1", frames), ("b", frames[:, :, ::-1])):
        media.write_video(root / "s1" / f"{name}.mp4", np.ascontiguousarray(shown), sound)
        files.write_text(root / "s1" / f"{name}.txt", "Today, after two")
    files.write_bytes(root / "s1" / "bad.mp4", b"no video" * 99)
    copy_tree(root, place("s3://raw/clips"))
    before = contents(place("s3://raw"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    plain = ["--source", "folder", "--size", "64", "--cluster", "inline"]
    here, there = [*plain, "--root", str(root)], [*plain, "--root", "s3://raw/clips"]
    out = place("s3://out/shards")
    assert data.main(["build", *here, "--out", str(tmp_path / "local")]) == 3
    assert data.main(["build", *there, "--out", str(out)]) == 3
    local, remote = contents(tmp_path / "local"), contents(out)
    same = [name for name in local if not name.startswith(".") and name not in ("ledger.jsonl", "build.json")]
    assert {"folder-000000.tar", "manifest.json", "samples.parquet", "README.md"} <= set(same)
    assert {name: remote[name] for name in same} == {name: local[name] for name in same}
    rows = read_ledger(out)
    assert {name: row.reason for name, row in rows.items()} == {
        "s1/a.1": "",
        "s1/b": "",
        "s1/bad": "not_a_video",
    }
    told = "".join(capfd.readouterr())
    assert data.main(["build", *there, "--out", str(out), "--json"]) == 3
    again = capfd.readouterr()
    assert json.loads(again.out)["reused"] == 3 and contents(out) == remote
    assert contents(place("s3://raw")) == before
    assert data.main(["verify", "--shards", str(out)]) == 0
    assert data.main(["export", "--shards", str(out), "--out", str(tmp_path / "cases")]) == 0
    assert len(list((tmp_path / "cases").glob("*.mp4"))) == 2
    told += "".join([*again, *capfd.readouterr()])
    for text in (told.encode(), *contents(out).values()):
        assert SECRET.encode() not in text and KEY.encode() not in text
    assert not (tmp_path / "s3:").exists() and not Path("s3:").exists()
