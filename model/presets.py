"""Full configurations by name: `tiny` for tests, `demo` for two cores and minutes, `paper` for its sizes."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from datapipe.records import Rejected

from .avatarsync.interpolate import InterpolatorConfig
from .avatarsync.interpolator_objective import InterpolatorLoss
from .avatarsync.keyframe_objective import KeyframeLoss
from .avatarsync.keyframes import KeyframeConfig
from .avatarsync.tokenizer_objective import TokenizerLoss
from .speech.durations import DurationConfig
from .tokenizer import TokenizerConfig
from .training.loop import TrainConfig


def durations_training() -> TrainConfig:
    """How the lengths of phonemes are learned: seconds on one core, at every size of the pictures."""
    return TrainConfig(steps=200, learning_rate=3e-3, weight_decay=0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Networks, losses and training of the three parts."""

    name: str
    tokenizer: TokenizerConfig
    tokenizer_train: TrainConfig
    keyframes: KeyframeConfig
    keyframes_train: TrainConfig
    interpolator: InterpolatorConfig
    interpolator_train: TrainConfig
    tokenizer_loss: TokenizerLoss = field(default_factory=TokenizerLoss)
    keyframes_loss: KeyframeLoss = field(default_factory=KeyframeLoss)
    interpolator_loss: InterpolatorLoss = field(default_factory=InterpolatorLoss)
    durations: DurationConfig = field(default_factory=DurationConfig)
    durations_train: TrainConfig = field(default_factory=durations_training)


def tiny() -> Preset:
    """64 px, 16 tokens, seconds on one core: shows that everything runs and learns."""
    tokenizer = TokenizerConfig(size=64, widths=(16, 24, 32), groups=(4, 4))
    return Preset(
        name="tiny",
        tokenizer=tokenizer,
        tokenizer_train=TrainConfig(steps=40, learning_rate=4e-3),
        keyframes=KeyframeConfig(width=64, depth=2, num_tokens=tokenizer.num_tokens, groups=tokenizer.groups),
        keyframes_train=TrainConfig(steps=40, learning_rate=4e-3),
        interpolator=InterpolatorConfig(size=64, fine_width=16, coarse_width=24, depth=1),
        interpolator_train=TrainConfig(steps=20, learning_rate=4e-3),
        tokenizer_loss=TokenizerLoss(batch=8),
        keyframes_loss=KeyframeLoss(clips=2, units=4, pixel_units=4),
        interpolator_loss=InterpolatorLoss(batch=4),
    )


def demo() -> Preset:
    """128 px, 64 tokens of 12 bits: minutes on two cores."""
    tokenizer = TokenizerConfig(size=128, widths=(32, 64, 96), groups=(6, 6))
    return Preset(
        name="demo",
        tokenizer=tokenizer,
        tokenizer_train=TrainConfig(steps=1000, learning_rate=2e-3),
        keyframes=KeyframeConfig(
            width=128, depth=4, num_tokens=tokenizer.num_tokens, groups=tokenizer.groups
        ),
        keyframes_train=TrainConfig(steps=600, learning_rate=2.5e-3),
        interpolator=InterpolatorConfig(size=128, fine_width=24, coarse_width=48, depth=1),
        interpolator_train=TrainConfig(steps=500, learning_rate=2e-3),
    )


def paper() -> Preset:
    """512 px, 1024 tokens of 18 bits, 24 layers of 1024: the paper's scale, for GPUs."""
    # the paper's for the keyframes: Adam, 2e-4, cosine, 2 % of 10k steps to warm up; its batch is not stated
    training = TrainConfig(
        steps=10_000,
        learning_rate=2e-4,
        warmup=0.02,
        optimizer="adam",
        betas=(0.9, 0.999),
        weight_decay=0.0,
        precision="bf16",
        accumulate=4,
        checkpoint_every=1000,
        in_memory_gb=64.0,
        events=True,
    )
    tokenizer = TokenizerConfig(size=512, widths=(128, 256, 512), groups=(6, 12))
    return Preset(
        name="paper",
        tokenizer=tokenizer,
        tokenizer_train=replace(training, steps=100_000, learning_rate=1e-4, betas=(0.5, 0.9), ema=0.999),
        # Open-MAGVIT2's weights and temperature; its entropies are not divided by the 18 bits
        tokenizer_loss=TokenizerLoss(
            lpips=1.0, adversary=0.1, lecam=0.05, entropy=0.1 * 18, temperature=0.01, commit=0.25
        ),
        keyframes=KeyframeConfig(
            width=1024, depth=24, heads=16, kv_heads=4, num_tokens=tokenizer.num_tokens, groups=(6, 12)
        ),
        keyframes_train=training,
        keyframes_loss=KeyframeLoss(
            clips=1, pixels_from=0.6, lpips=0.5, identity=0.1, facial=0.1, points=0.0, pixels=0.0
        ),
        interpolator=InterpolatorConfig(size=512, fine_width=64, coarse_width=192, head_width=64, depth=4),
        interpolator_train=replace(training, steps=50_000, ema=0.999),
    )


BATCHES = {"tokenizer": "batch", "keyframes": "clips", "interpolator": "batch"}
"""What each part's loss calls the size of its batch; durations have none."""


def adjusted(preset: Preset, part: str, training: dict[str, Any], batch: int | None = None) -> Preset:
    """Change fields of one part's training, and the size of its batch.

    Raises `Rejected("bad_input")` for numbers out of range, and a batch where there is none.
    """
    counts = {name: training.get(name) for name in ("steps", "accumulate")} | {"batch": batch}
    for name, value in counts.items():
        if value is not None and value < 1:
            raise Rejected("bad_input", f"--{name} is {value}; give 1 or more")
    if batch is not None and part not in BATCHES:
        raise Rejected("bad_input", f"--batch is no setting of {part}; leave it out")
    if not 0.0 <= training.get("ema", 0.0) < 1.0:
        raise Rejected("bad_input", f"--ema is {training['ema']}; give a decay from 0 (off) to below 1")
    changes = {f"{part}_train": replace(getattr(preset, f"{part}_train"), **training)}
    if batch is not None:
        changes[f"{part}_loss"] = replace(getattr(preset, f"{part}_loss"), **{BATCHES[part]: batch})
    return replace(preset, **changes)


PRESETS: dict[str, Callable[[], Preset]] = {"tiny": tiny, "demo": demo, "paper": paper}


def preset_named(name: str) -> Preset:
    """Look a preset up; an unknown name gets the nearest one suggested."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.0)[0]
        raise Rejected(
            "bad_input", f"unknown preset `{name}`; there are {', '.join(PRESETS)} (did you mean {near}?)"
        )
    return PRESETS[name]()
