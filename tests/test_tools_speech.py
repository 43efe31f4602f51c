"""whisperx for real, in the tool environment `speech`: real Whisper weights on real speech; alignment by a
network that was taught tones for letters, so that the true times are known; seeded weights else."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tones
import torch

from datapipe import weights
from datapipe.agreement import error_rate
from datapipe.align import AlignConfig, align
from datapipe.files import sha256_of
from datapipe.media import SAMPLE_RATE, read_audio
from datapipe.normalise import tokens
from datapipe.records import SILENCE, Rejected, Transcript
from datapipe.tools.home import python_of
from datapipe.tools.registry import TOOLS
from datapipe.tools.worker import worker_of
from datapipe.transcribe import TranscribeConfig, transcribe
from datapipe.weights import resolve
from datapipe.whisperx import NETWORKS

pytestmark = [pytest.mark.tools("speech"), pytest.mark.assets]
WHISPERX = TranscribeConfig(backend="whisperx")
MANDARIN = {
    "mandarin/asr_example": "欢迎大家来体验达摩院推出的语音识别模型",
    "mandarin/mid": "大学生利用漏洞免费吃肯德基获刑",
}


def planted(folder: Path, what: str) -> Path:
    script = Path(__file__).with_name("plant_speech.py")
    command = [str(python_of(TOOLS["speech"])), "-W", "ignore", str(script), what, str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def hearer(tmp_path_factory):
    return planted(tmp_path_factory.mktemp("tones"), "tones")


@pytest.fixture
def own_weights(tmp_path, monkeypatch):
    """A registry of one's own: name and file, with the hash of what lies there."""

    def register(name: str, path: Path) -> None:
        entry = {"name": name, "file": path.name, "sha256": sha256_of(path), "num_bytes": 1, "packages": []}
        entry |= {"licence": "-", "about": "seeded", "url": "https://example.org"}
        (tmp_path / "registry.json").write_text(json.dumps([entry]))
        monkeypatch.setenv("AVATARSYNC_REGISTRY", str(tmp_path / "registry.json"))
        monkeypatch.setenv("AVATARSYNC_WEIGHTS", str(path.parent))
        weights.registry.cache_clear()

    yield register
    monkeypatch.undo()
    weights.registry.cache_clear()


def released(text, language="en"):
    return Transcript(language=language, text=text, words=(), origin="released")


def test_the_environment_holds_what_the_lock_names():
    versions = worker_of("speech").ask("versions").values
    pins = TOOLS["speech"].pins()
    assert versions == {name: pins[name] for name in versions}
    assert {"whisperx", "syncnet-python"} <= set(versions)


def test_the_english_clip_is_recognised_and_its_language_told():
    found = transcribe(read_audio(resolve("clip-obama")), None, WHISPERX)
    assert (found.language, found.origin, found.words) == ("en", "whisperx base", ())
    assert "after two years of negotiations, the United States" in found.text


@pytest.mark.parametrize("name", MANDARIN)
def test_mandarin_is_recognised_in_simplified_characters(name):
    text = transcribe(read_audio(resolve(name)), "zh", WHISPERX).text
    assert error_rate(tokens(MANDARIN[name], "zh"), tokens(text, "zh")) < 0.2


def test_long_sound_is_recognised_to_its_end():
    text = transcribe(read_audio(resolve("english/two_cities")), "en", WHISPERX).text.lower()
    assert "best of times" in text[:80] and "comparison" in text[-80:]


@pytest.mark.parametrize("kind", ["noise", "silence"])
def test_sound_without_words_is_no_speech(kind):
    sounds = {"noise": np.random.default_rng(0).normal(0, 0.1, 48_000), "silence": np.zeros(48_000)}
    with pytest.raises(Rejected) as caught:
        transcribe(sounds[kind].astype(np.float32), "en", WHISPERX)
    assert caught.value.reason == "no_speech"


