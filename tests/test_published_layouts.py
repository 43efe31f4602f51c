"""Published checkpoints: true names and shapes, wrappers, averaged weights, and what is refused by name."""

import hashlib
import pickle
import sys
import types

import pytest
import torch
from safetensors.torch import save_file
from test_published_networks import SMALL, in_their_names, seeded

from datapipe.records import Rejected
from model.published.families import VARIANTS
from model.published.layouts import load_published, published_names
from model.published.network import PublishedTokenizer

GOLDEN = {
    "magvit2-f16": "faa62213222dd37edf2e48a408de902746daa3d3671d4b587df07e67c5d0068a",
    "magvit2-f8": "7a9bcc1ecbb6ffdbc71dbf02c5a3b092fc6941a26388fe977761f0e1d69b4d8a",
    "magvit2-f16-16384": "f1798d31d1a8e8aedaba341d521cb8c56f520bbf625a5cd56f0ff9dbe14d0a88",
    "llamagen-f16": "44b74cd41ffdd8c9e9e8e5e2fc69eb30e14e75b5154f968ee48e60f80136c367",
    "llamagen-f8": "a17c2017faac6e7c6c1db0bb7ef68206f1060fd067a6211dc1082a66ebf3167d",
    "taming-f16-1024": "819ae0cc0fa70f76f70c1bb107693679107c8e615bc8c39536f1bad6380b2d98",
    "taming-f16-16384": "886736755b7de3be4c8636715c28450e9ce16b8a670022869ad6100f2986ca01",
}
"""sha256 of the sorted lines `name 3x4x...` of the state dict that the public code makes with its published
configuration, without what only training needs (SEED-Voken b9a17ea improved_model.py, LlamaGen ce98ec4
vq_model.py, taming-transformers 3ba01b2 diffusionmodules/model.py)."""


@pytest.mark.parametrize("name", VARIANTS)
def test_names_and_shapes_are_those_of_the_public_code(name):
    with torch.device("meta"):
        network = PublishedTokenizer(VARIANTS[name])
    lines = [f"{n} {'x'.join(map(str, value.shape))}" for n, value in in_their_names(network).items()]
    assert hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest() == GOLDEN[name]


@pytest.fixture(params=SMALL)
def network(request):
    return seeded(SMALL[request.param])


def same(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def averaged(tensors):
    return {"model_ema." + name.replace(".", ""): value for name, value in tensors.items()}


def test_safetensors_in_their_names_load(network, tmp_path):
    save_file(in_their_names(network), tmp_path / "theirs.safetensors")
    loaded = load_published(tmp_path / "theirs.safetensors", network.config)
    assert same(loaded, network)
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())


def wrapped(family, tensors, wrong):
    """What the family's own training code saves: the right weights where they are looked for first."""
    if family == "llamagen":
        used = {"quantize.codebook_used": torch.zeros(65536)}
        return {"model": wrong | used, "ema": tensors | used, "optimizer": {}, "steps": 5, "args": {}}
    loss = {
        f"loss.{name}.weight": torch.zeros(1) for name in ("discriminator.main.0", "perceptual_loss.lin0")
    }
    if family == "taming":
        return {"epoch": 1, "global_step": 2, "state_dict": tensors | loss, "optimizer_states": []}
    extra = {"model_ema.decay": torch.tensor(0.999), "model_ema.num_updates": torch.tensor(-1)}
    extra["model_ema.lossdiscriminatormain0weight"] = torch.zeros(1)
    return {"state_dict": wrong | averaged(tensors) | extra | loss, "epoch": 1}


def test_checkpoints_as_their_training_saves_them_load(network, tmp_path):
    tensors = in_their_names(network)
    wrong = {name: torch.zeros_like(value) for name, value in tensors.items()}
    torch.save(wrapped(network.config.family, tensors, wrong), tmp_path / "theirs.ckpt")
    assert same(load_published(tmp_path / "theirs.ckpt", network.config), network)


def test_averaged_weights_are_left_when_asked(tmp_path):
    for family in ("magvit2", "llamagen"):
        network = seeded(SMALL[family])
        tensors = in_their_names(network)
        wrong = {name: torch.zeros_like(value) for name, value in tensors.items()}
        torch.save(wrapped(family, wrong, tensors), tmp_path / "theirs.ckpt")
        assert same(load_published(tmp_path / "theirs.ckpt", network.config, ema=False), network)


