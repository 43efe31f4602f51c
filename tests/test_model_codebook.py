"""Codebooks: bits, factors, nearest vectors, entropies, and gradients that pass straight through."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.codebook import (
    SignCodebook,
    VectorCodebook,
    bits_to_ids,
    entropy_terms,
    ids_to_bits,
    join_ids,
    quantise,
    split_ids,
)

BOOKS = {
    "signs": lambda: SignCodebook((3, 4)),
    "unit vectors": lambda: VectorCodebook(128, 8),
    "vectors": lambda: VectorCodebook(128, 16, unit=False),
}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**18 - 1), min_size=1, max_size=8))
def test_ids_survive_bits_and_factors(values):
    ids = torch.tensor(values)
    assert torch.equal(bits_to_ids(ids_to_bits(ids, 18)), ids)
    assert torch.equal(join_ids(split_ids(ids, (6, 12)), (6, 12)), ids)


def test_ids_are_little_endian_like_open_magvit2():
    assert bits_to_ids(torch.tensor([[1.0, -1.0, 1.0, -1.0]])).item() == 0b0101
    assert [int(part) for part in split_ids(torch.tensor(0b1011_01), (2, 4))] == [0b01, 0b1011]


def test_zero_counts_as_minus_one_and_gradients_pass_straight_through():
    latent = torch.tensor([0.0, -0.3, 0.2], requires_grad=True)
    codes = quantise(latent)
    assert codes.tolist() == [-1.0, -1.0, 1.0]
    (codes * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert latent.grad.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("bits", [1, 4, 8, 10])
def test_factored_entropy_is_the_enumerated_one(bits):
    torch.manual_seed(bits)
    latent, temperature = torch.randn(32, bits) * 0.05, 0.1
    codes = ids_to_bits(torch.arange(2**bits), bits)
    p = (2 * latent @ codes.T / temperature).softmax(-1)
    enumerated = -(p * p.clamp_min(1e-12).log()).sum(-1).mean()
    whole = -(p.mean(0) * p.mean(0).clamp_min(1e-12).log()).sum()
    each, together = entropy_terms(latent, temperature)
    assert each.item() == pytest.approx(enumerated.item(), abs=2e-3)
    assert together.item() >= whole.item() - 2e-3


@pytest.fixture(params=BOOKS)
def book(request):
    torch.manual_seed(0)
    return BOOKS[request.param]()


def test_codes_of_ids_are_their_own_nearest(book):
    ids = torch.randperm(128).view(2, 64)
    codes_BdHW = book.codes(ids).transpose(1, 2).unflatten(2, (8, 8))
    assert torch.equal(book.ids(codes_BdHW), ids)
    assert torch.allclose(book.snap(codes_BdHW), codes_BdHW, atol=1e-6)


def test_snapping_finds_the_least_distance_of_an_enumeration(book):
    latent = torch.randn(2, book.dim, 4, 4)
    if isinstance(book, VectorCodebook) and book.unit:
        latent = latent / latent.norm(dim=1, keepdim=True)
    table = book.codes(torch.arange(128))
    distances = torch.cdist(latent.flatten(2).transpose(1, 2), table)
    nearest = distances.argmin(-1)
    assert torch.equal(book.ids(latent), nearest)
    assert torch.allclose(book.snap(latent).flatten(2).transpose(1, 2), table[nearest], atol=1e-6)


def test_gradients_pass_the_nearest_code_straight_through():
    book = VectorCodebook(32, 4, unit=False)
    latent = torch.randn(1, 4, 2, 2, requires_grad=True)
    pull = torch.randn(1, 4, 2, 2)
    (book.snap(latent) * pull).sum().backward()
    assert torch.allclose(latent.grad, pull)
    assert book.weight.grad is None


def test_commitment_moves_latents_and_the_codebook_term_moves_codes():
    book = VectorCodebook(16, 4)
    latent = torch.randn(8, 4, requires_grad=True)
    terms = book.terms(latent, 0.1)
    assert terms.commit.item() == pytest.approx(terms.codebook.item())
    (to_latent,) = torch.autograd.grad(terms.commit, latent, retain_graph=True)
    assert to_latent.abs().sum() > 0
    assert torch.autograd.grad(terms.commit, book.weight, retain_graph=True, allow_unused=True) == (None,)
    (to_codes,) = torch.autograd.grad(terms.codebook, book.weight)
    used = book.ids(latent.detach().T[None, :, None]).unique()
    assert set(to_codes.abs().sum(-1).nonzero().flatten().tolist()) == set(used.tolist())


def test_entropies_of_vectors_are_those_of_the_softmax_over_distances():
    book = VectorCodebook(32, 4)
    latent = torch.nn.functional.normalize(torch.randn(20, 4), dim=-1)
    p = (-torch.cdist(latent, book.table).square() / 0.5).softmax(-1)
    terms = book.terms(latent, 0.5)
    assert terms.sure.item() == pytest.approx(-(p * p.log()).sum(-1).mean().item(), rel=1e-4)
    assert terms.even.item() == pytest.approx(-(p.mean(0) * p.mean(0).log()).sum().item(), rel=1e-4)


@pytest.mark.parametrize("name", BOOKS)
def test_entropies_stay_in_float32_under_autocast(name):
    torch.manual_seed(0)
    book = BOOKS[name]()
    latent = torch.randn(64, book.dim).bfloat16()
    exact = book.terms(latent.float(), 0.01)
    with torch.autocast("cpu", torch.bfloat16):
        terms = book.terms(latent, 0.01)
        assert torch.equal(book.ids(latent.T[None, :, None]), book.ids(latent.float().T[None, :, None]))
    for field in ("sure", "even", "commit", "codebook"):
        value = getattr(terms, field)
        assert value.dtype == torch.float32 and torch.isfinite(value)
        assert value.item() == pytest.approx(getattr(exact, field).item(), rel=1e-4, abs=1e-5)


def test_expected_codes_are_hard_forward_and_the_mean_code_backward(book):
    groups = (3, 4) if isinstance(book, SignCodebook) else (7,)
    logits = tuple(torch.randn(2, 5, 2**bits).requires_grad_() for bits in groups)
    hard = join_ids(tuple(each.argmax(-1) for each in logits), groups)
    codes = book.expected(logits)
    assert torch.allclose(codes, book.codes(hard), atol=1e-6)
    pull = torch.randn_like(codes)
    found = torch.autograd.grad((codes * pull).sum(), logits)
    parts = torch.meshgrid(*(torch.arange(2**bits) for bits in groups), indexing="ij")
    table = book.codes(join_ids(parts, groups)).detach()
    p = logits[0].softmax(-1)
    for each in logits[1:]:
        p = p[..., None] * each.softmax(-1)[..., None, :]
    mean = p.flatten(2) @ table.flatten(0, -2)
    wanted = torch.autograd.grad((mean * pull).sum(), logits)
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_soft_and_hard_codes_are_one_where_logits_are_sharp(book):
    groups = (3, 4) if isinstance(book, SignCodebook) else (7,)
    ids = torch.randint(0, 128, (2, 5))
    p = [
        (100.0 * torch.nn.functional.one_hot(part, 2**bits)).softmax(-1)
        for part, bits in zip(split_ids(ids, groups), groups, strict=True)
    ]
    tables = [ids_to_bits(torch.arange(2**b), b) for b in groups] if len(groups) == 2 else [book.table]
    soft = torch.cat([each @ table for each, table in zip(p, tables, strict=True)], dim=-1)
    hard = book.expected(tuple(each.log().clamp_min(-100) for each in p))
    assert torch.allclose(soft, hard, atol=1e-6) and torch.allclose(hard, book.codes(ids), atol=1e-6)
