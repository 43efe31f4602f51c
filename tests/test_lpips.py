"""LPIPS as a loss is LPIPS as a metric, and its gradient is the slope that finite differences see."""

import numpy as np
import pytest
import torch

from datapipe.networks import arrays, lpips

pytestmark = pytest.mark.assets


def pictures(seed: int, num: int = 2, side: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num, side, side, 3), np.uint8)


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_the_loss_is_the_metric(trunk: lpips.TrunkName) -> None:
    made, real = pictures(0), pictures(1)
    metric = lpips.lpips_distances(*(lpips.lpips_tower(each, trunk) for each in (made, real)), trunk=trunk)
    signed = lpips.signed(made).requires_grad_()
    loss = lpips.lpips_loss(signed, lpips.signed(real), trunk)
    np.testing.assert_allclose(loss.detach().numpy(), metric, rtol=1e-5)
    loss.sum().backward()
    assert signed.grad is not None and (signed.grad.abs().amax((1, 2, 3)) > 0).all()


def test_the_gradient_is_the_slope() -> None:
    made, real = lpips.signed(pictures(0)).requires_grad_(), lpips.signed(pictures(1))
    lpips.lpips_loss(made, real).sum().backward()
    generator = torch.Generator().manual_seed(0)
    assert made.grad is not None
    # along the gradient the slope is large against rounding; the random part tests other ways too
    way = made.grad / made.grad.norm() + 0.02 * torch.randn(made.shape, generator=generator)
    near = [lpips.lpips_loss(made.detach() + step * way, real).double().sum() for step in (1e-2, -1e-2)]
    assert float((near[0] - near[1]) / 2e-2) == pytest.approx(float((made.grad * way).sum()), rel=0.02)


def test_a_loss_after_a_metric_still_has_a_gradient() -> None:
    lpips._weights.cache_clear()
    arrays._converted.cache_clear()
    lpips.lpips_tower(pictures(0))  # loads the weights while nothing is recorded
    made = lpips.signed(pictures(0)).requires_grad_()
    lpips.lpips_loss(made, lpips.signed(pictures(1))).sum().backward()
    assert made.grad is not None


def test_half_precision_around_it_changes_nothing() -> None:
    made, real = lpips.signed(pictures(0)), lpips.signed(pictures(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = lpips.lpips_loss(made, real)
    assert torch.equal(inside, lpips.lpips_loss(made, real))
