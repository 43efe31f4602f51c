"""Landmark layouts: on a real face, fewer points give back nearly the same 106."""

import numpy as np
import pytest
from people import portrait

from datapipe import faces
from datapipe.layouts import INSIGHTFACE_OF_LAPA, MADE, OF_IBUG, OF_WFLW, _weights, to_insightface

MIRRORED_LAPA = (
    *range(32, -1, -1), *range(46, 41, -1), *range(50, 46, -1), *range(37, 32, -1), *range(41, 37, -1),
    *range(51, 55), *range(65, 54, -1),
    79, 78, 77, 76, 75, 82, 81, 80, 83, 70, 69, 68, 67, 66, 73, 72, 71, 74,
    *range(90, 83, -1), *range(95, 90, -1), *range(100, 95, -1), *range(103, 100, -1), 105, 104,
)  # fmt: skip
"""Which point takes a point's place in a mirror (mmpose 1.3.2, configs/_base_/datasets/lapa.py)."""


@pytest.fixture(scope="module")
def lapa() -> np.ndarray:
    """Landmarks of a real portrait in LaPa's order."""
    points = faces.landmarks(portrait(), faces.detect(portrait())[0])
    return points[list(INSIGHTFACE_OF_LAPA)].astype(np.float64)


def test_lapa_is_another_order_of_the_same_points(lapa) -> None:
    assert sorted(INSIGHTFACE_OF_LAPA) == list(range(106))
    assert np.allclose(to_insightface(lapa[None], "lapa106")[0][list(INSIGHTFACE_OF_LAPA)], lapa, atol=1e-3)


@pytest.mark.parametrize("layout", MADE)
def test_a_moved_and_turned_face_gives_moved_and_turned_points(layout) -> None:
    weights = _weights(layout)
    assert np.allclose(weights.sum(1), 1.0) and weights.shape[0] == 106


def test_a_mirrored_face_has_mirrored_points(lapa) -> None:
    assert sorted(MIRRORED_LAPA) == list(range(106))
    eyes = np.array([lapa[66:74].mean(0), lapa[75:83].mean(0)])
    axis = (eyes[1] - eyes[0]) / np.linalg.norm(eyes[1] - eyes[0])
    away = lapa - eyes.mean(0)
    mirrored = away - 2 * np.outer(away @ axis, axis)
    off = np.linalg.norm(mirrored[list(MIRRORED_LAPA)] - away, axis=1) / np.linalg.norm(eyes[1] - eyes[0])
    assert np.median(off) < 0.06 and off.max() < 0.3  # a head is turned a little; a wrong name is far off


def seen_as_ibug(lapa: np.ndarray) -> np.ndarray:
    """The 68 points of that face; its lids' two points by thirds of the three."""
    points = np.stack([lapa[0] if name is None else lapa[name] for name in OF_IBUG])
    for first, corner in ((36, 66), (42, 75)):
        top, low = lapa[corner + 1 : corner + 4], lapa[corner + 5 : corner + 8]
        points[first + 1], points[first + 2] = (2 * top[0] + top[1]) / 3, (2 * top[2] + top[1]) / 3
        points[first + 4], points[first + 5] = (2 * low[0] + low[1]) / 3, (2 * low[2] + low[1]) / 3
    return points


@pytest.mark.parametrize(
    ("layout", "seen"), [("wflw98", lambda lapa: lapa[list(OF_WFLW)]), ("ibug68", seen_as_ibug)]
)
def test_fewer_points_give_nearly_the_same_face(lapa, layout, seen) -> None:
    assert len(seen(lapa)) == int(layout[-2:])
    given = to_insightface(seen(lapa)[None], layout)[0][list(INSIGHTFACE_OF_LAPA)]
    off = np.linalg.norm(given - lapa, axis=1) / np.linalg.norm(lapa[74] - lapa[83])
    assert off.max() < 0.11 and off.mean() < 0.015
    assert faces.eye_distance(to_insightface(seen(lapa)[None], layout)[0]) == pytest.approx(
        np.linalg.norm(lapa[74] - lapa[83]), rel=0.03
    )
