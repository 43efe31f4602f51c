"""Lengths of phonemes: learned ones beat the table where there is a law to learn; before that they are it."""

import json
import math

import numpy as np
import pytest
from small import dataset, sample

from datapipe.phonemes import PHONEMES
from datapipe.records import SILENCE, Keyframe, Phoneme, Rejected
from model.__main__ import main
from model.speech.durations import (
    DurationConfig,
    DurationModel,
    compare,
    facts_of,
    load_durations,
    make_durations,
    predict,
    spoken_in,
)
from model.speech.hearing import Request, hear
from model.speech.pace import LONGEST, SHORTEST, usual_length
from model.training.loop import TrainConfig, fit

SYMBOLS = ("AA", "IY", "M", "S", "b", "ian", "ao")
CONFIG = DurationConfig()


def said(seed, count=30):
    """A track whose lengths follow a law: a symbol's own, longer before silence and with stress."""
    rng = np.random.default_rng(seed)
    own = {symbol: 0.06 + 0.02 * n for n, symbol in enumerate(SYMBOLS)}
    symbols = [str(each) for each in rng.choice(SYMBOLS, count)]
    symbols[0] = symbols[count // 2] = symbols[-1] = SILENCE
    track, at = [], 0.0
    for index, symbol in enumerate(symbols):
        mark = int(rng.integers(1, 3)) if symbol in ("AA", "IY") else None
        length = 0.3 if symbol == SILENCE else own[symbol]
        if symbol != SILENCE:
            length *= 1.6 if symbols[index + 1] == SILENCE else 1.0
            length *= 1.3 if mark == 2 else 1.0
            length *= math.exp(rng.laplace(0, 0.05))
        track.append(Phoneme(symbol=symbol, start=at, end=at + length, stress=mark))
        at += length
    return tuple(track)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    train = TrainConfig(steps=200, learning_rate=3e-3, weight_decay=0.05)
    made = make_durations([said(seed) for seed in range(40)], CONFIG, train)
    fit(made, train, tmp_path_factory.mktemp("durations"), "durations")
    return made.network.eval()


def test_untrained_it_is_the_table():
    network = DurationModel(CONFIG).eval()
    symbols = [SILENCE, "AA", "M", "ao", "b"]
    expected = [usual_length(symbol) for symbol in symbols]
    assert np.allclose(predict(network, symbols, [None] * 5), expected, rtol=1e-5)


def test_it_learns_the_law_of_unseen_clips(trained):
    found = compare(trained, [said(seed) for seed in range(100, 110)])
    assert found["log_error"] < 0.4 * found["log_error_rule"]
    assert found["log_error"] < 0.12  # the law's own scatter is 0.05
    assert found["phonemes"] == 10 * 27


def test_neighbours_and_stress_count(trained):
    before_speech, before_silence = (
        predict(trained, [SILENCE, "M", "AA", after], [None, None, 1, None])[2] for after in ("M", SILENCE)
    )
    assert 1.3 < before_silence / before_speech < 1.9
    plain, stressed = (predict(trained, ["M", "AA", "M"], [None, mark, None])[1] for mark in (1, 2))
    assert 1.1 < stressed / plain < 1.5


def test_lengths_stay_within_reason():
    network = DurationModel(CONFIG).eval()
    for extreme, bound in ((-9.0, SHORTEST), (9.0, LONGEST)):
        network.out.bias.data[0] = extreme
        assert predict(network, ["AA", "M"], [None, None]) == pytest.approx([bound] * 2)


def test_facts_tell_neighbours_and_places():
    facts = facts_of([SILENCE, "AA", "b", SILENCE], [None, 2, None, None], CONFIG, PHONEMES)
    assert facts.shape == (4, 5, 5)
    middle = facts[:, CONFIG.context]
    assert middle[:, 0].tolist() == [PHONEMES.index(each) for each in (SILENCE, "AA", "b", SILENCE)]
    assert middle[1, 2] == 3 and middle[2, 2] == 0
    assert middle[1:3, 3].tolist() == [0, 1] and middle[1:3, 4].tolist() == [1, 0]
    assert np.array_equal(facts[1, 3], middle[2]) and np.array_equal(
        facts[0, 0, :1], [PHONEMES.index(SILENCE)]
    )
    assert len(spoken_in([said(0)], CONFIG).log_seconds_N) == 27
    with pytest.raises(Rejected, match="QQ"):
        facts_of(["QQ"], [None], CONFIG, PHONEMES)


def shards(folder):
    metas = []
    for number in range(8):
        track = said(number, 12)
        end = track[-1].end
        keyframes = tuple(
            Keyframe(frame=0, time=(each.start + each.end) / 2, phoneme=each.symbol) for each in track
        )
        metas.append(sample(number, phonemes=track, keyframes=keyframes, num_frames=10, duration=end))
    return dataset(folder, metas)


def test_the_command_trains_measures_and_reuses(tmp_path, capsys):
    data, run = shards(tmp_path / "shards"), tmp_path / "run"
    command = [
        "train",
        "durations",
        "--data",
        str(data),
        "--preset",
        "tiny",
        "--out",
        str(run),
        "--threads",
        "1",
    ]
    assert load_durations(run) is None
    assert main(command) == 0
    said_aloud = capsys.readouterr().err
    found = json.loads((run / "durations" / "evaluation.json").read_text())
    assert f"{found['log_error']:.3f} in log seconds" in said_aloud.replace("\n", " ")
    network = load_durations(run)
    assert network is not None and not network.training
    assert main(command) == 0
    assert "reused" in capsys.readouterr().err
    (heard,) = hear(Request(language="zh", text="报"), run)
    assert "as the run learned" in capsys.readouterr().err
    assert [each.symbol for each in heard.phonemes] == [SILENCE, "b", "ao", SILENCE]
    lengths = predict(network, [SILENCE, "b", "ao", SILENCE], [None, None, 4, None])
    assert [each.end - each.start for each in heard.phonemes[1:3]] == pytest.approx(lengths[1:3])


def test_the_rule_table_knows_every_phoneme():
    assert all(0.05 < usual_length(symbol) < 0.3 for symbol in PHONEMES)
