"""Noise and data on both paths: what is put in comes out, and a perfect network makes exact data."""

import math

import pytest
import torch

from datapipe.records import Rejected
from model.latents.conditions import Modulation, ScalarEmbedding, modulated, sinusoids
from model.latents.diffusion import NOISIEST, denoise, levels, noised, step_times, understood, wanted

TARGETS = list(NOISIEST)


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_perfect_network_says_gives_data_and_noise_back(target):
    draw = torch.Generator().manual_seed(0)
    data, noise = torch.randn(2, 50, 3, generator=draw)
    times = NOISIEST[target] * torch.rand(50, 1, generator=draw)
    guess = understood(noised(data, noise, times, target), wanted(data, noise, target), times, target)
    assert torch.allclose(guess.data, data, atol=1e-4) and torch.allclose(guess.noise, noise, atol=1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_paths_begin_in_data_and_end_in_noise(target):
    clear, dim = levels(torch.tensor([0.0, NOISIEST[target]]), target)
    assert clear[0] == 1 and dim[0] == 0 and clear[1] < 0.04 and dim[1] > 0.99
    if target == "noise":
        assert torch.allclose(clear.square() + dim.square(), torch.ones(2))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("steps", [1, 4, 25])
def test_denoising_with_the_true_mean_of_a_gaussian_gives_its_spread(target, steps):
    """Data N(2, 0.5^2): the best network is known in closed form, and the walk must land in that Gaussian."""
    mean, spread = 2.0, 0.5

    def say(values, times):
        clear, dim = levels(times[..., None], target)
        gain = clear * spread**2 / (clear**2 * spread**2 + dim**2)
        data = mean + gain * (values - clear * mean)
        noise = (values - clear * data) / dim.clamp_min(1e-6)
        return noise if target == "noise" else noise - data

    start = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    made = denoise(start, step_times(steps, target), say, target)
    assert abs(made.mean() - mean) < 0.12
    if steps == 25:
        assert abs(made.std() - spread) < 0.1


def test_steps_fall_to_zero_and_a_shift_moves_them_towards_noise():
    assert torch.allclose(step_times(4, "velocity"), torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))
    # Self-Forcing's four steps 1000, 750, 500, 250 under Wan's shift of 5
    shifted = torch.tensor([1.0, 0.9375, 5 / 6, 0.625, 0.0])
    assert torch.allclose(step_times(4, "velocity", shift=5.0), shifted, atol=1e-6)
    with pytest.raises(Rejected, match="1 or more"):
        step_times(0, "noise")


def test_sinusoids_tell_values_apart_and_are_those_of_positions():
    coded = sinusoids(torch.tensor([3.0]), 4)[0]
    assert coded.tolist() == pytest.approx(
        [math.cos(3), math.cos(0.03), math.sin(3), math.sin(0.03)], abs=1e-6
    )
    torch.manual_seed(0)
    coded = ScalarEmbedding(32)(torch.linspace(0, 1, 11))
    assert torch.pdist(coded).min() > 0.05


def test_a_modulation_is_silent_at_first():
    shift, scale = Modulation(8, 2)(torch.randn(5, 8))
    x = torch.randn(5, 8)
    assert torch.equal(modulated(x, shift, scale), x)
