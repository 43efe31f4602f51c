"""run, cache, ledger, manifest, cluster, limits: nothing lost, nothing half-written, nothing done twice."""

from __future__ import annotations

import errno
import shlex
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import CONFIG, RunConfig, Script, corpus, leftovers

from datapipe import __main__ as data
from datapipe import cache, cluster, task
from datapipe.cell import Cell
from datapipe.cluster import DaskConfig, run_on_dask
from datapipe.crop import CropConfig
from datapipe.ledger import Row, count, read_ledger, wants_retry
from datapipe.limits import TimeUp, only_one, time_limit
from datapipe.manifest import read_manifest, verify
from datapipe.records import Clip, Rejected
from datapipe.run import RunConfig as AnyRunConfig
from datapipe.run import build, plan


def test_a_bug_a_reject_and_a_hang_cost_their_own_clip(tmp_path: Path, script: Script) -> None:
    root = corpus(tmp_path / "raw", "a", "bug", "c", "reject", "slow", "z")
    report = build("folder", root, tmp_path / "out", CONFIG, RunConfig(timeout=0.2))
    rows = read_ledger(tmp_path / "out")
    assert (report.counts.done, report.counts.rejected, report.counts.failed) == (3, 2, 1)
    assert report.counts.sentence().startswith("in 6 = out 3 + rejected 2 (no_face 1, timeout 1) + failed 1")
    assert "ZeroDivisionError" in rows["bug"].traceback and rows["bug"].reason == "ZeroDivisionError"
    assert rows["slow"].reason == "timeout" and "packed" in rows["a"].stages
    assert verify(tmp_path / "out") == () and read_manifest(tmp_path / "out").failed == 1


def test_a_second_build_computes_nothing_and_gives_the_same_bytes(tmp_path: Path, script: Script) -> None:
    root = corpus(tmp_path / "raw", "a", "b", "bug", "reject")
    first = build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    script.calls.clear()
    second = build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    assert script.calls == [] and second.counts.reused == 4
    assert first.manifest.shards == second.manifest.shards
    assert all(row.attempt == 1 for row in read_ledger(tmp_path / "out").values())


def test_content_and_settings_decide_not_names_of_folders(tmp_path: Path, script: Script) -> None:
    root = corpus(tmp_path / "raw", "a", "b")
    build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    (root / "b.mp4").write_bytes(b"another content")
    root.rename(tmp_path / "moved")
    script.calls.clear()
    build("folder", tmp_path / "moved", tmp_path / "out", CONFIG, RunConfig())
    assert script.calls == ["b"]
    changed = replace(CONFIG, crop=CropConfig(size=64))
    build("folder", tmp_path / "moved", tmp_path / "out", changed, RunConfig())
    assert script.calls == ["b", "a", "b"]


@pytest.mark.parametrize(
    ("retry", "again"), [("failed", ["bug"]), ("no_face", ["reject"]), ("rejected", ["reject"])]
)
def test_retry_takes_only_what_was_asked(
    tmp_path: Path, script: Script, retry: str, again: list[str]
) -> None:
    root = corpus(tmp_path / "raw", "a", "bug", "reject")
    build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    script.calls.clear()
    script.well = True
    report = build("folder", root, tmp_path / "out", CONFIG, RunConfig(retry=retry))
    assert script.calls == again and report.counts.done == 2
    assert read_ledger(tmp_path / "out")[again[0]].attempt == 2


def test_a_retry_of_nothing_says_what_there_is(tmp_path: Path, script: Script) -> None:
    root = corpus(tmp_path / "raw", "a", "reject")
    build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    with pytest.raises(Rejected, match="there is: no_face, rejected"):
        build("folder", root, tmp_path / "out", CONFIG, RunConfig(retry="silent"))


