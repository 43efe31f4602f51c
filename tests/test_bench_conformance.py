"""What every metric must keep, over the whole registry: a new metric is tested without a new line."""

import dataclasses
import math
import re
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch

from benchmark import metrics
from benchmark.cases import find_cases
from benchmark.evaluate import EvaluateConfig, evaluate
from benchmark.extract import Batches, Extractor, rows_of
from benchmark.footage import Footage, Store, fitted
from benchmark.machine import use_one_thread
from benchmark.measure import measured
from benchmark.metrics import PRESETS, Metric, MetricConfig, Pair, Sampling, known_metrics, table_metrics
from benchmark.records import Estimate, Run, Score, System, Timing, protocol
from benchmark.scoring import score
from benchmark.selftest.selftest import pattern
from benchmark.states import Values
from benchmark.sync.distances import Region
from benchmark.sync.judge import CONFIG, WEIGHTS, JudgeRecord
from benchmark.sync.syncnet import SyncNet, SyncNetConfig
from datapipe.files import sha256_of
from datapipe.media import read_audio, read_frames, write_video
from datapipe.records import Rejected, to_json
from datapipe.weights import lookup, resolve

FRAMES, CASES, SIDE = 30, 3, 128
SLOW = ("fvd", "lpips_vgg")
"""Networks that are too dear for the quick tests, by the start of a metric's name."""


def untrained_judge(folder: Path) -> Path:
    """A judge of lip-sync that knows nothing: what its columns read means nothing, how they behave does."""
    torch.manual_seed(0)
    network = SyncNetConfig(side=51, width=0.05, dim=16)
    folder.mkdir()
    safetensors.torch.save_file(SyncNet(network).state_dict(), folder / WEIGHTS)
    record = JudgeRecord(
        network=network,
        region=Region(),
        unit=True,
        edges="masked",
        languages=("en",),
        num_train_clips=0,
        num_heldout_clips=0,
        heldout_split="",
        within_one_frame=None,
        data="",
        weights=sha256_of(folder / WEIGHTS),
        seed=0,
        steps=0,
    )
    (folder / CONFIG).write_text(to_json(record))
    return folder


SCRATCH = tempfile.TemporaryDirectory()
JUDGES = (untrained_judge(Path(SCRATCH.name) / "untrained"),)
KNOWN = {
    preset: {
        **known_metrics(MetricConfig(preset=preset)),
        **known_metrics(MetricConfig(preset=preset, judges=JUDGES)),
    }
    for preset in PRESETS
}
QUICK = KNOWN["quick"]
ROOT = Path(__file__).parent.parent

Change = Callable[[np.ndarray], np.ndarray]


def params(
    of: tuple[str, ...] = ("video", "timing", "sound"), where: Callable[[Metric], bool] = bool
) -> list:
    """Every metric of some kind, with the marks that its weights and its cost ask for."""
    chosen = [metric for metric in QUICK.values() if metric.of in of and where(metric)]
    return [pytest.param(metric.name, marks=marks(metric)) for metric in chosen]


def marks(metric: Metric) -> list[pytest.MarkDecorator]:
    slow = [pytest.mark.slow] if metric.name.split("/")[1].startswith(SLOW) else []
    return slow + ([pytest.mark.assets] if metric.weights else [])


def noisy(frames: np.ndarray, deviation: float) -> np.ndarray:
    noise = np.random.default_rng(int(deviation)).normal(0, deviation, frames.shape)
    return np.clip(frames + noise, 0, 255).round().astype(np.uint8)


def blurred(frames: np.ndarray, sigma: float) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


def late(frames: np.ndarray) -> np.ndarray:
    return np.concatenate([np.repeat(frames[:1], 5, axis=0), frames[:-5]])


DAMAGES: dict[str, Change] = {
    "identical": lambda frames: frames,
    "slight noise": lambda frames: noisy(frames, 5),
    "strong noise": lambda frames: noisy(frames, 14),
    "slight blur": lambda frames: blurred(frames, 0.8),
    "strong blur": lambda frames: blurred(frames, 2.4),
    "frozen": lambda frames: np.repeat(frames[:1], len(frames), axis=0),
    "late": late,
}


