"""An avatar is set once and asked many times: what hangs on the picture is computed once, values stay."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from toy import draw_face
from toy_run import SIZE, spoken, write_run

from datapipe.crop import CropConfig
from datapipe.media import probe
from datapipe.records import to_json
from model import avatar as avatar_module
from model import picture
from model.avatar import Avatar
from model.framing import note_framing, read_framing
from model.generate import GenerateConfig
from model.marking.provenance import read_tag

FACE, OTHER = (draw_face(i, 0, 1, SIZE) for i in (0, 1))
SOUND = np.zeros(16000, np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def avatar(run):
    return Avatar.load(str(run))


def made(speaker):
    return np.concatenate(list(speaker.say(spoken(1.0), SOUND).frames()))


def test_the_reference_is_read_once_for_all_sentences(avatar, monkeypatch):
    reads = []
    encode = avatar.tokenizer.encoder.forward
    monkeypatch.setattr(avatar.tokenizer.encoder, "forward", lambda x: reads.append(len(x)) or encode(x))
    prefixes = []
    prefix = avatar_module.read_prefix
    monkeypatch.setattr(avatar_module, "read_prefix", lambda *given: prefixes.append(1) or prefix(*given))
    speaker = avatar.set_reference(FACE, crop=False)
    once = len(reads)
    for _ in range(2):
        made(speaker)
    assert len(reads) == once and len(prefixes) == 1


def test_speakers_are_values(avatar):
    one = avatar.set_reference(FACE, crop=False)
    first = made(one)
    two = avatar.set_reference(OTHER, crop=False)
    assert not np.array_equal(first, made(two))
    assert np.array_equal(first, made(one))
    hot = one.with_config(GenerateConfig(watermark=None))
    assert hot.reference is one.reference and not np.array_equal(made(hot), first)
    for value, name in ((avatar, "run_id"), (one, "reference"), (one.say(spoken(1.0), SOUND), "config")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)


def test_a_video_read_twice_is_the_same_and_saves_with_its_provenance(avatar, tmp_path):
    Image.fromarray(FACE).save(tmp_path / "face.png")
    video = avatar.set_reference(tmp_path / "face.png", crop=False).speak(text="hello", language="en")
    first, again = (np.concatenate(list(video.frames())) for _ in "ab")
    assert np.array_equal(first, again)
    facts = video.save(tmp_path / "out.mp4")
    assert facts.num_frames == len(first) == probe(tmp_path / "out.mp4").num_frames
    assert 0 < facts.first_frame_seconds <= facts.seconds and facts.run_id == avatar.run_id
    assert facts.rtf == pytest.approx(facts.seconds / facts.media_seconds, rel=1e-3)
    assert avatar.run_id in read_tag(tmp_path / "out.mp4")


def test_a_kept_reference_is_the_computed_one(avatar, tmp_path, monkeypatch):
    plain = made(avatar.set_reference(FACE, crop=False))
    assert np.array_equal(made(avatar.set_reference(FACE, crop=False, cache=tmp_path)), plain)
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith(avatar.run_id)
    with monkeypatch.context() as patch:
        patch.setattr("model.speaking.remembered.bind", lambda *given: pytest.fail("computed again"))
        assert np.array_equal(made(avatar.set_reference(FACE, crop=False, cache=tmp_path)), plain)
    kept.write_bytes(b"damaged")
    assert np.array_equal(made(avatar.set_reference(FACE, crop=False, cache=tmp_path)), plain)
    avatar.set_reference(OTHER, crop=False, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_reference_is_framed_as_the_training_data_were(run, tmp_path, monkeypatch):
    used = []
    monkeypatch.setattr(
        picture, "crop_image", lambda image, size, config, choice: used.append(config) or FACE
    )
    folder = tmp_path / "run"
    folder.mkdir()
    for part in avatar_module.PARTS:
        (folder / part).symlink_to(run / part)
    (folder / "crop.json").write_text(to_json(CropConfig(mode="union", margin=1.5)))
    Avatar.load(folder).set_reference(OTHER)
    assert used[0].mode == "union" and used[0].margin == 1.5 and used[0].size == SIZE


def test_training_notes_the_framing_of_its_data(tmp_path, monkeypatch, capfd):
    crops = {"a": CropConfig(mode="union"), "b": CropConfig(mode="face")}
    manifest = type("Manifest", (), {})
    monkeypatch.setattr("model.framing.read_manifest", lambda folder: _manifest(manifest, crops[folder.name]))
    note_framing([tmp_path / "a", tmp_path / "b"], tmp_path / "run")
    assert read_framing(tmp_path / "run") == crops["a"] and "framed otherwise" in capfd.readouterr().err
    assert read_framing(tmp_path / "none") == CropConfig()


def _manifest(kind, crop):
    found = kind()
    found.config = {"crop": dataclasses.asdict(crop)}
    return found


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_the_same_video_to_rounding(run):
    there = Avatar.load(run, device="cuda").set_reference(FACE, crop=False)
    assert there.avatar.device.type == "cuda"
    here = Avatar.load(run).set_reference(FACE, crop=False)
    difference = np.abs(made(there).astype(int) - made(here))
    assert np.median(difference) == 0
