"""Pictures to tokens and back; that the decoder bends the reference, and that gradients get through codes."""

import pytest
import torch

from datapipe.records import Rejected
from model.avatarsync.losses import mouth_places, mouth_weights, token_cross_entropy
from model.codebook import SignCodebook, ids_to_bits, join_ids, split_ids
from model.layers import bend
from model.tokenizer import Tokenizer, TokenizerConfig

TINY = TokenizerConfig(size=32, widths=(16, 16, 24), groups=(3, 4))


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
    bits = SignCodebook(groups).expected(logits)
    hard = join_ids(tuple(each.argmax(-1) for each in logits), groups)
    assert torch.equal(bits.detach(), ids_to_bits(hard, 7))
    bits.square().mean().backward()
    (SignCodebook(groups).expected(logits) * torch.randn(7)).sum().backward()
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


VQ = TokenizerConfig(size=32, widths=(16, 16, 24), groups=(7,), quantiser="vq", vector_dim=4)


def test_a_tokenizer_of_vectors_has_the_same_face():
    torch.manual_seed(0)
    tokenizer = Tokenizer(VQ).eval()
    picture, reference = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    ids = tokenizer.encode(picture)
    assert ids.shape == (2, VQ.num_tokens) and int(ids.max()) < 2**VQ.bits
    assert tokenizer.codes(ids).shape == (2, 4, VQ.side, VQ.side)
    whole = tokenizer(picture, reference).picture
    assert torch.allclose(tokenizer.decode(tokenizer.codes(ids), reference), whole, atol=1e-4)


def test_vector_ids_are_one_group():
    with pytest.raises(Rejected, match=r"one group.*groups=\(12,\)"):
        TokenizerConfig(quantiser="vq", groups=(6, 6))


@pytest.mark.parametrize("config", [TINY, VQ], ids=["lfq", "vq"])
def test_expected_codes_of_a_window_are_a_grid_each(config):
    torch.manual_seed(0)
    tokenizer = Tokenizer(config)
    ids = torch.randint(0, 2**7, (2, 3, config.num_tokens))
    parts = split_ids(ids, config.groups)
    logits = tuple(
        (50.0 * torch.nn.functional.one_hot(part, 2**bits)).requires_grad_()
        for part, bits in zip(parts, config.groups, strict=True)
    )
    code = tokenizer.expected(logits)
    assert torch.allclose(code, tokenizer.codes(ids.flatten(0, 1)), atol=1e-5)
    code.square().mean().backward()
    assert all(each.grad is not None for each in logits)
