"""A stream is the video of the whole, byte for byte, however the speech comes; and nothing piles up."""

import gc
import io
import itertools
import resource

import av
import numpy as np
import pytest
import torch
from PIL import Image
from toy import draw_face
from toy_run import SIZE, spoken, write_run

from datapipe.media import FPS, SAMPLE_RATE, read_audio, wav_bytes, write_video
from datapipe.records import Phoneme, Rejected
from datapipe.segment import SegmentConfig, segments
from datapipe.sound import sound_blocks
from datapipe.track import loudness
from model.__main__ import main
from model.avatar import Avatar
from model.avatarsync.intervals import frames_before, instants
from model.avatarsync.write import in_blocks
from model.generate import GenerateConfig, generate
from model.speech import hearing
from model.speech.hearing import Heard, cut_blocks, hear_blocks
from model.speech.phonemes import Speech

STEP = SAMPLE_RATE // FPS
SYMBOLS = ("SIL", "AA", "M", "IY", "S", "OW", "UW", "EH", "M", "AA", "IY", "SIL")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def speaker(run):
    return Avatar.load(run).set_reference(draw_face(1, 0, 1, SIZE), crop=False)


def heard(phonemes, sizes):
    """Cut phonemes into segments of these sizes, in turn, each with the sound of its time."""
    stream = iter(phonemes)
    for size in itertools.cycle(sizes):
        part = tuple(itertools.islice(stream, size))
        if not part:
            return
        first, stop = (round(at * SAMPLE_RATE) for at in (part[0].start, part[-1].end))
        yield Heard(phonemes=part, audio=np.arange(first, stop, dtype=np.float32))


@pytest.mark.parametrize("sizes", [(1,), (5, 2), (100,)])
@pytest.mark.parametrize("units", [1, 4, 32])
def test_a_stream_is_the_whole_byte_for_byte(speaker, sizes, units):
    phonemes = spoken(2.17, SYMBOLS)
    whole = np.concatenate(list(generate(speaker.avatar, speaker.reference, phonemes, 2.17)))
    config = GenerateConfig(units=units)
    pieces = list(speaker.with_config(config).stream(heard(phonemes, sizes)))
    assert np.array_equal(np.concatenate([piece.frames_THW3 for piece in pieces]), whole)
    sound = np.concatenate([piece.audio for piece in pieces])
    assert np.array_equal(sound, np.arange(round(2.17 * SAMPLE_RATE), dtype=np.float32))
    assert all(len(piece.audio) == len(piece.frames_THW3) * STEP for piece in pieces[:-2])


def test_the_first_frames_need_two_phonemes(speaker):
    taken = []

    def coming():
        for each in heard(spoken(2.0, SYMBOLS), (1,)):
            taken.append(each)
            yield each

    stream = speaker.stream(coming())
    first = next(stream)
    assert len(first.frames_THW3) and len(taken) == 2
    next(stream)
    assert len(taken) == 2


@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_memory_is_flat_over_a_thousand_segments(speaker, count):
    """Tensors that are alive, and the process's memory, after a few segments and after all."""
    edges = np.arange(count + 1) * 0.01
    phonemes = (
        Phoneme(symbol=SYMBOLS[i % len(SYMBOLS)], start=float(a), end=float(b))
        for i, (a, b) in enumerate(itertools.pairwise(edges))
    )
    alive = {}
    segments_so_far = 0

    def counted():
        nonlocal segments_so_far
        for each in heard(phonemes, (1,)):
            segments_so_far += 1
            if segments_so_far in (50, count):
                gc.collect()
                kinds = [type(thing) for thing in gc.get_objects()]
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                alive[segments_so_far] = (sum(issubclass(kind, torch.Tensor) for kind in kinds), peak)
            yield each

    config = GenerateConfig(units=4)
    frames = sum(len(piece.frames_THW3) for piece in speaker.with_config(config).stream(counted()))
    assert frames == count // 4
    assert alive[count][0] <= alive[50][0] + 20
    assert alive[count][1] - alive[50][1] < 16 << 10  # KiB


