"""Every metric of the benchmark as a torchmetrics `Metric`, for training loops, Lightning and accelerate.

Clips come in as tensors instead of files; what is measured and how the clips are added up is the same. A clip
that cannot be measured is counted and never averaged; a value that cannot be had at all is NaN.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache as remembered
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchmetrics
from numpy.typing import NDArray
from torch import Tensor

from datapipe.records import REASONS, Rejected
from datapipe.weights import resolve

from .extract import Batches, Rows
from .footage import Footage, Store, fitted
from .measure import all_finite
from .metrics import Metric, MetricConfig, Pair, metrics_for
from .records import Estimate, Timing
from .states import FeatureSets, Values

Clips = Tensor | Sequence[Tensor]
"""(B, T, 3, H, W), or B tensors (T, 3, H, W) of any lengths: uint8, or float in [0, 1]."""
OUTCOMES = ("", *sorted(REASONS))
"""How a clip ended: measured, or the reason why not; states hold the position."""
KEY_BYTES = 32
LOUDEST = 2.0
"""Decoders overshoot 1; what is louder than this is no sound in [-1, 1] but 16-bit samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the last `compute` rests on, over all processes."""

    num_ok: int = 0
    num_failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """Failed clips per reason."""
    estimate: Estimate | None = None
    """The value with its interval over clips; None where nothing could be computed."""
    why: str = "nothing was measured yet"
    """Why there is no value; empty when there is one."""


class ClipMetric(torchmetrics.Metric):
    """A metric over clips; make one with `as_torchmetric`.

    States are lists over clips that concatenate, so any number of processes gives the value of one. Clips
    with a key count once, however often a sampler repeats them; clips without one count every time.
    """

    is_differentiable = False
    full_state_update = False
    higher_is_better: bool | None = None

    def __init__(self, config: MetricConfig, cache: Path | None = None, **options: Any) -> None:
        super().__init__(**{"dist_sync_fn": gather_of_any_length, **options})
        self.config, self.cache = config, cache
        self.coverage = Coverage()
        if self.definition.unavailable:
            raise Rejected("missing_weight", self.definition.unavailable)
        for weight in self.definition.weights:
            resolve(weight)
        # named by the protocol: a MetricCollection merges metrics whose states have equal names and values
        self.prefix = f"{self.definition.name.replace('/', '_')}_{self.definition.protocol.hash}"
        for part in STATES[self.definition.kind]:
            self.add_state(f"{self.prefix}_{part}", [], dist_reduce_fx="cat")

    @property
    def definition(self) -> Metric:
        """The metric as the benchmark knows it: direction, unit, protocol, weights."""
        return _definition(self.config)

    @property
    def num_failed(self) -> int:
        """Clips seen by this process since the last reset that could not be measured."""
        return sum(1 for _, _, reason in self._clips() if reason)

    def update(
        self,
        generated: Clips,
        truth: Clips,
        *,
        keys: Sequence[str] | None = None,
        audio: Clips | None = None,
        timing: Sequence[Timing | None] | None = None,
    ) -> None:
        """Measure a batch of clips at 25 fps, each of the same shape as its truth.

        `audio` is (B, S) mono at 16 kHz in [-1, 1], from the first frame on; `keys` names the clips. Raises
        `Rejected("bad_input")` for a batch that is put together wrongly.
        """
        batch = _batch(generated, truth, keys, audio, timing)
        for clip, state in zip(batch, measured_together(self.definition, batch, self.cache), strict=True):
            name = hashlib.sha256((clip.key or clip.content).encode()).digest()
            outcome = OUTCOMES.index(state.reason) if isinstance(state, _Failed) else 0
            row = np.frombuffer(bytes([*name, clip.key is not None, outcome]), np.uint8).copy()
            self._append("clips", torch.from_numpy(row)[None])
            if not isinstance(state, _Failed):
                self._append_values(state)

    def compute(self) -> Tensor:
        """The value over all clips, float64; NaN when there is none, and `coverage.why` says why."""
        clips = self._clips()
        failed = [reason for _, _, reason in clips if reason]
        estimate, why = self._estimate([(key, place) for key, place, reason in clips if not reason])
        self.coverage = Coverage(
            num_ok=len(clips) - len(failed),
            num_failed=len(failed),
            reasons=dict(sorted(Counter(failed).items())),
            estimate=estimate,
            why=why,
        )
        value = float("nan") if estimate is None else estimate.value
        return torch.tensor(value, dtype=torch.float64, device=self.device)

    def _estimate(self, measured: list[tuple[str, int]]) -> tuple[Estimate | None, str]:
        if not measured:
            return None, "no clip could be measured"
        values = _values if self.definition.kind is Values else _feature_sets
        try:
            return self.definition.compute(values(measured, self._joined)), ""
        except Rejected as rejected:
            return None, rejected.message

    def _append(self, part: str, rows: Tensor) -> None:
        getattr(self, f"{self.prefix}_{part}").append(rows.to(self.device))

    def _append_values(self, state: Values | FeatureSets) -> None:
        if isinstance(state, Values):
            (value,) = state.by_case.values()
            self._append("values", torch.tensor([value], dtype=torch.float64))
            return
        ((generated, truth),) = state.by_case.values()
        self._append("counts", torch.tensor([[generated.num, truth.num]]))
        self._append("generated", torch.from_numpy(generated.load()))
        self._append("truth", torch.from_numpy(truth.load()))

    def _joined(self, part: str) -> NDArray[Any]:
        held: Tensor | list[Tensor] = getattr(self, f"{self.prefix}_{part}")
        rows: NDArray[Any] = (held if isinstance(held, Tensor) else torch.cat(held)).cpu().numpy()
        return rows

    def _clips(self) -> list[tuple[str, int, str]]:
        """(key, position among the measured, reason of failure) of every clip that counts, by key."""
        if not len(getattr(self, f"{self.prefix}_clips")):
            return []
        found, seen, num_ok = [], Counter[bytes](), 0
        for row in self._joined("clips"):
            name, named, outcome = row[:KEY_BYTES].tobytes(), row[KEY_BYTES], row[KEY_BYTES + 1]
            if not (named and seen[name]):
                found.append((f"{name.hex()} {seen[name]}", num_ok, OUTCOMES[outcome]))
            seen[name] += 1
            num_ok += not outcome
        return sorted(found)


class HigherIsBetter(ClipMetric):
    """A metric whose larger values are better."""

    higher_is_better = True


class LowerIsBetter(ClipMetric):
    """A metric whose smaller values are better."""

    higher_is_better = False


STATES: dict[type, tuple[str, ...]] = {
    Values: ("clips", "values"),
    FeatureSets: ("clips", "counts", "generated", "truth"),
}
"""What is kept of a metric's states: a row per clip, and per measured clip its value or its feature rows."""
CLASSES: dict[str, type[ClipMetric]] = {
    "higher": HigherIsBetter,
    "lower": LowerIsBetter,
    "target": ClipMetric,
}


