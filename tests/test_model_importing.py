"""A published tokenizer in a run: imported once, loaded like a trained one, keyframes learn on it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_published_networks import SMALL, in_their_names, seeded
from toy import SYMBOLS, make_clips
from toy_run import spoken

from datapipe.records import Rejected, to_dict
from model.__main__ import main
from model.avatar import bind, load_avatar
from model.avatarsync.render import decode_pictures
from model.checkpoint import save_weights
from model.generate import generate
from model.layers import to_signed
from model.presets import tiny
from model.published.families import VARIANTS
from model.published.importing import import_tokenizer
from model.training.loop import fit
from model.training.parts import (
    TRAIN,
    Job,
    check_tokenizer,
    load_tokenizer,
    make_interpolator,
    make_keyframes,
)

PRESET = tiny()
SMALLER = replace(PRESET, tokenizer=replace(PRESET.tokenizer, size=32))


@pytest.fixture(params=SMALL)
def published(request, monkeypatch, tmp_path):
    """A small member of each family by the name `small`, and its checkpoint."""
    config = SMALL[request.param]
    monkeypatch.setitem(VARIANTS, "small", config)
    network = seeded(config)
    save_file(in_their_names(network), tmp_path / "theirs.safetensors")
    return network


def test_an_imported_tokenizer_is_loaded_like_a_trained_one(published, tmp_path, capsys):
    words = ["import-tokenizer", "--name", "small", "--weights", str(tmp_path / "theirs.safetensors")]
    assert main([*words, "--out", str(tmp_path / "run"), "--size", "64"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run/tokenizer")
    loaded = load_tokenizer(tmp_path / "run")
    assert loaded.config == replace(published.config, size=64)
    for name, value in published.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    source = json.loads((tmp_path / "run/tokenizer/config.json").read_text())["imported"]
    assert source["file"] == "theirs.safetensors" and len(source["sha256"]) == 64
    assert main([*words, "--out", str(tmp_path / "run"), "--size", "64"]) == 0


def test_keyframes_learn_on_an_imported_tokenizer(published, tmp_path):
    import_tokenizer("small", tmp_path / "theirs.safetensors", tmp_path / "run", size=SMALLER.tokenizer.size)
    tokenizer = load_tokenizer(tmp_path / "run")
    check_tokenizer(tokenizer, SMALLER, tmp_path / "run")
    clips = make_clips(2, SMALLER.tokenizer.size)
    loss = replace(SMALLER.keyframes_loss, units=2, pixel_units=1, pixels_from=0.8, clips=1)
    trained = make_keyframes(clips, replace(SMALLER, keyframes_loss=loss), tokenizer, SYMBOLS)
    assert trained.network.config.num_tokens == tokenizer.config.num_tokens
    assert trained.network.config.groups == tokenizer.config.groups
    config = replace(SMALLER.keyframes_train, steps=6, log_every=1)
    fit(trained, config, tmp_path / "k", "keyframes")
    lines = [json.loads(line) for line in (tmp_path / "k/log.jsonl").read_text().splitlines()]
    assert lines[-1]["tokens"] < lines[0]["tokens"]
    assert "pixels" in lines[-1] and "points" not in lines[-1]
    frame = to_signed(torch.from_numpy(clips[0].frames_THW3[:1]))
    shown = decode_pictures(tokenizer, tokenizer.encode(frame), frame)
    assert shown.shape == (1, 3, 32, 32)


def test_a_run_around_an_imported_tokenizer_makes_videos(published, tmp_path):
    run, size = tmp_path / "run", PRESET.tokenizer.size
    import_tokenizer("small", tmp_path / "theirs.safetensors", run, size=size)
    clips = make_clips(1, size)
    keyframes = make_keyframes(clips, PRESET, load_tokenizer(run), SYMBOLS).network
    facts = {"network": to_dict(keyframes.config), "vocabulary": to_dict(keyframes.vocabulary)}
    save_weights(run / "keyframes", keyframes, facts)
    network = make_interpolator(clips, PRESET).network
    save_weights(run / "interpolator", network, {"network": to_dict(PRESET.interpolator)})
    avatar = load_avatar(run)
    reference = bind(avatar, clips[0].frames_THW3[0])
    frames = np.concatenate(list(generate(avatar, reference, spoken(0.2, ("SIL", "AA")))))
    assert frames.shape == (5, size, size, 3) and frames.std() > 1


def test_a_run_keeps_the_tokenizer_it_has(published, tmp_path):
    run = tmp_path / "run"
    save_weights(run / "tokenizer", torch.nn.Linear(1, 1), {"network": {}})
    with pytest.raises(Rejected, match="another tokenizer already"):
        import_tokenizer("small", tmp_path / "theirs.safetensors", run)


def tuned(clips, preset, run):
    data = Job(part="tokenizer", preset=preset, run=run, data="")
    TRAIN["tokenizer"](clips, data)
    return load_tokenizer(run)


def test_an_imported_tokenizer_is_trained_further(published, tmp_path):
    """On its own random weights the loss must fall, and the run still holds a member of the family."""
    run = tmp_path / "run"
    import_tokenizer("small", tmp_path / "theirs.safetensors", run, size=SMALLER.tokenizer.size)
    train = replace(SMALLER.tokenizer_train, steps=12, log_every=1, learning_rate=1e-3)
    loss = replace(SMALLER.tokenizer_loss, batch=2, adversary=0.1, adversary_width=8, adversary_layers=1)
    clips = make_clips(2, SMALLER.tokenizer.size)
    network = tuned(clips, replace(SMALLER, tokenizer_train=train, tokenizer_loss=loss), run)
    lines = [json.loads(line) for line in (run / "tokenizer/log.jsonl").read_text().splitlines()]
    assert np.mean([line["pixels"] for line in lines[-3:]]) < 0.9 * lines[0]["pixels"]
    assert lines[-1]["points"] == 0 and lines[-1]["opponent_loss"] > 0
    changed = {
        name for name, value in published.state_dict().items() if not value.equal(network.state_dict()[name])
    }
    assert {"encoder.conv_in.weight", "decoder.conv_out.weight"} <= changed
    assert json.loads((run / "tokenizer/config.json").read_text())["imported"]["variant"] == "small"


def test_a_training_pass_shows_what_decoding_shows(published):
    picture = torch.rand(2, 3, 32, 32) * 2 - 1
    rebuilt = published.requires_grad_(False)(picture, picture)
    shown = published.decode(published.codes(published.encode(picture)), picture)
    assert torch.allclose(rebuilt.picture, shown, atol=1e-4 * float(shown.abs().max()))


def test_pictures_of_another_size_are_refused_with_the_way_out(published, tmp_path):
    import_tokenizer("small", tmp_path / "theirs.safetensors", tmp_path / "run", size=32)
    with pytest.raises(Rejected, match=r"imported for 32 px.*--size 64"):
        check_tokenizer(load_tokenizer(tmp_path / "run"), PRESET, tmp_path / "run")


def test_wrong_words_end_with_a_sentence(tmp_path, capsys):
    words = ["import-tokenizer", "--weights", str(tmp_path / "no.pt"), "--out", str(tmp_path / "run")]
    for name, said in (("vqgan", "unknown tokenizer"), ("llamagen-f8", "no checkpoint")):
        assert main([*words, "--name", name]) in (1, 2)
        assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
