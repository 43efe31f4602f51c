"""Faces by the named packages, in the tool environment `vision`: the questions; the answers as our records.

What the packages do there is in `tools/vision/`. Nothing falls back: a backend that is named and absent is
an error that says how to get it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .layouts import Layout, to_insightface
from .records import Rejected
from .tools.registry import TOOLS
from .tools.worker import worker_of
from .weights import content_of

if TYPE_CHECKING:
    from .faces import Face, FaceConfig, Floats, Image
    from .upscale import UpscaleConfig

TOOL = "vision"
FILES = {
    "gfpgan/model": "GFPGANv1.4.pth",
    "facexlib/retinaface-resnet50": "detection_Resnet50_Final.pth",
    "facexlib/retinaface-mobilenet": "detection_mobilenet0.25_Final.pth",
    "facexlib/parsenet": "parsing_parsenet.pth",
    "facexlib/awing-fan": "alignment_WFLW_4HG.pth",
    "facexlib/arcface": "recognition_arcface_ir_se50.pth",
    "mmpose/face6": "rtmpose-m-face6.pth",
    "mmpose/wholebody": "rtmpose-m-wholebody.pth",
}
"""Registry names, and what the packages call the files."""
LONGEST_SIDE = 800
"""Pixels to which a larger picture is shrunk before RetinaFace looks: its time grows with the area."""
MESSAGE_BYTES = 1 << 26
"""Most that one message carries in frames."""
SEED = 20211213
"""Of StyleGAN's noise; the same for every face, so that a video does not flicker by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A network of a named package."""

    network: str
    """Its name in the tool's program."""
    packages: tuple[str, ...]
    """Whose versions decide its results."""
    weights: Mapping[str, str]
    """Registry names by role."""
    layout: Layout = "lapa106"
    """Order of its landmarks."""


FACEXLIB, MMPOSE = ("facexlib", "torch"), ("mmpose", "mmcv", "mmengine", "torch")
BACKENDS = {
    "retinaface-mobilenet": Backend(
        network="retinaface_mobile0.25",
        packages=FACEXLIB,
        weights={"model": "facexlib/retinaface-mobilenet"},
    ),
    "retinaface-resnet50": Backend(
        network="retinaface_resnet50", packages=FACEXLIB, weights={"model": "facexlib/retinaface-resnet50"}
    ),
    "mmpose-face6": Backend(network="face6", packages=MMPOSE, weights={"model": "mmpose/face6"}),
    "mmpose-wholebody": Backend(
        network="wholebody", packages=MMPOSE, weights={"model": "mmpose/wholebody"}, layout="ibug68"
    ),
    "facexlib": Backend(
        network="awing_fan", packages=FACEXLIB, weights={"model": "facexlib/awing-fan"}, layout="wflw98"
    ),
    "gfpgan": Backend(
        network="gfpgan",
        packages=("gfpgan", "basicsr", *FACEXLIB),
        weights={
            "model": "gfpgan/model",
            "detector": "facexlib/retinaface-resnet50",
            "parser": "facexlib/parsenet",
        },
    ),
}
"""What a config's `finder`, `landmarks` and `backend` may name besides the networks in core."""


def weights_of(names: Sequence[str]) -> dict[str, str]:
    """Give the sha256 of each registry file that these backends use; networks in core are left out."""
    used = [name for each in names if each in BACKENDS for name in BACKENDS[each].weights.values()]
    return {name: content_of(name) for name in used}


def versions_of(names: Sequence[str]) -> dict[str, str]:
    """Give the versions of the packages that these backends use."""
    used = [package for each in names if each in BACKENDS for package in BACKENDS[each].packages]
    pins = TOOLS[TOOL].pins() if used else {}
    return {f"{TOOL}/{name}": pins[name] for name in used}


