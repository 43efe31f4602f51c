"""Who sees whom: exact-zero gradients, and the forms of one definition that must agree."""

import pytest
import torch
from decoding import TOKENS, UNITS, inputs, make
from torch.nn.attention.flex_attention import create_mask

from datapipe.records import Rejected
from model.avatarsync.keyframes import KeyframeConfig, KeyframeTransformer
from model.avatarsync.masks import (
    BEGIN,
    FRAME,
    PHONEME,
    REFERENCE,
    dense_mask,
    frames_touched,
    layout,
    mask_mod,
    phonemes_in_reach,
)
from model.avatarsync.vocabulary import Vocabulary

DEPTH = 3
SCOPES = {
    "full": lambda i: set(range(UNITS)),
    "accumulative": lambda i: set(range(i + 1)),
    "window2": lambda i: {i - 1, i} - {-1},
    "one_to_one": lambda i: {i},
}
FRAMES = {
    "none": lambda i: {i},
    # a chain: what a frame read at a layer is read by the next frame one layer later
    "previous": lambda i: set(range(max(0, i - (DEPTH - 1)), i + 1)),
    "all": lambda i: set(range(i + 1)),
}


@pytest.mark.parametrize("frame_scope", FRAMES)
@pytest.mark.parametrize("scope", SCOPES)
def test_gradients_reach_exactly_the_phonemes_in_scope(scope, frame_scope):
    """Over three layers, so that a mask that leaks through a second one is found; outside it is exactly 0."""
    model = make(scope, frame_scope, depth=DEPTH)
    _, reference, frames = inputs(1)
    rows = model.phoneme_rows(torch.tensor([[32, 33, 34, 35]])).detach().requires_grad_()
    model.phoneme_rows = lambda _: rows
    logits = model(torch.tensor([[32, 33, 34, 35]]), reference, frames)
    for frame in range(UNITS):
        loss = sum(each[0, frame].square().sum() for each in logits)
        (gradient,) = torch.autograd.grad(loss, rows, retain_graph=True)
        reached = {k for k in range(UNITS) if gradient[0, k].abs().sum() != 0}
        assert reached == set().union(*(SCOPES[scope](other) for other in FRAMES[frame_scope](frame)))


@pytest.mark.parametrize("frame_scope", FRAMES)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_frame_sees_earlier_frames_by_its_scope_only(scope, frame_scope):
    model = make(scope, frame_scope, depth=1)
    phonemes, reference, frames = inputs(1)
    before = model.masked(phonemes, reference, frames)[0][0, 2]
    changed = set()
    for other in range(UNITS):
        touched = frames.clone()
        touched[0, other, : TOKENS - 1] = (touched[0, other, : TOKENS - 1] + 7) % 32
        if not torch.equal(model.masked(phonemes, reference, touched)[0][0, 2], before):
            changed.add(other)
    assert changed == {"none": {2}, "previous": {1, 2}, "all": {0, 1, 2}}[frame_scope]


def test_a_token_never_sees_itself_or_a_later_one():
    model = make()
    phonemes, reference, frames = inputs(1)
    before = model(phonemes, reference, frames)
    for place in range(TOKENS):
        touched = frames.clone()
        touched[:, :, place] = (touched[:, :, place] + 1) % 32
        after = model(phonemes, reference, touched)
        assert torch.equal(before[0][..., : place + 1, :], after[0][..., : place + 1, :])
        if place + 1 < TOKENS:
            assert not torch.equal(before[0][..., place + 1, :], after[0][..., place + 1, :])


def test_prefix_rows_never_see_frames_or_narrow_phonemes():
    where = layout(UNITS, TOKENS)
    mask = dense_mask(where, "one_to_one", "all")
    kind = where.kind
    assert not mask[kind == REFERENCE][:, (kind == PHONEME) | (kind == FRAME)].any()
    assert mask[kind == BEGIN].sum() == 1
    assert torch.equal(mask[kind == PHONEME], torch.eye(len(where), dtype=torch.bool)[kind == PHONEME])
    assert mask[kind == FRAME][:, kind == REFERENCE].all()


@pytest.mark.parametrize("scope", SCOPES)
def test_no_scope_lets_the_prefix_see_a_phoneme(scope):
    """Why one prefix serves every sentence."""
    where = layout(UNITS, TOKENS)
    prefix = (where.kind == BEGIN) | (where.kind == REFERENCE)
    assert not dense_mask(where, scope, "all")[prefix][:, ~prefix].any()


@pytest.mark.parametrize("scope", SCOPES)
def test_the_phonemes_in_reach_of_a_block_are_those_that_the_mask_shows(scope):
    where = layout(UNITS, TOKENS)
    mask = dense_mask(where, scope, "none")
    for first in range(UNITS):
        for stop in range(first + 1, UNITS + 1):
            rows = (where.kind == FRAME) & (where.unit >= first) & (where.unit < stop)
            seen = mask[rows][:, where.kind == PHONEME].any(0).nonzero()[:, 0].tolist()
            assert list(phonemes_in_reach(scope, range(first, stop), UNITS)) == seen