@pytest.mark.parametrize("name", ["manifest.json", "ledger.jsonl"])
def test_a_folder_of_another_version_is_refused_and_stays(tmp_path: Path, script: Script, name: str) -> None:
    root, out = corpus(tmp_path / "raw", "a"), tmp_path / "out"
    build("folder", root, out, CONFIG, RunConfig())
    for content in ('{"created": "2026-01-01"}', "no json"):
        (out / name).write_text(content)
        with pytest.raises(Rejected, match="of this version; build into another"):
            build("folder", root, out, CONFIG, RunConfig())
        assert (out / name).read_text() == content and list(out.glob("*.tar"))


def test_two_builds_do_not_write_to_one_folder(tmp_path: Path, script: Script) -> None:
    root = corpus(tmp_path / "raw", "a")
    with only_one(tmp_path / "out"), pytest.raises(Rejected, match="another command is writing"):
        build("folder", root, tmp_path / "out", CONFIG, RunConfig())


def test_one_clip_alone_by_the_command_that_the_ledger_names(tmp_path: Path, script: Script) -> None:
    root, out = corpus(tmp_path / "raw", "a", "bug it's 1"), tmp_path / "out"
    build("folder", root, out, CONFIG, RunConfig())
    words = shlex.split(read_ledger(out)["bug it's 1"].reproduce)
    assert words[:3] == ["avatarsync", "data", "build"]
    assert data.main(words[2:]) == 3
    again = read_ledger(Path(f"{out}.again"))
    assert list(again) == ["bug it's 1"] and again["bug it's 1"].reason == "ZeroDivisionError"
    with pytest.raises(Rejected, match="near: a"):
        build("folder", root, tmp_path / "new", CONFIG, RunConfig(only="aa"))
    with pytest.raises(Rejected, match="other clips"):
        build("folder", root, out, CONFIG, RunConfig(only="a"))


def test_a_crash_in_native_code_costs_its_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = corpus(tmp_path / "raw", "a", "b")
    monkeypatch.setattr(task, "_cell", lambda: Cell("faulthandler:_sigsegv"))
    report = build("folder", root, tmp_path / "out", CONFIG, AnyRunConfig())
    assert report.counts.reasons == {"crashed": 2} and all(row.reproduce for row in report.troubles)


def test_shards_hold_so_many_and_stale_ones_go(tmp_path: Path, script: Script) -> None:
    root = corpus(tmp_path / "raw", *"abcde")
    build("folder", root, tmp_path / "out", CONFIG, RunConfig(per_shard=2))
    assert len(list((tmp_path / "out").glob("*.tar"))) == 3
    report = build("folder", root, tmp_path / "out", CONFIG, RunConfig(per_shard=4, limit=4))
    assert [shard.keys for shard in report.manifest.shards] == [("a", "b", "c", "d")]
    assert len(list((tmp_path / "out").glob("*.tar"))) == 1 and verify(tmp_path / "out") == ()


def test_plan_says_what_build_then_does(tmp_path: Path, script: Script) -> None:
    root = corpus(tmp_path / "raw", "a", "reject")
    assert plan("folder", root, tmp_path / "out", CONFIG, RunConfig())["compute"] == ["a", "reject"]
    assert not (tmp_path / "out").exists()
    build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    corpus(root, "new")
    verdicts = plan("folder", root, tmp_path / "out", CONFIG, RunConfig())
    assert verdicts == {"compute": ["new"], "reuse": ["a"], "skip": ["reject"], "unusable": []}


def test_sources_and_outputs_are_kept_apart(tmp_path: Path, script: Script) -> None:
    root = corpus(tmp_path / "raw", "a")
    with pytest.raises(Rejected, match="never written to"):
        build("folder", root, root / "out", CONFIG, RunConfig())
    build("folder", root, tmp_path / "out", CONFIG, RunConfig())
    with pytest.raises(Rejected, match="another source"):
        build("cmlr", root, tmp_path / "out", CONFIG, RunConfig())


