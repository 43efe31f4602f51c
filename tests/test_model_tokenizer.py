"""LFQ codes: bits, factors, entropies; and that a picture's gradient gets through them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.avatarsync.losses import expected_bits, mouth_places, mouth_weights, token_cross_entropy
from model.layers import bend
from model.tokenizer import (
    Tokenizer,
    TokenizerConfig,
    bits_to_ids,
    entropy_terms,
    ids_to_bits,
    join_ids,
    quantise,
    split_ids,
)

TINY = TokenizerConfig(size=32, widths=(16, 16, 24), groups=(3, 4))


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


@pytest.mark.parametrize("bits", [1, 4, 8])
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


def test_decoding_the_ids_of_a_picture_is_its_reconstruction():
    torch.manual_seed(0)
    tokenizer = Tokenizer(TINY).eval()
    picture, reference = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    ids = tokenizer.encode(picture)
    assert ids.shape == (2, TINY.num_tokens) and int(ids.max()) < 2**TINY.bits
    whole = tokenizer(picture, reference).picture
    assert torch.allclose(tokenizer.decode(tokenizer.codes(ids), reference), whole, atol=1e-4)


def test_an_untrained_decoder_returns_the_reference_for_its_own_tokens():
    torch.manual_seed(0)
    tokenizer = Tokenizer(TINY).eval()
    reference = torch.rand(1, 3, 32, 32) * 2 - 1
    made = tokenizer.decode(tokenizer.codes(tokenizer.encode(reference)), reference)
    assert torch.allclose(made, reference, atol=1e-5)


def test_points_pull_the_picture_along_and_far_places_stay():
    given = torch.tensor([[[0.0, 0.5]]])
    flow = bend(given + torch.tensor([0.0, 0.1]), given, 32)  # wanted lower: sample from above
    assert flow[0, 1, 25, 16] < -0.05 and flow[0, 0].abs().max() < 1e-6
    assert flow[0, :, :12].abs().max() < 1e-4


def test_without_reference_the_picture_depends_on_tokens_alone():
    torch.manual_seed(0)
    config = TokenizerConfig(size=32, widths=(16, 16, 24), groups=(3, 4), use_reference=False)
    tokenizer = Tokenizer(config).eval()
    torch.nn.init.normal_(tokenizer.decoder.paint.weight)
    code = tokenizer.codes(torch.randint(0, 128, (1, config.num_tokens)))
    first, second = (tokenizer.decode(code, torch.rand(1, 3, 32, 32)) for _ in range(2))
    assert torch.equal(first, second)


def test_pixel_gradients_reach_the_logits_and_sharp_logits_are_hard():
    groups = (3, 4)
    logits = tuple(torch.randn(2, 5, 2**bits).mul(3).requires_grad_() for bits in groups)
    bits = expected_bits(logits, groups)
    hard = join_ids(tuple(each.argmax(-1) for each in logits), groups)
    assert torch.equal(bits.detach(), ids_to_bits(hard, 7))
    bits.square().mean().backward()
    (expected_bits(logits, groups) * torch.randn(7)).sum().backward()
    assert all(each.grad.abs().sum() > 0 for each in logits)


def test_cross_entropy_of_a_token_is_the_sum_of_its_parts():
    groups, ids = (2, 3), torch.tensor([[5, 30]])
    logits = (torch.zeros(1, 2, 4), torch.zeros(1, 2, 8))
    expected = torch.log(torch.tensor(4.0)) + torch.log(torch.tensor(8.0))
    assert torch.allclose(token_cross_entropy(logits, ids, groups), expected.expand(1, 2))


def test_mouth_weights_cover_the_box():
    boxes = torch.tensor([[8.0, 16.0, 24.0, 32.0]])
    weights = mouth_weights(boxes, 32, 5.0)
    assert weights[0, 0, 16:, 8:24].eq(5).all() and weights.eq(5).sum() == 16 * 16
    places = mouth_places(boxes, 32, 4, 5.0).view(4, 4)
    assert places[2:, 1:3].eq(5).all() and places.eq(5).sum() == 4
