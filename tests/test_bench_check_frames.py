"""check-frames: which frames are compared, and what is refused before a network is asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark import crosscheck
from benchmark.__main__ import main
from benchmark.check_frames import _frames
from datapipe.media import write_video
from datapipe.records import Rejected


def film(folder: Path, name: str, length: int = 6, side: int = 64) -> None:
    folder.mkdir(exist_ok=True)
    levels = np.arange(length, dtype=np.uint8)[:, None, None, None] * 20
    write_video(folder / name, np.broadcast_to(levels, (length, side, side, 3)).copy())


def test_frames_of_shared_names_go_in_pairs(tmp_path: Path) -> None:
    for name, length in (("a.mp4", 6), ("b.mp4", 4)):
        film(tmp_path / "truth", name, length)
        film(tmp_path / "made", name, 5)
    film(tmp_path / "made", "stranger.mp4")
    truth, made = _frames(tmp_path / "truth", tmp_path / "made", every=2, limit=8)
    assert truth.shape == made.shape == (3 + 2, 64, 64, 3)
    assert np.abs(truth.astype(int) - made).max() < 8


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    film(tmp_path / "truth", "a.mp4")
    film(tmp_path / "made", "b.mp4")
    with pytest.raises(Rejected, match="share no mp4"):
        _frames(tmp_path / "truth", tmp_path / "made", 1, 8)
    film(tmp_path / "made", "a.mp4", side=32)
    with pytest.raises(Rejected, match="differ in size"):
        _frames(tmp_path / "truth", tmp_path / "made", 1, 8)


def test_the_command_prints_both_sides(tmp_path: Path, monkeypatch, capsys) -> None:
    for folder in ("truth", "made"):
        film(tmp_path / folder, "a.mp4")
    both = crosscheck.Crosscheck(name="fid", ours=1.5, theirs=1.25, largest_difference=1e-6)
    for name in ("crosscheck_fid", "crosscheck_lpips"):
        monkeypatch.setattr(crosscheck, name, lambda truth, made: both)
    folders = ["--reference", str(tmp_path / "truth"), "--videos", str(tmp_path / "made")]
    assert main(["check-frames", *folders, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["theirs"] == 1.25
    assert main(["check-frames", *folders]) == 0
    assert "1.500000" in capsys.readouterr().out