def test_blocks_do_not_depend_on_how_phonemes_come():
    phonemes = spoken(1.0, SYMBOLS)
    assert [len(block) for block in in_blocks(iter(phonemes), 2, 4)] == [2, 4, 4, 2]
    assert [*itertools.chain(*in_blocks(phonemes, 2, 4))] == list(phonemes)


@pytest.mark.parametrize("time", [0.0, 0.02, 0.0201, 0.06, 1.0, 1.0 / 3, 123.4567])
def test_frames_before_an_instant_are_counted_exactly(time):
    assert frames_before(time) == sum((j + 0.5) / FPS < time for j in range(5000))


def test_instants_stay_inside_their_interval():
    t = instants(0.3, 0.5, 5, 14)
    assert t[0] == 0 and t[-1] == 1 and (np.diff(t) >= 0).all()


def talk(seconds, seed=0):
    """Noise whose loudness changes: bursts with pauses."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.choice([0.001, 0.1, 0.3], round(seconds * FPS)), STEP)
    return (level * rng.standard_normal(len(level))).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.5, 9.96, 12.0, 13.3, 47.0])
@pytest.mark.parametrize("block", [1000, 16000, 10**9])
def test_sound_that_comes_in_blocks_is_cut_like_the_whole(seconds, block):
    audio = talk(seconds)
    pieces = list(cut_blocks(audio[i : i + block] for i in range(0, len(audio), block)))
    whole = segments(loudness(audio, len(audio) // STEP), SegmentConfig())
    assert np.array_equal(np.concatenate(pieces), audio)
    assert [len(piece) for piece in pieces] == [round((end - start) * FPS) * STEP for start, end in whole]


def test_sound_is_read_in_blocks_as_it_is_read_whole(tmp_path):
    audio = talk(3.0)
    (tmp_path / "a.wav").write_bytes(wav_bytes(audio))
    frames = np.zeros((75, 32, 32, 3), np.uint8)
    write_video(tmp_path / "a.mp4", frames, audio)
    for name in ("a.wav", "a.mp4"):
        blocks = np.concatenate(list(sound_blocks(tmp_path / name)))
        assert np.array_equal(blocks, read_audio(tmp_path / name)), name
    with (tmp_path / "a.wav").open("rb") as stream:
        assert np.array_equal(np.concatenate(list(sound_blocks(stream))), read_audio(tmp_path / "a.wav"))
    with pytest.raises(Rejected, match="no WAV"):
        list(sound_blocks(io.BytesIO(b"not a sound at all")))


def recognised(audio, language, transcript):
    """In place of the recogniser: two phonemes for every piece; quiet ones hold no speech."""
    if np.abs(audio).max() < 0.05:
        raise Rejected("silent", "the sound is silent")
    duration = len(audio) / SAMPLE_RATE
    return Speech(language=language, phonemes=spoken(duration, ("AA", "M")), duration=duration, audio=audio)


def test_long_sound_is_heard_piece_by_piece_and_silence_closes_the_mouth(monkeypatch, capfd):
    monkeypatch.setattr(hearing, "from_audio", recognised)
    audio = np.concatenate((talk(20.0), np.zeros(20 * SAMPLE_RATE, np.float32), talk(20.0)))
    found = list(hear_blocks((audio[i : i + 7777] for i in range(0, len(audio), 7777)), "en"))
    phonemes = [phoneme for each in found for phoneme in each.phonemes]
    assert phonemes[0].start == 0 and phonemes[-1].end == pytest.approx(60.0)
    assert all(a.end == pytest.approx(b.start, abs=1e-9) for a, b in itertools.pairwise(phonemes))
    assert {each.symbol for each in phonemes} == {"AA", "M", "SIL"}
    assert "closed there" in capfd.readouterr().err
    assert np.array_equal(np.concatenate([each.audio for each in found]), audio)
    with pytest.raises(Rejected, match="silent"):
        list(hear_blocks([np.zeros(15 * SAMPLE_RATE, np.float32)], "en"))


def test_words_that_were_guessed_wrongly_are_no_fault_of_a_transcript(monkeypatch):
    def badly(audio, language, transcript):
        raise Rejected("not_aligned", "the sound does not say 'x'; check that they belong together")

    monkeypatch.setattr(hearing, "from_audio", badly)
    with pytest.raises(Rejected, match="'x', though it was recognised so; check that language `en`"):
        list(hear_blocks([talk(2.0)], "en"))


def test_half_an_hour_is_heard_without_holding_it(monkeypatch):
    monkeypatch.setattr(hearing, "from_audio", recognised)
    seconds, longest = 0.0, 0.0
    minute = talk(60.0)
    for each in hear_blocks(itertools.repeat(minute, 30), "en"):
        longest = max(longest, len(each.audio) / SAMPLE_RATE)
        seconds += len(each.audio) / SAMPLE_RATE
    assert seconds == pytest.approx(1800.0) and longest <= 10.0


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(hearing, "from_audio", recognised)
    (tmp_path / "a.wav").write_bytes(wav_bytes(talk(2.0)))
    Image.fromarray(draw_face(1, 0, 1, SIZE)).save(tmp_path / "face.png")
    return tmp_path


def test_the_frames_to_come_are_known_from_the_sounds_header(files):
    assert hearing.expected_frames(files / "a.wav") == 50
    assert hearing.expected_frames(files / "face.png") is None
    assert hearing.expected_frames(files / "there is none.wav") is None


def test_the_command_streams_a_file(run, files, monkeypatch):
    keys = []
    monkeypatch.setattr(
        "model.generate.mark_blocks",
        lambda blocks, picture, run_id, config: (keys.append(config and config.key), blocks)[1],
    )
    common = ["stream", "--run", str(run), "--reference", str(files / "face.png"), "--no-crop"]
    arguments = [*common, "--audio", str(files / "a.wav"), "--language", "en"]
    assert main([*arguments, "--out", str(files / "out.mp4")]) == 0
    with av.open(str(files / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 50
    assert main([*arguments, "--out", str(files / "out.mp4"), "--watermark-key", "ours"]) == 0
    assert main([*arguments, "--out", str(files / "out.mp4"), "--no-watermark"]) == 0
    assert keys == ["avatarsync", "ours", None]
    assert main([*arguments, "--out", str(files / "x.mp4"), "--raw"]) == 2
    assert not (files / "x.mp4").exists()


class End:
    """Standard input or output: what a pipe gives."""

    def __init__(self, buffer):
        self.buffer = buffer


class Pipe(io.RawIOBase):
    """Can only be written to, in order; breaks after so many bytes."""

    def __init__(self, room=10**9):
        self.data, self.room = bytearray(), room

    def writable(self):
        return True

    def write(self, data):
        if len(self.data) > self.room:
            raise BrokenPipeError
        self.data += data
        return len(data)


@pytest.mark.parametrize("raw", [False, True])
def test_the_command_streams_through_pipes(run, files, monkeypatch, raw):
    out = Pipe()
    monkeypatch.setattr("sys.stdin", End(io.BytesIO((files / "a.wav").read_bytes())))
    monkeypatch.setattr("sys.stdout", End(out))
    common = ["stream", "--run", str(run), "--reference", str(files / "face.png"), "--no-crop"]
    arguments = [*common, "--audio", "-", "--language", "en", "--out", "-"]
    assert main([*arguments, "--raw"] if raw else arguments) == 0
    if raw:
        assert len(out.data) == 50 * SIZE * SIZE * 3
        return
    with av.open(io.BytesIO(bytes(out.data))) as container:
        assert sum(1 for _ in container.decode(video=0)) == 50
        assert "synthetic" in container.metadata["comment"]


def test_a_reader_that_goes_away_gets_a_sentence(run, files, monkeypatch, capfd):
    monkeypatch.setattr("sys.stdout", End(Pipe(room=1000)))
    common = ["stream", "--run", str(run), "--reference", str(files / "face.png"), "--no-crop", "--raw"]
    assert main([*common, "--audio", str(files / "a.wav"), "--language", "en", "--out", "-"]) == 1
    assert "went away" in capfd.readouterr().err