def broken(tensors, fault):
    name = "decoder.conv_out.weight"
    value = tensors.pop(name)
    if fault == "renamed":
        tensors["decoder.conv_final.weight"] = value
    elif fault == "extra":
        tensors |= {name: value, "decoder.conv_out.scale": torch.ones(1)}
    elif fault == "misshapen":
        tensors[name] = value[:2].clone()
    return tensors


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("renamed", "unknown `decoder.conv_final.weight`, missing `decoder.conv_out.weight`"),
        ("missing", "missing `decoder.conv_out.weight`"),
        ("extra", "unknown `decoder.conv_out.scale`"),
        ("misshapen", r"`decoder.conv_out.weight` is \(2, "),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(network, fault, said, tmp_path):
    save_file(broken(in_their_names(network), fault), tmp_path / "theirs.safetensors")
    with pytest.raises(Rejected, match=said) as refused:
        load_published(tmp_path / "theirs.safetensors", network.config)
    assert refused.value.reason == "bad_weight"


def test_a_half_averaged_checkpoint_is_refused_by_name(tmp_path):
    network = seeded(SMALL["magvit2"])
    tensors = in_their_names(network)
    half = dict(list(averaged(tensors).items())[1:])
    torch.save({"state_dict": tensors | half}, tmp_path / "theirs.ckpt")
    with pytest.raises(Rejected, match=f"missing `{next(iter(tensors))}`"):
        load_published(tmp_path / "theirs.ckpt", network.config)


def test_a_checkpoint_of_another_family_or_size_is_refused(tmp_path):
    save_file(in_their_names(seeded(SMALL["llamagen"])), tmp_path / "theirs.safetensors")
    with pytest.raises(Rejected, match=r"unknown `decoder\.conv_blocks"):
        load_published(tmp_path / "theirs.safetensors", SMALL["taming"])
    with pytest.raises(Rejected, match="does not fit"):
        load_published(tmp_path / "theirs.safetensors", VARIANTS["llamagen-f8"])


class Spy:
    ran = False

    def __reduce__(self):
        return (setattr, (Spy, "ran", True))


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickle_with_code_is_refused_and_not_run(save, tmp_path):
    save({"state_dict": {"encoder.conv_in.weight": Spy()}}, tmp_path / "theirs.ckpt")
    with pytest.raises(Rejected, match="code in it is not run"):
        load_published(tmp_path / "theirs.ckpt", SMALL["taming"])
    assert not Spy.ran


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_checkpoint_is_refused(content, tmp_path):
    for name in ("theirs.ckpt", "theirs.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Rejected, match=r"no checkpoint of tensors|download it once more") as refused:
            load_published(tmp_path / name, SMALL["taming"])
        assert refused.value.reason == "bad_weight"
    with pytest.raises(Rejected, match="there is no checkpoint"):
        load_published(tmp_path / "nowhere.ckpt", SMALL["taming"])


def test_a_value_that_is_no_tensor_is_refused_by_name(tmp_path):
    tensors = in_their_names(seeded(SMALL["taming"]))
    torch.save({"state_dict": tensors | {"encoder.note": "hello"}}, tmp_path / "theirs.ckpt")
    with pytest.raises(Rejected, match=r"no tensor under `encoder\.note`"):
        load_published(tmp_path / "theirs.ckpt", SMALL["taming"])


def test_class_names_that_old_lightning_left_beside_the_weights_do_no_harm(tmp_path, monkeypatch):
    """taming's published files name ModelCheckpoint, a class, as a key of `callbacks`."""
    network = seeded(SMALL["taming"])
    module = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    kind = type("ModelCheckpoint", (), {"__module__": module.__name__})
    module.ModelCheckpoint = kind
    saved = {"state_dict": in_their_names(network), "callbacks": {kind: {"best_model_score": torch.ones(())}}}
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    torch.save(saved, tmp_path / "theirs.ckpt")
    monkeypatch.undo()
    assert same(load_published(tmp_path / "theirs.ckpt", network.config), network)


def test_our_names_and_theirs_are_one_to_one(network):
    names = published_names(network.config, network.state_dict())
    assert len(set(names.values())) == len(names)