def test_a_language_that_whisper_does_not_know_is_refused():
    folder = str(resolve("whisper-base/model").parent)
    asked = {
        "model": folder,
        "compute_type": "int8",
        "threads": 1,
        "beam_size": 5,
        "batch": 4,
        "no_repeat": 0,
    }
    with pytest.raises(Rejected, match="no language `xx`") as caught:
        worker_of("speech").ask(
            "transcribe", arrays={"audio": np.ones(800, np.float32)}, language="xx", **asked
        )
    assert caught.value.reason == "unknown_language"


def test_english_words_are_where_their_tones_are(hearer):
    text = "today we sing quick songs"
    sound, spans = tones.say(text, 7)
    found = align(sound, released(text), AlignConfig(backend="whisperx", model=hearer / "en"))
    assert found.missing == () and [word.text for word in found.words] == text.split()
    firsts = np.cumsum([0, *map(len, text.split())])
    late = [word.start - spans[at][1] for word, at in zip(found.words, firsts[:-1], strict=True)]
    ends = [word.end - spans[at - 1][2] for word, at in zip(found.words, firsts[1:], strict=True)]
    assert max(map(abs, late)) < 0.03 and np.median(np.abs(ends)) < 0.03
    assert all(a.end == b.start for a, b in pairwise(found.phonemes))
    silence = found.phonemes[0]
    assert silence.symbol == SILENCE and silence.end == pytest.approx(spans[0][1], abs=0.03)


def test_mandarin_characters_are_where_their_tones_are(hearer):
    text = "三人上山水月天火"
    sound, spans = tones.say("".join(tones.LETTERS[tones.HAN.index(char)] for char in text), 7)
    found = align(sound, released(text, "zh"), AlignConfig(backend="whisperx", model=hearer / "zh"))
    assert "".join(word.text for word in found.words) == text
    late = [word.start - start for word, (_, start, _) in zip(found.words, spans, strict=True)]
    assert max(map(abs, late)) < 0.03


def test_a_network_of_another_script_and_sound_that_is_too_long_are_refused(hearer):
    sound, _ = tones.say("today", 7)
    with pytest.raises(Rejected, match="does not know most letters") as caught:
        align(sound, released("today"), AlignConfig(backend="whisperx", model=hearer / "zh"))
    assert caught.value.reason == "unknown_language"
    with pytest.raises(Rejected, match="cut it at pauses") as caught:
        long = np.resize(sound, 61 * SAMPLE_RATE)
        align(long, released("today"), AlignConfig(backend="whisperx", model=hearer / "en"))
    assert caught.value.reason == "too_large"


def test_the_default_of_english_loads_from_its_published_layout(tmp_path, own_weights):
    file = next(planted(tmp_path / "seeded", "torchaudio").iterdir())
    audio = read_audio(resolve("clip-obama"))[: 3 * SAMPLE_RATE]
    own_weights(NETWORKS["en"], file)
    with pytest.raises(Rejected, match="hardly says"):  # random weights give guesses
        align(audio, released("today after two"), AlignConfig(backend="whisperx"))
    found = align(audio, released("today after two"), AlignConfig(backend="whisperx", least_score=0.0))
    assert [word.text for word in found.words] == ["today", "after", "two"]


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_checkpoint_that_is_more_than_tensors_is_refused_and_does_nothing(tmp_path, hearer, own_weights):
    sprung = tmp_path / "sprung"
    folder = tmp_path / "trapped"
    folder.mkdir()
    for name in ("config.json", "vocab.json", "preprocessor_config.json", "tokenizer_config.json"):
        (folder / name).write_bytes((hearer / "en" / name).read_bytes())
    torch.save({"lm_head.weight": Trap(sprung)}, folder / "pytorch_model.bin")
    file = tmp_path / "placed" / weights.lookup(NETWORKS["en"]).file
    file.parent.mkdir()
    torch.save({"aux.weight": Trap(sprung)}, file)
    audio = tones.say("today", 7)[0]
    with pytest.raises(Rejected, match="no file of tensors") as caught:
        align(audio, released("today"), AlignConfig(backend="whisperx", model=folder))
    assert caught.value.reason == "bad_weight"
    own_weights(NETWORKS["en"], file)
    with pytest.raises(Rejected, match="no file of tensors"):
        align(audio, released("today"), AlignConfig(backend="whisperx"))
    assert not sprung.exists()