@pytest.mark.parametrize("frame_scope", FRAMES)
@pytest.mark.parametrize("scope", SCOPES)
def test_the_frames_touched_by_a_phoneme_follow_from_the_mask(scope, frame_scope):
    where = layout(UNITS, 2)
    step = dense_mask(where, scope, frame_scope).long()
    reach = torch.linalg.matrix_power(step.float(), UNITS + 1) > 0
    for phoneme in range(UNITS):
        rows = reach[:, phoneme] & (where.kind == FRAME)
        assert list(frames_touched(scope, frame_scope, phoneme, UNITS)) == where.unit[rows].unique().tolist()


# --- one definition, several forms ----------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
def test_the_dense_mask_is_the_mask_function(scope):
    where = layout(3, 4)
    made = create_mask(mask_mod(where, scope, "previous"), 1, 1, len(where), len(where), device="cpu")
    assert torch.equal(made[0, 0], dense_mask(where, scope, "previous"))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize(
    ("scope", "frame_scope"),
    [("full", "none"), ("accumulative", "all"), ("window2", "previous"), ("one_to_one", "all")],
)
def test_flex_attention_is_dense_attention(scope, frame_scope):
    results = []
    for attention in ("dense", "flex"):
        model = make(scope, frame_scope, attention=attention, heads=4, kv_heads=2)
        with torch.no_grad():
            results.append(model.masked(*inputs()))
    for dense, flex in zip(*results, strict=True):
        assert torch.allclose(dense, flex, atol=1e-4) and dense.std() > 0.1


def test_training_by_flex_attention_on_a_cpu_is_refused():
    with pytest.raises(Rejected, match="dense"):
        make(frame_scope="all", attention="flex")(*inputs())


@pytest.mark.parametrize("kv_heads", [None, 2, 1])
def test_folded_is_masked(kv_heads):
    model = make(heads=4, kv_heads=kv_heads)
    seen = inputs()[2].flip(1)
    for given in (None, seen):
        whole, quick = (form(*inputs(), given) for form in (model.masked, model.folded))
        for one, other in zip(whole, quick, strict=True):
            assert torch.allclose(one, other, atol=1e-4)


def test_shared_key_heads_are_those_of_a_model_that_repeats_them():
    """An independent reading: expand the shared projections and run as plain multi-head attention."""
    shared, plain = make(heads=4, kv_heads=2), make(heads=4)
    state = shared.state_dict()
    for index in range(DEPTH):
        name = f"blocks.{index}.attention.qkv.weight"
        q, k, v = state[name].split((32, 16, 16))
        repeat = [each.unflatten(0, (2, 8)).repeat_interleave(2, 0).flatten(0, 1) for each in (k, v)]
        state[name] = torch.cat((q, *repeat))
    plain.load_state_dict(state)
    for one, other in zip(shared(*inputs()), plain(*inputs()), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_heads_that_do_not_fit_are_refused():
    for wrong in ({"width": 30, "heads": 4}, {"width": 32, "heads": 4, "kv_heads": 3}):
        with pytest.raises(Rejected, match="heads"):
            KeyframeConfig(**wrong)


def test_told_only_the_syllable_an_initial_and_its_final_are_the_same_to_a_keyframe():
    said = ["SIL", "m", "a", "b", "a", "a", "n", "SIL", "n", "M", "AA"]
    known = Vocabulary(num_visual=32, phonemes=("SIL", "m", "a", "b", "n", "M", "AA"))
    model = KeyframeTransformer(KeyframeConfig(width=32, heads=4, condition="syllable"), known)
    plain, ids = model.vocabulary.phoneme_ids(said), model.phoneme_ids(said)
    assert ids[1] == ids[2] and ids[3] == ids[4] and len({ids[1], ids[3], *plain}) == len(set(plain)) + 2
    assert [ids[i] for i in (0, *range(5, 11))] == [plain[i] for i in (0, *range(5, 11))]
    rows = model.phoneme_rows(torch.tensor([ids]))[0]
    alone = model.phoneme_rows(torch.tensor([plain]))[0]
    assert torch.allclose(rows[1], (alone[1] + alone[2]) / 2, atol=1e-6) and rows[1].equal(rows[2])
    assert torch.equal(rows[5:], alone[5:]) and torch.equal(rows[0], alone[0])


def test_an_unknown_phoneme_is_refused_by_name():
    with pytest.raises(Rejected, match="QQ"):
        make().vocabulary.phoneme_ids(["SIL", "QQ"])
