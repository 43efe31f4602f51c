"""Which speaker labels show the same face: one mean embedding per label, and the pairs that are close."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

SAME_FACE = 0.6
"""Cosine of two labels' mean embeddings above which they count as one person."""
BLOCK = 2048
"""Labels that are compared with all others at a time."""
ItemT = TypeVar("ItemT", str, int)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class People:
    """The labels that have an embedding, sorted, and their faces."""

    labels: tuple[str, ...]
    faces_N512: NDArray[np.float64]
    """Unit length: the mean over all samples of a label."""


def label_of(row: Mapping[str, Any]) -> str:
    """Name the speaker of a sample across sources."""
    return f"{row['source']}/{row['speaker']}"


def gather_people(rows: Iterable[Mapping[str, Any]]) -> People:
    """Average the embeddings of every label; samples without one are left out."""
    sums: dict[str, NDArray[np.float64]] = {}
    for row in rows:
        if row.get("identity") is not None:
            face = np.asarray(row["identity"], np.float64)
            label = label_of(row)
            sums[label] = sums[label] + face if label in sums else face
    labels = tuple(sorted(sums))
    faces = np.stack([sums[label] for label in labels]) if labels else np.zeros((0, 512))
    lengths = np.linalg.norm(faces, axis=1, keepdims=True)
    return People(labels=labels, faces_N512=faces / np.maximum(lengths, 1e-12))


def same_faces(people: People, above: float = SAME_FACE) -> list[tuple[str, str, float]]:
    """List the pairs of labels whose cosine is above a limit, ordered by label."""
    faces = people.faces_N512
    pairs = []
    for start in range(0, len(faces), BLOCK):
        near = faces[start : start + BLOCK].astype(np.float32) @ faces[start:].astype(np.float32).T
        for i, j in np.argwhere(np.triu(near > above - 1e-3, 1)).tolist():
            # einsum sums in one order on every machine; the fast product above does not
            cosine = float(np.einsum("d,d->", faces[start + i], faces[start + j]))
            if cosine > above:
                pairs.append((people.labels[start + i], people.labels[start + j], cosine))
    return pairs


def person_of(people: People, above: float) -> dict[str, str]:
    """Map every label to the smallest label of the people it is linked with, directly or through others."""
    return joined(people.labels, [pair[:2] for pair in same_faces(people, above)])


def joined(items: Iterable[ItemT], pairs: Iterable[tuple[ItemT, ItemT]]) -> dict[ItemT, ItemT]:
    """Map every item to the smallest of those that the pairs connect it with."""
    parent = {item: item for item in items}

    def root(item: ItemT) -> ItemT:
        while parent[item] != item:
            parent[item] = item = parent[parent[item]]
        return item

    for pair in pairs:
        low, high = sorted(map(root, pair))
        parent[high] = low
    return {item: root(item) for item in parent}
