"""How latency grows with the number of phonemes: one clip cut at phoneme boundaries, asked in random order.

Latency is what a user waits, work is the processor time behind it: a system that runs phonemes side by side
stays flat in latency, until its device is full, while its work grows all the same.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datapipe.console import track
from datapipe.files import write_text
from datapipe.media import FPS, SAMPLE_RATE, read_audio, read_frames, write_video, write_wav
from datapipe.records import Rejected, Sample, Seconds, to_json

from ..records import Case, Estimate
from ..systems.inputs import sound_source
from .latency import Latency, LatencyConfig, Speaker, Trial, latency_of, median_of, run_once

COUNTS = tuple(range(2, 21))
SEED = 20250917
NUM_RESAMPLES = 2000
FEWEST_REPEATS = 3
"""Below this many repeats there is no interval."""
FLAT_SHARE = 0.10
"""Latency counts as flat up to where it leaves this share around its value at the fewest phonemes."""
SWEEP_SCHEMA = "avatarsync-latency-sweep/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One number of phonemes."""

    num_phonemes: int
    """Units of the clip's phoneme track, pauses included: each is a keyframe."""
    latency: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """value = intercept + slope * phonemes, and value ~ phonemes ** exponent, over medians of the repeats.

    Intervals are 95 % percentile bootstrap intervals over repeats; they say nothing of other clips.
    """

    intercept: Estimate
    slope: Estimate
    """Seconds per phoneme."""
    exponent: Estimate
    """Slope of logarithms: 0 is flat, 1 is proportional."""
    r_squared: float
    """Share of the variance over phoneme counts that the line explains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A finished sweep of one system over cuts of one clip."""

    system: str
    created: str
    clip: str
    config: LatencyConfig
    load_seconds: Seconds | None
    points: tuple[Point, ...]
    latency_fit: Fit
    work_fit: Fit | None
    """Of processor seconds; None when they were not measured."""
    flat_until: int
    """Largest number of phonemes up to which the median latency stays within 10 % of the first."""
    environment: dict[str, str]
    schema: str = SWEEP_SCHEMA


def longest_case(cases: Sequence[Case]) -> Case:
    """Choose the clip with the most phonemes; raises `Rejected("bad_input")` when none has any."""
    known = [case for case in cases if case.sample and case.sample.phonemes]
    if not known:
        raise Rejected("bad_input", "no case has phonemes; export cases with `avatarsync data export`")
    return max(known, key=lambda case: len(case.sample.phonemes) if case.sample else 0)


def cut_cases(case: Case, folder: Path, counts: Sequence[int] = COUNTS) -> tuple[Case, ...]:
    """Write cuts of a clip after its first n phonemes: mp4, png, wav and json, like any folder of cases.

    Counts beyond the clip's own are left out. Raises `Rejected("bad_input")` when fewer than three remain.
    """
    num_known = len(case.sample.phonemes) if case.sample else 0
    usable = [count for count in counts if count <= num_known]
    if len(usable) < 3:
        message = f"{case.key} has {num_known} phonemes: too few for a sweep from {min(counts)} on"
        raise Rejected("bad_input", f"{message}; give a longer clip")
    frames, audio = read_frames(case.video), read_audio(sound_source(case))
    return tuple(_cut(case, count, folder, frames, audio) for count in usable)


def _cut(
    case: Case, count: int, folder: Path, frames_THW3: NDArray[np.uint8], audio: NDArray[np.float32]
) -> Case:
    assert case.sample is not None
    key = f"{count:02d}-phonemes"
    sample = cut_sample(case.sample, key, count)
    video = folder / f"{key}.mp4"
    sound = audio[: round(sample.duration * SAMPLE_RATE)]
    write_video(video, frames_THW3[: sample.num_frames], sound)
    write_wav(video.with_suffix(".wav"), sound)
    write_text(video.with_suffix(".json"), to_json(sample))
    if case.picture:
        shutil.copyfile(case.picture, video.with_suffix(".png"))
    return Case(
        key=key, video=video, picture=video.with_suffix(".png") if case.picture else None, sample=sample
    )


def cut_sample(sample: Sample, key: str, count: int) -> Sample:
    """Keep the first `count` phonemes and what ends with them."""
    phonemes = sample.phonemes[:count]
    end = phonemes[-1].end
    words = tuple(word for word in sample.words if word.end <= end)
    return replace(
        sample,
        key=key,
        phonemes=phonemes,
        words=words,
        text=("" if sample.language == "zh" else " ").join(word.text for word in words),
        keyframes=tuple(each for each in sample.keyframes if each.time < end),
        duration=end,
        num_frames=max(1, round(end * FPS)),
    )