def as_torchmetric(
    name: str,
    preset: str = "full",
    *,
    config: MetricConfig | None = None,
    cache: Path | None = None,
    **options: Any,
) -> ClipMetric:
    """A metric by its name in docs/metrics.md, such as `psnr` or `keyframe/ssim`.

    `cache` is a folder that keeps what networks saw, so that the truth's features are made once per training;
    `options` go to `torchmetrics.Metric`. Raises `Rejected("bad_input")` for an unknown name, and what
    `datapipe.weights.resolve` raises for weights that are not here.
    """
    chosen = replace(config or MetricConfig(), names=(name,), preset=preset)
    return CLASSES[_definition(chosen).direction](chosen, cache, **options)


@remembered
def _definition(config: MetricConfig) -> Metric:
    found = list(metrics_for(config).values())
    if len(found) != 1:
        raise Rejected("bad_input", f"{', '.join(config.names)} names {len(found)} metrics; name one")
    return found[0]


def gather_of_any_length(mine: Tensor, group: Any = None) -> list[Tensor]:
    """Bring the tensors of all processes together; one that saw no clip has nothing to give.

    torchmetrics' own gather needs equal types and dimensions, which a process without clips cannot know.
    """
    gathered: list[Any] = [None] * torch.distributed.get_world_size(group)
    torch.distributed.all_gather_object(gathered, mine.cpu(), group=group)
    full = [each.to(mine.device) for each in gathered if each.numel()]
    return full or [mine]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clip:
    """One clip of a batch: its frames, or why there are none."""

    key: str | None
    content: str
    """sha256 of both tensors."""
    pair: Pair | Rejected


@dataclass(frozen=True, slots=True)
class _Failed:
    """A clip that could not be measured."""

    reason: str


def measured_together(
    metric: Metric, clips: Sequence[_Clip], cache: Path | None
) -> list[Values | FeatureSets | _Failed]:
    """State of each clip; their networks' inputs share batches."""
    batches, found = Batches(), list[Pair | _Failed]()
    for clip in clips:
        try:
            found.append(_asked(metric, clip.pair, batches, cache))
        except Rejected as rejected:
            found.append(_Failed(rejected.reason))
    batches.finish()
    return [each if isinstance(each, _Failed) else _measured(metric, each) for each in found]


