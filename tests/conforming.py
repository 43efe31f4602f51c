"""Every metric of the registry, and a speaking face damaged in several ways to try them on."""

import dataclasses
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch

from benchmark.extract import Batches
from benchmark.footage import Footage, Store, fitted
from benchmark.metrics import PRESETS, Metric, MetricConfig, Pair, known_metrics
from benchmark.sync.distances import Region
from benchmark.sync.judge import CONFIG, WEIGHTS, JudgeRecord
from benchmark.sync.syncnet import SyncNet, SyncNetConfig
from datapipe.files import sha256_of
from datapipe.media import read_audio, read_frames
from datapipe.records import Rejected, to_json
from datapipe.weights import resolve

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
            return Footage(f"keyframes {number}", frames[::15], self.store)
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
    """Fill the batches of the metric's networks from all clips; a clip that cannot is measured later."""
    batches = Batches()
    for features, pair in product(metric.needs, pairs):
        for footage in (pair.truth, pair.generated):
            with suppress(Rejected):
                batches.ask(footage, features)
    batches.finish()


def skip_without_weights(metric: Metric) -> None:
    if metric.unavailable:
        pytest.skip(metric.unavailable)
    try:
        for weight in metric.weights:
            resolve(weight)
    except Rejected as rejected:
        pytest.skip(rejected.message)
