"""Who sees whom: exact-zero gradients, and three ways to run that must agree."""

import pytest
import torch

from model.avatarsync.decode import DecodeConfig, generate_tokens, lockstep, one_by_one, read_prefix
from model.avatarsync.keyframes import KeyframeConfig, KeyframeTransformer
from model.avatarsync.masks import BEGIN, FRAME, PHONEME, REFERENCE, dense_mask, layout, mask_mod
from model.avatarsync.vocabulary import Vocabulary

UNITS, TOKENS, GROUPS = 4, 4, (2, 3)
SCOPES = {
    "full": lambda i: set(range(UNITS)),
    "accumulative": lambda i: set(range(i + 1)),
    "window2": lambda i: {i - 1, i} - {-1},
    "one_to_one": lambda i: {i},
}


def make(phoneme_scope="one_to_one", frame_scope="none", depth=3):
    torch.manual_seed(0)
    config = KeyframeConfig(
        width=32, depth=depth, heads=2, num_tokens=TOKENS, groups=GROUPS,
        phoneme_scope=phoneme_scope, frame_scope=frame_scope,
    )  # fmt: skip
    vocabulary = Vocabulary(num_visual=32, phonemes=("SIL", "AA", "M", "IY", "UW"))
    model = KeyframeTransformer(config, vocabulary).eval()
    for head in model.head.heads:
        torch.nn.init.normal_(head.weight, std=0.5)
    torch.nn.init.normal_(model.distance)
    return model


def inputs(batch=2):
    generator = torch.Generator().manual_seed(1)
    phonemes = torch.randint(32, 37, (batch, UNITS), generator=generator)
    reference = torch.randint(0, 32, (batch, TOKENS), generator=generator)
    frames = torch.randint(0, 32, (batch, UNITS, TOKENS), generator=generator)
    return phonemes, reference, frames


@pytest.mark.parametrize("scope", SCOPES)
def test_gradients_reach_exactly_the_phonemes_in_scope(scope):
    model = make(scope)
    phonemes = torch.tensor([[32, 33, 34, 35]])
    _, reference, frames = inputs(1)
    for frame in range(UNITS):
        model.zero_grad()
        logits = model.masked(phonemes, reference, frames)
        sum(each[0, frame].square().sum() for each in logits).backward()
        reached = {k for k in range(UNITS) if model.others.weight.grad[k].abs().sum() != 0}
        assert reached == SCOPES[scope](frame)


@pytest.mark.parametrize(("frame_scope", "seen"), [("none", {2}), ("previous", {1, 2}), ("all", {0, 1, 2})])
def test_a_frame_sees_earlier_frames_by_its_scope_only(frame_scope, seen):
    model = make("one_to_one", frame_scope, depth=1)
    phonemes, reference, frames = inputs(1)
    before = model.masked(phonemes, reference, frames)[0][0, 2]
    changed = set()
    for other in range(UNITS):
        touched = frames.clone()
        touched[0, other, : TOKENS - 1] = (touched[0, other, : TOKENS - 1] + 7) % 32
        if not torch.equal(model.masked(phonemes, reference, touched)[0][0, 2], before):
            changed.add(other)
    assert changed == seen


def test_prefix_rows_never_see_frames_or_narrow_phonemes():
    where = layout(UNITS, TOKENS)
    mask = dense_mask(where, "one_to_one", "all")
    kind = where.kind
    assert not mask[kind == REFERENCE][:, (kind == PHONEME) | (kind == FRAME)].any()
    assert mask[kind == BEGIN].sum() == 1
    assert torch.equal(mask[kind == PHONEME], torch.eye(len(where), dtype=torch.bool)[kind == PHONEME])
    assert mask[kind == FRAME][:, kind == REFERENCE].all()


@pytest.mark.parametrize("scope", SCOPES)
def test_the_dense_mask_is_the_mask_function(scope):
    from torch.nn.attention.flex_attention import create_mask

    where = layout(3, 4)
    made = create_mask(mask_mod(where, scope, "previous"), 1, 1, len(where), len(where), device="cpu")
    assert torch.equal(made[0, 0], dense_mask(where, scope, "previous"))


def test_folded_is_masked():
    model = make()
    for whole, quick in zip(model.masked(*inputs()), model.folded(*inputs()), strict=True):
        assert torch.allclose(whole, quick, atol=1e-5)


@pytest.mark.parametrize("scope", SCOPES)
def test_lockstep_with_a_cache_writes_the_same_tokens_as_whole_passes(scope):
    model = make(scope)
    phonemes, reference, _ = inputs(1)
    for config in (DecodeConfig(), DecodeConfig(temperature=1.0, seed=3)):
        quick = lockstep(model, phonemes[0], read_prefix(model, reference[0]), config)
        assert torch.equal(quick, one_by_one(model, phonemes[0], reference[0], config))


def test_equal_phonemes_are_written_once_without_changing_anything():
    model = make()
    phonemes, reference, _ = inputs(1)
    repeated = torch.cat((phonemes[0], phonemes[0]))
    once = generate_tokens(model, repeated, read_prefix(model, reference[0]))
    assert torch.equal(once, lockstep(model, repeated, read_prefix(model, reference[0])))


def test_changing_one_phoneme_changes_only_its_keyframe():
    model = make()
    _, reference, _ = inputs(1)
    before = generate_tokens(model, torch.tensor([32, 33, 34, 35]), read_prefix(model, reference[0]))
    after = generate_tokens(model, torch.tensor([32, 33, 36, 35]), read_prefix(model, reference[0]))
    assert torch.equal(before[[0, 1, 3]], after[[0, 1, 3]])


def test_frames_that_see_frames_are_written_in_turn():
    model = make("one_to_one", "all")
    phonemes, reference, _ = inputs(1)
    tokens = generate_tokens(model, phonemes[0], read_prefix(model, reference[0]))
    logits = model.masked(phonemes, reference, tokens[None])
    assert torch.equal(tokens % 4, logits[0][0].argmax(-1))


def test_an_unknown_phoneme_is_refused_by_name():
    from datapipe.records import Rejected

    with pytest.raises(Rejected, match="QQ"):
        make().vocabulary.phoneme_ids(["SIL", "QQ"])