@dataclasses.dataclass
class World:
    """Three pieces of a real speaking face with their sound, damaged in several ways; networks run once."""

    store: Store
    pairs: dict[tuple[str, str, int], Pair] = dataclasses.field(default_factory=dict)
    states: dict[tuple[str, str, str], list] = dataclasses.field(default_factory=dict)

    @cached_property
    def frames(self) -> np.ndarray:
        whole = read_frames(resolve("clip-obama"), 0.0, CASES * FRAMES / 25)
        return np.ascontiguousarray(whole[:, 20 : 20 + SIDE, 110 : 110 + SIDE])

    @cached_property
    def sound(self) -> np.ndarray:
        return fitted(read_audio(resolve("clip-obama"), 0.0, CASES * FRAMES / 25), CASES * FRAMES)

    def truth(self, namespace: str, number: int) -> Footage:
        frames = self.frames[number * FRAMES : (number + 1) * FRAMES]
        if namespace == "keyframe":
            return Footage(f"keyframes {number}", frames[::10], self.store)
        sound = self.sound[number * FRAMES * 640 : (number + 1) * FRAMES * 640]
        return Footage(f"truth {number}", frames, self.store, sound, sound=f"sound {number}")

    def pair(self, namespace: str, damage: str, number: int) -> Pair:
        key = namespace, damage, number
        if key not in self.pairs:
            same = self.pairs.get((namespace, "identical", number))
            truth = same.truth if same else self.truth(namespace, number)
            made = truth if damage == "identical" else truth.changed(damage, DAMAGES[damage](truth.frames))
            self.pairs[key] = Pair(key=f"clip{number}", truth=truth, generated=made)
        return self.pairs[key]

    def measured(self, name: str, damage: str, preset: str = "quick") -> list:
        """The states of the three clips."""
        key = preset, name, damage
        metric = KNOWN[preset][name]
        if key not in self.states:
            skip_without_weights(metric)
            pairs = [self.pair(metric.namespace, damage, number) for number in range(CASES)]
            together(metric, pairs)
            self.states[key] = [metric.measure(pair) for pair in pairs]
        return self.states[key]

    def value(self, name: str, damage: str, preset: str = "quick") -> float:
        metric = KNOWN[preset][name]
        return metric.compute(sum(self.measured(name, damage, preset), metric.kind())).value

    def loss(self, name: str, damage: str, preset: str = "quick") -> float:
        """How far from the best a value is, in the metric's own direction; never negative."""
        metric, value = KNOWN[preset][name], self.value(name, damage, preset)
        assert metric.best is not None
        return {
            "higher": metric.best - value,
            "lower": value - metric.best,
            "target": abs(value - metric.best),
        }[metric.direction]


def together(metric: Metric, pairs: list[Pair]) -> None:
    """Fill the batches of the metric's networks from all clips."""
    batches = Batches()
    for features in metric.needs:
        for pair in pairs:
            batches.ask(pair.truth, features)
            batches.ask(pair.generated, features)
    batches.finish()


def skip_without_weights(metric: Metric) -> None:
    if metric.unavailable:
        pytest.skip(metric.unavailable)
    try:
        for weight in metric.weights:
            resolve(weight)
    except Rejected as rejected:
        pytest.skip(rejected.message)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    use_one_thread()
    return World(Store(tmp_path_factory.mktemp("features")))


# -- values


@pytest.mark.parametrize("name", params(("video",), lambda metric: metric.best is not None))
def test_the_truth_itself_reads_the_best_value(name: str, world: World) -> None:
    assert world.value(name, "identical") == pytest.approx(QUICK[name].best, abs=1e-6)


@pytest.mark.parametrize("damage", ["noise", "blur"])
@pytest.mark.parametrize("name", params(("video",), lambda metric: metric.best is not None))
def test_more_damage_is_worse(name: str, damage: str, world: World) -> None:
    slight, strong = (world.loss(name, f"{strength} {damage}") for strength in ("slight", "strong"))
    assert 0 <= world.loss(name, "identical") + 1e-6 < slight < strong


