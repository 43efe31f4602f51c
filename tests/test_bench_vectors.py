"""The selftest reproduces published values, says what it could not try, and claims no more than it saw."""

import json
from pathlib import Path

import pytest

from benchmark.machine import use_one_thread
from benchmark.networks import i3d, inception
from benchmark.selftest import selftest
from benchmark.selftest.commands import SelftestCommand
from benchmark.selftest.selftest import Outcome, as_record, conformant, run_vectors
from benchmark.selftest.vectors import Vector
from datapipe.networks import arrays, lpips
from datapipe.records import Rejected

ALL = ("fid", "fid_clean", "fvd_debiased", "fvd_styleganv", "lpips_alex", "lpips_vgg", "psnr", "ssim")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    use_one_thread()


@pytest.mark.assets
def test_published_vectors_are_reproduced() -> None:
    outcomes = run_vectors()
    assert [o for o in outcomes if o.status != "pass"] == []
    assert set(ALL) <= set(conformant(outcomes))


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.parametrize("vector", [v for v in selftest.VECTORS if v.slow], ids=lambda v: v.name)
def test_slow_vectors_are_reproduced(vector: Vector) -> None:
    assert vector.compute() == pytest.approx(vector.expected, rel=vector.tolerance)


def test_selftest_skips_what_has_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Path:
        raise Rejected("missing_weight", f"`{name}` is not here")

    caches = (arrays._converted, inception._weights, i3d._weights, lpips._weights)
    monkeypatch.setattr(arrays, "resolve", missing)
    monkeypatch.setattr("benchmark.selftest.known_values.resolve", missing)
    ours = {"distance", "psnr", "ssim", "squashed preparation", "debiased preparation", "clean resize"}
    ours |= {"fid network", "fvd network", "lpips_alex", "lpips_vgg"}
    quick = tuple(v for v in selftest.VECTORS if "2048" not in v.name and v.metric in ours)
    monkeypatch.setattr(selftest, "VECTORS", quick)
    for cached in caches:
        cached.cache_clear()
    outcomes = run_vectors()
    for cached in caches:
        cached.cache_clear()
    by_need = {name: [o for o in outcomes if o.status == name] for name in ("skip", "pass", "fail")}
    assert by_need["fail"] == []
    assert all("is not here" in o.why and o.measured is None for o in by_need["skip"])
    skipped = {o.vector.metric for o in by_need["skip"]}
    assert skipped == {
        "fid network",
        "clean resize",
        "fvd network",
        "lpips_alex",
        "lpips_vgg",
        "psnr",
        "ssim",
    }
    assert conformant(outcomes) == ()


def outcome(metric: str, status: str, published: bool = True) -> Outcome:
    vector = Vector(metric, "a value", 1.0, 1e-3, "somewhere", lambda: 1.0, published)
    return Outcome(vector, status, None if status == "skip" else 1.0)


def test_a_metric_is_conformant_only_with_all_its_parts() -> None:
    both = [outcome("distance", "pass"), outcome("fid network", "pass")]
    assert conformant(both) == ("fid",)
    assert conformant([*both, outcome("clean resize", "skip")]) == ("fid",)
    assert conformant([*both, outcome("clean resize", "pass")]) == ("fid", "fid_clean")
    assert conformant([*both, outcome("fid network", "fail")]) == ()
    assert conformant([both[0], outcome("fid network", "pass", published=False)]) == ()
    assert conformant([outcome("psnr", "pass"), outcome("psnr", "skip")]) == ()
    assert conformant([]) == ()


def test_a_wrong_value_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = (Vector("x", "v", 2.0, 1e-3, "s", lambda value=value: value) for value in (2.001, 2.01))
    zero = Vector("x", "zero", 0.0, 1e-9, "s", lambda: 1e-8)
    monkeypatch.setattr(selftest, "VECTORS", (right, wrong, zero))
    assert [o.status for o in run_vectors()] == ["pass", "fail", "fail"]


def test_slow_vectors_wait_to_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "VECTORS", (Vector("x", "v", 1.0, 1e-3, "s", lambda: 1.0, slow=True),))
    assert run_vectors() == ()
    assert [o.status for o in run_vectors(slow=True)] == ["pass"]


def test_the_record_of_a_selftest_is_json() -> None:
    record = json.loads(json.dumps(as_record([outcome("psnr", "pass"), outcome("ssim", "skip")])))
    assert record["conformant"] == ["psnr"]
    assert [row["status"] for row in record["vectors"]] == ["pass", "skip"]
    assert record["vectors"][1]["measured"] is None
    assert set(record["vectors"][0]) >= {"metric", "vector", "expected", "tolerance", "source", "published"}


def test_every_vector_says_where_it_comes_from() -> None:
    keys = [(vector.metric, vector.name) for vector in selftest.VECTORS]
    assert len(set(keys)) == len(keys)
    for vector in selftest.VECTORS:
        assert vector.source and vector.tolerance <= 0.02
        assert vector.published != ("measured here" in vector.source)
    named = {vector.metric for vector in selftest.VECTORS}
    assert {part for parts in selftest.PARTS.values() for part in parts} <= named


@pytest.mark.parametrize("value", [1.0, 1.1])
def test_the_command_prints_lines_or_json(
    value: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = Vector("psnr", "a value", 1.0, 1e-3, "somewhere", lambda: value)
    slow = Vector("psnr", "another", 2.0, 1e-3, "elsewhere", lambda: 2.0, slow=True)
    monkeypatch.setattr(selftest, "VECTORS", (quick, slow))
    code = SelftestCommand().execute()
    lines = capsys.readouterr().out.splitlines()
    said = SelftestCommand(slow=True, json=True).execute(), json.loads(capsys.readouterr().out)
    assert code == said[0] == (0 if value == 1.0 else 1)
    assert len(lines) == 2 and lines[-1] == f"conformant: {'psnr' if value == 1.0 else 'none'}"
    assert [row["vector"] for row in said[1]["vectors"]] == ["a value", "another"]
    assert said[1]["conformant"] == (["psnr"] if value == 1.0 else [])


def test_the_page_of_metrics_lists_every_vector() -> None:
    page = (Path(__file__).parent.parent / "docs/metrics.md").read_text()
    missing = [
        vector.name
        for vector in selftest.VECTORS
        if f"| {vector.expected:.10g} | {vector.source}" not in page
    ]
    assert not missing