@given(st.lists(st.sampled_from(["done", "rejected", "failed"]), max_size=30))
def test_conservation(statuses: list[Any]) -> None:
    rows = [Row(clip=str(n), status=status, reason="no_face") for n, status in enumerate(statuses)]
    counts = count(rows, len(rows))
    assert counts.total == counts.done + counts.rejected + counts.failed == len(statuses)
    assert sum(counts.reasons.values()) == counts.rejected
    with pytest.raises(AssertionError):
        count(rows, len(rows) + 1)
    if rows:
        with pytest.raises(AssertionError):
            count([*rows[:-1], rows[0]] if len(rows) > 1 else [*rows, *rows], len(rows))


def test_reasons_of_the_machine_are_always_tried_again() -> None:
    assert wants_retry(Row(clip="a", status="rejected", reason="disk_full"), None)
    assert not wants_retry(Row(clip="a", status="rejected", reason="no_face"), None)


def test_time_limits_hold_in_any_thread() -> None:
    def endless() -> None:
        with time_limit(0.1):
            while True:
                time.sleep(0.005)

    with pytest.raises(TimeUp):
        endless()
    caught: list[BaseException] = []

    def in_thread() -> None:
        try:
            endless()
        except TimeUp as error:
            caught.append(error)

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join(5)
    assert len(caught) == 1
    with time_limit(5):
        pass
    time.sleep(0.02)


def die(task: str) -> str:
    """Run in a worker: kill it, raise, or answer."""
    import os

    if task == "kill":
        os._exit(1)
    if task == "raise":
        raise ValueError(task)
    return task.upper()


def die_all(tasks: list[str]) -> list[str]:
    return [die(task) for task in tasks]


def test_a_worker_that_dies_costs_its_task_and_no_other(tmp_path: Path) -> None:
    (tmp_path / ".half.tmp.tar").write_bytes(b"x")
    config = DaskConfig(cluster="local", workers=2, stall=60.0, batch=4, on_gpu=None, scratch=tmp_path)

    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    outcomes = dict(run_on_dask(die_all, ["a", "raise", "kill", "b", "c"], config))
    assert [outcomes[each] for each in "abc"] == ["A", "B", "C"]
    assert isinstance(outcomes["raise"], ValueError) and isinstance(outcomes["kill"], BaseException)
    assert leftovers(tmp_path) == []


@given(st.integers(0, 500), st.integers(1, 40), st.integers(1, 64))
def test_batches_hold_every_task_once_and_end_small(num_tasks: int, workers: int, largest: int) -> None:
    batches = list(cluster._batches(range(num_tasks), workers, largest))
    assert [task for batch in batches for task in batch] == list(range(num_tasks))
    sizes = [len(batch) for batch in batches]
    assert sizes == sorted(sizes, reverse=True) and max(sizes, default=1) <= largest
    assert set(sizes[-workers:]) <= {1}


def test_an_unreachable_or_unknown_cluster_is_wrong_use(tmp_path: Path) -> None:
    config = DaskConfig(cluster="slurm", workers=1, stall=1.0, batch=1, on_gpu=None, scratch=tmp_path)
    with pytest.raises(Rejected, match="known: inline, local, tcp"):
        list(run_on_dask(die_all, ["a"], config))


def test_the_key_follows_weights_and_stage_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = Clip(id="a", source="folder", speaker="s", video=corpus(tmp_path / "raw", "a") / "a.mp4")
    before = cache.sample_key(clip, CONFIG)
    assert before == cache.sample_key(clip, CONFIG)
    monkeypatch.setitem(cache.VERSIONS, "stages", "stages/test")
    cache._settings_key.cache_clear()
    assert cache.sample_key(clip, CONFIG) != before


def test_a_file_system_without_locks_is_built_on(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    root = corpus(tmp_path / "raw", "a")
    assert build("folder", root, tmp_path / "out", CONFIG, RunConfig()).counts.done == 1
