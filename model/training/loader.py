"""Clips of a corpus that does not fit into memory: an endless, shuffled, resumable stream over its shards.

The order of an epoch follows from the seed and the epoch alone: shards are shuffled, then the clips in
each. A window of clips slides over that order, and a step draws from its window as it would from a corpus
in memory. So where a training stands in the stream is a function of its step: nothing has to be saved, and
one that is taken up again reads on at once, without reading what went before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from datapipe.console import say
from datapipe.records import Sample, from_json
from datapipe.shards import open_shard, stored

from ..data import MIN_KEYFRAMES, TalkingClip, check_size, load_clips, to_clip

AHEAD = 4
"""Clips that are decoded before they are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a clip lies in a shard."""

    shard: Path
    members: dict[str, tuple[int, int]]
    """Offset and length in bytes of each of its files."""
    num_bytes: int
    """Of its frames when decoded."""
    size: int
    """Side of its pictures."""
    key: str


def find_clips(folders: Sequence[Path], split: str) -> tuple[tuple[Place, ...], ...]:
    """Where the clips of a split lie, shard by shard; only headers and records are read."""
    shards = [path for folder in folders for path in sorted(folder.glob("[!.]*.tar"))]
    return tuple(places for path in shards if (places := tuple(_places(path, split))))


def _places(path: Path, split: str) -> Iterator[Place]:
    members: dict[str, dict[str, tuple[int, int]]] = {}
    metas = {}
    with open_shard(path) as tar:
        for entry in tar:
            key, _, suffix = entry.name.partition(".")
            members.setdefault(key, {})[suffix] = (entry.offset_data, entry.size)
            if suffix == "meta.json" and (stream := tar.extractfile(entry)):
                metas[key] = from_json(stream.read().decode("utf-8"), Sample)
    for key, meta in metas.items():
        if meta.split == split and len(meta.keyframes) >= MIN_KEYFRAMES:
            num_bytes = meta.num_frames * meta.size**2 * 3
            yield Place(shard=path, members=members[key], num_bytes=num_bytes, size=meta.size, key=key)


def read_clip(place: Place) -> TalkingClip:
    """Read and decode one clip."""
    with place.shard.open("rb") as stream:
        members = {}
        for suffix, (offset, length) in place.members.items():
            stream.seek(offset)
            members[suffix] = stream.read(length)
    return to_clip(stored(from_json(members["meta.json"].decode("utf-8"), Sample), members))


def epoch_order(epoch: int, counts: Sequence[int], seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """All clips once: shards of `counts` clips in a random order, and the clips of each in another."""
    rng = np.random.default_rng((seed, epoch))
    starts = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int64)
    return np.concatenate([starts[s] + rng.permutation(counts[s]) for s in rng.permutation(len(counts))])


class Stream(Sequence[TalkingClip]):
    """A window over the stream that objectives take for the corpus; it stands still within a step."""

    def __init__(self, shards: Sequence[Sequence[Place]], window: int, seed: int) -> None:
        self.places = [place for places in shards for place in places]
        self.counts, self.seed = [len(places) for places in shards], seed
        self.window = min(window, len(self.places))
        self.held: dict[int, Future[TalkingClip]] = {}
        self.readers = ThreadPoolExecutor(1, "clips")
        self.orders: dict[int, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
        self.here: range = range(0)
        self.turn_to(0, 0, 1)

    def turn_to(self, step: int, lane: int, lanes: int) -> None:
        """Show the window of a step's slice; each slice has a lane of the stream to itself.

        The window slides by one clip a step, and the clips after it are read in the meantime.
        """
        size = max(1, self.window // lanes)
        self.here = range(step * lanes + lane, (step + size) * lanes + lane, lanes)
        ahead = range(self.here.stop, self.here.stop + AHEAD * lanes, lanes)
        for position in [*self.here, *ahead]:
            if position not in self.held:
                self.held[position] = self.readers.submit(read_clip, self._place(position))
        for position in [p for p in self.held if p < step * lanes]:
            del self.held[position]

    def _place(self, position: int) -> Place:
        epoch, index = divmod(position, len(self.places))
        if epoch not in self.orders:
            self.orders = {e: o for e, o in self.orders.items() if e == epoch - 1}
            self.orders[epoch] = epoch_order(epoch, self.counts, self.seed)
        return self.places[int(self.orders[epoch][index])]

    def __len__(self) -> int:
        return len(self.here)

    @overload
    def __getitem__(self, index: int) -> TalkingClip: ...
    @overload
    def __getitem__(self, index: slice) -> list[TalkingClip]: ...
    def __getitem__(self, index: int | slice) -> TalkingClip | list[TalkingClip]:
        """Wait for a clip if it is still being read."""
        if isinstance(index, slice):
            return [self.held[position].result() for position in self.here[index]]
        return self.held[self.here[index]].result()


def clips_for(
    folders: Sequence[Path], size: int | None, in_memory_gb: float, seed: int
) -> Sequence[TalkingClip]:
    """Clips to train on: all of them where they fit into memory, else a stream over them.

    Raises `Rejected("bad_input")` as `load_clips` does.
    """
    shards = find_clips(folders, "train")
    places = [place for places in shards for place in places]
    total, allowed = sum(place.num_bytes for place in places), in_memory_gb * 1e9
    if total <= allowed:
        return load_clips(folders, "train", size)
    for place in places:
        check_size(place.key, place.size, size)
    window = max(1, int(len(places) * allowed / total))
    say(f"{len(places)} clips are {total / 1e9:.3g} GB of frames: streamed, {window} at a time")
    return Stream(shards, window, seed)
