"""An edit makes anew what depends on the phoneme and nothing else: counted, and compared byte for byte."""

import dataclasses
import json

import numpy as np
import pytest
from toy import draw_face
from toy_run import PRESET, SIZE, spoken, write_run

from datapipe.media import probe, read_audio, wav_bytes
from datapipe.records import Rejected
from model.__main__ import main
from model.avatar import Avatar
from model.generate import generate
from model.speaking import edit
from model.speaking.edit import Change, changed, stretches
from model.speaking.project import open_project, read_project

SYMBOLS = ("SIL", "AA", "M", "IY", "S", "OW", "SIL")
DURATION = 1.4
NUM_FRAMES = 35
OTHER = Change(index=2, to="OW")
CHANGE = Change(index=2, to="OW", start=0.36, end=0.7)


@pytest.fixture(scope="module")
def avatar(tmp_path_factory):
    return Avatar.load(write_run(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def speaker(avatar):
    return avatar.set_reference(draw_face(1, 0, 1, SIZE), crop=False)


@pytest.fixture
def project(speaker, tmp_path):
    audio = np.random.default_rng(0).normal(0, 0.1, round(DURATION * 16000)).astype(np.float32)
    speaker.say(spoken(DURATION, SYMBOLS), audio).save(tmp_path / "first.mp4", tmp_path / "project")
    return tmp_path / "project"


def frames_of(folder):
    return np.stack(list(open_project(folder).frames()))


def test_a_project_holds_the_video(project, speaker):
    frames = np.concatenate(list(generate(speaker.avatar, speaker.reference, spoken(DURATION, SYMBOLS))))
    opened = open_project(project)
    assert np.array_equal(frames_of(project), frames) and len(frames) == NUM_FRAMES
    assert opened.project.phonemes == spoken(DURATION, SYMBOLS)
    assert np.array_equal(opened.picture_HW3, speaker.reference.picture_HW3)
    assert opened.tokens_nK.shape == (len(SYMBOLS), PRESET.tokenizer.num_tokens)
    assert len(opened.audio) == round(DURATION * 16000)
    assert len(list(project.iterdir())) == 3


@pytest.mark.parametrize("index", [0, 3, 6])
def test_one_phoneme_is_one_keyframe_and_its_two_intervals(avatar, project, tmp_path, monkeypatch, index):
    written, rendered = [], []
    tokens, interval = edit.generate_tokens, edit.render_interval
    monkeypatch.setattr(edit, "generate_tokens", lambda m, ids, *a: written.extend(ids) or tokens(m, ids, *a))
    monkeypatch.setattr(
        edit,
        "render_interval",
        lambda m, left, right, t: rendered.append(len(t)) or interval(m, left, right, t),
    )
    before = frames_of(project)
    edited = avatar.edit_segment(project, Change(index=index, to="UW"))
    edited.save(tmp_path / "second.mp4", tmp_path / "second")
    after = frames_of(tmp_path / "second")
    spans = stretches(spoken(DURATION, SYMBOLS), NUM_FRAMES)
    own = [each for each in spans if index in each.keyframes]
    inside = np.zeros(NUM_FRAMES, bool)
    for each in own:
        inside[each.first : each.stop] = True
    assert edited.keyframes == (index,) and len(written) == 1
    assert len(rendered) == (1 if index in (0, 6) else 2)
    assert sum(rendered) == sum(each.stop - each.first for each in own if len(each.keyframes) == 2)
    assert np.array_equal(before[~inside], after[~inside])
    # a frame that stands at a neighbouring keyframe shows that one alone
    assert sum((before[i] != after[i]).any() for i in np.flatnonzero(inside)) >= inside.sum() - 2
    assert len(read_audio(tmp_path / "second.mp4")) == len(read_audio(tmp_path / "first.mp4"))


def test_an_edited_video_is_the_one_made_of_the_edited_phonemes(avatar, speaker, project, tmp_path):
    avatar.edit_segment(project, CHANGE).save(None, tmp_path / "second")
    said = open_project(tmp_path / "second").project.phonemes
    assert [each.symbol for each in said][2] == "OW" and said[1].end == 0.36 and said[3].start == 0.7
    anew = np.concatenate(list(generate(speaker.avatar, speaker.reference, said)))
    assert np.array_equal(frames_of(tmp_path / "second"), anew)


def test_moving_a_boundary_keeps_all_tokens(avatar, project, tmp_path):
    edited = avatar.edit_segment(project, Change(index=3, end=0.85))
    assert edited.keyframes == () and edited.rendered
    first, last = edited.rendered[0][0], edited.rendered[-1][1]
    spans = stretches(spoken(DURATION, SYMBOLS), NUM_FRAMES)
    assert spans[3].first <= first and last <= spans[5].stop
    edited.save(None, tmp_path / "second")
    before, after = frames_of(project), frames_of(tmp_path / "second")
    assert np.array_equal(before[:first], after[:first]) and np.array_equal(before[last:], after[last:])


def test_an_edit_and_its_undoing_give_the_first_video(avatar, project):
    before = frames_of(project)
    avatar.edit_segment(project, Change(index=4, to="AA")).save(None, project)
    assert not np.array_equal(before, frames_of(project))
    avatar.edit_segment(project, Change(index=4, to="S")).save(None, project)
    assert np.array_equal(before, frames_of(project)) and len(list(project.iterdir())) == 3


@pytest.mark.parametrize(
    ("scope", "others", "keyframes"),
    [
        ("window2", "none", {2, 3}),
        ("accumulative", "none", {2, 3, 4}),
        ("full", "none", {0, 1, 2, 3, 4}),
        ("one_to_one", "previous", {2, 3, 4}),
    ],
)
def test_wider_scopes_write_again_what_sees_the_phoneme(tmp_path, scope, others, keyframes):
    keyframe_config = dataclasses.replace(PRESET.keyframes, phoneme_scope=scope, frame_scope=others)
    wide = Avatar.load(write_run(tmp_path / "run", dataclasses.replace(PRESET, keyframes=keyframe_config)))
    phonemes = spoken(1.0)
    speaker = wide.set_reference(draw_face(1, 0, 1, SIZE), crop=False)
    speaker.say(phonemes, np.zeros(16000, np.float32)).save(tmp_path / "a.mp4", tmp_path / "project")
    edited = wide.edit_segment(tmp_path / "project", OTHER)
    assert set(edited.keyframes) <= keyframes and 2 in edited.keyframes
    anew = np.concatenate(list(generate(wide, speaker.reference, changed(phonemes, OTHER))))
    edited.save(None, tmp_path / "second")
    assert np.array_equal(frames_of(tmp_path / "second"), anew)


def test_new_sound_takes_the_old_ones_place(avatar, project, tmp_path):
    tone = (0.5 * np.sin(np.arange(round(DURATION * 16000)) * 0.2)).astype(np.float32)
    (tmp_path / "new.wav").write_bytes(wav_bytes(tone))
    edited = avatar.edit_segment(project, Change(index=2, to="OW"), tmp_path / "new.wav")
    assert np.abs(edited.audio - tone).max() < 1e-3
    (tmp_path / "short.wav").write_bytes(wav_bytes(tone[:8000]))
    with pytest.raises(Rejected, match="same length"):
        avatar.edit_segment(project, Change(index=2, to="OW"), tmp_path / "short.wav")


def test_the_command_lists_and_edits(avatar, project, tmp_path, capfd):
    assert main(["edit", "--project", str(project)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[2].split("\t")[:2] == ["2", "M"] and len(lines) == len(SYMBOLS)
    out = tmp_path / "out.mp4"
    common = ["edit", "--project", str(project), "--threads", "1"]
    assert main([*common, "--phoneme", "2", "--to", "OW", "--out", str(out), "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["keyframes"] == [2] and facts["num_frames"] == NUM_FRAMES
    assert probe(out).num_frames == NUM_FRAMES and read_project(project).phonemes == spoken(DURATION, SYMBOLS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--phoneme", "99", "--to", "AA"], "numbered 0 to 6"),
        (["--phoneme", "-1", "--to", "AA"], "numbered 0 to 6"),
        (["--phoneme", "2"], "--to"),
        (["--phoneme", "2", "--to", "XX"], "XX"),
        (["--phoneme", "2", "--end", "9"], "its neighbours leave"),
        (["--phoneme", "0", "--start", "0.1"], "cannot be moved"),
    ],
)
def test_wrong_edits_get_a_sentence_and_change_nothing(project, tmp_path, capfd, arguments, words):
    out = tmp_path / "out.mp4"
    assert main(["edit", "--project", str(project), "--out", str(out), *arguments]) == 2
    assert words in capfd.readouterr().err and not out.exists()


def test_a_project_of_another_run_or_none_is_refused(project, tmp_path):
    other = write_run(tmp_path / "other", dataclasses.replace(PRESET, keyframes_train=_seeded(7)))
    with pytest.raises(Rejected, match="was made by the run"):
        Avatar.load(other).edit_segment(project, Change(index=1, to="M"))
    with pytest.raises(Rejected, match="--project"):
        read_project(tmp_path / "nothing")
    (project / "project.json").write_text("{}")
    with pytest.raises(Rejected, match="generate it again"):
        read_project(project)


def test_a_damaged_project_is_refused(project):
    for path in project.glob("frames-*"):
        path.unlink()
    with pytest.raises(Rejected, match="lacks its file"):
        open_project(project)


def _seeded(seed):
    return dataclasses.replace(PRESET.keyframes_train, seed=seed)
