"""Writing keyframes: every quick way gives the tokens of whole passes, token after token."""

from dataclasses import replace

import pytest
import torch
from decoding import inputs, make

from datapipe.records import Rejected
from model.avatarsync.decode import (
    DecodeConfig,
    generate_tokens,
    lockstep,
    one_by_one,
    read_prefix,
    remember,
)
from model.avatarsync.keyframes import KeyframeConfig, KeyframeTransformer
from model.avatarsync.losses import token_cross_entropy
from model.avatarsync.masks import frames_touched
from model.avatarsync.step import choose, draw_noise, guided
from model.avatarsync.vocabulary import Vocabulary

SCOPES = ("full", "accumulative", "window2", "one_to_one")
SAMPLED = DecodeConfig(temperature=1.0, seed=3)
GUIDED = DecodeConfig(guidance=(1.7, 2.5))
ROWS = DecodeConfig(window=1)
ALL = DecodeConfig(temperature=0.7, seed=1, guidance=(2.0,), window=2, block=3)
CONFIGS = {"greedy": DecodeConfig(), "sampled": SAMPLED, "guided": GUIDED, "rows": ROWS, "all": ALL}


def sentence(model):
    phonemes, reference, _ = inputs(1)
    return phonemes[0], reference[0], read_prefix(model, reference[0])


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("scope", SCOPES)
def test_lockstep_with_a_cache_writes_the_tokens_of_whole_passes(scope, config):
    model = make(scope, drop_phonemes=0.1)
    phonemes, reference, prefix = sentence(model)
    quick = lockstep(model, phonemes, prefix, CONFIGS[config])
    assert torch.equal(quick, one_by_one(model, phonemes, reference, CONFIGS[config]))


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("frame_scope", ["previous", "all"])
@pytest.mark.parametrize("scope", SCOPES)
def test_frames_that_see_frames_are_written_in_turn_with_a_cache(scope, frame_scope, config):
    model = make(scope, frame_scope, drop_phonemes=0.1)
    phonemes, reference, prefix = sentence(model)
    quick = generate_tokens(model, phonemes, prefix, CONFIGS[config])
    assert torch.equal(quick, one_by_one(model, phonemes, reference, CONFIGS[config]))


