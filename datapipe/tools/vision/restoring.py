"""Faces restored by GFPGAN's own class: aligned to FFHQ's five points, restored, pasted back under a mask."""

from __future__ import annotations

import io
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loading import CPU, once

FAILED = "Failed inference for GFPGAN"
"""What GFPGAN prints when it gives its input back instead of a restored face."""


def restore(values: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Restore the face at `points_N52` in each of `pictures_NHW3`, all of one size.

    With `paste`, gives the pictures `scale` times as large with the face laid over them (`large_NHW3`), else
    the aligned faces alone (`faces_NSS3`, 512 x 512). Each face starts from the same random state, so what
    a picture becomes does not depend on its neighbours.
    """
    restorer = _restorer(values["weights"])
    results = []
    for picture, points in zip(arrays["pictures_NHW3"], arrays["points_N52"], strict=True):
        aligned = _aligned(restorer.face_helper, picture, points)
        face = _restored(restorer, aligned, int(values["seed"]))
        if values["paste"]:
            face = _pasted(restorer.face_helper, picture, points, face, float(values["scale"]))
        results.append(face[:, :, ::-1])
    return {}, {"large_NHW3" if values["paste"] else "faces_NSS3": np.stack(results)}


def align(values: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the maps that facexlib fits to five points each, (N, 2, 3), and the faces cut with them."""
    helper = _restorer(values["weights"]).face_helper
    matrices, faces = [], []
    for picture, points in zip(arrays["pictures_NHW3"], arrays["points_N52"], strict=True):
        faces.append(_aligned(helper, picture, points)[:, :, ::-1])
        matrices.append(helper.affine_matrices[0].copy())
    return {}, {"matrices_N23": np.stack(matrices), "faces_NSS3": np.stack(faces)}


def parse(values: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Label every pixel of aligned 512 x 512 faces with one of ParseNet's 19 parts: (N, 512, 512)."""
    network = once(_parser, values["weights"]["parser"])
    faces = torch.from_numpy(np.ascontiguousarray(arrays["faces_NSS3"])).permute(0, 3, 1, 2)
    labels = [network(face[None] / 127.5 - 1.0)[0].argmax(1)[0] for face in faces]
    return {}, {"labels_NSS": torch.stack(labels).numpy().astype(np.uint8)}


def _restorer(weights: dict[str, Any]) -> Any:
    return once(_gfpganer, weights["model"], weights["detector"], weights["parser"])


def _gfpganer(folder: Path) -> Any:
    """GFPGANer looks for its helpers in `gfpgan/weights` below the current folder."""
    from gfpgan import GFPGANer

    (folder / "gfpgan").mkdir()
    (folder / "gfpgan" / "weights").symlink_to(folder)
    with chdir(folder):
        return GFPGANer(str(folder / "GFPGANv1.4.pth"), upscale=1, device=CPU)


def _parser(folder: Path) -> Any:
    from facexlib.parsing import init_parsing_model

    return init_parsing_model("parsenet", device=CPU, model_rootpath=str(folder))


def _aligned(helper: Any, picture_HW3: Any, points_52: Any) -> Any:
    helper.clean_all()
    helper.read_image(np.ascontiguousarray(picture_HW3[:, :, ::-1]))
    helper.all_landmarks_5 = [np.asarray(points_52, np.float64)]
    helper.align_warp_face(border_mode="reflect101")  # a crop ends beside the face: no grey bars inside
    return helper.cropped_faces[0]


def _restored(restorer: Any, aligned_SS3: Any, seed: int) -> Any:
    torch.manual_seed(seed)  # StyleGAN's noise
    with redirect_stdout(io.StringIO()) as said:
        _, (face,), _ = restorer.enhance(aligned_SS3, has_aligned=True)
    if FAILED in said.getvalue():
        raise RuntimeError(said.getvalue().strip())
    return face


def _pasted(helper: Any, picture_HW3: Any, points_52: Any, face_SS3: Any, scale: float) -> Any:
    _aligned(helper, picture_HW3, points_52)
    helper.set_upscale_factor(scale)
    helper.add_restored_face(face_SS3)
    helper.get_inverse_affine(None)
    return helper.paste_faces_to_input_image()
