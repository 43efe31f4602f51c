"""Curves of a run: every term of every part, drawn whole or not at all."""

import json
import subprocess

import numpy as np
import pytest
from PIL import Image

from datapipe.records import Rejected
from model.__main__ import main
from model.training.curves import draw_curves, read_curves, smooth


@pytest.fixture
def run(tmp_path):
    for part, terms in (("interpolator", ("loss", "points")), ("tokenizer", ("entropy", "loss", "lpips"))):
        (tmp_path / part).mkdir()
        rows = [
            {"step": 10 * k, "steps_per_second": 2.0, "mfu": 0.1, "skipped": 0}
            | {term: (1.0 + n) / (k + 1) for n, term in enumerate(terms) if term != "lpips" or k > 5}
            for k in range(20)
        ]
        rows[3]["loss"] = float("nan")
        (tmp_path / part / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_all_terms_are_read_the_loss_first_and_speeds_are_left_out(run):
    curves = read_curves(run)
    names = [(curve.part, curve.term) for curve in curves]
    assert names == [
        ("tokenizer", "loss"), ("tokenizer", "entropy"), ("tokenizer", "lpips"),
        ("interpolator", "loss"), ("interpolator", "points"),
    ]  # fmt: skip
    assert len(curves[0].steps_n) == 19 and 30.0 not in curves[0].steps_n  # no number, no point
    assert curves[2].steps_n[0] == 60.0  # a term of the second phase begins where it begins


def test_the_picture_has_a_row_for_each_part_and_a_panel_for_each_term(run, capsys):
    assert main(["curves", "--run", str(run), "--out", str(run / "curves.png")]) == 0
    assert capsys.readouterr().out.strip() == str(run / "curves.png")
    picture = np.asarray(Image.open(run / "curves.png").convert("L"))
    assert picture.shape == (600, 1170)  # 2 x 3 panels of 2.6 x 2 inches at 150 dpi
    cells = picture.reshape(2, 300, 3, 390).transpose(0, 2, 1, 3)
    ink = (cells < 200).sum((2, 3))
    assert (ink.ravel()[:5] > 100).all() and ink[1, 2] == 0


def test_a_run_without_logs_and_an_unknown_format_are_refused(run, tmp_path):
    with pytest.raises(Rejected, match=r"holds no log.jsonl"):
        read_curves(tmp_path / "nothing")
    with pytest.raises(Rejected, match=r"curves\.txt ends in no format"):
        draw_curves(read_curves(run), run / "curves.txt")
    assert not (run / "curves.txt").exists()


def test_smoothing_keeps_lines_and_means():
    line = np.linspace(0.0, 1.0, 101)
    assert smooth(line, 0.1)[20:80] == pytest.approx(line[20:80])
    noise = np.random.default_rng(0).normal(size=2000)
    assert smooth(noise, 0.05).std() < 0.2 * noise.std()
    assert smooth(np.array([3.0])) == pytest.approx([3.0])


def test_the_drawing_needs_no_display(run):
    command = "import sys; from model.__main__ import main; sys.exit(main(sys.argv[1:]))"
    import sys

    done = subprocess.run(
        [sys.executable, "-c", command, "curves", "--run", str(run), "--out", str(run / "c.svg")],
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "svg" in (run / "c.svg").read_text()[:400]
