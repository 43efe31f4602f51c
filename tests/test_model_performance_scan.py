"""The measurements of the scan and of pairs: both sides compute the same, in small; no time is judged."""

from dataclasses import replace

import pytest
import torch

from model.avatarsync.interpolate import Interpolator
from model.performance import pairs, scan
from model.performance.sizes import QUICK

SMALL = replace(QUICK, scan_length=40, repeats=1)


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("package", "form"),
    [
        ("mambapy", scan.by_mambapy),
        pytest.param("transformers", scan.by_transformers, marks=pytest.mark.slow),  # its import takes long
    ],
)
def test_each_package_computes_what_ours_does(package, form):
    pytest.importorskip(package)
    given = scan.inputs(40)
    ours, theirs = scan.with_gradients(scan.by_ours, given), scan.with_gradients(form, given)
    scan.check_alike(package, ours, theirs)
    for number in range(len(ours)):
        wrong = [each * 1.01 if at == number else each for at, each in enumerate(theirs)]
        with pytest.raises(RuntimeError, match=f"{package}: result {number}"):
            scan.check_alike(package, ours, wrong)


@pytest.mark.slow
def test_the_measurement_has_a_bar_for_each_package(tmp_path):
    pytest.importorskip("mambapy"), pytest.importorskip("transformers")
    measured = scan.measure_scan(SMALL, tmp_path)
    assert [each.limit for each in measured.figures if each.limit] == [50.0, 3.0]
    assert all(value > 0 for each in measured.figures for value in each.values)


def test_pairs_are_measured_against_the_same_pictures(tmp_path, monkeypatch):
    measured = pairs.measure_pairs(SMALL, tmp_path)
    assert measured.figures[0].limit == 5.0 and measured.figures[0].median > 1
    forward = Interpolator.forward
    monkeypatch.setattr(Interpolator, "forward", lambda self, *given: forward(self, *given) + 0.01)
    with pytest.raises(RuntimeError, match="times say nothing"):
        pairs.measure_pairs(SMALL, tmp_path)
