"""One face track for all: identity, expression, landmark distance and the mouth's region."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from people import clip

from benchmark import face_features
from benchmark.extract import Batches, Rows
from benchmark.face_features import DETECT_EVERY, boxes, boxes_between, detections, followed, landmarks
from benchmark.footage import Footage, Store
from benchmark.identity import BACKBONES, embedded, embeddings
from benchmark.metrics import MetricConfig, Pair, csim, efid, lmd
from benchmark.metrics import known_metrics as known
from benchmark.metrics.mouth import correlation, mouth_crops, mouth_region
from benchmark.scoring import unmeasured
from benchmark.states import FeatureSets
from datapipe import faces, weights
from datapipe.pose import MODEL_K3
from datapipe.records import Rejected

EVERY = 4
QUICK = {name.split("/")[1]: metric for name, metric in known(MetricConfig()).items() if "video" in name}
OF_THE_FACE = (
    "csim_w600k_mbf", "csim_sface", "iss_w600k_mbf", "iss_sface", "efid_lmk106", "lmd_mouth", "lmd_face",
    "mouth_psnr", "mouth_ssim", "mouth_lpips_alex", "mouth_opening_r",
)  # fmt: skip


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """22 frames of a real speaking face, 128 px: no batch is full with one video alone."""
    return np.ascontiguousarray(clip()[0][:22, 20:148, 110:238])


@pytest.fixture(scope="module")
def truth(frames: np.ndarray) -> Footage:
    return Footage("truth", frames, Store())


@pytest.fixture(scope="module")
def blurred(frames: np.ndarray) -> Footage:
    return Footage("blurred", np.stack([cv2.GaussianBlur(each, (0, 0), 1.5) for each in frames]), Store())


def face(x0: float, y0: float, x1: float, y1: float) -> faces.Face:
    return faces.Face(box=(x0, y0, x1, y1), score=0.9, points_52=np.zeros((5, 2), np.float32))


def pair(truth: Footage, generated: Footage) -> Pair:
    return Pair(key="a", truth=truth, generated=generated)


def test_the_track_starts_with_the_largest_face_and_stays_with_it() -> None:
    small, large = face(0, 0, 10, 10), face(20, 0, 40, 20)
    assert followed([small, large], None) is large
    assert followed([small, large], (1, 1, 10, 10)) is small
    assert followed([small, large], (70, 70, 90, 90)) is large
    assert followed([], (0, 0, 1, 1)) is None


def test_boxes_between_detections() -> None:
    rows = np.full((5, 15), np.nan, np.float32)
    rows[0, :4], rows[1, :4] = (0, 0, 10, 10), (2, 0, 12, 14)  # the face moves
    rows[2, :4] = (200, 0, 210, 10)  # another face
    rows[4, :4] = (200, 0, 220, 10)  # nobody at frame 30
    found = boxes_between(rows, 45)
    assert found.shape == (45, 4) and DETECT_EVERY == 10
    np.testing.assert_allclose(
        found[[0, 4, 10]], [[0, 0, 10, 10], [0.8, 0, 10.8, 11.6], [2, 0, 12, 14]], rtol=1e-6
    )
    np.testing.assert_allclose(found[[15, 16]], [[2, 0, 12, 14], [200, 0, 210, 10]])
    assert found[25, 0] == 200 and np.isnan(found[26:36]).all()
    assert (found[36:] == [200, 0, 220, 10]).all()  # the last detection holds to the end


def test_a_tenth_of_the_frames_may_lack_a_face() -> None:
    rows = np.zeros((20, 3))
    rows[:2] = np.nan
    assert face_features.seen_in(rows, "x").sum() == 18
    rows[2] = np.nan
    for lacking, counts in ((rows, "3 of 20"), (rows[:3], "3 of 3"), (rows[:0], "0 of 0")):
        with pytest.raises(Rejected, match=f"x: no face in {counts}") as caught:
            face_features.seen_in(lacking, "x")
        assert caught.value.reason == "no_face"


@pytest.mark.assets
def test_landmarks_are_those_of_the_pipeline(truth: Footage) -> None:
    found = landmarks(truth, EVERY)
    assert found.shape == (6, 106, 2)
    for number in (0, 3, 5):
        box = tuple(float(side) for side in boxes(truth)[number * EVERY])
        expected = faces.landmarks_in_box(truth.frames[number * EVERY], box)
        np.testing.assert_allclose(found[number], expected, atol=1e-3)


@pytest.mark.assets
@pytest.mark.parametrize("name", OF_THE_FACE)
def test_shared_batches_and_frames_let_go_change_no_bit(name: str, truth: Footage, blurred: Footage) -> None:
    metric = QUICK[name]
    alone = metric.measure(pair(truth, blurred))
    if metric.needs:
        batches, (first, second) = (
            Batches(),
            (dataclasses.replace(each, kept={}) for each in (blurred, truth)),
        )
        for each in (first, second):
            for extractor in metric.needs:
                batches.ask(each, extractor)
        batches.finish()
        again = metric.measure(pair(second.without_frames(), first.without_frames()))
    else:
        again = metric.measure(pair(truth, blurred))
    assert metric.compute(again) == metric.compute(alone)


@pytest.mark.assets
@pytest.mark.parametrize("name", OF_THE_FACE)
def test_the_truth_itself_is_best_and_a_blurred_copy_is_worse(
    name: str, truth: Footage, blurred: Footage
) -> None:
    metric = QUICK[name]
    best, worse = (metric.compute(metric.measure(pair(truth, each))).value for each in (truth, blurred))
    assert best == pytest.approx(metric.best, abs=1e-6)
    assert worse < best - 1e-3 if metric.direction == "higher" else worse > best + 1e-3


@pytest.mark.assets
def test_a_frozen_mouth_does_not_pass_for_speech(truth: Footage) -> None:
    frozen = truth.changed("frozen", np.repeat(truth.frames[:1], len(truth.frames), axis=0))
    assert QUICK["mouth_opening_r"].measure(pair(truth, frozen)).by_case == {"a": 0.0}
    assert QUICK["lmd_mouth"].measure(pair(truth, frozen)).by_case["a"] > 1.0


@pytest.mark.assets
@pytest.mark.parametrize("name", OF_THE_FACE)
def test_no_face_is_a_failure_not_a_number(name: str, truth: Footage) -> None:
    grey = Footage("grey", np.full(truth.frames.shape, 127, np.uint8), Store())
    pairs = [pair(grey, grey), pair(grey, truth)]
    if not name.startswith("mouth_") or name == "mouth_opening_r":  # the region comes from the truth alone
        pairs.append(pair(truth, grey))
    for each in pairs:
        with pytest.raises(Rejected) as caught:
            QUICK[name].measure(each)
        assert caught.value.reason == "no_face"


@pytest.mark.assets
def test_sface_agrees_with_opencv(truth: Footage, blurred: Footage) -> None:
    theirs = cv2.FaceRecognizerSF.create(str(weights.resolve("sface")), "")
    features = {}
    for each in (truth, blurred):
        row = detections(each)[1]
        bounds = [row[0], row[1], row[2] - row[0], row[3] - row[1]]
        frame = cv2.cvtColor(each.frames[DETECT_EVERY], cv2.COLOR_RGB2BGR)
        cut = theirs.alignCrop(frame, np.array([[*bounds, *row[5:], row[4]]], np.float32))
        features[each.source] = theirs.feature(cut).copy()
        expected = features[each.source][0] / np.linalg.norm(features[each.source])
        assert float(expected @ embeddings(each, "sface")[1]) > 0.9999
    ours = float(embeddings(truth, "sface")[1] @ embeddings(blurred, "sface")[1])
    cosine = theirs.match(features["truth"], features["blurred"], cv2.FaceRecognizerSF_FR_COSINE)
    assert ours == pytest.approx(cosine, abs=1e-3)


@pytest.mark.assets
def test_arcface_agrees_with_the_pipeline(truth: Footage) -> None:
    found = embeddings(truth, "w600k_mbf")
    for number, row in enumerate(detections(truth)):
        expected = faces.embed(truth.frames[number * DETECT_EVERY], face_features.face_of(row))
        np.testing.assert_allclose(found[number], expected, atol=1e-6)


def test_a_backbone_sees_what_its_entry_says(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def run(_outputs: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        seen.append(feed["in"])
        return [np.array([[3.0, 4.0], [1.0, 0.0]], np.float32)]

    network = SimpleNamespace(run=run, get_inputs=lambda: [SimpleNamespace(name="in")])
    monkeypatch.setattr(faces, "session", lambda name: network)
    entry = dataclasses.replace(BACKBONES["sface"], colour="BGR", mean=10.0, scale=2.0, dim=2, side=1)
    pictures = np.array([[[[12, 14, 16]]], [[[0, 0, 0]]]], np.uint8)
    rows = embedded(pictures, entry)
    np.testing.assert_array_equal(seen[0][0].ravel(), [3.0, 2.0, 1.0])
    np.testing.assert_allclose(rows[0], [0.6, 0.8])
    assert np.isnan(rows[1]).all()


@pytest.mark.assets
def test_every_keyframe_has_its_identity_compared(truth: Footage, blurred: Footage) -> None:
    sparse, dense = (
        known(MetricConfig())["video/csim_w600k_mbf"],
        known(MetricConfig())["keyframe/csim_w600k_mbf"],
    )
    few = truth.changed("keyframes", truth.frames[:3])
    mixed = truth.changed("one bad", np.concatenate([truth.frames[:1], blurred.frames[1:3]]))
    assert sparse.measure(pair(few, mixed)).by_case["a"] == 1.0  # it looks at the first alone
    assert dense.measure(pair(few, mixed)).by_case["a"] < 0.999


def test_identity_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.tile(np.array([[1.0, 0.0]], np.float32), (10, 1))
    turned = rows.copy()
    turned[:5], turned[9] = (0.6, 0.8), np.nan  # one face in ten is lost: it is left out
    vectors = {"truth": rows, "made": turned, "lost": np.where(np.arange(10)[:, None] < 2, np.nan, turned)}
    monkeypatch.setattr(csim, "embeddings", lambda footage, name, every: vectors[footage])
    of = {name: pair("truth", name) for name in ("made", "lost")}  # type: ignore[arg-type]
    expected = (5 * 0.6 + 4 * 1.0) / 9
    assert QUICK["csim_sface"].measure(of["made"]).by_case["a"] == pytest.approx(expected, abs=1e-7)
    assert QUICK["iss_sface"].measure(of["made"]).by_case["a"] == pytest.approx(1 - expected, abs=1e-7)
    with pytest.raises(Rejected, match="3 of 10"):
        QUICK["iss_sface"].measure(of["lost"])


def test_a_further_backbone_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = dataclasses.replace(
        weights.lookup("sface"), name="vgg-face", file="no_such_vgg_face.onnx", packages=()
    )
    real = weights.registry()
    monkeypatch.setattr(weights, "registry", lambda: {**real, "vgg-face": nowhere})
    entry = dataclasses.replace(BACKBONES["sface"], label="VGG-Face", weight="vgg-face")
    monkeypatch.setitem(BACKBONES, "vggface", entry)
    metrics = known(MetricConfig())
    columns = {name: metrics[name] for name in ("video/csim_vggface", "video/iss_vggface")}
    assert [metric.direction for metric in columns.values()] == ["higher", "lower"]
    missing = unmeasured(columns)
    assert missing.keys() == columns.keys()
    assert (
        "no_such_vgg_face.onnx" in missing["video/iss_vggface"]
        and "AVATARSYNC_WEIGHTS" in missing["video/iss_vggface"]
    )
    assert len({metrics[name].protocol.hash for name in metrics if "csim" in name or "iss_" in name}) == 7


def points_with_eyes(distance: float) -> np.ndarray:
    """Landmarks spread at random, the centres of the eyes so many pixels apart."""
    points = np.random.default_rng(1).normal(0, 30, (106, 2))
    points[faces.LEFT_EYE] = (0, 0)
    points[faces.RIGHT_EYE] = (distance, 0)
    return points.astype(np.float32)[None]


def test_landmark_distance_by_hand() -> None:
    truth = points_with_eyes(50.0)
    shifted = truth + np.float32([7, -3])  # where the mouth is does not count
    np.testing.assert_allclose(lmd.landmark_distances(truth, shifted, faces.MOUTH), [0.0], atol=1e-4)
    open_mouth = shifted.copy()
    open_mouth[:, 52:62, 1] += 4  # half of the lips' points up, half down, by 4 px about their middle
    open_mouth[:, 62:72, 1] -= 4
    np.testing.assert_allclose(lmd.landmark_distances(truth, open_mouth, faces.MOUTH), [8.0], rtol=1e-5)
    whole = (20 * 4.0 / 106) / 50 * 100
    np.testing.assert_allclose(lmd.landmark_distances(truth, open_mouth, lmd.WHOLE), [whole], rtol=1e-5)
    larger = lmd.landmark_distances(truth * 2, open_mouth * 2, faces.MOUTH)
    np.testing.assert_allclose(larger, [8.0], rtol=1e-5)  # the size of the picture does not count


def head(yaw: float, pitch: float, roll: float, scale: float) -> np.ndarray:
    """Landmarks of a head that turns, seen from afar; the expressive points stand where `efid` says."""
    solid = np.zeros((106, 3))
    solid[efid.EXPRESSIVE, :2] = np.random.default_rng(2).normal(0, 0.4, (58, 2))
    solid[efid.EXPRESSIVE, 2] = efid.DEPTHS
    solid[list(efid.STABLE_POINTS)] = MODEL_K3
    turn = np.eye(3)
    for axis, degrees in enumerate((pitch, yaw, roll)):
        turn = cv2.Rodrigues(np.eye(3)[axis] * np.radians(degrees))[0] @ turn
    return (scale * (solid @ turn.T)[:, :2] + [300.0, 200.0]).astype(np.float32)


def test_the_pose_of_a_head_is_no_expression() -> None:
    poses = [(0, 0, 0, 100), (25, 0, 0, 100), (0, -15, 0, 60), (20, 10, -30, 140)]
    rows = efid.expressions(np.stack([head(*pose) for pose in poses])).reshape(4, 58, 2)
    free = [row for row, point in enumerate(efid.EXPRESSIVE) if point not in efid.STABLE_POINTS]
    np.testing.assert_allclose(rows[1:, free], np.broadcast_to(rows[0, free], (3, len(free), 2)), atol=0.02)
    frontal = np.random.default_rng(2).normal(0, 0.4, (58, 2))
    np.testing.assert_allclose(rows[0, free], 100 * frontal[free], atol=0.02)


def test_expression_distance_in_closed_form() -> None:
    first = np.random.default_rng(5).normal(0, 1, (300, 116)).astype(np.float32)
    second = first + np.float32(0.5)
    state = FeatureSets({"a": (Rows(300, second), Rows(300, first))})
    assert efid.metric(1).compute(state).value == pytest.approx(116 * 0.25, rel=1e-4)
    assert efid.metric(1).compute(FeatureSets({"a": (Rows(300, first),) * 2})).value < 1e-6


@pytest.mark.assets
def test_expressions_are_kept_where_a_journal_finds_them(truth: Footage, tmp_path) -> None:
    stored = Footage("truth", truth.frames, Store(tmp_path))
    ((rows, same),) = QUICK["efid_lmk106"].measure(pair(stored, stored)).ordered()
    assert rows.path == same.path and rows.path is not None and rows.path.is_file()
    assert rows.load().shape == (rows.num, 116) == (11, 116)


def test_correlation_of_mouths() -> None:
    truth = np.sin(np.arange(40) / 3)
    assert correlation(truth, truth * 0.5 + 2, "a") == pytest.approx(1)
    assert correlation(truth, -truth, "a") == pytest.approx(-1)
    assert correlation(truth, np.full(40, 0.3), "a") == 0
    with pytest.raises(Rejected, match="does not move"):
        correlation(np.full(40, 0.3), truth, "a")
    lost = np.where(np.arange(40) < 6, np.nan, truth)
    with pytest.raises(Rejected, match="34 of 40"):
        correlation(truth, lost, "a")


@pytest.mark.assets
def test_mouth_region_holds_the_mouth_and_stays_inside(truth: Footage) -> None:
    found = landmarks(truth, EVERY)
    rows, columns = mouth_region(found, 128, 128)
    lips = found[:, faces.MOUTH]
    assert rows.start <= lips[..., 1].min() and lips[..., 1].max() <= rows.stop <= 128
    assert columns.start <= lips[..., 0].min() and lips[..., 0].max() <= columns.stop <= 128
    assert (rows.stop - rows.start) * (columns.stop - columns.start) < 0.25 * 128 * 128


@pytest.mark.assets
def test_only_the_mouth_counts_in_its_region(truth: Footage) -> None:
    rows, columns = mouth_region(landmarks(truth, 2), 128, 128)
    outside, inside = truth.frames // 2, truth.frames.copy()
    outside[:, rows, columns] = truth.frames[:, rows, columns]
    inside[:, rows, columns] //= 2
    for name in ("mouth_psnr", "mouth_ssim", "mouth_lpips_alex"):
        metric = QUICK[name]
        assert metric.measure(pair(truth, truth.changed("out", outside))).by_case["a"] == pytest.approx(
            metric.best
        )
        assert abs(metric.measure(pair(truth, truth.changed("in", inside))).by_case["a"] - metric.best) > 0.05
    made, kept = mouth_crops(pair(truth, truth.changed("in", inside)), 2)
    np.testing.assert_array_equal(made.frames, inside[:, rows, columns])
    np.testing.assert_array_equal(kept.frames, truth.frames[:, rows, columns])