def time_sweep(speak: Speaker, cases: Sequence[Case], out: Path, config: LatencyConfig) -> tuple[Point, ...]:
    """Warm every length up, then time rounds of all lengths, each in a random order of its own.

    So a machine that grows warm or busy in the meantime does not bend the curve. Raises `Rejected` as the
    system does: a curve with holes would be fitted as if it had none.
    """
    trials: dict[str, list[Trial]] = {case.key: [] for case in cases}
    for case in track(schedule(cases, config), "sweep"):
        trials[case.key].append(run_once(speak, case, out))
    points = []
    for case in cases:
        warmups, timed = trials[case.key][: config.warmup], trials[case.key][config.warmup :]
        num_phonemes = len(case.sample.phonemes) if case.sample else 0
        points.append(Point(num_phonemes=num_phonemes, latency=latency_of(case.key, out, warmups, timed)))
    return tuple(points)


def schedule(cases: Sequence[Case], config: LatencyConfig) -> list[Case]:
    """Order of all runs: `warmup` + `repeats` rounds, each over all cases, shuffled with a fixed seed."""
    order = random.Random(SEED)
    rounds = (order.sample(cases, len(cases)) for _ in range(config.warmup + config.repeats))
    return [case for each in rounds for case in each]


def latency_fit(points: Sequence[Point]) -> Fit:
    """Fit seconds over phonemes."""
    return fit(counts_of(points), np.array([point.latency.seconds for point in points]))


def work_fit(points: Sequence[Point]) -> Fit | None:
    """Fit processor seconds over phonemes; None when a run has none, or used less than the clock can see."""
    work_CR = np.array([[run.cpu_seconds or 0.0 for run in point.latency.trials] for point in points])
    return fit(counts_of(points), work_CR) if (work_CR > 0).all() else None


def counts_of(points: Sequence[Point]) -> NDArray[np.float64]:
    """Numbers of phonemes as an array."""
    return np.array([point.num_phonemes for point in points], np.float64)


def fit(counts_C: NDArray[np.float64], values_CR: NDArray[np.float64]) -> Fit:
    """Fit a line and a power to the medians over repeats (C, R); resample the repeats for intervals."""
    num_counts, num_repeats = values_CR.shape
    medians_C = np.median(values_CR, axis=1)
    intercept, slope = _line(counts_C, medians_C[None])
    _, exponent = _line(np.log(counts_C), np.log(medians_C)[None])
    drawn = np.random.default_rng(SEED).integers(0, num_repeats, (NUM_RESAMPLES, num_counts, num_repeats))
    again_BC = np.median(values_CR[np.arange(num_counts)[None, :, None], drawn], axis=2)
    intercepts, slopes = _line(counts_C, again_BC)
    _, exponents = _line(np.log(counts_C), np.log(again_BC))
    enough = num_repeats >= FEWEST_REPEATS
    return Fit(
        intercept=_estimate(intercept, intercepts, enough),
        slope=_estimate(slope, slopes, enough),
        exponent=_estimate(exponent, exponents, enough),
        r_squared=_r_squared(medians_C, intercept[0] + slope[0] * counts_C),
    )


def _line(
    x_C: NDArray[np.float64], y_BC: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least squares for each row of y: intercepts and slopes (B,)."""
    away_C = x_C - x_C.mean()
    slope_B = y_BC @ away_C / (away_C @ away_C)
    return y_BC.mean(axis=1) - slope_B * x_C.mean(), slope_B


def _estimate(value: NDArray[np.float64], resampled: NDArray[np.float64], enough: bool) -> Estimate:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Estimate(float(value[0]), float(low), float(high)) if enough else Estimate(float(value[0]))


def _r_squared(y_C: NDArray[np.float64], fitted_C: NDArray[np.float64]) -> float:
    spread = float(((y_C - y_C.mean()) ** 2).sum())
    return 1.0 - float(((y_C - fitted_C) ** 2).sum()) / spread if spread > 0 else 1.0


def flat_until(points: Sequence[Point]) -> int:
    """Largest count up to which every median latency stays within 10 % of that of the fewest phonemes."""
    first = points[0].latency.median
    for before, point in pairwise(points):
        if abs(point.latency.median - first) > FLAT_SHARE * first:
            return before.num_phonemes
    return points[-1].num_phonemes


def work_median(point: Point) -> Seconds | None:
    """Median processor seconds of a point."""
    return median_of([trial.cpu_seconds for trial in point.latency.trials])
