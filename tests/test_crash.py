"""Builds that are interrupted, killed, damaged or out of disk: the same bytes, and nothing half-written."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scripted import CONFIG, RunConfig, Script, corpus, leftovers

from datapipe import files, publish
from datapipe.ledger import read_ledger
from datapipe.manifest import verify
from datapipe.records import Rejected
from datapipe.run import build


def test_an_interruption_keeps_what_was_done_and_nothing_half(tmp_path: Path, script: Script) -> None:
    root = corpus(tmp_path / "raw", "a", "b", "stop", "z")
    with pytest.raises(KeyboardInterrupt):
        build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    assert not (tmp_path / "out" / "manifest.json").exists() and not list((tmp_path / "out").glob("*.tar"))
    assert leftovers(tmp_path) == []
    script.calls.clear()
    script.well = True
    report = build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    assert script.calls == ["stop", "z"] and report.counts.done == 4


def test_an_interrupted_rebuild_leaves_no_manifest_that_lies(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = corpus(tmp_path / "raw", "a")
    build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    corpus(root, "b")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "write_ledger", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    assert not (tmp_path / "out" / "manifest.json").exists() and leftovers(tmp_path) == []


def test_a_full_disk_is_a_reason_and_is_tried_again(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = corpus(tmp_path / "raw", "a", "b")
    real, full = files._sync, {"b"}

    def sync(path: Path) -> None:
        if full and b"b.video.m4v" in path.read_bytes():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path)

    monkeypatch.setattr(files, "_sync", sync)
    report = build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    assert report.counts.done == 1 and report.counts.reasons == {"disk_full": 1} and leftovers(tmp_path) == []
    full.clear()
    assert build("folder", root, tmp_path / "out", CONFIG, RunConfig()).counts.done == 2


def test_a_disk_that_fills_while_shards_are_written_fails_clearly(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, real = corpus(tmp_path / "raw", "a"), files._sync

    def sync(path: Path) -> None:
        if path.parent == tmp_path / "out":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path)

    monkeypatch.setattr(files, "_sync", sync)
    with pytest.raises(Rejected) as caught:
        build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    assert caught.value.reason == "disk_full" and leftovers(tmp_path) == []
    assert not (tmp_path / "out" / "manifest.json").exists()


def damage(out: Path, where: str) -> None:
    first, second = sorted(out.glob(where))
    first.write_bytes(first.read_bytes()[:700])
    second.write_bytes(second.read_bytes().replace(b"v", b"w"))  # same length, a flipped byte


def published(out: Path) -> dict[str, bytes]:
    """What has to come out the same however a build went."""
    names = ["manifest.json", "samples.parquet", "splits.json", "leakage.json", "README.md"]
    return {path.name: path.read_bytes() for path in [*sorted(out.glob("*.tar")), *(out / n for n in names)]}


def test_damaged_shards_are_written_again_and_damaged_cache_entries_do_not_matter(
    tmp_path: Path, script: Script
) -> None:
    root, out = corpus(tmp_path / "raw", "a", "b"), tmp_path / "out"
    build("folder", root, out, CONFIG, RunConfig(per_shard=1))
    before = published(out)
    damage(out, "*.tar")
    script.calls.clear()
    build("folder", root, out, CONFIG, RunConfig(per_shard=1))
    assert script.calls == [] and published(out) == before and verify(out) == ()
    damage(out, ".cache/??/*.tar")
    build("folder", root, out, CONFIG, RunConfig(per_shard=2))
    assert script.calls == [] and verify(out) == ()
    build("folder", root, out, CONFIG, RunConfig(per_shard=1))
    assert script.calls == [] and published(out) == before


def test_what_is_damaged_in_both_places_is_computed_again(tmp_path: Path, script: Script) -> None:
    root, out = corpus(tmp_path / "raw", "a", "b"), tmp_path / "out"
    build("folder", root, out, CONFIG, RunConfig(per_shard=1))
    before = published(out)
    damage(out, "*.tar")
    damage(out, ".cache/??/*.tar")
    script.calls.clear()
    build("folder", root, out, CONFIG, RunConfig(per_shard=1))
    assert sorted(script.calls) == ["a", "b"] and published(out) == before


def test_a_finished_build_touches_nothing(tmp_path: Path, script: Script) -> None:
    root, out = corpus(tmp_path / "raw", "a", "reject", "z"), tmp_path / "out"
    build("folder", root, out, CONFIG, RunConfig(per_shard=1))
    times = {path: path.stat().st_mtime_ns for path in out.glob("[a-zA-Z]*.*") if path.name != "build.json"}
    report = build("folder", root, out, CONFIG, RunConfig(per_shard=1))
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert report.counts.reused == 3 and len(report.manifest.shards) == 2


def test_one_more_clip_changes_only_its_shards(tmp_path: Path, script: Script) -> None:
    root, out = corpus(tmp_path / "raw", *"abcd"), tmp_path / "out"
    build("folder", root, out, CONFIG, RunConfig(per_shard=2))
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    corpus(root, "cc")
    build("folder", root, out, CONFIG, RunConfig(per_shard=2))
    after = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert len(after) == 3 and [path.name for path in before if after[path] == before[path]] == [
        "folder-000000.tar"
    ]


KILLED = """
import sys, time
from functools import partial
from pathlib import Path
from datapipe import task
from datapipe.config import BuildConfig
from datapipe.run import RunConfig, build
sys.path.insert(0, {tests!r})
from scripted import packed

def slow(clip, config, call, gpu):
    time.sleep(0.03)
    return call(packed, clip.id)

task.flow = slow
print("go", flush=True)
build("folder", Path({root!r}), Path({out!r}), BuildConfig(), RunConfig(isolate=False, per_shard=4))
"""


@pytest.mark.parametrize("after", [0.05, 0.3, 0.6, 0.75])
def test_a_build_that_was_killed_ends_with_the_same_bytes(
    tmp_path: Path, script: Script, after: float
) -> None:
    root = corpus(tmp_path / "raw", *(f"clip{number:02d}" for number in range(20)))
    build("folder", root, tmp_path / "whole", CONFIG, RunConfig(per_shard=4))
    code = KILLED.format(tests=str(Path(__file__).parent), root=str(root), out=str(tmp_path / "out"))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None and child.stdout.readline() == b"go\n"
    time.sleep(after)
    child.kill()
    child.wait()
    script.calls.clear()
    build("folder", root, tmp_path / "out", CONFIG, RunConfig(per_shard=4))
    assert published(tmp_path / "out") == published(tmp_path / "whole")
    assert leftovers(tmp_path / "out") == [] and len(script.calls) <= 20


def test_rejects_of_a_killed_build_are_not_lost(tmp_path: Path, script: Script) -> None:
    root = corpus(tmp_path / "raw", "a", "reject", "stop")
    with pytest.raises(KeyboardInterrupt):
        build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    assert read_ledger(tmp_path / "out")["reject"].reason == "no_face"
    script.calls.clear()
    script.well = True
    build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    assert script.calls == ["stop"]
