"""A run survives the trip into a folder and back bit for bit; a name that cannot be had gets a sentence."""

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard, constants
from toy import draw_face
from toy_run import SIZE, spoken, write_run

from datapipe.crop import CropConfig
from datapipe.records import Rejected, to_json
from model.avatar import PARTS, Avatar
from model.pretrained import PretrainedAvatar


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = write_run(tmp_path_factory.mktemp("run"))
    (folder / "crop.json").write_text(to_json(CropConfig(mode="union", margin=1.4)))
    (folder / "tokenizer" / "log.jsonl").write_text("{}")
    return folder


def test_the_round_trip_is_bit_for_bit(run, tmp_path):
    avatar = Avatar.load(run)
    avatar.save_pretrained(tmp_path / "kept")
    again = Avatar.from_pretrained(tmp_path / "kept")
    assert again.run_id == avatar.run_id and again.crop == avatar.crop and again.crop.mode == "union"
    for part in PARTS:
        ours, theirs = getattr(avatar, part).state_dict(), getattr(again, part).state_dict()
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    first, second = (
        np.concatenate(
            [*each.set_reference(draw_face(0, 0, 1, SIZE), crop=False).say(spoken(0.5), SOUND).frames()]
        )
        for each in (avatar, again)
    )
    assert np.array_equal(first, second)
    names = sorted(str(path.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("*.*"))
    assert names == [
        "README.md",
        "config.json",
        "crop.json",
        *(n for part in sorted(PARTS) for n in files(part)),
    ]


SOUND = np.zeros(8000, np.float32)


def files(part):
    return [f"{part}/config.json", f"{part}/weights.safetensors"]


def test_the_card_is_read_by_the_hub(run, tmp_path):
    Avatar.load(run).save_pretrained(tmp_path / "kept")
    card = ModelCard.load(tmp_path / "kept" / "README.md")
    assert card.data.library_name == "avatarsync" and card.data.license == "other"
    assert "Consent" in card.text and Avatar.load(run).run_id in card.text


def test_the_mixin_itself_loads_a_folder(run, tmp_path):
    Avatar.load(run).save_pretrained(tmp_path / "kept")
    loaded = PretrainedAvatar.from_pretrained(str(tmp_path / "kept"))
    assert loaded.avatar.run_id == Avatar.load(run).run_id


def test_a_hub_name_is_fetched_as_a_snapshot_of_the_parts(run, tmp_path, monkeypatch):
    """The hub's own download is replaced; all else is the real way."""
    Avatar.load(run).save_pretrained(tmp_path / "kept")
    asked = {}

    def snapshot(name, **more):
        asked.update(name=name, **more)
        return str(tmp_path / "kept")

    monkeypatch.setattr("model.pretrained.snapshot_download", snapshot)
    config = str(tmp_path / "kept" / "config.json")
    monkeypatch.setattr(huggingface_hub.hub_mixin, "hf_hub_download", lambda **more: config)
    avatar = Avatar.from_pretrained("somebody/avatar", revision="v2")
    assert avatar.run_id == Avatar.load(run).run_id
    assert asked["name"] == "somebody/avatar" and asked["revision"] == "v2"
    assert all(pattern.endswith((".json", ".safetensors")) for pattern in asked["allow_patterns"])


@pytest.mark.parametrize("name", ["somebody/avatar", "not a name at all", "a/b/c"])
def test_a_name_without_the_hub_gets_a_sentence(name, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Rejected, match="check the name and the network") as caught:
        Avatar.from_pretrained(name, cache_dir=tmp_path)
    assert caught.value.reason == "unreachable"


def test_an_empty_folder_says_how_to_train(tmp_path):
    with pytest.raises(Rejected, match="model train tokenizer"):
        Avatar.from_pretrained(tmp_path)
