"""Tokens of clips on disk: reused, remade when stale, and never more in memory than asked for."""

import numpy as np
import pytest
import torch
from toy import SYMBOLS, make_clips

from model.layers import to_signed
from model.presets import tiny
from model.tokenizer import Tokenizer
from model.training import codes as codes_module
from model.training.codes import Codes, encode_clip, read_codes
from model.training.parts import make_keyframes


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    return Tokenizer(tiny().tokenizer).eval()


@pytest.fixture
def encoded(monkeypatch):
    """Keys of the clips that were encoded, in order."""
    seen = []

    def noted(tokenizer, clip):
        seen.append(clip.key)
        return encode_clip(tokenizer, clip)

    monkeypatch.setattr(codes_module, "encode_clip", noted)
    return seen


def test_tokens_are_those_of_the_first_frame_and_the_keyframes(tokenizer):
    (clip,) = make_clips(1, 64)
    ids = Codes(tokenizer).of(clip)
    pictures = to_signed(torch.from_numpy(clip.frames_THW3))
    assert ids.dtype == torch.int64
    assert torch.equal(ids[0], tokenizer.encode(pictures[:1])[0])
    for row, frame in zip(ids[1:], clip.keyframes_n, strict=True):
        assert torch.equal(row, tokenizer.encode(pictures[frame : frame + 1])[0])


def test_a_file_is_reused_and_a_stale_or_broken_one_remade(tokenizer, encoded, tmp_path):
    clips, path = make_clips(3, 64), tmp_path / "codes.safetensors"
    first = Codes(tokenizer)
    first.fill(clips, path, "tokenizer-1 data-1")
    assert len(encoded) == 3
    again = Codes(tokenizer)
    again.fill(clips, path, "tokenizer-1 data-1")
    assert len(encoded) == 3
    assert all(torch.equal(first.of(clip), again.of(clip)) for clip in clips)
    Codes(tokenizer).fill(clips, path, "tokenizer-2 data-1")
    assert len(encoded) == 6 and not read_codes(path, "tokenizer-1 data-1")
    path.write_bytes(path.read_bytes()[:100])
    Codes(tokenizer).fill(clips, path, "tokenizer-2 data-1")
    assert len(encoded) == 9 and len(read_codes(path, "tokenizer-2 data-1")) == 3


def test_clips_of_one_key_from_two_corpora_are_told_apart(tokenizer, encoded):
    (one,), (other,) = make_clips(1, 64, seed=0), make_clips(1, 64, seed=1)
    assert one.key == other.key
    codes = Codes(tokenizer)
    codes.of(one), codes.of(other), codes.of(one)
    assert len(encoded) == 2


def test_only_so_many_are_kept(tokenizer, encoded):
    clips, codes = make_clips(4, 64), Codes(tokenizer, most=2)
    for clip in clips:
        codes.of(clip)
    assert len(codes.known) == 2
    codes.of(clips[3])
    codes.of(clips[0])
    assert encoded == ["toy-0", "toy-1", "toy-2", "toy-3", "toy-0"]


def test_training_with_a_file_of_codes_draws_what_it_would_without(tokenizer, tmp_path):
    clips, preset, terms = make_clips(3, 64), tiny(), []
    filled = Codes(tokenizer)
    filled.fill(clips, tmp_path / "codes.safetensors", "x")
    for codes in (None, filled):
        trained = make_keyframes(clips, preset, tokenizer, SYMBOLS, codes)
        torch.manual_seed(1)
        terms.append(trained.objective(np.random.default_rng(0), 0.0)["loss"])
    assert torch.equal(*terms)
