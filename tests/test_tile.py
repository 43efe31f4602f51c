from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from datapipe.records import SILENCE
from datapipe.tile import SHORTEST, Span, tile

times = st.lists(st.integers(-200, 1200), min_size=0, max_size=24, unique=True).map(sorted)


def spans_of(marks: list[int]) -> list[Span]:
    """Every second interval between the marks (in 10 ms frames) is a unit."""
    pairs = list(pairwise(marks))[::2]
    return [Span(symbol="AA", start=round(a / 100, 4), end=round(b / 100, 4)) for a, b in pairs]


@given(times, st.floats(0.05, 10.0), st.floats(0.0, 0.2))
def test_phonemes_cover_the_clip_exactly_in_order_without_gaps(marks, duration, shortest_pause) -> None:
    found = tile(spans_of(marks), duration, shortest_pause)
    assert found[0].start == 0.0
    assert found[-1].end == duration
    assert all(a.end == b.start for a, b in pairwise(found))
    assert not any(a.symbol == b.symbol == SILENCE for a, b in pairwise(found))


@given(times, st.floats(0.05, 10.0), st.floats(0.0, 0.2))
def test_no_unit_inside_the_clip_is_lost(marks, duration, shortest_pause) -> None:
    units = spans_of(marks)
    inside = [u for u in units if min(duration, u.end) - max(0.0, u.start) >= SHORTEST]
    assert sum(each.symbol != SILENCE for each in tile(units, duration, shortest_pause)) == len(inside)


@given(times, st.floats(0.05, 10.0), st.floats(0.011, 0.2))
def test_no_silence_is_shorter_than_the_shortest_pause(marks, duration, shortest_pause) -> None:
    found = tile(spans_of(marks), duration, shortest_pause)
    pauses = [each for each in found if each.symbol == SILENCE]
    assert all(each.end - each.start >= min(shortest_pause, duration) - 1e-6 for each in pauses)


def test_a_short_pause_is_shared_and_a_long_one_stays() -> None:
    units = [
        Span(symbol="T", start=0.1, end=0.2, mark=None),
        Span(symbol="AA", start=0.22, end=0.3, mark=1),
        Span(symbol="T", start=0.5, end=0.6),
    ]
    found = tile(units, 0.62, 0.04)
    assert [(each.symbol, each.start, each.end) for each in found] == [
        (SILENCE, 0.0, 0.1),
        ("T", 0.1, 0.21),
        ("AA", 0.21, 0.3),
        (SILENCE, 0.3, 0.5),
        ("T", 0.5, 0.62),
    ]
    assert found[2].stress == 1


def test_nothing_said_is_one_silence() -> None:
    (only,) = tile([], 1.5, 0.04)
    assert (only.symbol, only.start, only.end) == (SILENCE, 0.0, 1.5)


def test_parts_before_the_start_are_cut_off() -> None:
    units = [Span(symbol="T", start=-0.3, end=-0.1), Span(symbol="AA", start=-0.1, end=0.2)]
    assert [(each.symbol, each.start) for each in tile(units, 0.2, 0.04)] == [("AA", 0.0)]