@pytest.mark.parametrize("damage", ["frozen", "late"])
@pytest.mark.parametrize(
    "name", params(("video",), lambda metric: metric.best is not None and metric.namespace == "video")
)
def test_a_picture_that_stands_or_lags_is_worse(name: str, damage: str, world: World) -> None:
    assert world.loss(name, damage) > world.loss(name, "identical") + 1e-6


@pytest.mark.parametrize("name", params(("video",), lambda metric: metric.symmetric))
def test_symmetric_metrics_may_change_places(name: str, world: World) -> None:
    metric = QUICK[name]
    states = [
        metric.measure(dataclasses.replace(pair, truth=pair.generated, generated=pair.truth))
        for pair in (world.pair(metric.namespace, "slight noise", number) for number in range(CASES))
    ]
    swapped = metric.compute(sum(states, metric.kind())).value
    assert swapped == pytest.approx(world.value(name, "slight noise"), rel=1e-6)


@pytest.mark.parametrize(
    "name",
    params(("sound",), lambda metric: metric.direction != "target" and "untrained" not in metric.name),
)
def test_sound_at_another_time_is_worse(name: str, world: World) -> None:
    """Pictures that go with their sound beat the same pictures with the sound of the clip before."""
    metric = QUICK[name]
    skip_without_weights(metric)
    shifted = [
        dataclasses.replace(
            pair, generated=pair.generated.heard("elsewhere", np.roll(world.sound, 640 * 11)[: FRAMES * 640])
        )
        for pair in (world.pair("video", "identical", number) for number in range(CASES))
    ]
    wrong = metric.compute(sum((metric.measure(pair) for pair in shifted), metric.kind())).value
    sign = 1 if metric.direction == "higher" else -1
    assert sign * world.value(name, "identical") > sign * wrong


@pytest.mark.parametrize("name", params(("video", "sound")))
def test_no_order_or_split_of_the_clips_changes_a_bit(name: str, world: World) -> None:
    first, second, third = world.measured(name, "slight noise")
    metric = QUICK[name]
    whole = metric.compute(metric.kind() + first + second + third)
    assert whole == metric.compute(first + (second + third)) == metric.compute((third + first) + second)
    assert whole.low is None or whole.low <= whole.value <= whole.high
    assert math.isfinite(whole.value)


@pytest.mark.parametrize("name", params(("video", "sound")))
def test_a_failed_clip_is_counted_and_changes_no_value(name: str, world: World) -> None:
    metric = QUICK[name]
    states = world.measured(name, "slight noise")
    failed = metric.kind.failed("another", "another: no face in 30 of 30 frames; look at the video")
    with_it = score(metric, sum(states, failed))
    without = score(metric, sum(states, metric.kind()))
    assert (with_it.num_ok, with_it.num_total) == (CASES, CASES + 1)
    assert with_it.value == without.value and "another" not in with_it.per_clip
    assert list(with_it.failures) == ["another"]
    assert score(metric, failed).value is None and score(metric, failed).not_measured


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.parametrize("name", [name for name, metric in KNOWN["full"].items() if metric.of == "video"])
def test_every_frame_tells_damage_too(name: str, world: World) -> None:
    """The full preset keeps the contract; presets that measure something else say so in their protocol."""
    if KNOWN["full"][name].best is not None:
        assert world.value(name, "identical", "full") == pytest.approx(QUICK[name].best, abs=1e-6)
        assert world.loss(name, "slight noise", "full") < world.loss(name, "strong noise", "full")
    same = world.value(name, "slight noise", "full") == world.value(name, "slight noise")
    assert same or KNOWN["full"][name].protocol.hash != QUICK[name].protocol.hash


# -- what cannot be measured


def poor_pair(kind: str, namespace: str = "video") -> Pair:
    """A clip on which most metrics have nothing to say."""
    waves = pattern(20, 64, 0.0)
    frames = {
        "no face": waves,
        "one frame": waves[:1],
        "black": np.zeros((20, 64, 64, 3), np.uint8),
        "tiny": waves[:, :12, :14],
    }[kind]
    if namespace == "keyframe":
        frames = frames[::7]
    made = frames if kind == "black" else noisy(frames, 9)
    silence = np.zeros(len(frames) * 640, np.float32)
    first, second = (
        Footage(f"{kind} {which}", content, Store(), silence, sound="silence")
        for which, content in (("truth", frames), ("made", made))
    )
    return Pair(key="a", truth=first, generated=second)