def find_faces(image_HW3: Image, config: FaceConfig) -> tuple[Face, ...]:
    """Find faces with facexlib's RetinaFace, best score first.

    Raises `Rejected`: missing_tool, missing_weight, bad_weight, and what the worker raises.
    """
    from .faces import Face

    scale = min(1.0, LONGEST_SIDE / max(image_HW3.shape[:2]))
    small = image_HW3 if scale == 1.0 else cv2.resize(image_HW3, None, fx=scale, fy=scale)
    found = _ask("detect", config.finder, {"frames_NHW3": small[None]}, config, min_score=config.min_score)
    rows = zip(found["boxes_M4"] / scale, found["scores_M"], found["points_M52"] / scale, strict=True)
    faces = [Face(box=tuple(box.tolist()), score=float(score), points_52=p) for box, score, p in rows]
    return tuple(sorted(faces, key=lambda face: -face.score))


def locate(frames_THW3: Image, boxes_T4: NDArray[Any], config: FaceConfig) -> Floats:
    """Locate the landmarks of a face in each frame: (T, 106, 2) in insightface's order.

    Raises `Rejected`: missing_tool, missing_weight, bad_weight, and what the worker raises.
    """
    step = max(1, MESSAGE_BYTES // max(frames_THW3[0].nbytes, 1))
    parts = [
        _ask(
            "landmarks",
            config.landmarks,
            {"frames_NHW3": frames_THW3[at : at + step], "boxes_N4": np.asarray(boxes_T4[at : at + step])},
            config,
        )["points_NK2"]
        for at in range(0, len(frames_THW3), step)
    ]
    return to_insightface(np.concatenate(parts), BACKENDS[config.landmarks].layout)


def restore_faces(batch_BHW3: Image, points_B52: Floats, config: UpscaleConfig) -> Image:
    """Restore the face in each picture of one size with GFPGAN v1.4: (B, scale H, scale W, 3).

    With `config.paste` the face is laid over the enlarged picture under its parsing mask, else all of the
    restored square is. Raises `Rejected`: missing_tool, missing_weight, bad_weight, missing_device, and what
    the worker raises.
    """
    if config.device != "cpu":
        raise Rejected("missing_device", "gfpgan runs on the CPU in its environment; choose the device cpu")
    question: dict[str, NDArray[Any]] = {"pictures_NHW3": batch_BHW3, "points_N52": points_B52}
    settings = {"paste": config.paste, "scale": config.enlarge, "seed": SEED}
    answer = _ask("restore", "gfpgan", question, config, **settings)
    if config.paste:
        return np.asarray(answer["large_NHW3"], np.uint8)
    triples = zip(batch_BHW3, points_B52, answer["faces_NSS3"], strict=True)
    return np.stack([_laid_over(*each, config.enlarge) for each in triples])


def _laid_over(picture_HW3: Image, points_52: Floats, face_SS3: Image, scale: int) -> Image:
    """Put the whole restored square back where it was cut, over the enlarged picture."""
    from .crop import ffhq_matrix

    size = (picture_HW3.shape[1] * scale, picture_HW3.shape[0] * scale)
    large = cv2.resize(picture_HW3, size, interpolation=cv2.INTER_LANCZOS4)
    back_23 = cv2.invertAffineTransform(ffhq_matrix(points_52)) * scale
    back_23[:, 2] += 0.5 * (scale - 1)  # pixel centres sit at half positions
    laid = cv2.warpAffine(face_SS3, back_23, size)
    inside = cv2.warpAffine(np.full(face_SS3.shape[:2], 255, np.uint8), back_23, size) == 255
    large[inside] = laid[inside]
    return np.asarray(large, np.uint8)


def _ask(
    operation: str,
    backend: str,
    arrays: Mapping[str, NDArray[Any]],
    config: FaceConfig | UpscaleConfig,
    **values: Any,
) -> dict[str, NDArray[Any]]:
    from .checkpoints import plain_checkpoint  # torch: seconds and memory that builds in core do without

    chosen = BACKENDS[backend]
    weights = {role: plain_checkpoint(name, file=FILES[name]).told for role, name in chosen.weights.items()}
    worker = worker_of(TOOL)
    answer = worker.ask(
        operation, arrays=arrays, weights=weights, network=chosen.network, threads=config.threads, **values
    )
    return answer.arrays
