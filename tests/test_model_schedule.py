"""The order of writing: every place once, in few steps, and nothing is seen before it is there."""

import pytest
import torch
from decoding import inputs, make
from hypothesis import given
from hypothesis import strategies as st

from model.avatarsync.decode import DecodeConfig, generate_tokens, lockstep, one_by_one, read_prefix
from model.avatarsync.schedule import make_schedule


def test_a_window_of_eight_writes_32_by_32_tokens_in_280_steps_in_place_of_1024():
    assert len(make_schedule(1024).steps) == 1024
    assert len(make_schedule(1024, 8).steps) == 280
    assert max(map(len, make_schedule(1024, 8).steps)) == 4


@given(st.integers(1, 12), st.integers(1, 14))
def test_every_place_is_written_once_after_all_that_it_needs(side, window):
    schedule = make_schedule(side * side, window)
    assert sorted(place for step in schedule.steps for place in step) == list(range(side * side))
    assert len(schedule.steps) == side + (side - 1) * min(window, side)
    order = schedule.order().view(side, side)
    assert (order[:, 1:] == order[:, :-1] + 1).all()
    ahead = (order[:-1, None] < order[1:, :1, None]).sum(-1).flatten()
    assert (ahead == min(window, side)).all()


@given(st.integers(1, 7), st.one_of(st.none(), st.integers(1, 9)))
def test_what_is_hidden_is_what_comes_later_in_raster_or_in_time(side, window):
    schedule = make_schedule(side * side, window)
    hidden, order = schedule.hidden(), schedule.order()
    for place in range(side * side):
        shown = {k for k in range(place + 1) if order[k] <= order[place]}
        assert set((~hidden[place]).nonzero()[:, 0].tolist()) == shown and place in shown
    if window is None or window >= side:
        assert torch.equal(~hidden, torch.ones_like(hidden).tril())


def test_the_padded_table_holds_the_steps():
    schedule = make_schedule(16, 1)
    for row, step in zip(schedule.places().tolist(), schedule.steps, strict=True):
        assert tuple(row[: len(step)]) == step and set(row) == set(step)


@pytest.mark.parametrize("window", [3, 4, 100])
def test_a_window_as_wide_as_a_row_is_raster_decoding(window):
    model = make("window2")
    phonemes, reference, _ = inputs(1)
    prefix = read_prefix(model, reference[0])
    for temperature in (0.0, 1.0):
        raster = lockstep(model, phonemes[0], prefix, DecodeConfig(temperature=temperature))
        config = DecodeConfig(temperature=temperature, window=window)
        assert torch.equal(lockstep(model, phonemes[0], prefix, config), raster)


@pytest.mark.parametrize("window", [1, 2])
def test_rows_in_parallel_write_the_tokens_of_whole_passes_that_hide_the_same(window):
    model = make()
    phonemes, reference, _ = inputs(1)
    config = DecodeConfig(window=window)
    quick = generate_tokens(model, phonemes[0], read_prefix(model, reference[0]), config)
    assert torch.equal(quick, one_by_one(model, phonemes[0], reference[0], config))
    raster = generate_tokens(model, phonemes[0], read_prefix(model, reference[0]))
    assert torch.equal(quick[:, :3], raster[:, :3])  # the first row knows no difference
    assert not torch.equal(quick, raster)
