from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.keyframes import KeyframeConfig, choose_keyframes, report
from datapipe.records import Phoneme


def phonemes_of(lengths: list[int]) -> list[Phoneme]:
    """Phonemes of these lengths in 10 ms, one after another from 0."""
    edges = np.concatenate([[0], np.cumsum(lengths)]) / 100
    return [Phoneme(symbol="AA", start=float(a), end=float(b)) for a, b in pairwise(edges)]


lengths = st.lists(st.integers(1, 60), min_size=1, max_size=40)
rules = st.sampled_from(["midpoint", "onset", "release", "widest"])


@given(lengths, rules, st.integers(1, 200), st.integers(0, 2**31))
def test_one_keyframe_per_phoneme_never_going_back_and_inside_the_clip(
    lengths, rule, num_frames, seed
) -> None:
    phonemes = phonemes_of(lengths)
    opening = np.random.default_rng(seed).random(num_frames).astype(np.float32)
    keyframes = choose_keyframes(phonemes, num_frames, KeyframeConfig(rule=rule), opening)
    assert [each.phoneme for each in keyframes] == [each.symbol for each in phonemes]
    frames = [each.frame for each in keyframes]
    assert frames == sorted(frames)
    assert frames[0] >= 0 and frames[-1] < num_frames


@given(lengths, rules)
def test_the_chosen_instant_lies_in_its_phoneme(lengths, rule) -> None:
    phonemes = phonemes_of(lengths)
    num_frames = int(np.ceil(phonemes[-1].end * 25)) + 1
    opening = np.linspace(0, 1, num_frames, dtype=np.float32)
    for keyframe, phoneme in zip(
        choose_keyframes(phonemes, num_frames, KeyframeConfig(rule=rule), opening), phonemes, strict=True
    ):
        assert phoneme.start - 1e-3 <= keyframe.time <= phoneme.end + 1e-3


def test_golden_choices_of_every_rule() -> None:
    phonemes = phonemes_of([20, 40, 4])  # 0-.20, .20-.60, .60-.64 s: frames 0-4, 5-14, 15
    opening = np.zeros(16, np.float32)
    opening[[2, 13]] = 1.0
    choose = {
        rule: [each.frame for each in choose_keyframes(phonemes, 16, KeyframeConfig(rule=rule), opening)]
        for rule in ("midpoint", "onset", "release", "widest")
    }
    assert choose == {
        "midpoint": [2, 10, 15],
        "onset": [0, 5, 15],
        "release": [4, 14, 15],
        "widest": [2, 13, 15],
    }


def test_the_default_is_the_middle() -> None:
    (keyframe,) = choose_keyframes(phonemes_of([50]), 12)
    assert keyframe.time == 0.25 and keyframe.frame == 6


def test_collisions_and_short_phonemes_are_counted() -> None:
    phonemes = phonemes_of([3, 3, 3, 20])
    found = report(phonemes, choose_keyframes(phonemes, 8))
    assert found.num_phonemes == 4
    assert found.num_under_one_frame == 3
    assert found.num_collisions == 1  # middles at .015, .045, .075 s: frames 0, 1, 1
    assert found.num_frames_used == 3
    assert found.frames_histogram == {0: 3, 5: 1}
    assert found.worst_offset <= 0.02


def test_widest_without_the_curve_and_a_clip_without_frames_are_errors_of_the_caller() -> None:
    with pytest.raises(ValueError, match="opening"):
        choose_keyframes(phonemes_of([10]), 5, KeyframeConfig(rule="widest"))
    with pytest.raises(ValueError, match="frames"):
        choose_keyframes(phonemes_of([10]), 0)
