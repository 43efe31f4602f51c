"""The terms of eq. 6 to 10: each reaches the logits, counts by its weight in its phase, and is free at 0."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import SYMBOLS, make_clips

from model.avatarsync import keyframe_objective, losses
from model.avatarsync.draws import boxes_at, faces_at, pictures_at
from model.avatarsync.keyframe_objective import KeyframeLoss
from model.avatarsync.keyframes import KeyframeTransformer
from model.avatarsync.losses import LOOKS, facial_term, identity_term, lpips_term
from model.codebook import SignCodebook, ids_to_bits, split_ids
from model.presets import demo, paper, tiny
from model.tokenizer import Tokenizer
from model.training.parts import make_keyframes, make_tokenizer

PRESET = tiny()
GROUPS = PRESET.tokenizer.groups
SILENT = {"points": 0.0, "pixels": 0.0}
TERMS = ("points", "pixels", *LOOKS)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def clips():
    return make_clips(3, PRESET.tokenizer.size)


@pytest.fixture(scope="module")
def tokenizer(clips):
    """A tokenizer whose pictures depend on all its codes, as a trained one's do."""
    network = make_tokenizer(clips, PRESET).network.eval().requires_grad_(False)
    for each in (network.decoder.paint, network.decoder.flow):
        torch.nn.init.normal_(each.weight, std=0.05, generator=torch.Generator().manual_seed(0))
    return network


def stepped(clips, tokenizer, config, done=1.0, seed=0):
    """Terms of one step of a fresh transformer, and the transformer."""
    preset = replace(PRESET, keyframes_loss=config)
    trained = make_keyframes(clips, preset, tokenizer, SYMBOLS)
    torch.manual_seed(seed)
    return trained.objective(np.random.default_rng(seed), done), trained.network


def sharp(ids, strength=60.0):
    """Logits that leave no doubt."""
    parts = zip(split_ids(ids, GROUPS), GROUPS, strict=True)
    return tuple(strength * torch.nn.functional.one_hot(part, 2**bits).float() for part, bits in parts)


@pytest.mark.assets
@pytest.mark.parametrize("name", TERMS)
def test_every_term_reaches_the_logits_of_every_sub_token(name, clips, tokenizer):
    some, at = clips[:2], [3, 9]
    real, reference = pictures_at(some, at), pictures_at(some, [0, 0])
    logits = tuple(
        torch.randn(2, 1, tokenizer.config.num_tokens, 2**bits).requires_grad_() for bits in GROUPS
    )
    code = tokenizer.expected(logits)
    if name == "points":
        loss = tokenizer.points(code).square().mean()
    elif name == "pixels":
        loss = (tokenizer.decode(code, reference) - real).abs().mean()
    else:
        loss = LOOKS[name](tokenizer.decode(code, reference), real, faces_at(some, at))
    loss.backward()
    assert all(torch.isfinite(each.grad).all() and each.grad.abs().sum() > 0 for each in logits)


def test_the_gradient_is_that_of_the_expected_code():
    """Forward the likeliest code, backward the softmax expectation's slope, written out by hand."""
    torch.manual_seed(0)
    logits = tuple(torch.randn(5, 2**bits).requires_grad_() for bits in GROUPS)
    pull = torch.randn(5, sum(GROUPS))
    (SignCodebook(GROUPS).expected(logits) * pull).sum().backward()
    first = 0
    for each, bits in zip(logits, GROUPS, strict=True):
        table = ids_to_bits(torch.arange(2**bits), bits)
        p = each.detach().softmax(-1)
        worth = pull[:, first : first + bits] @ table.T
        assert torch.allclose(each.grad, p * (worth - (p * worth).sum(-1, keepdim=True)), atol=1e-5)
        first += bits


@pytest.mark.assets
def test_soft_is_hard_when_logits_are_sharp(clips, tokenizer):
    ids = torch.randint(0, 2 ** sum(GROUPS), (2, 1, tokenizer.config.num_tokens))
    logits = sharp(ids)
    table = [
        each.softmax(-1) @ ids_to_bits(torch.arange(2**b), b) for each, b in zip(logits, GROUPS, strict=True)
    ]
    soft, hard = tokenizer.fold(torch.cat(table, -1).flatten(0, 1)), tokenizer.codes(ids.flatten(0, 1))
    some, at = clips[:2], [2, 5]
    real, reference, faces = pictures_at(some, at), pictures_at(some, [0, 0]), faces_at(some, at)
    for term in LOOKS.values():
        values = [float(term(tokenizer.decode(code, reference), real, faces)) for code in (soft, hard)]
        assert values[0] == pytest.approx(values[1], rel=1e-4)
        assert float(
            term(tokenizer.decode(tokenizer.expected(logits), reference), real, faces)
        ) == pytest.approx(values[1], rel=1e-6)