def seen_by(metric: Metric, kind: str) -> Score:
    """What the engine makes of a poor clip."""
    skip_without_weights(metric)
    return score(metric, measured(metric, poor_pair(kind, metric.namespace), Store()))


@pytest.mark.parametrize("kind", ["no face", "one frame", "black", "tiny"])
@pytest.mark.parametrize("name", params())
def test_a_poor_clip_is_a_number_or_a_counted_failure(name: str, kind: str) -> None:
    found = seen_by(QUICK[name], kind)
    assert found.num_total == 1
    if found.value is None:
        assert (found.not_measured and found.num_ok == 0) or "needs" in found.not_measured
    else:
        assert math.isfinite(found.value) and found.num_ok == 1
    for key, why in found.failures.items():
        assert key == "a" and len(why) > 20 and ";" in why, "a failure says what to do"
        assert "broke off" not in why


@pytest.mark.parametrize("name", params(where=lambda metric: "scrfd-500m" in metric.weights))
@pytest.mark.parametrize("kind", ["no face", "black"])
def test_no_face_is_never_a_number(name: str, kind: str) -> None:
    found = seen_by(QUICK[name], kind)
    assert (found.value, found.num_ok) == (None, 0) and list(found.failures) == ["a"]
    assert "face" in found.failures["a"]


@pytest.mark.parametrize("kind", ["silent", "no sound"])
@pytest.mark.parametrize("name", params(("sound",)))
def test_silence_is_never_a_number(name: str, kind: str, world: World) -> None:
    metric = QUICK[name]
    skip_without_weights(metric)
    pair = world.pair("video", "identical", 0)
    mute = None if kind == "no sound" else np.zeros_like(pair.truth.audio)
    state = measured(metric, dataclasses.replace(pair, generated=pair.truth.heard(kind, mute)), Store())
    assert not state.by_case and list(state.failures) == [pair.key]


def not_a_number(pair: Pair) -> Values:
    return Values({pair.key: float("nan")})


def with_a_bug(pair: Pair) -> Values:
    return Values({pair.key: 1.0 / 0.0})


def test_a_bug_costs_one_cell_and_is_on_record() -> None:
    broken = dataclasses.replace(QUICK["video/psnr"], measure=with_a_bug)
    found = score(broken, measured(broken, poor_pair("black"), Store()))
    assert (found.value, found.num_ok, found.num_total) == (None, 0, 1)
    assert "ZeroDivisionError at test_bench_conformance.py:" in found.failures["a"]


def test_a_metric_that_returns_nan_has_failed() -> None:
    broken = dataclasses.replace(QUICK["video/psnr"], measure=not_a_number)
    found = score(broken, measured(broken, poor_pair("black"), Store()))
    assert (found.value, found.num_ok, found.num_total) == (None, 0, 1)
    assert "no finite number" in found.failures["a"]


@pytest.mark.parametrize("name", params(("timing",)))
def test_time_comes_from_the_record_or_is_missing(name: str) -> None:
    metric = QUICK[name]
    timing = Timing(
        seconds=3.0, media_seconds=1.5, num_frames=38, first_frame_seconds=0.5, peak_bytes=1 << 30, fps=30.0
    )
    pair = dataclasses.replace(poor_pair("black"), timing=timing)
    (value,) = metric.measure(pair).by_case.values()
    assert math.isfinite(value) and value > 0
    slower = dataclasses.replace(timing, seconds=6.0, first_frame_seconds=1.0, peak_bytes=2 << 30, fps=9.0)
    (worse,) = metric.measure(dataclasses.replace(pair, timing=slower)).by_case.values()
    assert worse > value if metric.direction == "lower" else worse < value
    with pytest.raises(Rejected, match=r"timing\.json"):
        metric.measure(dataclasses.replace(pair, timing=None))


