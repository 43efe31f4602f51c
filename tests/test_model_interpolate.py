"""The interpolator: places of the scan, mirrored pairs, exact keyframes, time that matters."""

import numpy as np
import pytest
import torch

from datapipe.records import Phoneme
from model.avatarsync import intervals
from model.avatarsync.interpolate import Interpolator, InterpolatorConfig
from model.avatarsync.intervals import Drawn
from model.avatarsync.state_space import DIRECTIONS, SCANS, MixBlock, from_sequence, to_sequence
from model.layers import REACH, STILLNESS, carry, warp
from model.presets import preset_named

FORMS = pytest.mark.parametrize("form", SCANS)
SMALL = {"size": 32, "fine_width": 16, "coarse_width": 16, "head_width": 8, "num_points": 3}


def lively(form="s6", **changes):
    """A small interpolator none of whose layers is silent."""
    torch.manual_seed(0)
    network = Interpolator(InterpolatorConfig(**SMALL | {"scan": form} | changes)).eval()
    with torch.no_grad():
        for layer in (network.flow, network.trust, network.paint):
            layer.weight.normal_(0, 0.3)
        network.pairs.rest.uniform_(-0.5, 0.5)
    return network


def pairs_of(count, size=32):
    torch.manual_seed(1)
    return *(2 * torch.rand(2, count, 3, size, size) - 1), 0.1 + 0.3 * torch.rand(count)


@pytest.mark.parametrize("direction", range(DIRECTIONS))
def test_an_identity_scan_returns_every_value_to_its_place(direction):
    x = torch.arange(2 * 3 * 4 * 5 * 2).float().view(2, 3, 4, 5, 2)
    assert torch.equal(from_sequence(to_sequence(x, direction), direction, 4, 5), x)


@pytest.mark.parametrize("direction", range(DIRECTIONS))
def test_the_official_order_sends_columns_to_wrong_places(direction):
    x = torch.arange(16 * 16 * 2).float().view(1, 1, 16, 16, 2)
    right = (
        (from_sequence(to_sequence(x, direction), direction, 16, 16, official_order=True) == x).float().mean()
    )
    assert right == 1 if direction < 2 else right < 0.3


def test_keyframes_are_interleaved_pixel_by_pixel():
    x = torch.stack((torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)), dim=-1)
    for direction in range(DIRECTIONS):
        values = to_sequence(x, direction)[0, :, 0]
        assert (values[::2] != values[1::2]).all()


@FORMS
def test_context_is_global_and_knows_the_duration(form):
    torch.manual_seed(0)
    block = MixBlock(16, form, readouts=2)
    x = torch.randn(1, 16, 4, 4, 2, requires_grad=True)
    for out in block(x, torch.tensor([0.1])):
        out[..., 0, 0, 0].abs().sum().backward(retain_graph=True)
        assert (x.grad.abs().sum((0, 1)) > 0).all()
        x.grad = None
    for soon, late in zip(block(x, torch.tensor([0.1])), block(x, torch.tensor([0.9])), strict=True):
        assert not torch.allclose(soon, late)


@FORMS
def test_swapped_keyframes_swap_the_scan(form):
    torch.manual_seed(0)
    block, seconds = MixBlock(16, form, readouts=3), torch.tensor([0.1, 0.3])
    x = torch.randn(2, 16, 4, 6, 2)
    for straight, swapped in zip(block(x, seconds), block(x.flip(-1), seconds), strict=True):
        assert torch.allclose(straight.flip(-1), swapped, atol=1e-6)
        assert not torch.allclose(straight, swapped, atol=1e-2)


@FORMS
@torch.no_grad()
def test_swapped_keyframes_and_reversed_time_give_the_same_picture(form):
    network, (left, right, seconds) = lively(form), pairs_of(3)
    t = torch.tensor([0.2, 0.5, 0.9])
    there, back = network(left, right, seconds, t), network(right, left, seconds, 1 - t)
    assert torch.allclose(there, back, atol=1e-5)
    assert not torch.allclose(there, network(left, right, seconds, 1 - t), atol=1e-2)


@torch.no_grad()
def test_a_long_pause_is_a_gap_that_training_has_seen():
    network, (left, right, _) = lively(longest_gap=0.4), pairs_of(2)
    t = torch.tensor([0.3, 0.6])
    at_most, pause, shorter = (network(left, right, torch.full((2,), s), t) for s in (0.4, 9.0, 0.1))
    assert torch.equal(at_most, pause) and not torch.allclose(at_most, shorter)


@torch.no_grad()
def test_keyframes_come_back_exactly():
    network, (left, right, seconds) = lively(), pairs_of(2)
    assert torch.allclose(network(left, right, seconds, torch.zeros(2)), left, atol=1e-5)
    assert torch.allclose(network(left, right, seconds, torch.ones(2)), right, atol=1e-5)


