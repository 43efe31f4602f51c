"""Identity networks in torch: equal to onnxruntime, aligned as the benchmark aligns, with a true gradient."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image

from datapipe import faces
from datapipe.records import Rejected
from datapipe.weights import resolve
from model.layers import to_signed
from model.perception.faces import FACIAL, IDENTITY, FaceNetwork, align, face_distances, face_vectors
from model.perception.graph import read_graph, run

BOTH = pytest.mark.parametrize("network", [IDENTITY, FACIAL], ids=lambda each: each.weight)
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def portrait():
    """A real face (512, 512, 3), and the map to the aligned one."""
    picture = np.asarray(Image.open(resolve("portrait-collins")).convert("RGB"))
    found = max(faces.detect(picture), key=lambda face: face.size)
    return picture, faces.similarity(found.points_52, faces.ARCFACE_POINTS_52)


def shrunk(portrait, side):
    picture, matrix = portrait
    factor = len(picture) // side
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    # the first pixel's centre moves: (x - (f - 1) / 2) / f
    undo = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1]])
    return small, matrix @ undo


@pytest.mark.assets
@BOTH
def test_the_network_is_onnxruntimes(network, portrait):
    picture, matrix = portrait
    aligned = cv2.warpAffine(picture, matrix, (112, 112))
    noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    theirs_network = faces.session(network.weight)
    graph = read_graph(resolve(network.weight), CPU)
    for each in (aligned, noise):
        batch = ((each.astype(np.float32) - network.mean) / network.scale).transpose(2, 0, 1)[None]
        batch = np.ascontiguousarray(batch)
        theirs = theirs_network.run(None, {theirs_network.get_inputs()[0].name: batch})[0]
        ours = run(graph, torch.from_numpy(batch)).numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.assets
def test_one_picture_has_one_vector_in_a_batch_of_any_size(portrait):
    picture, matrix = shrunk(portrait, 128)
    signed = to_signed(torch.from_numpy(np.stack([picture, picture[:, ::-1], picture[::-1]])))
    matrices = torch.from_numpy(matrix).expand(3, -1, -1)
    together = face_vectors(signed, matrices, FACIAL)
    alone = torch.cat([face_vectors(signed[i : i + 1], matrices[:1], FACIAL) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    assert float((together[0] * together[2]).sum()) < 0.5


@pytest.mark.parametrize("side", [64, 128])
def test_alignment_is_that_of_warp_affine(side):
    rng = np.random.default_rng(1)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (side, side, 3), np.uint8), (0, 0), 2)
    turn, size = 0.3, 112 / side
    matrix = np.array(
        [
            [size * np.cos(turn), -size * np.sin(turn), 9.25],
            [size * np.sin(turn), size * np.cos(turn), -17.5],
        ]
    )
    theirs = cv2.warpAffine(picture, matrix, (112, 112)).astype(np.float32)
    pictures = torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32))
    ours = align(pictures, torch.from_numpy(matrix[None]).float())[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - theirs).max() < 3 and np.abs(ours - theirs).mean() < 0.4  # OpenCV rounds
    assert (theirs == 0).all(-1).any()  # the border is in sight


@pytest.mark.assets
def test_large_pictures_are_averaged_down_to_the_same_face(portrait):
    picture, matrix = portrait
    small, small_matrix = shrunk(portrait, 128)
    large, little = (
        align(
            torch.from_numpy(each.transpose(2, 0, 1)[None].astype(np.float32)),
            torch.from_numpy(m[None]).float(),
        )
        for each, m in ((picture, matrix), (small, small_matrix))
    )
    assert float((large - little).abs().mean()) < 1.0


@pytest.mark.assets
@BOTH
def test_vectors_are_those_of_the_benchmark(network, portrait):
    picture, matrix = shrunk(portrait, 128)
    aligned = cv2.warpAffine(picture, matrix, (112, 112))
    batch = ((aligned.astype(np.float32) - network.mean) / network.scale).transpose(2, 0, 1)[None]
    theirs_network = faces.session(network.weight)
    theirs = theirs_network.run(
        None, {theirs_network.get_inputs()[0].name: np.ascontiguousarray(batch, np.float32)}
    )[0][0]
    ours = face_vectors(to_signed(torch.from_numpy(picture[None])), torch.from_numpy(matrix[None]), network)[
        0
    ].numpy()
    assert float(ours @ theirs / np.linalg.norm(theirs)) > 0.999


@pytest.mark.assets
@BOTH
def test_the_distance_knows_people_and_its_gradient_is_the_slope(network: FaceNetwork, portrait):
    small, matrix = shrunk(portrait, 128)
    real = to_signed(torch.from_numpy(small[None]))
    matrices = torch.from_numpy(matrix[None]).float()
    with torch.inference_mode():  # what loads the network first must not spoil it for gradients
        same = face_distances(real, real, matrices, network)
    assert abs(float(same)) < 1e-5
    mirrored, other = real.flip(3), real.roll(40, 2)
    assert float(face_distances(mirrored, real, matrices, network)) < float(
        face_distances(other, real, matrices, network)
    )
    made = (real + 0.2 * torch.randn(real.shape, generator=torch.Generator().manual_seed(0))).requires_grad_()
    face_distances(made, real, matrices, network).sum().backward()
    way = made.grad / made.grad.norm()
    step = 0.02
    near = [
        float(face_distances(made.detach() + s * way, real, matrices, network).double())
        for s in (step, -step)
    ]
    assert (near[0] - near[1]) / (2 * step) == pytest.approx(float(made.grad.norm()), rel=0.03)


def stored(tmp_path, *nodes, **weights):
    """An ONNX file of a few nodes."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    kept = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    path = tmp_path / "net.onnx"
    path.write_bytes(
        helper.make_model(helper.make_graph(list(nodes), "g", inputs, outputs, kept)).SerializeToString()
    )
    return path


KERNEL = np.ones((2, 3, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("node", "what"),
    [
        (helper.make_node("Softmax", ["x"], ["y"]), "operator Softmax"),
        (helper.make_node("Conv", ["x", "k"], ["y"], auto_pad="SAME_UPPER"), "Conv with auto_pad"),
        (helper.make_node("Conv", ["x", "k"], ["y"], pads=[0, 0, 1, 1]), "Conv with pads"),
        (helper.make_node("Flatten", ["x"], ["y"], axis=2), "Flatten with axis=2"),
        (helper.make_node("Gemm", ["x", "k", "k"], ["y"], alpha=2.0), "Gemm with alpha=2"),
        (helper.make_node("Add", ["x", "nowhere"], ["y"]), "`nowhere` before it is there"),
        (helper.make_node("Add", ["x", "x"], ["z"]), "never computes its output `y`"),
    ],
)
def test_what_is_not_known_is_refused_by_name(node, what, tmp_path):
    with pytest.raises(Rejected, match=what) as caught:
        read_graph(stored(tmp_path, node, k=KERNEL), CPU)
    assert caught.value.reason == "bad_weight"


def test_known_operators_compute_what_the_standard_says(tmp_path):
    path = stored(
        tmp_path, helper.make_node("Conv", ["x", "k"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2]), k=KERNEL
    )
    x = torch.ones(1, 3, 4, 4)
    made = run(read_graph(path, CPU), x)
    assert made.shape == (1, 2, 2, 2) and float(made[0, 0, 0, 0]) == 12 and float(made[0, 0, 1, 1]) == 27


def test_a_broken_file_is_one_sentence(tmp_path: Path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(Rejected, match=r"net\.onnx"):
        read_graph(path, CPU)