@pytest.mark.assets
def test_the_loss_is_the_weighted_sum_of_its_terms(clips, tokenizer):
    weights = {"points": 3.0, "pixels": 2.0, "lpips": 0.5, "identity": 0.1, "facial": 0.2}
    plain, _ = stepped(clips, tokenizer, replace(PRESET.keyframes_loss, **SILENT))
    terms, network = stepped(clips, tokenizer, replace(PRESET.keyframes_loss, **weights))
    expected = plain["loss"] + sum(weight * terms[name] for name, weight in weights.items())
    assert float(terms["loss"].detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    terms["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_before_their_phase_pictures_are_not_made(clips, tokenizer, monkeypatch):
    def never(*given):
        raise AssertionError("decoded in the first phase")

    monkeypatch.setattr(Tokenizer, "decode", never)
    config = replace(PRESET.keyframes_loss, pixels_from=0.5, lpips=0.5)
    terms, _ = stepped(clips, tokenizer, config, done=0.49)
    assert set(terms) == {"loss", "tokens", "mouth_tokens"}
    with pytest.raises(AssertionError, match="first phase"):
        stepped(clips, tokenizer, config, done=0.5)


def test_a_term_of_weight_nothing_is_not_computed(clips, tokenizer, monkeypatch):
    def never(*given):
        raise AssertionError("computed although it does not count")

    monkeypatch.setattr(Tokenizer, "decode", never)
    for name in LOOKS:
        monkeypatch.setitem(LOOKS, name, never)
    terms, _ = stepped(clips, tokenizer, replace(PRESET.keyframes_loss, **SILENT))
    assert set(terms) == {"loss", "tokens", "mouth_tokens"}


def test_a_tokenizer_that_tells_no_points_does_without_them(clips, tokenizer, monkeypatch):
    monkeypatch.setattr(Tokenizer, "has_points", False)
    terms, _ = stepped(clips, tokenizer, PRESET.keyframes_loss)
    assert "points" not in terms and "pixels" in terms


def test_phonemes_are_dropped_for_guidance_as_often_as_the_config_says(clips, tokenizer, monkeypatch):
    seen = []
    forward = KeyframeTransformer.forward

    def watched(self, phonemes_Bn, *rest):
        seen.append(phonemes_Bn)
        return forward(self, phonemes_Bn, *rest)

    monkeypatch.setattr(KeyframeTransformer, "forward", watched)
    preset = replace(PRESET, keyframes=replace(PRESET.keyframes, drop_phonemes=0.5))
    trained = make_keyframes(clips, preset, tokenizer, SYMBOLS)
    for seed in range(20):
        torch.manual_seed(seed)
        trained.objective(np.random.default_rng(seed), 0.0)
    nothing = torch.stack(seen) == trained.network.vocabulary.nothing
    assert (nothing.all(-1) == nothing.any(-1)).all()  # a clip loses all or none
    assert 0.3 < float(nothing.float().mean()) < 0.7


@pytest.mark.assets
def test_terms_are_nothing_for_equal_pictures_and_grow_with_damage(clips):
    some, at = clips[:2], [1, 4]
    real, faces = pictures_at(some, at), faces_at(some, at)
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    for term in (lpips_term, identity_term, facial_term):
        little, much = (float(term((real + size * noise).clamp(-1, 1), real, faces)) for size in (0.05, 0.5))
        assert abs(float(term(real, real, faces))) < 1e-5 < little < much


@pytest.mark.assets
def test_the_half_of_eq_9_brings_opposites_to_one(monkeypatch):
    monkeypatch.setattr(losses, "face_distances", lambda *given: torch.tensor([0.0, 2.0]))
    nothing = torch.zeros(0)
    assert float(facial_term(nothing, nothing, nothing)) == 0.5
    assert float(identity_term(nothing, nothing, nothing)) == 1.0


def test_the_mouth_weighs_more_in_tokens_and_pixels(clips):
    boxes = boxes_at(clips[:1], [0])
    places = losses.mouth_places(boxes, 64, 4, 6.0)
    assert set(places.unique().tolist()) == {1.0, 6.0}
    weights = losses.mouth_weights(boxes, 64, 12.0)
    inside = (weights == 12.0).float().mean()
    box = boxes[0]
    assert float(inside) == pytest.approx(float((box[2] - box[0]) * (box[3] - box[1])) / 64**2, rel=0.1)


def test_presets_pay_for_frozen_networks_only_where_the_paper_has_them():
    assert tiny().keyframes_loss.looks == demo().keyframes_loss.looks == {}
    config = paper().keyframes_loss
    assert config.looks == {"lpips": 0.5, "identity": 0.1, "facial": 0.1}
    assert (config.points, config.pixels, config.pixels_from) == (0.0, 0.0, 0.6)


def test_weights_are_fields_of_the_config():
    assert set(LOOKS) <= set(KeyframeLoss.__dataclass_fields__)
    assert keyframe_objective.LOOKS is LOOKS
