"""What every metric says of itself: names, protocols and the documents agree, over the whole registry."""

import dataclasses
import math
import re

import pytest
from conforming import JUDGES, KNOWN, QUICK, ROOT

from benchmark import metrics
from benchmark.footage import Footage, Store
from benchmark.metrics import PRESETS, MetricConfig, Sampling, known_metrics, table_metrics
from benchmark.records import Estimate, protocol
from benchmark.selftest.selftest import pattern
from benchmark.states import Values
from datapipe.weights import lookup

# -- what it says of itself


@pytest.mark.parametrize("preset", PRESETS)
def test_metrics_say_what_they_are(preset: str) -> None:
    for name, metric in KNOWN[preset].items():
        assert name == metric.name and re.fullmatch(r"(video|keyframe)/[a-z0-9_]+", name)
        assert metric.title and not metric.title.endswith(".") and metric.about.endswith(".")
        assert metric.direction in ("higher", "lower", "target")
        assert metric.direction == "target" or metric.target is None
        assert metric.target is None or metric.best in (None, metric.target)
        assert metric.of != "video" or metric.best is not None or metric.target is None
        assert len(metric.unit) < 16 and metric.unit == metric.unit.strip()
        assert metric.protocol.settings, "a score without settings cannot be told from another"
        for weight in metric.weights:
            assert len(lookup(weight).sha256) == 64
        for features in metric.needs:
            assert set(features.weights) <= set(metric.weights)
        info = metric.info()
        assert info.protocol_hash == protocol(**info.protocol).hash and len(info.protocol_hash) == 12


@pytest.mark.parametrize("preset", PRESETS)
def test_protocols_tell_metrics_apart(preset: str) -> None:
    hashes = [metric.protocol.hash for metric in KNOWN[preset].values()]
    assert len(set(hashes)) == len(hashes)
    table = table_metrics(MetricConfig(preset=preset, judges=JUDGES))
    assert table.keys() <= KNOWN[preset].keys() == QUICK.keys()
    assert len({metric.title for metric in KNOWN[preset].values()}) == len(hashes), "two columns of one title"


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Sampling)])
def test_a_setting_that_matters_is_in_the_protocol_and_in_the_store(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = 7 if isinstance(getattr(PRESETS["full"], field), int) else getattr(PRESETS["quick"], field)
    monkeypatch.setitem(PRESETS, "odd", dataclasses.replace(PRESETS["full"], **{field: other}))
    odd, full = (known_metrics(MetricConfig(preset=preset, judges=JUDGES)) for preset in ("odd", "full"))
    changed = {name for name in full if odd[name].protocol.hash != full[name].protocol.hash}
    assert changed, "no metric says that it looks at other frames"
    footage = Footage("x", pattern(2, 32, 0.0), Store())
    for name in full:
        keys = [[each.key(footage) for each in known[name].needs] for known in (odd, full)]
        assert (keys[0] != keys[1]) <= (name in changed), f"{name}: other rows under one protocol"


def test_settings_of_a_run_are_part_of_every_protocol() -> None:
    for metric in QUICK.values():
        kept, cut = (metric.info(align_offset=policy) for policy in ("keep", "trim"))
        assert kept.protocol_hash != cut.protocol_hash != metric.protocol.hash
    assert protocol(a=1, b="x").hash == protocol(b="x", a=1).hash != protocol(a=2, b="x").hash


def documented() -> dict[str, dict[str, str]]:
    """Rows of docs/metrics.md by the metric's short name; `<judge>` in one stands for any name."""
    rows, header = {}, list[str]()
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        header = cells if cells[:1] == ["name"] else header if cells else []
        named = re.fullmatch(r"`([a-z0-9_<>]+)`", cells[0]) if cells else None
        if named and header:
            rows[re.sub("<[a-z]+>", "[a-z0-9_]+", named[1])] = dict(zip(header, cells, strict=True))
    return rows


def row_of(name: str) -> dict[str, str]:
    """The row that defines a metric: its own before one for any."""
    short, rows = name.split("/")[1], documented()
    found = rows.get(short) or next((cells for key, cells in rows.items() if re.fullmatch(key, short)), None)
    assert found, f"docs/metrics.md has no row for `{short}`"
    return found


@pytest.mark.parametrize("name", QUICK)
def test_the_documents_define_every_metric(name: str) -> None:
    metric, row = QUICK[name], row_of(name)
    target = "not ranked" if metric.target is None else f"near {metric.target:g}"
    assert row["better"] == {"higher": "higher", "lower": "lower", "target": target}[metric.direction]
    if "<" not in row["name"]:
        assert set(re.findall(r"[a-z0-9][a-z0-9-]+", row["weights"])) == set(metric.weights)
        in_table = f"video/{name.split('/')[1]}" in table_metrics(MetricConfig())
        assert row[""] == ("table" if in_table else "")
    assert len(row["definition"]) > 10
    assert metric.namespace == "video" or "keyframe/" in (ROOT / "docs/metrics.md").read_text()


def test_the_documents_define_nothing_else() -> None:
    """Rows for any judge are there without one."""
    shorts = {name.split("/")[1] for name in QUICK}
    named = {key for key in documented() if "[" not in key}
    assert named <= shorts, f"no such metric: {named - shorts}"


def test_estimates_of_few_clips_are_whole() -> None:
    """Means over one, two and many clips, equal ones too, are finite and inside their interval."""
    for values in ([1.0], [2.0, 2.0], [3.0] * 5, [1e-300, 1e300, 5.0]):
        state = Values({str(number): value for number, value in enumerate(values)})
        found: Estimate = QUICK["video/psnr"].compute(state)
        assert math.isfinite(found.value)
        assert (found.low is None) == (len(values) < 3)
        assert found.low is None or found.low <= found.value <= found.high


def test_the_registry_is_not_empty() -> None:
    assert {"video/psnr", "video/ssim", "video/fid", "video/lpips_alex"} <= QUICK.keys()
    assert metrics.metrics_for().keys() == table_metrics(MetricConfig()).keys()
