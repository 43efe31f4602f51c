"""Streams over shards: whole epochs, an order that follows from the seed, windows that take up anywhere."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from small import dataset, sample

from datapipe.records import Rejected
from datapipe.shards import read_samples
from model.avatarsync.draws import clip_odds
from model.checkpoint import RESUME
from model.data import to_clip
from model.training.loader import AHEAD, Stream, clips_for, epoch_order, find_clips, read_clip
from model.training.loop import TrainConfig, Trained, fit


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    metas = [sample(number, split="train" if number % 5 else "test") for number in range(16)]
    return dataset(tmp_path_factory.mktemp("shards"), metas, per_shard=4)


def keys(clips):
    return [clip.key for clip in clips]


def test_clips_are_found_by_their_headers_and_read_as_from_the_whole_shard(corpus):
    found = [place for places in find_clips([corpus], "train") for place in places]
    whole = [to_clip(stored) for stored in read_samples(corpus, "train")]
    assert [place.key for place in found] == keys(whole) and len(found) == 12
    for place, clip in zip(found, whole, strict=True):
        read = read_clip(place)
        assert np.array_equal(read.frames_THW3, clip.frames_THW3) and read.phonemes == clip.phonemes
        assert place.num_bytes == clip.frames_THW3.nbytes and place.size == clip.frames_THW3.shape[1]


def test_an_epoch_has_every_clip_once_shard_by_shard_and_differs_from_the_next():
    counts = [3, 5, 2, 6]
    owner = np.repeat(np.arange(4), counts)
    first, second = epoch_order(0, counts, 1), epoch_order(1, counts, 1)
    for order in (first, second):
        assert sorted(order) == list(range(16))
        assert (np.diff(owner[order]) != 0).sum() == 3  # each shard is read in one go
    assert not np.array_equal(first, second)
    assert np.array_equal(first, epoch_order(0, counts, 1))
    assert not np.array_equal(first, epoch_order(0, counts, 2))


def test_a_window_slides_by_a_clip_a_step_through_whole_epochs(corpus):
    stream = Stream(find_clips([corpus], "train"), 5, seed=3)
    seen = []
    for step in range(24):
        stream.turn_to(step, 0, 1)
        seen.append(keys(stream))
        assert len(stream) == 5 and len(stream.held) <= 5 + AHEAD
    assert all(one[1:] == other[:-1] for one, other in itertools.pairwise(seen))
    heads = [window[0] for window in seen]
    assert len(set(heads[:12])) == len(set(heads[12:])) == 12 and heads[:12] != heads[12:]


def test_a_stream_taken_up_anywhere_shows_what_the_unbroken_one_shows(corpus):
    shards = find_clips([corpus], "train")
    unbroken, fresh = Stream(shards, 4, seed=0), Stream(shards, 4, seed=0)
    for step in range(18):
        unbroken.turn_to(step, 0, 1)
    fresh.turn_to(17, 0, 1)
    assert keys(unbroken) == keys(fresh)


def test_lanes_share_an_epoch_without_overlap(corpus):
    shards = find_clips([corpus], "train")
    lanes = []
    for lane in range(2):
        stream = Stream(shards, 6, seed=0)
        shown = []
        for step in range(6):
            stream.turn_to(step, lane, 2)
            shown.append(stream[0].key)
            assert len(stream) == 3
        lanes.append(shown)
    assert not set(lanes[0]) & set(lanes[1]) and len({*lanes[0], *lanes[1]}) == 12


def test_small_corpora_are_read_whole_and_larger_ones_streamed(corpus, capfd):
    clip_gb = 10 * 32 * 32 * 3 / 1e9
    assert isinstance(clips_for([corpus], 32, 12.1 * clip_gb, 0), list)
    stream = clips_for([corpus], 32, 5.5 * clip_gb, 0)
    assert isinstance(stream, Stream) and stream.window == 5
    assert "12 clips" in capfd.readouterr().err
    for memory in (1.0, clip_gb):
        with pytest.raises(Rejected, match="pictures of 32 px, but the preset works at 64"):
            clips_for([corpus], 64, memory, 0)
        with pytest.raises(Rejected, match="holds no shards"):
            clips_for([corpus / "nothing"], 32, memory, 0)


def mean_trainer(stream, stop_at=None):
    """Learn the mean brightness of what is drawn; stop with an error where asked."""
    torch.manual_seed(0)
    network = torch.nn.Linear(1, 1)

    def objective(rng, done):
        drawn = stream[int(rng.choice(len(stream), p=clip_odds([len(clip.frames_THW3) for clip in stream])))]
        if stop_at is not None and round(done * 9) == stop_at:
            raise KeyboardInterrupt
        wanted = float(drawn.frames_THW3.mean()) / 255
        return {"loss": (network(torch.ones(1, 1)) - wanted).square().sum()}

    return Trained(network, objective, stream=stream)


def test_training_on_a_stream_goes_on_exactly(corpus, tmp_path):
    shards = find_clips([corpus], "train")
    config = TrainConfig(steps=9, learning_rate=0.1, checkpoint_every=2, log_every=1, accumulate=2)
    whole = mean_trainer(Stream(shards, 4, seed=0))
    fit(whole, config, tmp_path / "whole", "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(mean_trainer(Stream(shards, 4, seed=0), stop_at=5), config, tmp_path / "broken", "broken")
    assert (tmp_path / "broken" / RESUME).exists()
    again = mean_trainer(Stream(shards, 4, seed=0))
    fit(again, config, tmp_path / "broken", "broken")
    assert torch.equal(whole.network.weight, again.network.weight)
    other = mean_trainer(Stream(shards, 4, seed=1))
    fit(other, replace(config), tmp_path / "other", "other")
    assert not torch.equal(whole.network.weight, other.network.weight)
