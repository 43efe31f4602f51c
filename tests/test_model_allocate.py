"""Frames between keyframes: the total is exact, whatever the keyframes are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.avatarsync.allocate import allocate, count_frames

TIMES = st.lists(st.floats(0, 6), min_size=2, max_size=40).map(lambda v: np.sort(np.array(v)))


@settings(max_examples=100, deadline=None)
@given(times=TIMES, num_frames=st.integers(1, 200), strategy=st.sampled_from(["dynamic", "fixed", "random"]))
def test_every_strategy_makes_exactly_the_frames_asked_for(times, num_frames, strategy):
    where = allocate(times, num_frames, 25, strategy)
    assert len(where.pair) == len(where.t) == num_frames
    assert (np.diff(where.pair) >= 0).all()
    assert where.pair.min() >= 0 and where.pair.max() <= len(times) - 2
    assert where.t.min() >= 0 and where.t.max() <= 1


@settings(max_examples=100, deadline=None)
@given(times=TIMES, num_frames=st.integers(1, 200))
def test_dynamic_frames_stand_at_their_own_time(times, num_frames):
    where = allocate(times, num_frames, 25)
    at = times[where.pair] + where.t * (times[where.pair + 1] - times[where.pair])
    expected = np.clip((np.arange(num_frames) + 0.5) / 25, times[0], times[-1])
    assert np.allclose(at, expected, atol=1e-4)
    inside = np.diff(where.pair) == 0
    assert (np.diff(where.t)[inside] >= 0).all()


@settings(max_examples=100, deadline=None)
@given(times=TIMES, num_frames=st.integers(1, 200))
def test_dynamic_gives_each_interval_frames_in_proportion_to_its_length(times, num_frames):
    where = allocate(times, num_frames, 25)
    counts = np.bincount(where.pair, minlength=len(times) - 1)
    inside = (times[:-1] > 0) & (times[1:] < num_frames / 25)
    inside[0] = inside[-1] = False  # they hold the frames before and after all keyframes
    assert (np.abs(counts - 25 * np.diff(times))[inside] <= 1 + 1e-6).all()


@settings(max_examples=100, deadline=None)
@given(times=TIMES, num_frames=st.integers(1, 200), seed=st.integers(0, 99))
def test_fixed_and_random_go_evenly_through_each_interval(times, num_frames, seed):
    for strategy in ("fixed", "random"):
        where = allocate(times, num_frames, 25, strategy, seed)
        for pair in np.unique(where.pair):
            t = where.t[where.pair == pair]
            assert np.allclose(t, np.arange(len(t)) / len(t))
    counts = np.bincount(allocate(times, num_frames, 25, "fixed").pair, minlength=len(times) - 1)
    assert counts.max() - counts.min() <= 1


def test_fixed_shares_equally_and_random_is_seeded():
    times = np.array([0.0, 0.1, 2.0, 2.1, 4.0])
    assert set(np.bincount(allocate(times, 100, 25, "fixed").pair)) == {25}
    first, again, other = (allocate(times, 100, 25, "random", seed).pair for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize(("duration", "frames"), [(1.0, 25), (3.9199, 98), (3.9, 98), (0.001, 1), (2.02, 50)])
def test_frame_count_is_the_rounded_duration(duration, frames):
    assert count_frames(duration, 25) == frames
