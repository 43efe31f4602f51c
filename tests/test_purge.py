"""purge, rewrite, takedown: what is asked to leave is gone, the rest is not touched, crashes are finished."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datapipe import __main__ as data
from datapipe import cache, files, rewrite, task
from datapipe.config import BuildConfig
from datapipe.ledger import read_ledger
from datapipe.manifest import read_manifest, verify
from datapipe.pack import Packed
from datapipe.purge import PurgeReport, purge
from datapipe.records import Clip, Probe, Rejected, Sample, to_json
from datapipe.rewrite import split_again
from datapipe.run import RunConfig, build, read_replay
from datapipe.shards import ARRAYS, escape_key, npy_bytes, read_samples
from datapipe.splits import SplitConfig
from datapipe.table import read_table, rows_of
from datapipe.takedown import Takedown, read_takedown

RUN = partial(RunConfig, isolate=False, per_shard=3)
CONFIG = BuildConfig()
PROBE = Probe(
    width=8, height=8, fps=25, num_frames=4, duration=0.16, video_codec="h264", audio_codec=None,  # type: ignore[arg-type]
    sample_rate=None,
)  # fmt: skip
NAMES = [f"{speaker}/{number}" for speaker in ("ann", "bob", "cy") for number in range(4)]


def film(clip_id: str) -> bytes:
    """Bytes that are this clip's and nobody else's."""
    return hashlib.sha512(clip_id.encode()).digest() * 4


def flow(clip: Clip, config: BuildConfig, call: Any, gpu: Any) -> Packed:
    """Stands in for the real one: a sample of random media that only this clip has."""
    if clip.id.startswith("dud"):
        raise Rejected("no_face", "no face")
    meta = Sample(
        key=escape_key(clip.id), id=clip.id, source=clip.source, speaker=clip.speaker, language="en",
        split=clip.split or "", text=f"said in {clip.id}", text_origin="released", licence="unknown", fps=25,
        num_frames=4, size=32, duration=0.16, phonemes=(), keyframes=(), probe=PROBE, quality={}, notes={},
        lineage={"video": clip.video.name, "video_sha256": film(clip.id).hex()[:64]},
    )  # fmt: skip
    face = np.frombuffer(film(clip.id), np.uint8).astype(np.float32)[:256].repeat(2) - 128
    arrays = {name: npy_bytes(face / np.linalg.norm(face)) for name in ARRAYS}
    media = {"video.m4v": film(clip.id), "keyframes.m4v": b"k", "audio.wave": b"a", **arrays}
    return Packed(meta=meta, members={**media, "meta.json": to_json(meta).encode()})


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "flow", flow)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips of three people in four shards of three, and one reject."""
    folder = tmp_path_factory.mktemp("made")
    for name in [*NAMES, "dud/0"]:
        path = folder / "raw" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "flow", flow)
        built(folder / "out")
    return folder


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A copy of the built dataset; `whole` beside it is another."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    shutil.copytree(made / "out", tmp_path / "whole")
    return tmp_path / "out"


def built(out: Path, config: BuildConfig = CONFIG, **changes: Any) -> None:
    build("folder", out.parent / "raw", out, config, RUN(**changes))


def content(out: Path) -> dict[str, bytes]:
    """All that is published, without what only this folder's history decides."""
    hidden = ("ledger.jsonl", "takedown.json", "build.json", ".lock")
    return {
        path.name: path.read_bytes() for path in out.iterdir() if path.is_file() and path.name not in hidden
    }


def traces(out: Path, clip_id: str) -> list[Path]:
    """Files in which 16 bytes in a row are the clip's, as they are or as text."""
    pieces = [film(clip_id)[at : at + 16] for at in range(0, 49, 8)]
    needles = [*pieces, f"said in {clip_id}".encode(), film(clip_id).hex()[:64].encode()]
    return [
        path
        for path in sorted(out.rglob("*"))
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]


def states(out: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(out.glob("*.tar"))}


def ids(out: Path) -> list[str]:
    return [sample.meta.id for sample in read_samples(out)]


def test_nothing_is_left_and_only_the_shards_that_held_it_change(out: Path) -> None:
    before = states(out)
    assert traces(out, "bob/1") and ids(out) == NAMES
    report = purge(out, Takedown(ids=("bob/1",)))
    assert report == PurgeReport(ids=("bob/1",), shards=("folder-000001.tar",), stays=11)
    assert traces(out, "bob/1") == [] and traces(out, "bob/2") != []
    assert {name for name, state in states(out).items() if state != before[name]} == set(report.shards)
    assert ids(out) == [name for name in NAMES if name != "bob/1"] and verify(out) == ()
    row = read_ledger(out)["bob/1"]
    assert (row.status, row.reason) == ("rejected", "purged") and "on request: bob/1" in row.message
    manifest = read_manifest(out)
    assert manifest.num_samples == 11 and manifest.rejected == {"no_face": 1, "purged": 1}
    listed = json.loads((out / "splits.json").read_text())["splits"]
    assert sorted(each for names in listed.values() for each in names) == ids(out)
    assert {row["id"] for row in rows_of(read_table(out))} == set(ids(out))


