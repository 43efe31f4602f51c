"""The client of syncnet-python: what its chain is given, what is kept, what is refused. No tool runs here;
`test_tools_sync.py` asks the real one."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import plant_sync
import pytest
from numpy.testing import assert_array_equal

from benchmark.footage import Footage, Store
from benchmark.metrics import MetricConfig, Pair, metrics_for, table_metrics
from benchmark.sync import check, package
from benchmark.sync.distances import SyncScore
from benchmark.sync.judge import load_judge
from datapipe.lossless import read_roll
from datapipe.records import Rejected

SOUND = np.sin(np.arange(6 * 640)).astype(np.float32) / 2
FRAMES = np.random.default_rng(0).integers(0, 255, (6, 8, 10, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def syncnet(tmp_path_factory):
    return plant_sync.syncnet_file(tmp_path_factory.mktemp("syncnet") / "syncnet_v2.model")


@pytest.fixture
def chain(monkeypatch, tmp_path):
    """Stands for the worker: keeps what it was given, and answers or raises what the test says."""
    kept = SimpleNamespace(films=[], answer={"tracks": [[-2, 3.0, 9.0], [4, 5.0, 8.0]], "confidence": 5.0})
    kept.answer |= {"distance": 8.0}

    def ask(operation, timeout, **values):
        kept.films.append((values, np.stack(list(read_roll(Path(values["video"]))))))
        if isinstance(kept.answer, Rejected):
            raise kept.answer
        return SimpleNamespace(values=kept.answer)

    monkeypatch.setattr(package, "worker_of", lambda tool: SimpleNamespace(ask=ask))
    monkeypatch.setattr(package, "resolve", lambda name: tmp_path / "sfd_face.pth")
    return kept


def columns(syncnet):
    name = load_judge(syncnet).name
    names = tuple(f"{column}_{name}_package" for column in ("sync_c", "sync_d", "sync_offset"))
    return metrics_for(MetricConfig(judges=(syncnet,), names=names))


def values(syncnet, footage):
    pair = Pair(key="film", truth=footage, generated=footage)
    return [metric.compute(metric.measure(pair)).value for metric in columns(syncnet).values()]


def test_the_chain_is_given_the_film_without_loss_and_asked_once(syncnet, chain):
    footage = Footage("film", FRAMES, Store(), SOUND, sound="film:6")
    assert values(syncnet, footage) == [5.0, 8.0, 4.0]  # the offset is that of the surest track
    ((asked, film),) = chain.films
    assert_array_equal(film, FRAMES)
    assert asked["min_face"] == 100 and asked["syncnet"] == str(syncnet)
    assert values(syncnet, footage.heard("shifted", SOUND[::-1].copy())) == [5.0, 8.0, 4.0]
    assert len(chain.films) == 2  # another sound is another question


def test_that_nobody_is_seen_is_kept_and_other_failures_are_not(syncnet, chain):
    footage = Footage("film", FRAMES, Store(), SOUND, sound="film:6")
    chain.answer = Rejected("timeout", "it did not come back")
    with pytest.raises(Rejected, match="did not come back"):
        values(syncnet, footage)
    chain.answer = Rejected("no_face", "no face of 100 pixels was followed for 2 s")
    for _ in range(2):
        with pytest.raises(Rejected, match=r"film: no face of 100 pixels") as caught:
            values(syncnet, footage)
        assert caught.value.reason == "no_face"
    assert len(chain.films) == 2


@pytest.mark.parametrize(("sound", "reason"), [(None, "no_audio"), (np.zeros(3840, np.float32), "silent")])
def test_a_film_without_sound_is_refused_before_the_chain_is_asked(syncnet, chain, sound, reason):
    with pytest.raises(Rejected) as caught:
        values(syncnet, Footage("film", FRAMES, Store(), sound))
    assert caught.value.reason == reason and not chain.films


def test_a_machine_without_the_environment_says_how_to_make_it(syncnet, tmp_path, monkeypatch):
    monkeypatch.setenv("AVATARSYNC_TOOLS", str(tmp_path))
    for metric in columns(syncnet).values():
        assert "avatarsync tools create speech" in metric.unavailable
        assert dict(metric.protocol.settings)["way"] == "whole chain of syncnet-python 0.2.3"


def test_the_table_does_not_wait_for_the_chain(syncnet):
    assert not [name for name in table_metrics(MetricConfig(judges=(syncnet,))) if "package" in name]


def test_a_check_prints_both_scores():
    one = check.Scores(confidence=3.5, distance=8.25, offset=-1)
    table = check.markdown([check.Check(video="a.mp4", ours=one, package=one, largest=0.0)])
    assert table.count("| 3.5000 | 8.2500 | -1 |") == 2 and "syncnet-python" in table


def test_crops_are_sent_as_they_are_and_means_are_over_windows(monkeypatch, syncnet):
    distances = np.random.default_rng(1).random((7, 31)).astype(np.float32)

    def ask(operation, arrays, **values):
        assert operation == "sync" and arrays["audio"].dtype == np.int16
        assert_array_equal(arrays["crops"], FRAMES)
        found = {"confidence": 1.0, "distance": 2.0, "offset": 3}
        return SimpleNamespace(values=found, arrays={"distances": distances})

    monkeypatch.setattr(package, "worker_of", lambda tool: SimpleNamespace(ask=ask))
    found = package.score_crops(FRAMES, SOUND, syncnet)
    assert isinstance(found, SyncScore) and found.offset == 3
    assert found.mean_distances_31 == pytest.approx(distances.mean(axis=0))
