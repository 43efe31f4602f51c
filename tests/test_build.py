"""The whole build on real pixels: every bad input gets its reason, and workers do not change a byte."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datapipe import __main__ as data
from datapipe import media
from datapipe.config import BuildConfig
from datapipe.crop import CropConfig, to_crop
from datapipe.ledger import read_ledger
from datapipe.manifest import read_manifest, verify
from datapipe.quality import COLUMNS
from datapipe.run import RunConfig, build
from datapipe.shards import read_samples
from datapipe.weights import resolve

CONFIG = BuildConfig(crop=CropConfig(size=64))
SAID = "Today, after two"


def tree_hash(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        stat = path.stat()
        digest.update(f"{path.relative_to(root)} {stat.st_mtime_ns} {stat.st_mode}".encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


@pytest.fixture(scope="session")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short talking clips with transcripts, cut from the real one."""
    root = tmp_path_factory.mktemp("talking")
    source = resolve("clip-obama")
    frames, sound = media.read_frames(source, 0.8, 2.6)[:, :120, 130:270], media.read_audio(source, 0.8, 2.6)
    for name, shown in (("a.1", frames), ("b", frames[:, :, ::-1])):
        media.write_video(root / f"{name}.mp4", np.ascontiguousarray(shown), sound)
        (root / f"{name}.txt").write_text(SAID)
    return root


