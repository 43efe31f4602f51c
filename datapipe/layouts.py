"""Landmarks of other networks in the order that the rest of the pipeline reads: insightface's 106.

LaPa's 106 (Liu et al. 2020; RTMPose face6) are the same places in another order. WFLW's 98 (Wu et al. 2018)
and iBUG's 68 (300-W; COCO-WholeBody's face) are fewer: which of LaPa's they are is what mmpose itself trains
face6 by, and the others are put between their neighbours, where they lie on a mean face.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Layout = Literal["lapa106", "wflw98", "ibug68"]
Between = tuple[int, int, int, float]
"""A point, and the two that it lies on a line with: at 0 it is the first, at 1 the second."""

INSIGHTFACE_OF_LAPA = (
    1, 9, 10, 11, 12, 13, 14, 15, 16, 2, 3, 4, 5, 6, 7, 8, 0,
    24, 23, 22, 21, 20, 19, 18, 32, 31, 30, 29, 28, 27, 26, 25, 17,
    43, 48, 49, 51, 50, 46, 47, 45, 44, 102, 103, 104, 105, 101, 100, 99, 98, 97,
    72, 73, 74, 86, 75, 76, 77, 78, 79, 80, 85, 84, 83, 82, 81,
    35, 41, 40, 42, 39, 37, 33, 36, 34, 89, 95, 94, 96, 93, 91, 87, 90, 88,
    52, 64, 63, 71, 67, 68, 61, 58, 59, 53, 56, 55, 65, 66, 62, 70, 69, 57, 60, 54, 38, 92,
)  # fmt: skip
"""Jaw, brows, nose, left eye, right eye, lips, pupils; each from the left of the picture."""

EYE_CENTRES: tuple[Between, ...] = ((74, 68, 72, 0.5), (83, 77, 81, 0.5))
NOSE: tuple[Between, ...] = (
    (55, 51, 70, 0.55), (57, 59, 58, 1.75), (56, 55, 57, 0.65),
    (65, 51, 75, 0.55), (63, 61, 62, 1.75), (64, 65, 63, 0.65),
)  # fmt: skip
"""Sides and wings of the nose, which 98 and 68 points leave out."""
LOWER_BROWS: tuple[Between, ...] = (
    (38, 37, 70, 0.25), (39, 36, 69, 0.35), (40, 35, 67, 0.37), (41, 34, 66, 0.23),
    (50, 42, 75, 0.25), (49, 43, 76, 0.35), (48, 44, 78, 0.37), (47, 45, 79, 0.23),
)  # fmt: skip
"""The brow's edge above the eye, from its upper edge and the eyelid."""
PUPILS: tuple[Between, ...] = ((104, 68, 72, 0.5), (105, 77, 81, 0.5))

WFLW_EYES = (*range(66, 74), *range(75, 83))
OF_WFLW = (*range(55), *range(58, 63), *WFLW_EYES, *range(84, 106))
"""LaPa's name of each of WFLW's 98 points."""
OF_IBUG = (
    *range(0, 33, 2), *range(33, 38), *range(42, 47), *range(51, 55), *range(58, 63),
    66, None, None, 70, None, None, 75, None, None, 79, None, None, *range(84, 104),
)  # fmt: skip
"""LaPa's name of each of iBUG's 68 points; its lids have two points where LaPa has three."""
IBUG_LIDS: tuple[Between, ...] = tuple(
    (first + step, *pair)
    for first, corner in ((66, 36), (75, 42))
    for step, pair in enumerate(
        (
            (corner, corner + 1, 0.75), (corner + 1, corner + 2, 0.5), (corner + 2, corner + 3, 0.25),
            (corner + 3, corner + 4, 0.75), (corner + 4, corner + 5, 0.5), (corner + 5, corner, 0.25),
        ),
        start=1,
    )
    for step in [step if step < 4 else step + 1]
)  # fmt: skip
"""LaPa's lids from iBUG's points."""


def to_insightface(points_TK2: NDArray[Any], layout: Layout) -> NDArray[np.float32]:
    """Give (T, 106, 2) in insightface's order for landmarks of another layout, (T, K, 2)."""
    return np.asarray(np.einsum("jk,tkc->tjc", _weights(layout), points_TK2), np.float32)


@cache
def _weights(layout: Layout) -> NDArray[np.float64]:
    """Each of insightface's points as a sum of the layout's points, (106, K); every row adds up to 1."""
    lapa_JK = MADE[layout]()
    weights_JK = np.zeros_like(lapa_JK)
    weights_JK[list(INSIGHTFACE_OF_LAPA)] = lapa_JK
    return weights_JK


def _from_lapa() -> NDArray[np.float64]:
    return np.eye(106)


def _from_wflw() -> NDArray[np.float64]:
    return _filled(_placed(OF_WFLW), (*EYE_CENTRES, *NOSE))


def _from_ibug() -> NDArray[np.float64]:
    lapa_JK = _placed(OF_IBUG)
    for point, first, second, share in IBUG_LIDS:
        lapa_JK[point, [first, second]] = 1 - share, share
    jaw = tuple((point, point - 1, point + 1, 0.5) for point in range(1, 32, 2))
    return _filled(lapa_JK, (*jaw, *EYE_CENTRES, *PUPILS, *NOSE, *LOWER_BROWS))


def _placed(names: Sequence[int | None]) -> NDArray[np.float64]:
    """LaPa's points that the layout has: a 1 each; the rest is empty."""
    lapa_JK = np.zeros((106, len(names)))
    for index, name in enumerate(names):
        if name is not None:
            lapa_JK[name, index] = 1.0
    return lapa_JK


def _filled(lapa_JK: NDArray[np.float64], rules: Iterable[Between]) -> NDArray[np.float64]:
    for point, first, second, share in rules:
        lapa_JK[point] = (1 - share) * lapa_JK[first] + share * lapa_JK[second]
    return lapa_JK


MADE = {"lapa106": _from_lapa, "wflw98": _from_wflw, "ibug68": _from_ibug}
