"""Files in, files out: a run trained on drawn faces makes videos with the right length, sound and tag."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from toy import draw_face, make_clips
from toy_run import SIZE, spoken, write_run

from datapipe.media import probe, read_audio, read_frames, wav_bytes, write_video
from datapipe.records import Keyframe, Phoneme, Probe, Rejected, Sample, to_json
from model import cases
from model.__main__ import main
from model.avatar import bind, load_avatar
from model.avatarsync.decode import generate_tokens, read_prefix
from model.avatarsync.forced import forced_keyframes
from model.baselines import hold_still, make_shelves, retrieve
from model.cases import Places, make_cases
from model.codebook import join_ids
from model.generate import generate
from model.layers import to_signed
from model.marking.detection import detect_file
from model.marking.provenance import read_tag, tag
from model.marking.watermark import make_mark
from model.speaking.film import FilmConfig, Request, make_film
from model.speech.phonemes import from_audio, from_text

RATE = 16000


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "face.png"
    Image.fromarray(draw_face(1, 0.0, 1.0, SIZE)).save(path)
    return path


@pytest.mark.parametrize("duration", [0.04, 0.5, 1.0, 1.02, 2.345])
def test_the_frame_count_is_exact(run, duration):
    avatar = load_avatar(run)
    blocks = list(generate(avatar, bind(avatar, draw_face(0, 0, 1, SIZE)), spoken(duration), duration))
    assert sum(map(len, blocks)) == round(duration * 25)
    assert all(block.shape[1:] == (SIZE, SIZE, 3) and block.dtype == np.uint8 for block in blocks)


def test_generation_is_deterministic(run):
    avatar = load_avatar(run)
    first, again = (
        np.concatenate(list(generate(avatar, bind(avatar, draw_face(0, 0, 1, SIZE)), spoken(1), 1)))
        for _ in "ab"
    )
    assert np.array_equal(first, again)


def test_a_single_phoneme_is_held(run):
    avatar = load_avatar(run)
    reference = bind(avatar, draw_face(0, 0, 1, SIZE))
    frames = np.concatenate(list(generate(avatar, reference, spoken(0.4, ("SIL",)), 0.4)))
    assert len(frames) == 10 and (frames == frames[0]).all()


def test_text_alone_makes_a_tagged_video_with_a_voice(run, picture, tmp_path):
    out = tmp_path / "out" / "hello.mp4"
    arguments = [
        "generate",
        "--run",
        run,
        "--reference",
        picture,
        "--text",
        "hello world",
        "--language",
        "en",
    ]
    assert main([*map(str, arguments), "--no-crop", "--out", str(out), "--threads", "1"]) == 0
    speech = from_text("hello world", "en")
    frames = read_frames(out)
    assert len(frames) == round(speech.duration * 25)
    said = read_tag(out)
    assert said is not None and load_avatar(run).run_id in said and "synthetic" in said
    assert probe(out).audio_codec == "aac" and np.abs(read_audio(out)).max() > 0.1
    assert [path.name for path in out.parent.iterdir()] == ["hello.mp4"]
    assert main([*map(str, arguments), "--no-crop", "--no-watermark", "--out", str(out)]) == 0
    change = (frames.astype(np.float64) - read_frames(out)).mean((0, 3))
    mark = make_mark(np.asarray(Image.open(picture)), load_avatar(run).run_id)
    assert np.corrcoef(change.ravel(), mark.ravel())[0, 1] > 0.6 and read_tag(out) == said


def test_text_starts_and_ends_with_a_closed_mouth_and_covers_its_time():
    speech = from_text("mama", "en")
    assert speech.phonemes[0].symbol == speech.phonemes[-1].symbol == "SIL"
    ends = [each.end for each in speech.phonemes]
    assert [each.start for each in speech.phonemes] == [0.0, *ends[:-1]] and speech.duration == ends[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--text", "hi", "--language", "fr"], 2, "fr"),
        (["--language", "en"], 2, "--audio"),
        (["--text", "hi", "--audio", "x.wav", "--language", "en"], 2, "--audio"),
        (["--audio", "nowhere.wav", "--language", "en"], 1, "nowhere.wav"),
        (["--text", "hi", "--language", "en", "--guidance", "2"], 2, "drop_phonemes"),
        (["--text", "hi", "--language", "en", "--window", "0"], 2, "window is 0"),
    ],
)
def test_wrong_requests_say_what_is_wrong(run, picture, tmp_path, capfd, arguments, code, words):
    out = tmp_path / "out.mp4"
    common = ["generate", "--run", str(run), "--reference", str(picture), "--no-crop", "--out", str(out)]
    assert main([*common, *arguments]) == code
    assert words in capfd.readouterr().err and not out.exists()


def test_rows_in_parallel_make_a_video_too(run, picture, tmp_path):
    common = ["generate", "--run", str(run), "--reference", str(picture), "--no-crop"]
    said = ["--text", "hi", "--language", "en"]
    for name, options in (("raster", []), ("rows", ["--window", "1"])):
        assert main([*common, *said, *options, "--out", str(tmp_path / f"{name}.mp4")]) == 0
    raster, rows = (probe(tmp_path / f"{name}.mp4").num_frames for name in ("raster", "rows"))
    assert raster == rows


def test_usage_errors_are_wrong_use():
    assert main(["generate", "--no-such-option"]) == 2
    assert main(["train", "everything", "--data", "x", "--out", "y"]) == 2


def test_a_missing_run_says_how_to_train_it(picture, tmp_path):
    with pytest.raises(Rejected, match="avatarsync model train tokenizer") as caught:
        make_film(
            tmp_path / "none", picture, Request(language="en", text="hi"), tmp_path / "out.mp4", FilmConfig()
        )
    assert caught.value.reason == "missing_weight"


def test_silence_has_nothing_to_say():
    with pytest.raises(Rejected) as caught:
        from_audio(np.zeros(RATE, np.float32), "en", "hello")
    assert caught.value.reason == "silent"


def write_case(folder, duration=1.0):
    noise = np.random.default_rng(0).normal(0, 0.1, round(duration * RATE)).astype(np.float32)
    folder.mkdir()
    (folder / "a.wav").write_bytes(wav_bytes(noise))
    Image.fromarray(draw_face(0, 0, 1, SIZE)).save(folder / "a.png")
    spec = dict(width=SIZE, height=SIZE, fps=25, num_frames=25, duration=1.0)
    sample = Sample(
        key="a", id="a", source="toy", speaker="0", language="en", split="test", text="hello",
        text_origin="released",
        licence="none", fps=25, num_frames=25, size=SIZE, duration=duration, phonemes=spoken(duration),
        keyframes=(Keyframe(frame=0, time=0.0, phoneme="SIL"),),
        probe=Probe(**spec, video_codec="h264", audio_codec=None, sample_rate=None),
        quality={}, notes={}, lineage={},
    )  # fmt: skip
    (folder / "a.json").write_text(to_json(sample))


def test_cases_are_made_timed_and_failures_named(run, tmp_path):
    write_case(tmp_path / "cases")
    common = ["generate-cases", "--cases", str(tmp_path / "cases")]
    assert main([*common, "--system", "static", "--out", str(tmp_path / "static")]) == 0
    timing = json.loads((tmp_path / "static" / "timing.json").read_text())
    assert timing["system"] == "static" and timing["clips"]["a"]["num_frames"] == 25
    assert timing["clips"]["a"]["media_seconds"] == 1.0 and timing["clips"]["a"]["first_frame_seconds"] > 0
    made = tmp_path / "static" / "a.mp4"
    assert probe(made).audio_codec == "aac" and "system static" in read_tag(made)
    # noise does not say "hello": the aligner refuses it, and the case is named as failed
    assert main([*common, "--system", "avatarsync", "--run", str(run), "--out", str(tmp_path / "ours")]) == 1
    timing = json.loads((tmp_path / "ours" / "timing.json").read_text())
    assert timing["clips"] == {} and "a" in timing["failures"]
    assert main([*common, "--system", "avatarsync", "--out", str(tmp_path / "ours")]) == 2
    assert main([*common, "--system", "retrieval", "--out", str(tmp_path / "ours")]) == 2


def test_cases_are_compared_without_a_mark_unless_asked(run, tmp_path):
    write_case(tmp_path / "cases")
    common = ["generate-cases", "--cases", str(tmp_path / "cases"), "--system", "static"]
    for words, folder in (([], "plain"), (["--watermark"], "marked")):
        assert main([*common, *words, "--out", str(tmp_path / folder)]) == 0
    found = [detect_file(tmp_path / folder / "a.mp4").is_marked for folder in ("plain", "marked")]
    assert found == [False, True]


def test_keyframes_are_forced_by_the_true_past(run):
    """Told its own words, the model says them again; told others, it goes on from those."""
    avatar = load_avatar(run)
    ids = torch.tensor(avatar.keyframes.vocabulary.phoneme_ids(["SIL", "AA", "M"]))
    pictures = np.stack([draw_face(1, opening, 1, SIZE) for opening in (0, 1, 0)])
    true = to_signed(torch.from_numpy(pictures))
    made = forced_keyframes(avatar.tokenizer, avatar.keyframes, ids, true[:1], true)
    assert made.shape == true.shape and bool(made.isfinite().all())
    reference = avatar.tokenizer.encode(true[:1])
    free = generate_tokens(avatar.keyframes, ids, read_prefix(avatar.keyframes, reference[0]))
    said = avatar.keyframes(ids[None], reference, free[None])
    groups = avatar.keyframes.config.groups
    assert torch.equal(join_ids(tuple(part[0].argmax(-1) for part in said), groups), free)


def test_keyframes_are_written_by_frame_beside_the_video(run, tmp_path, monkeypatch):
    write_case(tmp_path / "cases")
    write_video(tmp_path / "cases/a.mp4", np.stack([draw_face(0, 0, 1, SIZE)] * 25))
    places = Places(cases=tmp_path / "cases", out=tmp_path / "ours", run=run)
    stale = tmp_path / "ours/a.keyframes/000009.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    took = cases.Timing(seconds=1.0, media_seconds=1.0, num_frames=25, first_frame_seconds=0.5)
    monkeypatch.setattr(cases, "_make_case", lambda system, path, out: took)
    assert make_cases("avatarsync", places, keyframes=True) == 0
    assert [path.name for path in stale.parent.iterdir()] == ["000000.png"]
    with pytest.raises(Rejected, match="no keyframes"):
        make_cases("static", places, keyframes=True)


def test_the_tag_changes_with_the_reference():
    first, second = (tag("avatarsync", "r", draw_face(i, 0, 1, 32)) for i in (0, 1))
    assert first["comment"] != second["comment"]


def test_still_baseline_repeats_the_reference():
    frames = hold_still(draw_face(0, 0, 1, 32), 1.02)
    assert len(frames) == 26 and (frames == frames[0]).all()


def test_retrieval_takes_the_same_person_and_phoneme():
    clips = make_clips(8, 32, num_phonemes=8)
    own = next(clip for clip in clips if clip.speaker == "toy/2")
    symbols = own.phonemes
    times = [*(i * 0.16 for i in range(len(symbols) + 1))]
    spoken_again = tuple(
        Phoneme(symbol=s, start=a, end=b) for s, a, b in zip(symbols, times, times[1:], strict=False)
    )
    frames = retrieve(make_shelves(clips), "toy/2", own.frames_THW3[0], spoken_again, times[-1])
    assert len(frames) == round(times[-1] * 25)
    still = hold_still(own.frames_THW3[0], times[-1]).astype(float)
    truth = own.frames_THW3.astype(float)
    assert np.abs(frames - truth).mean() < 0.7 * np.abs(still - truth).mean()
    stranger = retrieve(make_shelves(clips), "nobody", own.frames_THW3[0], spoken_again, times[-1])
    assert np.array_equal(stranger, frames)


def test_training_without_shards_is_wrong_use(tmp_path, capfd):
    torch.set_num_threads(1)
    arguments = [
        "train",
        "tokenizer",
        "--data",
        str(tmp_path),
        "--out",
        str(tmp_path / "run"),
        "--preset",
        "tiny",
    ]
    assert main(arguments) == 2
    assert "manifest.json" in capfd.readouterr().err