def test_the_read_out_of_the_states_depends_on_time_and_duration():
    network, (left, right, seconds) = lively(), pairs_of(1)
    features = network.pairs(left, right, seconds)
    features.maps_P2KCGG.retain_grad()
    shares = []
    for t, duration in ((0.2, seconds), (0.8, seconds), (0.2, 3 * seconds)):
        timed = type(features)(features.maps_P2KCGG, features.points_P2L2, duration)
        network.render(timed, left, right, torch.tensor([t])).sum().backward(retain_graph=True)
        shares.append(features.maps_P2KCGG.grad[:, :, 1:].clone())
        features.maps_P2KCGG.grad = None
    assert all(share.abs().max() > 0 for share in shares)
    assert not torch.allclose(shares[0], shares[1]) and not torch.allclose(shares[0], shares[2])


@torch.no_grad()
def test_every_instant_of_a_pair_is_rendered_from_one_encoding():
    network, (left, right, seconds) = lively(), pairs_of(2)
    features, which = network.pairs(left, right, seconds), torch.tensor([0, 0, 1, 1, 1])
    t = torch.tensor([0.1, 0.7, 0.0, 0.3, 0.6])
    packed = network.render(features.at(which), left[which], right[which], t)
    alone = [
        network(left[p : p + 1], right[p : p + 1], seconds[p : p + 1], t[i : i + 1])
        for i, p in enumerate(which)
    ]
    assert torch.allclose(packed, torch.cat(alone), atol=1e-5)


def drawn(count):
    """Keyframes of noise at uneven times, from 0.1 s on."""
    left, _, gaps = pairs_of(count)
    times = 0.1 + torch.cumsum(gaps, 0)
    return [
        Drawn(
            time=float(time),
            phoneme=Phoneme(symbol="AA", start=float(time) - 0.05, end=float(time) + 0.05),
            tokens_K=torch.zeros(4, dtype=torch.long),
            picture_13SS=picture[None],
        )
        for time, picture in zip(times, left, strict=True)
    ]


@pytest.mark.parametrize(("pairs", "block"), [(1, 32), (2, 3), (8, 7)])
def test_packed_rendering_is_interval_by_interval_to_rounding_for_any_block(monkeypatch, pairs, block):
    network, keyframes = lively(), drawn(5)
    single = np.concatenate(list(intervals.fill_frames(network, iter(keyframes), 2.0)))
    monkeypatch.setattr(intervals, "PAIRS", pairs)
    monkeypatch.setattr(intervals, "BLOCK", block)
    blocks = list(intervals.fill_frames(network, iter(keyframes), 2.0, packed=True))
    packed = np.concatenate(blocks)
    assert len(packed) == len(single) == 50 and max(len(each) for each in blocks) <= block
    apart = np.abs(packed.astype(int) - single.astype(int))
    assert apart.max() <= 1 and (apart > 0).mean() < 1e-3


@pytest.mark.parametrize("strategy", ["fixed", "random"])
def test_other_allocations_make_the_same_number_of_frames(strategy):
    frames = np.concatenate(list(intervals.fill_frames(lively(), iter(drawn(4)), 1.5, strategy, seed=3)))
    assert frames.shape == (38, 32, 32, 3)


@pytest.mark.parametrize("name", ["tiny", "paper"])
def test_presets_render_without_numbers(name):
    """No tensor is made on another device by accident, at true sizes."""
    config = preset_named(name).interpolator
    with torch.device("meta"):
        network = Interpolator(config)
        pictures = torch.empty(2, 2, 3, config.size, config.size)
        seconds, t = torch.empty(2), torch.empty(2)
    made = network(*pictures, seconds, t)
    assert made.shape == (2, 3, config.size, config.size) and made.is_meta


@torch.no_grad()
def test_half_precision_gives_the_same_picture_nearly():
    network, (left, right, seconds) = lively(), pairs_of(2)
    t = torch.tensor([0.3, 0.6])
    exact = network(left, right, seconds, t)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = network(left, right, seconds, t)
    half = network.to(torch.bfloat16)(*(x.to(torch.bfloat16) for x in (left, right, seconds, t)))
    for each in (mixed, half):
        assert (each.float() - exact).abs().mean() < 0.03 * exact.abs().mean()


def test_points_carry_what_they_hold_under_a_gaussian():
    torch.manual_seed(0)
    points, held = torch.rand(2, 5, 2) * 2 - 1, torch.randn(2, 5, 3)
    spread = carry(points, held, 16)
    x, y = (7 + 0.5) / 8 - 1, (11 + 0.5) / 8 - 1
    near = torch.exp(-(points - torch.tensor([x, y])).square().sum(-1) / (2 * REACH**2))
    expected = (near[..., None] * held).sum(1) / (near.sum(1)[:, None] + STILLNESS)
    assert torch.allclose(spread[:, :, 11, 7], expected, atol=1e-6)


def test_a_flow_of_one_pixel_reads_the_next_one():
    image = torch.rand(1, 3, 8, 10)
    flow = torch.zeros(1, 2, 8, 10)
    flow[:, 0] = 1.0
    assert torch.allclose(warp(image, flow)[..., :-1], image[..., 1:], atol=1e-5)
    assert torch.allclose(warp(image, flow)[..., -1], image[..., -1], atol=1e-5)