@pytest.mark.parametrize("frame_scope", ["none", "previous", "all"])
def test_written_tokens_are_the_likeliest_of_a_forced_pass(frame_scope):
    model = make("window2", frame_scope)
    phonemes, reference, prefix = sentence(model)
    tokens = generate_tokens(model, phonemes, prefix)
    logits = model(phonemes[None], reference[None], tokens[None])
    assert torch.equal(tokens % 4, logits[0][0].argmax(-1))
    assert torch.equal(tokens // 4, logits[1][0].argmax(-1))


@pytest.mark.parametrize("kv_heads", [1, 2])
@pytest.mark.parametrize("frame_scope", ["none", "all"])
def test_shared_key_heads_make_a_smaller_cache_and_the_tokens_of_whole_passes(kv_heads, frame_scope):
    model = make("window2", frame_scope, heads=4, kv_heads=kv_heads, drop_phonemes=0.1)
    phonemes, reference, prefix = sentence(model)
    assert prefix.rows[0][0].shape[1] == kv_heads
    memory = remember(model, phonemes, prefix, range(2), DecodeConfig())
    assert memory.own[0][0].shape[1] == memory.context[0][1].shape[1] == kv_heads
    for config in CONFIGS.values():
        quick = generate_tokens(model, phonemes, prefix, config)
        assert torch.equal(quick, one_by_one(model, phonemes, reference, config))


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_blocks_of_any_size_write_the_same_tokens(scope, block):
    model = make(scope)
    reference = inputs(1)[1][0]
    phonemes = torch.randint(32, 37, (11,), generator=torch.Generator().manual_seed(4))
    prefix = read_prefix(model, reference)
    whole = lockstep(model, phonemes, prefix)
    assert torch.equal(lockstep(model, phonemes, prefix, DecodeConfig(block=block)), whole)


@pytest.mark.parametrize("scope", ["one_to_one", "window2"])
def test_a_block_of_a_long_clip_needs_no_more_memory_than_of_a_short_one(scope):
    """Of narrow scopes; under the wide ones a frame looks at all phonemes, so that must grow."""
    model = make(scope)
    prefix = read_prefix(model, inputs(1)[1][0])

    def size(units):
        phonemes = torch.full((units,), 33)
        memory = remember(model, phonemes, prefix, range(4, 8), DecodeConfig(block=4))
        return sum(each.numel() for pair in (*memory.context, *memory.own) for each in pair)

    assert size(8) == size(10_000)


def test_one_prefix_serves_every_sentence():
    model = make()
    _, reference, prefix = sentence(model)
    for phonemes in (torch.tensor([33, 34]), torch.tensor([36, 32, 35])):
        assert torch.equal(generate_tokens(model, phonemes, prefix), one_by_one(model, phonemes, reference))
    before = [each.clone() for pair in prefix.rows for each in pair]
    generate_tokens(model, phonemes, prefix, SAMPLED)
    assert all(map(torch.equal, before, [each for pair in prefix.rows for each in pair]))


# --- editing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame_scope", ["none", "previous", "all"])
@pytest.mark.parametrize("scope", SCOPES)
def test_changing_one_phoneme_changes_only_the_keyframes_in_its_reach(scope, frame_scope):
    model = make(scope, frame_scope)
    prefix, count = read_prefix(model, inputs(1)[1][0]), 6
    before, changed = torch.tensor([32, 33, 34, 35, 32, 34]), 0
    for at in (0, 2, 5):
        touched = frames_touched(scope, frame_scope, at, count)
        after = before.clone()
        after[at] = 36
        old, new = (generate_tokens(model, each, prefix, SAMPLED) for each in (before, after))
        kept = [i for i in range(count) if i not in touched]
        assert torch.equal(old[kept], new[kept])
        changed += not torch.equal(old[at], new[at])
    assert changed >= 2
    if (scope, frame_scope) == ("one_to_one", "none"):
        assert list(frames_touched(scope, frame_scope, 3, count)) == [3]


def test_a_keyframe_written_alone_is_the_one_of_the_whole_sentence():
    """What an edit relies on: one phoneme can be written again without its neighbours."""
    model = make()
    phonemes, _, prefix = sentence(model)
    whole = generate_tokens(model, phonemes, prefix, SAMPLED)
    for at in range(len(phonemes)):
        assert torch.equal(generate_tokens(model, phonemes[at : at + 1], prefix, SAMPLED)[0], whole[at])


# --- sampling -----------------------------------------------------------------------------------------


def test_equal_phonemes_give_equal_keyframes_even_when_sampled():
    """Noise is shared over frames at a place, so a held sound does not flicker; places differ."""
    model = make()
    prefix = read_prefix(model, inputs(1)[1][0])
    held = torch.tensor([33, 33, 34, 33])
    for config in (DecodeConfig(), SAMPLED, replace(SAMPLED, temperature=5.0)):
        tokens = lockstep(model, held, prefix, config)
        assert torch.equal(tokens[0], tokens[1]) and torch.equal(tokens[0], tokens[3])
        assert torch.equal(generate_tokens(model, held, prefix, config), tokens)
    others = {
        tuple(lockstep(model, held, prefix, replace(SAMPLED, seed=seed))[0].tolist()) for seed in range(9)
    }
    assert len(others) > 5


def test_sampling_follows_the_distribution_of_the_factored_heads():
    """Frequencies of a place's tokens under the noise of many seeds against their probabilities."""
    model, config = make(), DecodeConfig(temperature=1.0)
    row_D = torch.randn(32, generator=torch.Generator().manual_seed(2))
    noise = [draw_noise(model, replace(config, seed=seed), torch.device("cpu")) for seed in range(400)]
    tables = tuple(map(torch.cat, zip(*noise, strict=True)))
    with torch.no_grad():
        tokens = choose(model, row_D.expand(1, len(tables[0]), -1), tables, config, 1)[0]
        first, second = model.head(row_D.expand(32, -1), torch.arange(32))
    every = torch.arange(32)
    expected = first[0].softmax(-1)[every % 4] * second.softmax(-1)[every, every // 4]
    assert expected.sum() == pytest.approx(1, abs=1e-4) and (expected > 0.01).sum() > 5
    assert 0.5 * (tokens.bincount(minlength=32) / len(tokens) - expected).abs().sum() < 0.05


# --- guidance -----------------------------------------------------------------------------------------


def test_guidance_of_one_is_no_guidance_and_runs_one_stream():
    model = make(drop_phonemes=0.1)
    phonemes, _, prefix = sentence(model)
    off = DecodeConfig(guidance=(1.0, 1.0))
    assert remember(model, phonemes, prefix, range(2), off).num_streams == 1
    assert torch.equal(lockstep(model, phonemes, prefix, off), lockstep(model, phonemes, prefix))


def test_guidance_weighs_the_phoneme():
    """0 is deaf to the phoneme, and more of it makes what the phoneme favours likelier still."""
    model = make(drop_phonemes=0.1)
    phonemes, _, prefix = sentence(model)
    deaf = generate_tokens(model, phonemes, prefix, DecodeConfig(guidance=(0.0,)))
    assert (deaf == deaf[0]).all()
    blind = torch.full_like(phonemes, model.vocabulary.nothing)
    assert torch.equal(deaf, lockstep(model, blind, prefix))
    given, without = torch.randn(2, 1, 3, 5)
    mixed = guided(torch.cat((given, without)), 3.0)
    assert torch.allclose(mixed - given, 2 * (given - without), atol=1e-5)


def test_a_trained_model_says_what_is_meant_the_more_it_is_guided():
    """Each phoneme has a token that is seen 4 times in 10, among noise: guidance draws it more often."""
    torch.manual_seed(0)
    meant = torch.tensor([1, 6, 11, 12])
    config = KeyframeConfig(width=32, depth=1, heads=2, num_tokens=1, groups=(2, 2), drop_phonemes=0.3)
    model = KeyframeTransformer(config, Vocabulary(num_visual=16, phonemes=("SIL", "AA", "M", "IY")))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(120):
        phonemes = torch.randint(4, (32, 8))
        noise = torch.randint(16, phonemes.shape)
        tokens = torch.where(torch.rand(phonemes.shape) < 0.6, noise, meant[phonemes])[..., None]
        given = model.without_phonemes(phonemes + 16)
        logits = model(given, torch.zeros(32, 1, dtype=torch.long), tokens)
        optimizer.zero_grad()
        token_cross_entropy(logits, tokens, (2, 2)).mean().backward()
        optimizer.step()
    prefix, hits = read_prefix(model, torch.zeros(1, dtype=torch.long)), []
    for weight in (0.0, 1.0, 2.0, 3.0):
        sampled = [DecodeConfig(temperature=1.0, seed=seed, guidance=(weight,)) for seed in range(40)]
        drawn = torch.stack([lockstep(model, torch.arange(16, 20), prefix, each) for each in sampled])
        hits.append(float((drawn[..., 0] == meant).float().mean()))
    assert hits[0] < 0.2 < hits[1] and abs(hits[1] - 0.4375) < 0.12
    assert hits[1] + 0.1 < hits[2] and hits[2] + 0.1 < hits[3]


def test_guidance_that_was_not_trained_for_is_refused():
    model = make()
    phonemes, _, prefix = sentence(model)
    with pytest.raises(Rejected, match="drop_phonemes"):
        generate_tokens(model, phonemes, prefix, GUIDED)
    with pytest.raises(Rejected, match="3 weights"):
        generate_tokens(make(drop_phonemes=0.1), phonemes, prefix, DecodeConfig(guidance=(1.0, 2.0, 3.0)))
    for wrong in ({"window": 0}, {"block": 0}, {"temperature": -1.0}):
        with pytest.raises(Rejected, match=next(iter(wrong))):
            DecodeConfig(**wrong)


def test_phonemes_are_left_out_of_whole_clips_at_their_rate():
    model = make(drop_phonemes=0.25)
    phonemes = torch.full((4000, 3), 34)
    torch.manual_seed(0)
    left = model.without_phonemes(phonemes) == model.vocabulary.nothing
    assert torch.equal(left.any(1), left.all(1)) and 0.22 < left[:, 0].float().mean() < 0.28
    before = torch.get_rng_state()
    assert make().without_phonemes(phonemes) is phonemes
    torch.set_rng_state(before)
    assert len(make().others.weight) + 1 == len(model.others.weight)
