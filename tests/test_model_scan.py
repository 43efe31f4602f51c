"""The scans against their definitions: values, gradients, any length, several read-outs."""

import importlib.util

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.scan import selective_scan, selective_scan_loop, ssd_scan


def s6_inputs(length, dtype=torch.float32, sets=2, readouts=2):
    """u, delta, decay, B, C with two sequences, three channels and four states."""
    u, delta = torch.randn(sets, 2, length, 3), torch.rand(sets, 2, length, 3)
    b, c = torch.randn(sets, 2, length, 4), torch.randn(sets, 2, length, readouts, 4)
    return [x.to(dtype).requires_grad_() for x in (u, delta, -3 * torch.rand(sets, 3, 4), b, c)]


def ssd_loop(x_RLHP, log_decay_RLH, b_RLN, c_RLKN):
    """Mamba-2's recurrence, place by place."""
    state = x_RLHP.new_zeros(len(x_RLHP), *x_RLHP.shape[2:], b_RLN.shape[-1])
    outputs = []
    for x, decay, b, c in zip(*(v.unbind(1) for v in (x_RLHP, log_decay_RLH, b_RLN, c_RLKN)), strict=True):
        state = decay.exp()[..., None, None] * state + x[..., None] * b[:, None, None]
        outputs.append(torch.einsum("rhpn,rkn->rkhp", state, c))
    return torch.stack(outputs, 1)


def ssd_inputs(length, dtype=torch.float32):
    x, decay = torch.randn(2, length, 3, 4), -torch.rand(2, length, 3)
    b, c = torch.randn(2, length, 5), torch.randn(2, length, 2, 5)
    return [v.to(dtype).requires_grad_() for v in (x, decay, b, c)]


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 70), chunk=st.integers(1, 40), seed=st.integers(0, 9))
def test_both_scans_are_their_loops_for_any_length_and_chunk(length, chunk, seed):
    torch.manual_seed(seed)
    given = s6_inputs(length)
    assert torch.allclose(selective_scan(*given, chunk=chunk), selective_scan_loop(*given), atol=1e-5)
    given = ssd_inputs(length)
    assert torch.allclose(ssd_scan(*given, chunk=chunk), ssd_loop(*given), atol=1e-4)


def gradients(form, given):
    """Gradients of a function of the result that weighs every value."""
    torch.manual_seed(1)
    result = form(*given)
    return torch.autograd.grad((result * torch.randn_like(result)).sum(), given)


@pytest.mark.parametrize("length", [1, 37, 64])
def test_gradients_are_the_loops(length):
    torch.manual_seed(0)
    given = s6_inputs(length)
    for ours, loops in zip(
        gradients(selective_scan, given), gradients(selective_scan_loop, given), strict=True
    ):
        assert torch.allclose(ours, loops, atol=1e-5, rtol=1e-4)
    given = ssd_inputs(length)
    for ours, loops in zip(gradients(ssd_scan, given), gradients(ssd_loop, given), strict=True):
        assert torch.allclose(ours, loops, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("chunk", [3, 4, 11])
def test_gradcheck_in_double(chunk):
    torch.manual_seed(0)
    s6 = s6_inputs(11, torch.float64, sets=1)
    assert torch.autograd.gradcheck(lambda *given: selective_scan(*given, chunk=chunk), s6, fast_mode=True)
    ssd = ssd_inputs(7, torch.float64)
    assert torch.autograd.gradcheck(lambda *given: ssd_scan(*given, chunk=chunk), ssd, fast_mode=True)


def test_ssd_is_s6_with_one_decay_per_head():
    torch.manual_seed(0)
    u, delta, b, c = (
        torch.randn(1, 50, 2, 3),
        torch.rand(1, 50, 2),
        torch.randn(1, 50, 4),
        torch.randn(1, 50, 1, 4),
    )
    decay = torch.tensor([-0.5, -2.0])
    wide = delta.repeat_interleave(3, dim=-1)
    as_s6 = selective_scan(
        u.flatten(2)[None],
        wide[None],
        decay.repeat_interleave(3)[None, :, None].expand(1, 6, 4),
        b[None],
        c[None],
    )
    as_ssd = ssd_scan(u * delta[..., None], delta * decay, b, c)
    assert torch.allclose(as_s6[0], as_ssd.flatten(3), atol=1e-5)


def test_a_state_that_forgets_at_once_or_never_stays_a_number():
    for decay in (-1e4, -1e-9):
        given = [x.detach() for x in s6_inputs(200)]
        given[2] = torch.full_like(given[2], decay)
        assert torch.allclose(selective_scan(*given), selective_scan_loop(*given), atol=1e-3)


def test_what_comes_later_changes_nothing_before():
    torch.manual_seed(0)
    given = [x.detach() for x in s6_inputs(90)]
    before = selective_scan(*given)
    given[0][:, :, 60:] = 9.0
    after = selective_scan(*given)
    assert torch.equal(before[:, :, :60], after[:, :, :60]) and not torch.equal(before, after)


def test_mixed_precision_stays_out_of_the_states():
    given = [x.detach() for x in s6_inputs(40)]
    plain = selective_scan(*given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(selective_scan(*given), plain)


def test_sizes_are_known_without_numbers():
    given = [x.detach().to("meta") for x in s6_inputs(40)]
    assert selective_scan(*given).shape == (2, 2, 40, 2, 3)


@pytest.mark.skipif(
    not torch.cuda.is_available() or importlib.util.find_spec("mamba_ssm") is None,
    reason="needs a CUDA device and the package mamba-ssm",
)
def test_the_kernel_of_mamba_ssm_agrees():
    given = [x.detach() for x in s6_inputs(300)]
    on_device = selective_scan(*(x.cuda() for x in given))
    assert torch.allclose(on_device.cpu(), selective_scan_loop(*given), atol=1e-4)
