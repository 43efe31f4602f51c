"""Networks see frames in batches of one fixed shape, filled from as many videos as it takes.

A batch that is not full is padded, so a network always meets the same shape and a row never depends on which
videos it shared a batch with: results are bit-equal for any order, split or number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import numpy as np

from datapipe.weights import lookup

from .footage import Array, Footage, Store, key_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Extractor:
    """What a network sees in a video: small inputs made from it, and a row for each."""

    name: str
    """Stage in the times of a run, such as `inception`."""
    weights: tuple[str, ...] = ()
    """Names in the weights registry; their sha256 are part of the key under which rows are stored."""
    settings: str
    """All other choices that a row depends on."""
    batch: int
    """Inputs that the network takes at a time."""
    dim: int
    """Length of a row."""
    inputs: Callable[[Footage], Iterator[Array]]
    """Yield the network's inputs one by one, all of one shape and type; raises `Rejected`."""
    run: Callable[[Array], Array]
    """Turn (batch, ...) inputs into (batch, dim) rows."""
    sees: Literal["picture", "sound", "both"] = "picture"
    """What the inputs are made of."""

    def key(self, footage: Footage) -> str:
        """Name under which the rows of a video are stored."""
        content = {"picture": footage.picture, "sound": footage.sound}.get(
            self.sees, f"{footage.picture}|{footage.sound}"
        )
        hashes = [lookup(name).sha256 for name in self.weights]
        return key_of(content, self.name, self.settings, str(self.batch), *hashes)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one video: on disk where the store has a folder, so that a state of many clips stays small."""

    num: int
    held: Array | None = None
    path: Path | None = None

    def load(self) -> Array:
        """The (num, dim) rows."""
        return cast(Array, np.load(self.path, allow_pickle=False) if self.path else self.held)


def kept_rows(footage: Footage, extractor: Extractor) -> Rows:
    """Where the rows of a video are, after extracting them when they are nowhere yet."""
    rows = rows_of(footage, extractor)
    path = footage.store.path(extractor.key(footage))
    return Rows(len(rows), None, path) if path else Rows(len(rows), rows)


def rows_of(footage: Footage, extractor: Extractor) -> Array:
    """Rows (n, dim) of a video: from memory, the store, or computed now."""
    key = extractor.key(footage)
    if key not in footage.kept:
        batches = Batches()
        batches.ask(footage, extractor)
        batches.finish()
    return footage.kept[key]


class _Order:
    """The rows of one video, as they come in."""

    def __init__(self, store: Store, key: str, receiver: dict[str, Array]) -> None:
        self.store, self.key = store, key
        self.receivers = [receiver]  # the memories of all who asked; their frames are not held
        self.rows: list[Array] = []
        self.due = 0  # inputs whose rows are still to come
        self.complete = False  # whether all inputs are in the queue


@dataclass(frozen=True, slots=True)
class _Queue:
    """Inputs that wait for a full batch, each with the order it belongs to."""

    extractor: Extractor
    inputs: list[Array] = field(default_factory=list)
    owners: list[_Order] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Batches:
    """Fill batches from several videos, then give each its rows back."""

    queues: dict[str, _Queue] = field(default_factory=dict)
    orders: dict[str, _Order] = field(default_factory=dict)

    def ask(self, footage: Footage, extractor: Extractor) -> None:
        """Queue a video unless its rows are known; full batches are run at once. Raises as the inputs do."""
        key = extractor.key(footage)
        if key in footage.kept:
            return
        stored = footage.store.find(key)
        if stored is not None:
            footage.kept[key] = stored
            return
        if key in self.orders:
            self.orders[key].receivers.append(footage.kept)
            return
        queue = self.queues.setdefault(extractor.name + extractor.settings, _Queue(extractor))
        order = self.orders[key] = _Order(footage.store, key, footage.kept)
        for each in extractor.inputs(footage):
            queue.inputs.append(each)
            queue.owners.append(order)
            order.due += 1
            if len(queue.inputs) == extractor.batch:
                _run(queue)
        order.complete = True
        _deliver(order, extractor)

    def finish(self) -> None:
        """Run what is left, in padded batches."""
        for queue in self.queues.values():
            if queue.inputs:
                _run(queue)


def _run(queue: _Queue) -> None:
    extractor, owners = queue.extractor, list(queue.owners)
    inputs = padded(queue.inputs, extractor.batch)
    store = owners[-1].store
    rows = store.timed(extractor.name, lambda: extractor.run(inputs))[: len(owners)]
    queue.inputs.clear()
    queue.owners.clear()
    for order, row in zip(owners, rows, strict=True):
        order.rows.append(row)
        order.due -= 1
    for order in {id(order): order for order in owners}.values():
        _deliver(order, extractor)


def padded(inputs: Sequence[Array], batch: int) -> Array:
    """Stack up to `batch` inputs and fill the batch up with zeros."""
    stacked = np.stack(inputs)
    return np.pad(stacked, [(0, batch - len(stacked)), *[(0, 0)] * (stacked.ndim - 1)])


def _deliver(order: _Order, extractor: Extractor) -> None:
    if order.complete and order.due == 0:
        rows = np.stack(order.rows) if order.rows else np.empty((0, extractor.dim), np.float32)
        for kept in order.receivers:
            kept[order.key] = rows
        order.store.put(order.key, rows)
        order.rows = []
