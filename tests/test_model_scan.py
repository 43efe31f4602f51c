"""The selective scan against its definition, and the four directions of the interpolator."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.avatarsync.state_space import DIRECTIONS, MixBlock, from_sequence, to_sequence
from model.scan import scan, scan_loop, selective_scan


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 70), chunk=st.integers(1, 40), seed=st.integers(0, 9))
def test_chunked_scan_is_the_loop_for_any_length_and_chunk(length, chunk, seed):
    torch.manual_seed(seed)
    a, b = torch.rand(2, length, 3, 2), torch.randn(2, length, 3, 2)
    assert torch.allclose(scan(a, b, chunk), scan_loop(a, b), atol=1e-5)


def test_gradients_are_the_loops():
    torch.manual_seed(0)
    pairs = [(torch.rand(2, 37, 3, 4), torch.randn(2, 37, 3, 4))] * 2
    grads = []
    for form, (a, b) in zip((scan, scan_loop), pairs, strict=True):
        a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
        (form(a, b) ** 2).sum().backward()
        grads.append((a.grad, b.grad))
    assert torch.allclose(grads[0][0], grads[1][0], atol=1e-4)
    assert torch.allclose(grads[0][1], grads[1][1], atol=1e-4)


def test_gradcheck_in_double():
    torch.manual_seed(0)
    a = torch.rand(1, 11, 2, 2, dtype=torch.float64, requires_grad=True)
    b = torch.randn(1, 11, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: scan(a, b, 4), (a, b))


def test_selective_scan_is_the_recurrence_written_out():
    torch.manual_seed(0)
    u, delta = torch.randn(1, 9, 3), torch.rand(1, 9, 3)
    decay, b, c = -torch.rand(3, 2), torch.randn(1, 9, 2), torch.randn(1, 9, 2)
    state, expected = torch.zeros(3, 2), []
    for t in range(9):
        state = torch.exp(delta[0, t, :, None] * decay) * state + (delta[0, t] * u[0, t])[:, None] * b[0, t]
        expected.append(state @ c[0, t])
    assert torch.allclose(selective_scan(u, delta, decay, b, c)[0], torch.stack(expected), atol=1e-5)


@pytest.mark.parametrize("direction", range(DIRECTIONS))
def test_an_identity_scan_returns_every_value_to_its_place(direction):
    x = torch.arange(2 * 3 * 4 * 5 * 2).float().view(2, 3, 4, 5, 2)
    assert torch.equal(from_sequence(to_sequence(x, direction), direction, 4, 5), x)


def test_keyframes_are_interleaved_pixel_by_pixel():
    x = torch.stack((torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)), dim=-1)
    for direction in range(DIRECTIONS):
        values = to_sequence(x, direction)[0, :, 0]
        assert (values[::2] != values[1::2]).all()


def test_context_is_global_and_knows_the_duration():
    torch.manual_seed(0)
    block = MixBlock(8)
    x = torch.randn(1, 8, 4, 4, 2, requires_grad=True)
    out = block(x, torch.tensor([0.1]))
    out[0, :, 0, 0, 0].abs().sum().backward()
    assert (x.grad.abs().sum((0, 1)) > 0).all()
    assert not torch.allclose(out, block(x, torch.tensor([0.9])))
