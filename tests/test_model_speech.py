"""Text in: phrases and pauses, what cannot be said, a program that speaks."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.media import SAMPLE_RATE, read_audio
from datapipe.records import SILENCE, Rejected
from datapipe.weights import resolve
from model.speech.durations import DurationConfig, DurationModel
from model.speech.hearing import Request, hear
from model.speech.pace import SHORTEST, PaceConfig
from model.speech.phonemes import from_text, from_voice
from model.speech.synthesis import Synthesiser
from model.speech.wording import read_phrases

TEXT = "In being comparatively modern."
"""What LJ001-0002 says."""


def spoken(text, language="en"):
    return [" ".join(unit.symbol for unit in phrase.units) for phrase in read_phrases(text, language)]


def pauses(text, language="en"):
    return [phrase.pause for phrase in read_phrases(text, language)]


def test_signs_make_pauses_of_their_kind():
    pace = PaceConfig()
    assert pauses("Well, yes. No!") == [pace.comma, pace.stop, pace.stop]
    assert pauses("天气很好，我们走吧。好", "zh") == [pace.comma, pace.stop, pace.comma]
    assert pauses("你好,世界", "zh") == [pace.comma, pace.comma]


@pytest.mark.parametrize(
    "text", ["It is 3.5 to 1,000 at 10:30", "Mr. Smith met Dr. Who", "J. Doe of the U.S. army, i.e. him"]
)
def test_points_inside_numbers_titles_and_initials_are_no_pauses(text):
    assert len(spoken(text)) == text.count(", ") + 1


@pytest.mark.parametrize(
    "text, language, reason, words",
    [
        ("", "en", "no_speech", "empty"),
        (" \n", "zh", "no_speech", "empty"),
        ("...!? —", "en", "no_speech", "no word"),
        ("，。！", "zh", "no_speech", "no word"),
        ("😀", "zh", "no_speech", "no word"),
        ("hello world", "zh", "unknown_language", "not in language `zh`"),
        ("你好世界", "en", "unknown_language", "not in language `en`"),
        ("привет", "en", "unknown_language", "not in language"),
        ("我爱Python，也爱hello和Python", "zh", "bad_input", "cannot say `Python hello`"),
        ("hello 世界", "en", "bad_input", "`世界`"),
        ("hello", "de", "unknown_language", "known are"),
    ],
)
def test_what_cannot_be_said_is_named(text, language, reason, words):
    with pytest.raises(Rejected, match=words.replace("...", r"\.\.\.")) as caught:
        from_text(text, language)
    assert caught.value.reason == reason


def test_accents_and_pictures_are_no_obstacle():
    assert spoken("café 😀") == ["K AH F EY"]
    assert spoken("臺灣", "zh") == spoken("台湾", "zh")


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet="ab c.,!?-'1A.\n", min_size=1, max_size=30))
def test_any_text_is_said_without_gaps_or_refused(text):
    try:
        speech = from_text(text, "en")
    except Rejected as rejected:
        assert rejected.reason == "no_speech"
        return
    ends = [phoneme.end for phoneme in speech.phonemes]
    assert [phoneme.start for phoneme in speech.phonemes[1:]] == ends[:-1] and speech.phonemes[0].start == 0
    assert all(each.end - each.start >= SHORTEST - 1e-9 for each in speech.phonemes)
    assert speech.phonemes[0].symbol == speech.phonemes[-1].symbol == SILENCE
    assert len(speech.audio) == round(speech.duration * SAMPLE_RATE)


def test_learned_durations_are_used_and_tones_are_passed_on():
    network = DurationModel(DurationConfig()).eval()
    by_rule = from_text("你好，世界", "zh")
    assert [each.stress for each in by_rule.phonemes if each.symbol in ("i", "ao")] == [3, 3]
    network.out.bias.data[0] = np.log(2.0)
    slower = from_text("你好，世界", "zh", network)
    for one, other in zip(by_rule.phonemes, slower.phonemes, strict=True):
        factor = 1.0 if one.symbol == SILENCE else 2.0
        assert other.end - other.start == pytest.approx(factor * (one.end - one.start), rel=1e-5)


@pytest.fixture
def program(tmp_path):
    """A synthesiser of a few lines of Python; `out` is its first argument."""

    def make(lines):
        script = tmp_path / "program.py"
        script.write_text("import sys\nout = sys.argv[1]\n" + lines)
        return f"{shlex.quote(sys.executable)} {script} {{out}} {{text}}"

    return make


@pytest.mark.assets
def test_a_program_speaks_and_its_words_are_timed(program):
    """The program plays a recorded voice; the text reaches it, and times come from what it said."""
    recorded = str(resolve("ljspeech/LJ001-0002"))
    lines = f"import shutil\nassert sys.argv[2] == {TEXT!r}\nshutil.copy({recorded!r}, out)\n"
    voice = Synthesiser(command=program(lines))
    (heard,) = hear(Request(language="en", text=TEXT, tts=voice))
    said = [each.symbol for each in heard.phonemes if each.symbol != SILENCE]
    assert said[:5] == ["IH", "N", "B", "IY", "IH"] and said[-1] == "N"
    assert np.array_equal(heard.audio, read_audio(Path(recorded)))
    with pytest.raises(Rejected) as caught:
        from_voice(
            "Nobody said any of these words today",
            "en",
            Synthesiser(command=program(lines.replace(repr(TEXT), "'Nobody said any of these words today'"))),
        )
    assert caught.value.reason == "not_aligned"


WAV = "import numpy as np, soundfile\nsoundfile.write(out, {}, 16000)\n"


@pytest.mark.parametrize(
    "lines, reason, words",
    [
        ("sys.exit('no such voice')", "bad_input", "no such voice"),
        ("", "bad_input", "wrote no sound"),
        ("open(out, 'w').write('words')", "not_a_video", "cannot be read as sound"),
        (WAV.format("np.zeros(16000)"), "silent", "sound"),
        (WAV.format("np.ones(99)"), "bad_input", "spoke for 0.0 s"),
        (WAV.format("np.random.rand(16000 * 130)"), "bad_input", "spoke for 121.0 s"),
    ],
)
def test_what_a_program_does_wrong_is_said(program, lines, reason, words):
    with pytest.raises(Rejected, match=words) as caught:
        Synthesiser(command=program(lines)).speak("hello", "en")
    assert caught.value.reason == reason


def test_a_program_that_hangs_is_ended(program):
    with pytest.raises(Rejected) as caught:
        Synthesiser(command=program("import time\ntime.sleep(60)"), timeout=0.5).speak("hello", "en")
    assert caught.value.reason == "timeout"


def test_text_cannot_become_a_command(program):
    lines = "import json, numpy as np, soundfile\nassert sys.argv[2] == '; $(touch x) {out}', sys.argv\n"
    voice = Synthesiser(command=program(lines + "soundfile.write(out, np.random.rand(16000) - 0.5, 16000)"))
    assert len(voice.speak("; $(touch x) {out}", "en")) == 16000


@pytest.mark.parametrize(
    "command, words",
    [
        ("say {text}", r"must hold \{out\}"),
        ("say {out}", r"must hold \{text\} or \{text_file\}"),
        ("say {out} {txt}", "did you mean"),
        ("say '{out} {text}", "cannot be split"),
    ],
)
def test_a_command_without_its_places_is_refused_at_once(command, words):
    with pytest.raises(Rejected, match=words):
        Synthesiser(command=command)


def test_a_missing_program_and_a_voice_without_text_are_refused():
    with pytest.raises(Rejected, match="not a program"):
        Synthesiser(command="no-such-voice {text} {out}").speak("hello", "en")
    with pytest.raises(Rejected, match="give --text"):
        Request(language="en", audio="x.wav", tts=Synthesiser(command="say {text} {out}"))