def _asked(metric: Metric, pair: Pair | Rejected, batches: Batches, cache: Path | None) -> Pair:
    if isinstance(pair, Rejected):
        raise pair
    pair = replace(pair, truth=replace(pair.truth, store=Store(cache)))
    for extractor in metric.needs:
        batches.ask(pair.generated, extractor)
        batches.ask(pair.truth, extractor)
    return pair


def _measured(metric: Metric, pair: Pair) -> Values | FeatureSets | _Failed:
    try:
        state: Values | FeatureSets = metric.measure(pair)
    except Rejected as rejected:
        return _Failed(rejected.reason)
    return state if all_finite(state) else _Failed("bad_input")


def _batch(
    generated: Clips,
    truth: Clips,
    keys: Sequence[str] | None,
    audio: Clips | None,
    timing: Sequence[Timing | None] | None,
) -> list[_Clip]:
    size = len(generated)
    for what, given in (("truth", truth), ("keys", keys), ("audio", audio), ("timing", timing)):
        if given is not None and len(given) != size:
            raise Rejected("bad_input", f"{size} generated clips and {len(given)} of {what}; give one each")
    if keys is not None and len(set(keys)) < size:
        raise Rejected("bad_input", "two clips of a batch have the same key; give each its own")
    blank = [None] * size
    sounds = blank if audio is None else audio
    rows = zip(generated, truth, keys or blank, sounds, timing or blank, strict=True)
    return [_clip(*row) for row in rows]


def _clip(
    generated: Tensor, truth: Tensor, key: str | None, audio: Tensor | None, timing: Timing | None
) -> _Clip:
    if generated.shape != truth.shape:
        what = f"a generated clip is {tuple(generated.shape)}, its truth {tuple(truth.shape)}"
        raise Rejected("bad_input", f"{what}; bring them to one length and size first")
    names = [_hash(each) for each in (generated, truth)]
    content = " ".join(names)
    try:
        made = Footage(names[0], _frames(generated), Store())
        true = Footage(names[1], _frames(truth), Store())
    except ValueError as error:
        return _Clip(key=key, content=content, pair=Rejected("bad_input", str(error)))
    if audio is not None:
        samples = _sound(audio, len(true.frames))
        name = hashlib.sha256(samples.tobytes()).hexdigest()
        made, true = (replace(each, audio=samples, sound=name) for each in (made, true))
    pair = Pair(key=key or content, truth=true, generated=made, timing=timing)
    return _Clip(key=key, content=content, pair=pair)


def _hash(clip: Tensor) -> str:
    digest = hashlib.sha256(str(clip.dtype).encode())
    digest.update(clip.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _frames(clip: Tensor) -> NDArray[np.uint8]:
    """Bring (T, 3, H, W) to bytes (T, H, W, 3), rounding to nearest; ValueError for NaN and infinity."""
    if clip.ndim != 4 or clip.shape[1] != 3 or 0 in clip.shape:
        raise Rejected("bad_input", f"a clip is {tuple(clip.shape)}; give (T, 3, H, W), RGB")
    values = clip.detach().cpu()
    if values.dtype != torch.uint8:
        values = _bytes(values)
    return np.ascontiguousarray(values.permute(0, 2, 3, 1).numpy())


def _bytes(values: Tensor) -> Tensor:
    if not values.is_floating_point():
        raise Rejected("bad_input", f"pixels are {values.dtype}; give uint8, or float in [0, 1]")
    if not torch.isfinite(values).all():
        raise ValueError("pixels are no numbers")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise Rejected("bad_input", f"pixels lie in [{low:g}, {high:g}]; bring them to [0, 1] first")
    return (values.float() * 255).round().to(torch.uint8)


def _sound(audio: Tensor, num_frames: int) -> NDArray[np.float32]:
    samples = audio.detach().cpu().float().numpy()
    if samples.ndim != 1 or not np.isfinite(samples).all() or (abs(samples) > LOUDEST).any():
        what = f"a clip's sound is {samples.shape} up to {abs(samples).max(initial=0):g}"
        raise Rejected("bad_input", f"{what}; give (S,), mono at 16 kHz in [-1, 1]")
    return fitted(samples, num_frames)


def _values(measured: Sequence[tuple[str, int]], joined: Callable[[str], NDArray[Any]]) -> Values:
    values = joined("values")
    return Values({key: float(values[place]) for key, place in measured})


def _feature_sets(measured: Sequence[tuple[str, int]], joined: Callable[[str], NDArray[Any]]) -> FeatureSets:
    ends = np.cumsum(joined("counts"), axis=0)
    sides = [np.split(joined(part), ends[:-1, side]) for side, part in enumerate(("generated", "truth"))]
    rows = {key: (sides[0][place], sides[1][place]) for key, place in measured}
    return FeatureSets({key: (Rows(len(a), a), Rows(len(b), b)) for key, (a, b) in rows.items()})
