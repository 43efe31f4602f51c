"""What `avatarsync model ablate` varies: the grids of the paper's Tables 3, 5, 6 and Figure 5.

A variant is a change of the run's preset (and then its keyframe transformer is trained anew, with the run's
own tokenizer and interpolator), or a change of how frames are allotted (and nothing is trained).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from .avatarsync.allocate import Strategy
from .avatarsync.keyframe_objective import KeyframeLoss
from .avatarsync.losses import LOOKS
from .avatarsync.masks import PhonemeScope
from .presets import Preset

GridName = Literal["masks", "losses", "allocation", "conditioning"]
LAMBDAS = {"lpips": 30.0, "identity": 8.0, "facial": 16.0}
"""Weights of the terms of eq. 7 to 9 where the run's preset has none; the paper gives no values.

With these each term's gradient is about a quarter of the cross-entropy's on the demo's run. With 0.5, 0.1 and
0.1 it is below half a percent, and the eight rows agree to four digits.
"""
LOOK_LABELS = {"lpips": "LPIPS", "identity": "Identity", "facial": "Facial"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row of a table."""

    name: str
    """Its folder."""
    label: str
    """Its name in the table."""
    phoneme_scope: PhonemeScope | None = None
    """Phonemes that a keyframe sees; None leaves the run's."""
    looks: tuple[str, ...] | None = None
    """Terms beside the cross-entropy; None leaves the run's losses."""
    condition: Literal["phoneme", "syllable"] | None = None
    """What a keyframe is told of its phoneme; None leaves the run's."""
    allocation: Strategy = "dynamic"
    """Where frames fall between keyframes."""
    is_ours: bool = False
    """The configuration that the paper chose; the others' differences are taken to it."""
    is_drawn: bool = True
    """Whether another seed makes another video."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """One table."""

    name: GridName
    title: str
    trains: bool
    """Whether its variants have keyframe transformers of their own."""
    metrics: tuple[str, ...]
    """What the benchmark is asked for."""
    variants: tuple[Variant, ...]

    @property
    def has_keyframes(self) -> bool:
        """Whether teacher-forced keyframes are measured."""
        return any(name.startswith("keyframe/") for name in self.metrics)


def changed(preset: Preset, variant: Variant, seed: int, steps: int | None) -> Preset:
    """Apply a variant to a preset; of the losses' grid our own terms in pixels and points are taken out."""
    train = replace(preset.keyframes_train, seed=seed)
    preset = replace(preset, keyframes_train=train if steps is None else replace(train, steps=steps))
    if variant.phoneme_scope is not None:
        preset = replace(preset, keyframes=replace(preset.keyframes, phoneme_scope=variant.phoneme_scope))
    if variant.condition is not None:
        preset = replace(preset, keyframes=replace(preset.keyframes, condition=variant.condition))
    if variant.looks is not None:
        preset = replace(preset, keyframes_loss=_only(preset.keyframes_loss, variant.looks))
    return preset


def _only(usual: KeyframeLoss, looks: tuple[str, ...]) -> KeyframeLoss:
    """Cross-entropy and the named terms, with the preset's weights where it has some."""
    weight = {name: usual.looks.get(name, LAMBDAS[name]) for name in looks}
    lpips, identity, facial = (weight.get(name, 0.0) for name in ("lpips", "identity", "facial"))
    return replace(usual, lpips=lpips, identity=identity, facial=facial, points=0.0, pixels=0.0)


def _losses() -> tuple[Variant, ...]:
    """All subsets of the terms, in the order of Table 6: few terms first."""
    subsets = [terms for count in range(len(LOOKS) + 1) for terms in combinations(LOOKS, count)]
    return tuple(
        Variant(
            name="-".join(("ce", *terms)),
            label=" + ".join(("CE", *(LOOK_LABELS[term] for term in terms))),
            looks=terms,
            is_ours=len(terms) == len(LOOKS),
        )
        for terms in subsets
    )


GRIDS: dict[GridName, Grid] = {
    "masks": Grid(
        name="masks",
        title="Table 3: phonemes that a keyframe sees",
        trains=True,
        metrics=("all",),
        variants=(
            Variant(name="full", label="Non-causal full", phoneme_scope="full"),
            Variant(name="accumulative", label="Causal accumulative", phoneme_scope="accumulative"),
            Variant(name="window2", label="Limited history (2)", phoneme_scope="window2"),
            Variant(name="one_to_one", label="One-to-one", phoneme_scope="one_to_one", is_ours=True),
        ),
    ),
    "allocation": Grid(
        name="allocation",
        title="Table 5: frames between keyframes",
        trains=False,
        metrics=("all",),
        variants=(
            Variant(name="random", label="Random", allocation="random"),
            Variant(name="fixed", label="Fixed", allocation="fixed", is_drawn=False),
            Variant(name="dynamic", label="Dynamic", is_ours=True, is_drawn=False),
        ),
    ),
    "losses": Grid(
        name="losses",
        title="Table 6: terms of the loss, teacher-forced keyframes",
        trains=True,
        metrics=(
            *("keyframe/fid", "keyframe/lpips_alex", "keyframe/psnr", "keyframe/ssim"),
            *("keyframe/csim_w600k_mbf", "video/mouth_psnr", "video/mouth_opening_r"),
        ),
        variants=_losses(),
    ),
    "conditioning": Grid(
        name="conditioning",
        title="Figure 5: conditioned on phonemes or on syllables",
        trains=True,
        metrics=("all",),
        variants=(
            Variant(name="syllable", label="Syllables (without PRL)", condition="syllable"),
            Variant(name="phoneme", label="Phonemes (PRL)", condition="phoneme", is_ours=True),
        ),
    ),
}
"""By name, in the order of the paper's tables."""
