"""Joined speech and the mouth that follows it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.phonemes import PHONEMES
from datapipe.records import Phoneme
from datapipe.sample.motion import BLINK_EVERY, LIMITS, blinks, head_motion
from datapipe.sample.speech import (
    Piece,
    Utterance,
    recordings,
    samples_of,
    sound_of,
    span_of,
    speech_seconds,
    timeline,
)
from datapipe.sample.viseme import POSES, mouth_curve, mouth_units, shapes_of


@st.composite
def utterances(draw: st.DrawFn) -> Utterance:
    recording = recordings()[draw(st.sampled_from(sorted(recordings())))]
    pieces = []
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, len(recording.words) - 1))
        last = draw(st.integers(first, min(first + 4, len(recording.words) - 1)))
        pause = draw(st.sampled_from([0.0, 0.01, 0.15, 0.4]))
        pieces.append(Piece(recording=recording.name, first=first, last=last, pause=pause))
    total = speech_seconds(tuple(pieces)) + draw(st.floats(0.05, 0.5))
    return Utterance(pieces=tuple(pieces), duration=np.ceil(total * 25) / 25)


def test_every_phoneme_of_the_inventory_has_mouth_shapes():
    assert all(shape in POSES for symbol in PHONEMES for shape in shapes_of(symbol))
    with pytest.raises(KeyError, match="xyz"):
        shapes_of("xyz")


def test_recordings_use_the_inventory_and_stay_within_themselves():
    for each in recordings().values():
        assert {phoneme.symbol for phoneme in each.phonemes} <= set(PHONEMES)
        assert sum(map(abs, each.phrases)) == len(each.words)
        assert each.words[0].start >= 0 and each.words[-1].end <= each.duration + 1e-3


@settings(deadline=None, max_examples=60)
@given(utterances())
def test_phonemes_cover_the_utterance_without_gaps(utterance: Utterance):
    phonemes = timeline(utterance).phonemes
    assert phonemes[0].start == 0 and phonemes[-1].end == pytest.approx(utterance.duration)
    assert all(a.end == b.start for a, b in itertools.pairwise(phonemes))


@settings(deadline=None, max_examples=60)
@given(utterances())
def test_words_are_the_recordings_own_shifted(utterance: Utterance):
    said = iter(timeline(utterance).words)
    for piece in utterance.pieces:
        source = recordings()[piece.recording].words[piece.first : piece.last + 1]
        shifts = [word.start - original.start for original, word in zip(source, said, strict=False)]
        assert np.ptp(shifts) < 2e-4


@pytest.mark.assets
def test_sound_lies_where_the_timeline_says():
    pieces = (
        Piece(recording="asr_example", first=2, last=3, pause=0.2),
        Piece(recording="asr_example", first=5, last=6),
    )
    utterance = Utterance(pieces=pieces, duration=1.4)
    sound = sound_of(utterance, 0)
    assert sound.shape == (round(1.4 * 16000),) and sound.dtype == np.float32
    start, end = span_of(pieces[0])
    middle = samples_of("asr_example")[round((start + 0.05) * 16000) : round((end - 0.05) * 16000)]
    placed = sound[round(0.25 * 16000) :][: len(middle)]
    assert np.corrcoef(middle, placed)[0, 1] > 0.999
    assert np.abs(sound[: round(0.15 * 16000)]).max() < 0.01


def curve_of(*events: tuple[str, float], gain: float = 1.0) -> np.ndarray:
    phonemes, time = [], 0.0
    for symbol, seconds in events:
        phonemes.append(Phoneme(symbol=symbol, start=time, end=time + seconds))
        time += seconds
    return mouth_curve(phonemes, round(time * 25), 25, gain)


def test_silence_is_a_closed_mouth_and_vowels_differ():
    curve = curve_of(("SIL", 0.4), ("AA", 0.4), ("UW", 0.4), ("IY", 0.4), ("SIL", 0.4))
    assert np.abs(curve[:6]).max() < 0.02 and np.abs(curve[-5:]).max() < 0.02
    a, u, i = (curve[round(25 * t)] for t in (0.6, 1.0, 1.4))
    assert a[0] > 0.6 > 0.4 > u[0] and u[2] > 0.6 > a[2] and i[1] > 0.5 > a[1]


@given(st.sampled_from(["m", "b", "p", "M", "B", "P"]), st.floats(0.03, 0.2), st.floats(0.05, 0.3))
def test_lips_close_for_every_bilabial_however_short(symbol: str, short: float, vowel: float):
    events = (("SIL", 0.2), ("a", vowel), (symbol, short), ("a", vowel), ("SIL", 0.2))
    curve = curve_of(*events)
    middle = round((0.2 + vowel + short / 2) * 25)
    assert curve[middle, 0] == 0 and curve[middle, 5] == 1


@given(st.lists(st.tuples(st.sampled_from(PHONEMES), st.floats(0.03, 0.4)), min_size=1, max_size=12))
def test_poses_stay_in_range_and_units_tile(events: list[tuple[str, float]]):
    curve = curve_of(*events, ("SIL", 0.2))
    assert np.isfinite(curve).all() and curve.min() >= 0 and curve.max() <= 1
    units = mouth_units(
        [Phoneme(symbol="iao", start=0.0, end=0.3), Phoneme(symbol="SIL", start=0.3, end=0.5)]
    )
    assert [unit.shape for unit in units] == ["IY", "AA", "UH", "SIL"]
    assert units[0].start == 0 and units[-1].end == pytest.approx(0.5)


@given(st.integers(0, 2**31), st.floats(0, 1))
def test_heads_stay_within_limits_and_move_slowly(seed: int, amplitude: float):
    motion = head_motion(np.random.default_rng(seed), 250, 25, amplitude)
    assert (np.abs(motion) <= np.array(LIMITS) * amplitude + 1e-6).all()
    assert (np.abs(np.diff(motion, axis=0)) <= 0.1 * np.array(LIMITS) + 1e-6).all()


@given(st.integers(0, 2**31))
def test_eyes_close_fully_and_not_too_often(seed: int):
    closed = blinks(np.random.default_rng(seed), 25 * 30, 25)
    starts = np.flatnonzero(np.diff((closed > 0.5).astype(int)) == 1)
    assert len(starts) >= 5 and closed.max() == pytest.approx(1, abs=0.05) and closed.min() == 0
    assert np.diff(starts).min() >= BLINK_EVERY[0] * 25 - 2