def test_a_speaker_leaves_whole_and_an_empty_shard_with_him(out: Path) -> None:
    report = purge(out, Takedown(speakers=("ann",)))
    assert len(report.ids) == 4 and all(traces(out, name) == [] for name in report.ids)
    assert ids(out) == [name for name in NAMES if not name.startswith("ann")] and verify(out) == ()
    assert not (out / "folder-000000.tar").exists()


def test_a_source_is_named_with_or_without_its_ending(out: Path) -> None:
    report = purge(out, Takedown(videos=("1.mp4",)), dry_run=True)
    assert report.ids == ("ann/1", "bob/1", "cy/1") == purge(out, Takedown(videos=("1",)), dry_run=True).ids


def test_a_dry_run_changes_nothing(out: Path) -> None:
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert purge(out, Takedown(speakers=("cy",)), dry_run=True).stays == 8
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_everything_may_leave(out: Path) -> None:
    assert purge(out, Takedown(speakers=("ann", "bob", "cy"))).stays == 0
    assert list(out.glob("*.tar")) == [] and read_manifest(out).num_samples == 0 and verify(out) == ()


def test_what_fits_nothing_is_refused_with_what_is_near(out: Path) -> None:
    for request, near in (
        (Takedown(speakers=("bbo",)), "near: bob"),
        (Takedown(videos=("3.mp5",)), "near: 3.mp4"),
        (Takedown(ids=("ann/9",)), "near: ann/"),
        (Takedown(), "say what"),
    ):
        with pytest.raises(Rejected, match=near):
            purge(out, request)
    assert read_takedown(out) == Takedown() and ids(out) == NAMES
    with pytest.raises(Rejected, match="not a folder"):
        purge(out / "nowhere", Takedown(ids=("a",)))
    assert not (out / "nowhere").exists()


def test_asking_twice_is_no_error(out: Path) -> None:
    purge(out, Takedown(speakers=("bob",)))
    before = content(out)
    again = purge(out, Takedown(speakers=("bob",)))
    assert again.ids == again.shards == () and content(out) == before


def test_builds_keep_it_out_and_give_the_same_bytes(out: Path) -> None:
    purge(out, Takedown(ids=("bob/1", "cy/3")))
    before = content(out)
    built(out)
    assert content(out) == before and traces(out, "bob/1") == []
    assert read_ledger(out)["cy/3"].reason == "purged"


def test_new_clips_of_a_speaker_who_left_stay_out_until_asked_for(out: Path) -> None:
    purge(out, Takedown(speakers=("bob",)))
    (out.parent / "raw/bob/9.mp4").write_bytes(b"bob/9")
    built(out)
    assert "bob/9" not in ids(out) and read_ledger(out)["bob/9"].reason == "purged"
    assert traces(out, "bob/9") == []
    built(out, retry="purged")
    assert {f"bob/{n}" for n in (0, 1, 2, 3, 9)} < set(ids(out)) and read_takedown(out) == Takedown()
    built(out)
    assert "bob/9" in ids(out)