@pytest.fixture(scope="session")
def bad(talking: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One good clip among every bad input there is."""
    root = tmp_path_factory.mktemp("bad")
    for suffix in (".mp4", ".txt"):
        shutil.copy(talking / f"b{suffix}", root / f"good{suffix}")
    raw = (talking / "b.mp4").read_bytes()
    frames, sound = media.read_frames(talking / "b.mp4"), media.read_audio(talking / "b.mp4")
    noise = np.random.default_rng(0).integers(90, 110, frames.shape, np.uint8)
    (root / "no_video.mp4").write_text("a text that calls itself a video " * 40)
    (root / "truncated.mp4").write_bytes(raw[: len(raw) * 6 // 10])
    (root / "headless.mp4").write_bytes(raw[:300])
    media.write_video(root / "no_audio.mp4", frames)
    media.write_video(root / "no_face.mp4", noise, sound)
    (root / "no_face.txt").write_text(SAID)
    media.write_video(root / "silence.mp4", frames, np.zeros_like(sound))
    media.write_video(root / "short.mp4", frames[:5], sound[:3200])
    (root / "short.txt").write_text("to")
    media.write_video(root / "wrong_text.mp4", frames, sound)
    (root / "wrong_text.txt").write_text(
        "completely unrelated sentences about gardening equipment and weather"
    )
    return root


EXPECTED = {
    "no_video": "not_a_video",
    "truncated": "truncated",
    "headless": "not_a_video",
    "no_audio": "no_audio",
    "no_face": "no_face",
    "silence": "silent",
    "short": "too_short",
    "wrong_text": "not_aligned",
}


@pytest.mark.assets
def test_every_bad_input_has_its_reason_and_the_good_one_gets_through(bad: Path, tmp_path: Path) -> None:
    before = tree_hash(bad)
    report = build("folder", bad, tmp_path / "out", CONFIG, RunConfig())
    rows = read_ledger(tmp_path / "out")
    assert {name: rows[name].reason for name in EXPECTED} == EXPECTED
    assert (
        rows["good"].status == "done" and report.counts.done == 1 and report.counts.rejected == len(EXPECTED)
    )
    assert report.counts.total == report.counts.done + report.counts.rejected + report.counts.failed
    for name in EXPECTED:
        assert rows[name].status == "rejected" and not rows[name].traceback
        assert rows[name].message and "\n" not in rows[name].message and str(bad) not in rows[name].message
    assert tree_hash(bad) == before
    assert verify(tmp_path / "out") == ()
    assert read_manifest(tmp_path / "out").rejected == report.counts.reasons


@pytest.mark.assets
def test_two_dask_workers_give_the_bytes_of_one_process(talking: Path, tmp_path: Path) -> None:
    environment = dict(os.environ)
    alone = build("folder", talking, tmp_path / "alone", CONFIG, RunConfig())
    together = build("folder", talking, tmp_path / "together", CONFIG, RunConfig(cluster="local", workers=2))
    assert dict(os.environ) == environment  # Dask would leave its workers' settings here
    assert alone.counts.done == together.counts.done == 2
    assert [shard.sha256 for shard in alone.manifest.shards] == [
        shard.sha256 for shard in together.manifest.shards
    ]
    sample = next(read_samples(tmp_path / "alone"))
    check_sample(sample.meta.id, sample)


def check_sample(clip_id: str, sample: Any) -> None:
    meta = sample.meta
    assert clip_id == "a.1" and meta.key == "a~2E1" and meta.num_frames == 45 and meta.language == "en"
    assert meta.phonemes[0].start == 0.0 and meta.phonemes[-1].end == pytest.approx(meta.duration, abs=1e-6)
    assert len(meta.keyframes) == len(meta.phonemes)
    assert media.read_frames(sample.video).shape == (45, 64, 64, 3)
    assert media.read_frames(sample.keyframes).shape[0] == len(meta.keyframes)
    assert len(media.read_audio(sample.audio)) == 45 * 640
    assert sample.landmarks_TK2.shape == (45, 106, 2) and sample.identity.shape == (512,)
    moved = to_crop(sample.source_landmarks_TK2, sample.matrices_T23)
    assert np.abs(moved - sample.landmarks_TK2).max() < 1e-3
    assert np.linalg.norm(sample.identity) == pytest.approx(1.0, abs=1e-5)
    assert {"yaw_deg", "scene_cuts", "keyframe_collisions", "snr_db"} <= set(meta.quality) <= set(COLUMNS)
    assert "upscale_flicker" not in meta.quality
    assert not any("/" in value for value in meta.lineage.values())


@pytest.mark.assets
def test_the_command_line_from_build_to_export(
    talking: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = str(tmp_path / "shards")
    base = ["--source", "folder", "--root", str(talking), "--out", shards]
    assert (
        data.main(["build", *base, "--size", "64", "--split.test", "0.5", "--split.val", "0.4", "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["done"] == 2
    assert (
        data.main(["plan", *base, "--size", "64", "--split.test", "0.5", "--split.val", "0.4", "--json"]) == 0
    )
    assert len(json.loads(capsys.readouterr().out)["reuse"]) == 2
    assert data.main(["verify", "--shards", shards]) == 0
    assert data.main(["stats", "--shards", shards, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert facts["samples"] == 2 and facts["quality"]["jitter_px"]["max"] < 0.5
    assert data.main(["preview", "--shards", shards, "--out", str(tmp_path / "p.png")]) == 0
    assert data.main(["preview", "--shards", shards, "--out", str(tmp_path / "p.html")]) == 0
    assert data.main(["export", "--shards", shards, "--out", str(tmp_path / "cases")]) == 0
    made = sorted(path.name for path in (tmp_path / "cases").iterdir())
    assert made == sorted(
        f"{key}.{suffix}" for key in ("a~2E1", "b") for suffix in ("mp4", "png", "wav", "json")
    )
    assert media.probe(tmp_path / "cases" / "b.mp4").audio_codec == "aac"
    (tmp_path / "shards" / "folder-000000.tar").write_bytes(b"damaged")
    assert data.main(["verify", "--shards", shards]) == 1


@pytest.mark.parametrize(
    "argv",
    [
        ["build", "--source", "folder"],
        ["build", "--source", "folder", "--root", ".", "--out", "/tmp/x", "--language", "fr"],
        ["build", "--source", "folder", "--root", "/nowhere", "--out", "/tmp/x"],
        ["build", "--source", "folder", "--root", ".", "--out", "./inside"],
        ["stats", "--shards", "/nowhere"],
        ["export", "--shards", "/nowhere", "--out", "/tmp/x"],
        ["nothing"],
        [],
    ],
)
def test_wrong_use_is_2(argv: list[str]) -> None:
    assert data.main(argv) == 2


def test_help_lists_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert data.main(["--help"]) == 0
    assert "avatarsync data build --source cmlr" in capsys.readouterr().out