# -- how it is computed


def extractors() -> dict[str, Extractor]:
    """Every network that metrics wait for, over both presets."""
    return {
        f"{each.name}: {each.settings}": each
        for preset in PRESETS
        for metric in KNOWN[preset].values()
        for each in metric.needs
    }


def extractor_marks(name: str) -> list[pytest.MarkDecorator]:
    users = [m for preset in PRESETS for m in KNOWN[preset].values() if extractors()[name] in m.needs]
    cheap = any(not metric.name.split("/")[1].startswith(SLOW) for metric in users)
    return [pytest.mark.assets] + (
        [] if cheap and "every 1" not in name.split(":")[1] else [pytest.mark.slow]
    )


@pytest.mark.parametrize("name", [pytest.param(name, marks=extractor_marks(name)) for name in extractors()])
def test_neighbours_in_a_batch_change_no_bit(name: str, world: World) -> None:
    features = extractors()[name]
    for weight in features.weights:
        resolve(weight)
    one, two = (dataclasses.replace(world.truth("video", number), store=Store()) for number in (0, 1))
    alone = rows_of(one, features)
    one.kept.clear()
    batches = Batches()
    batches.ask(two, features)
    batches.ask(one, features)
    batches.finish()
    assert np.array_equal(rows_of(one, features), alone)
    assert alone.shape[1] == features.dim and np.isfinite(alone).all()


@pytest.fixture(scope="module")
def folders(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four real clips with sound, and a system's videos and keyframes of them."""
    root = tmp_path_factory.mktemp("folders")
    length = 26
    for number in range(4):
        start = number * (CASES * FRAMES - length) // 3
        frames = world.frames[start : start + length]
        sound = world.sound[start * 640 : (start + length) * 640]
        write_video(root / f"cases/clip{number}.mp4", frames, sound)
        write_video(root / f"ours/clip{number}.mp4", noisy(frames, 6), sound, crf=24)
        (root / f"ours/clip{number}.keyframes").mkdir()
        for index in (3, 17):
            cv2.imwrite(str(root / f"ours/clip{number}.keyframes/{index:06d}.png"), noisy(frames, 4)[index])
    return root


def run_of(root: Path, names: tuple[str, ...], reverse: bool, cluster: str, workers: int) -> Run:
    """Evaluate with nothing remembered from before."""
    cases = find_cases(root / "cases")
    config = EvaluateConfig(
        metrics=MetricConfig(names=names, judges=JUDGES), controls=(), cluster=cluster, workers=workers
    )
    return evaluate(cases[::-1] if reverse else cases, [System(name="ours", folder=root / "ours")], config)


CHEAP = tuple(
    name
    for name, metric in QUICK.items()
    if not name.split("/")[1].startswith(SLOW)
    and (name in table_metrics(MetricConfig(judges=JUDGES)) or not metric.needs)
    and not metric.unavailable
)


@pytest.fixture(scope="module")
def two_runs(folders: Path) -> tuple[Run, Run]:
    """Blocks of two clips on one thread; single clips in reverse order on three."""
    return run_of(folders, CHEAP, False, "inline", 1), run_of(folders, CHEAP, True, "inline", 3)


def scores(run: Run, name: str) -> list[Score]:
    return [each for system in run.systems for each in system.scores if each.metric == name]


@pytest.mark.assets
@pytest.mark.parametrize("name", CHEAP)
def test_workers_order_and_blocks_change_no_bit(name: str, two_runs: tuple[Run, Run]) -> None:
    first, second = (scores(run, name) for run in two_runs)
    assert first == second
    ours = first[1]
    if QUICK[name].of != "timing" and not ours.not_measured:
        assert ours.num_ok == 4 and ours.value is not None


@pytest.mark.slow
@pytest.mark.assets
def test_processes_change_no_bit(folders: Path) -> None:
    names = tuple(name for name, metric in QUICK.items() if not metric.unavailable)
    inline, dask = run_of(folders, names, False, "inline", 1), run_of(folders, names, True, "local", 2)
    assert inline.systems == dask.systems
    assert inline.differences == dask.differences
    assert inline.reference == dask.reference


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