def test_a_build_between_two_attempts_leaves_nothing_behind(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stop_at(2, lambda: purge(out, Takedown(speakers=("bob",))), monkeypatch)
    built(out)
    purge(out, Takedown(speakers=("bob",)))
    assert all(traces(out, f"bob/{n}") == [] for n in range(4)) and verify(out) == ()


def test_samples_of_other_settings_leave_the_cache_too(out: Path) -> None:
    smaller = replace(CONFIG, crop=replace(CONFIG.crop, size=64))
    built(out, smaller)
    assert len(list((out / ".cache").glob("??/*.tar"))) == 24
    purge(out, Takedown(ids=("ann/0",)))
    assert len(list((out / ".cache").glob("??/*.tar"))) == 22 and traces(out, "ann/0") == []


def test_a_cache_elsewhere_is_cleared_when_it_is_named(out: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    built(other, cache=tmp_path / "kept")
    purge(other, Takedown(ids=("ann/0",)), tmp_path / "kept")
    assert traces(tmp_path / "kept", "ann/0") == [] != traces(tmp_path / "kept", "ann/1")


def test_leftovers_of_a_killed_build_go_with_it(out: Path) -> None:
    (out / ".folder-000001.x.tmp.tar").write_bytes(film("ann/2"))
    damaged = cache.cache_path(out / ".cache", "ff" * 32)
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_bytes(film("ann/2"))
    cache.store(cache.draft_path(out / ".cache", "ee" * 32), "ann~2F2", {"video.m4v": film("ann/2")})
    cache.store(cache.draft_path(out / ".cache", "dd" * 32), "ann~2F3", {"video.m4v": film("ann/3")})
    stage = out / ".cache/stages/aa" / ("aa" * 32) / "align-1.json"
    stage.parent.mkdir(parents=True)
    stage.write_text("said in ann/2")
    purge(out, Takedown(ids=("ann/2",)))
    assert traces(out, "ann/2") == [] and cache.draft_path(out / ".cache", "dd" * 32).exists()


class Stop(Exception):
    """The moment at which the power went."""


@pytest.mark.parametrize("step", range(14))
def test_a_purge_that_was_interrupted_is_finished_by_asking_again(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Every file that is published is a place to stop, before it is there or after."""
    whole = tmp_path / "whole"
    purge(whole, Takedown(speakers=("bob",)))
    _stop_at(step, lambda: purge(out, Takedown(speakers=("bob",))), monkeypatch)
    purge(out, Takedown(speakers=("bob",)))
    assert content(out) == content(whole) and verify(out) == ()
    assert all(traces(out, f"bob/{n}") == [] for n in range(4))


@pytest.mark.parametrize("step", range(12))
def test_a_split_that_was_interrupted_is_finished_by_whatever_comes_next(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    config = SplitConfig(by="speaker", val=0.3, test=0.3, seed=3)
    whole = tmp_path / "whole"
    split_again(whole, config)
    stopped = _stop_at(step, lambda: split_again(out, config), monkeypatch)
    if stopped and step > 2 and not (out / "manifest.json").exists():
        purge(out, Takedown(ids=("ann/0",)))
        purge(whole, Takedown(ids=("ann/0",)))
    else:
        split_again(out, config)
    assert content(out) == content(whole) and verify(out) == ()


def _stop_at(step: int, act: Any, monkeypatch: pytest.MonkeyPatch) -> bool:
    count = iter(range(1000))
    sync = files._sync

    def stopping(path: Path) -> None:
        sync(path)
        if next(count) == step:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(files, "_sync", stopping)
        try:
            act()
        except Stop:
            return True
    return False


def test_splitting_again_gives_what_a_build_with_these_settings_gives(out: Path, tmp_path: Path) -> None:
    config = SplitConfig(by="speaker", val=0.3, test=0.3, seed=3)
    before = states(out)
    manifest = split_again(out, config)
    assert verify(out) == () and set(manifest.splits) > {"train"} and manifest == read_manifest(out)
    built(tmp_path / "other", replace(CONFIG, split=config))
    assert content(out) == content(tmp_path / "other")
    by = {sample.meta.speaker: sample.meta.split for sample in read_samples(out)}
    kept = {name for name, state in states(out).items() if state == before[name]}
    assert by == {row["speaker"]: row["split"] for row in rows_of(read_table(out))}
    touched = {row["shard"] for row in rows_of(read_table(out)) if row["split"] != "train"}
    assert touched and not touched & kept
    assert read_replay(out / "build.json")[2].split == config
    built(out, replace(CONFIG, split=config))
    assert content(out) == content(tmp_path / "other")


def test_the_same_split_again_touches_no_shard(out: Path) -> None:
    before = states(out)
    split_again(out, SplitConfig())
    assert states(out) == before


def test_a_published_split_can_be_applied_elsewhere(out: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    built(other, replace(CONFIG, split=SplitConfig(by="id", seed=5, val=0.3, test=0.3)))
    manifest = split_again(out, SplitConfig(file=other / "splits.json"))
    assert manifest.splits == read_manifest(other).splits
    assert (
        manifest.config["split"]["file_sha256"] == json.loads((other / "splits.json").read_text())["sha256"]
    )
    assert str(tmp_path) not in (out / "manifest.json").read_text()


def test_a_folder_without_a_finished_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="no manifest"):
        split_again(tmp_path, SplitConfig())
    assert not (tmp_path / rewrite.ASIDE).exists()


def test_commands(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["--shards", str(out)]
    assert data.main(["split", *base, "--split.preset", "paper", "--json"]) == 0
    printed = capsys.readouterr()
    assert sum(json.loads(printed.out).values()) == 12 and "leakage" in printed.err
    assert data.main(["purge", *base, "--speaker", "ann", "--dry-run"]) == 0
    printed = capsys.readouterr()
    assert (
        printed.out.split() == [f"ann/{n}" for n in range(4)] and "would be taken out, 8 stay" in printed.err
    )
    assert data.main(["purge", *base, "--id", "cy/0", "cy/1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stays"] == 10
    assert data.main(["purge", *base, "--speaker", "nobody"]) == 2
    assert data.main(["split", *base, "--split.preset", "paper", "--split.val", "0.2"]) == 2
