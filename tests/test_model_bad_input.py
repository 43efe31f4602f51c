"""Whatever is wrong with the input: one clear sentence, the right exit code, and no half-written video."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from toy import draw_face
from toy_run import PRESET, SIZE, write_run

from datapipe import crop
from datapipe.faces import Face
from datapipe.media import wav_bytes
from datapipe.records import Rejected
from model import picture
from model.__main__ import main
from model.avatar import Avatar, check_device
from model.picture import SMALLEST, prepare, read_picture
from model.speech import hearing
from model.speech.hearing import LONGEST_TRANSCRIPT, hear

RATE = 16000


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def place(tmp_path):
    """A folder with a good picture and good sound."""
    Image.fromarray(draw_face(1, 0, 1, SIZE)).save(tmp_path / "face.png")
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    (tmp_path / "noise.wav").write_bytes(wav_bytes(noise))
    (tmp_path / "silence.wav").write_bytes(wav_bytes(np.zeros(RATE, np.float32)))
    (tmp_path / "empty.wav").write_bytes(wav_bytes(np.zeros(0, np.float32)))
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(np.zeros((60, 90, 3), np.uint8)).save(tmp_path / "wide.png")
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "tiny.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "face.png").read_bytes()[:300])
    return tmp_path


def generate(run, place, *arguments, reference="face.png", out="out.mp4"):
    common = ["generate", "--run", str(run), "--reference", str(place / reference), "--out", str(place / out)]
    return main([*common, "--no-crop", *(str(each) for each in arguments)])


WRONG = {
    "no such language": (["--text", "hi", "--language", "fr"], 2, "`fr` cannot be aligned"),
    "nothing to say": (["--language", "en"], 2, "--audio"),
    "both": (["--text", "hi", "--audio", "noise.wav", "--language", "en"], 2, "--audio"),
    "text of signs": (["--text", "?!", "--language", "en"], 1, "holds no word"),
    "empty text": (["--text", "", "--language", "en"], 1, "the text is empty"),
    "no such sound": (["--audio", "nowhere.wav", "--language", "en"], 1, "nowhere.wav"),
    "no sound in it": (["--audio", "text.wav", "--language", "en"], 1, "text.wav"),
    "empty sound": (["--audio", "empty.wav", "--language", "en"], 1, "empty.wav"),
    "empty sound, said": (["--audio", "empty.wav", "--language", "en", "--transcript", "hi"], 1, "empty.wav"),
    "silence": (["--audio", "silence.wav", "--language", "en"], 1, "never exceeds"),
    "noise": (["--audio", "noise.wav", "--language", "en", "--transcript", "hello"], 1, "hello"),
    "a device": (["--text", "hi", "--language", "en", "--device", "toaster"], 2, "`toaster` is no device"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_speech_gets_a_sentence_and_no_video(run, place, capfd, monkeypatch, name):
    arguments, code, words = WRONG[name]
    monkeypatch.chdir(place)
    assert generate(run, place, *arguments) == code
    said = capfd.readouterr().err
    assert words in said and "Traceback" not in said
    assert not [path for path in place.iterdir() if path.suffix == ".mp4" or ".tmp" in path.name]


@pytest.mark.parametrize(
    ("reference", "code", "words"),
    [
        ("nowhere.png", 1, "no picture"),
        ("text.png", 2, "PNG or JPEG"),
        ("cut.png", 2, "PNG or JPEG"),
        ("wide.png", 2, "not square"),
        ("tiny.png", 2, f"{SMALLEST} px or more"),
    ],
)
def test_wrong_pictures_get_a_sentence_and_no_video(run, place, capfd, reference, code, words):
    assert generate(run, place, "--text", "hi", "--language", "en", reference=reference) == code
    assert words in capfd.readouterr().err and not (place / "out.mp4").exists()


def test_places_that_cannot_be_written_to_get_a_sentence(run, place, capfd):
    (place / "file").write_text("")
    assert generate(run, place, "--text", "hi", "--language", "en", out="file/out.mp4") == 1
    assert "choose another place" in capfd.readouterr().err
    (place / "folder.mp4").mkdir()
    assert generate(run, place, "--text", "hi", "--language", "en", out="folder.mp4") == 2
    assert "is a folder" in capfd.readouterr().err and not list((place / "folder.mp4").iterdir())
    assert generate(run, place, "--text", "hi", "--language", "en", out="film.avi") == 2
    assert "end its name in .mp4" in capfd.readouterr().err and not (place / "film.avi").exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_that_ran_out_names_the_setting_to_lower(run, place, capfd, monkeypatch, error):
    def fail(*given, **more):
        raise error

    monkeypatch.setattr("model.avatarsync.write.generate_tokens", fail)
    assert generate(run, place, "--text", "hi", "--language", "en") == 1
    assert "lower --units" in capfd.readouterr().err and not (place / "out.mp4").exists()


def test_a_failure_that_is_no_lack_of_memory_stays_a_bug(run, place, monkeypatch):
    def fail(*given, **more):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr("model.avatarsync.write.generate_tokens", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        generate(run, place, "--text", "hi", "--language", "en")
    assert not (place / "out.mp4").exists()


# --- checkpoints ---------------------------------------------------------------------------------------


def broken(tmp_path, part, change):
    """Write a run whose weights of one part were changed."""
    folder = write_run(tmp_path / "broken")
    path = folder / part / "weights.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    return folder


def spoil(tensors):
    next(value for value in tensors.values() if value.is_floating_point()).view(-1)[0] = float("nan")


@pytest.mark.parametrize("part", ["tokenizer", "keyframes", "interpolator"])
def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path, part):
    with pytest.raises(Rejected, match=part) as caught:
        Avatar.load(broken(tmp_path, part, spoil))
    assert caught.value.reason == "bad_weight"


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        ("interpolator", {"interpolator": {"size": 128}}, "side of its pictures"),
        ("keyframes", {"tokenizer": {"groups": (5, 3)}}, "bits of its sub-tokens"),
        ("keyframes", {"tokenizer": {"size": 128}, "keyframes": {"num_tokens": 64}}, "tokens of a picture"),
    ],
)
def test_parts_of_different_presets_are_refused_by_name(tmp_path, part, changes, words):
    folder = write_run(tmp_path / "run")
    configs = {name: dataclasses.replace(getattr(PRESET, name), **each) for name, each in changes.items()}
    other = write_run(tmp_path / "other", dataclasses.replace(PRESET, **configs))
    for name in ("config.json", "weights.safetensors"):
        (folder / part / name).write_bytes((other / part / name).read_bytes())
    with pytest.raises(Rejected, match=f"`{part}` does not fit the tokenizer: {words}"):
        Avatar.load(folder)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"network": 3}', '{"network": {"size": "big"}}'])
@pytest.mark.parametrize("part", ["tokenizer", "keyframes", "interpolator"])
def test_a_config_of_something_else_is_refused(tmp_path, part, text):
    folder = tmp_path / "run"
    write_run(folder)
    (folder / part / "config.json").write_text(text)
    with pytest.raises(Rejected) as caught:
        Avatar.load(folder)
    assert caught.value.reason in ("bad_weight", "bad_input")


def test_unknown_devices_are_told_from_missing_ones():
    assert check_device("cpu") == torch.device("cpu")
    with pytest.raises(Rejected) as caught:
        check_device("toaster")
    assert caught.value.reason == "bad_input"
    if not torch.cuda.is_available():
        with pytest.raises(Rejected, match="--device cpu") as caught:
            check_device("cuda")
        assert caught.value.reason == "missing_device"


# --- pictures of every kind ----------------------------------------------------------------------------


def kinds():
    face = Image.fromarray(draw_face(1, 0, 1, 96))
    deep = Image.fromarray(np.asarray(face.convert("L"), np.uint16) * 256)
    alpha = face.convert("RGBA")
    alpha.putalpha(Image.fromarray(np.repeat(np.arange(96, dtype=np.uint8)[None] * 2, 96, 0)))
    return {
        "grey.png": face.convert("L"),
        "deep.png": deep,
        "alpha.png": alpha,
        "palette.gif": face.convert("P"),
        "cmyk.jpg": face.convert("CMYK"),
        "one.png": face.convert("1"),
        "plain.webp": face,
    }


@pytest.mark.parametrize("name", kinds())
def test_pictures_of_every_kind_become_rgb(tmp_path, name):
    kinds()[name].save(tmp_path / name)
    found = read_picture(tmp_path / name)
    assert found.shape == (96, 96, 3) and found.dtype == np.uint8 and found.std() > 10
    assert prepare(found, None, "only", SIZE).shape == (SIZE, SIZE, 3)


def test_transparent_places_are_grey_and_animations_show_their_first_picture(tmp_path, capfd):
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_picture(tmp_path / "clear.png") == 128).all()
    first, second = (Image.fromarray(draw_face(i, 0, 1, 64)) for i in (0, 1))
    first.save(tmp_path / "two.gif", save_all=True, append_images=[second])
    found = read_picture(tmp_path / "two.gif").astype(int)
    assert "animated" in capfd.readouterr().err
    assert np.abs(found - np.asarray(first, int)).mean() < np.abs(found - np.asarray(second, int)).mean()


def test_a_huge_picture_is_scaled_down_and_a_bomb_is_refused(tmp_path, monkeypatch):
    Image.new("L", (9000, 3000)).save(tmp_path / "huge.png")
    assert max(read_picture(tmp_path / "huge.png").shape) == picture.LONGEST
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(Rejected, match="too large"):
        read_picture(tmp_path / "huge.png")


def faces(*sizes):
    points = np.zeros((5, 2), np.float32)
    return tuple(Face(box=(0.0, 0.0, size, size), score=0.9, points_52=points) for size in sizes)


def test_several_faces_are_refused_or_the_largest_is_taken(monkeypatch):
    found = np.zeros((100, 100, 3), np.uint8)
    taken = []
    monkeypatch.setattr(crop, "landmarks", lambda image, face: taken.append(face.size) or np.zeros((106, 2)))
    monkeypatch.setattr(crop, "fit_matrices", lambda *given: np.eye(2, 3)[None])
    monkeypatch.setattr(crop, "detect", lambda *given: faces(50.0, 60.0, 10.0))
    with pytest.raises(Rejected, match=r"shows 2 faces.*--face largest"):
        prepare(found, crop.CropConfig(), "only", SIZE)
    prepare(found, crop.CropConfig(), "largest", SIZE)
    monkeypatch.setattr(crop, "detect", lambda *given: faces(10.0, 60.0))
    prepare(found, crop.CropConfig(), "only", SIZE)
    assert taken == [60.0, 60.0]


@pytest.mark.parametrize(
    "wrong", [np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3)), np.zeros((64, 64, 4), np.uint8)]
)
def test_arrays_that_are_no_picture_are_refused(run, wrong):
    with pytest.raises(Rejected, match="RGB"):
        Avatar.load(run).set_reference(wrong, crop=False)


@pytest.mark.assets
def test_real_pictures_with_two_faces_and_with_none_are_refused():
    from people import portrait

    one, other = portrait(), portrait("portrait-collins")[:, ::-1]
    both = np.concatenate((one, other), axis=1)
    with pytest.raises(Rejected, match="shows 2 faces"):
        prepare(both, crop.CropConfig(), "only", SIZE)
    assert prepare(both, crop.CropConfig(), "largest", SIZE).shape == (SIZE, SIZE, 3)
    with pytest.raises(Rejected) as caught:
        prepare(np.full((200, 200, 3), 128, np.uint8), crop.CropConfig(), "only", SIZE)
    assert caught.value.reason == "no_face"


# --- length, cases ---------------------------------------------------------------------------------------


def test_a_transcript_of_very_long_sound_is_refused(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    (tmp_path / "long.wav").write_bytes(wav_bytes(np.tile(noise, int(LONGEST_TRANSCRIPT) + 2)))
    request = hearing.Request(language="en", audio=tmp_path / "long.wav", transcript="hello")
    with pytest.raises(Rejected, match="leave --transcript out"):
        list(hear(request))


@pytest.mark.parametrize("text", ["", "[]", '{"key": 1}', "[" * 100_000, "\x00"])
def test_a_malformed_case_is_named_and_the_others_go_on(tmp_path, capfd, text):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "a.json").write_text(text)
    common = ["generate-cases", "--cases", str(tmp_path / "cases"), "--out", str(tmp_path / "out")]
    assert main([*common, "--system", "static"]) == 1
    failures = json.loads((tmp_path / "out" / "timing.json").read_text())["failures"]
    assert list(failures) == ["a"] and "export the cases again" in failures["a"]
    assert "Traceback" not in capfd.readouterr().err
