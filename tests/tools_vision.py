"""Fixtures for tests in the vision environment: planted networks, in a registry of one's own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from people import portrait
from test_layouts import MIRRORED_LAPA, seen_as_ibug

from datapipe import faces, weights
from datapipe.layouts import INSIGHTFACE_OF_LAPA
from datapipe.records import to_dict
from datapipe.tools.home import home, python_of, state_of
from datapipe.tools.registry import TOOLS

FILES = {
    "gfpgan/model": "GFPGANv1.4.pth",
    "facexlib/retinaface-resnet50": "detection_Resnet50_Final.pth",
    "facexlib/parsenet": "parsing_parsenet.pth",
    "facexlib/awing-fan": "alignment_WFLW_4HG.pth",
    "facexlib/arcface": "recognition_arcface_ir_se50.pth",
    "mmpose/face6": "face6.pth",
    "mmpose/wholebody": "wholebody.pth",
}


def mean_shape() -> dict[str, np.ndarray]:
    """A portrait's landmarks, made symmetric, in units of its box, from the box's middle.

    Symmetric, because RTMPose looks at every picture a second time in the mirror and takes the mean.
    """
    face = faces.detect(portrait())[0]
    box = np.array(face.box)
    shape = (faces.landmarks(portrait(), face) - (box[:2] + box[2:]) / 2) / max(box[2:] - box[:2])
    lapa = shape[list(INSIGHTFACE_OF_LAPA)]
    lapa = (lapa + lapa[list(MIRRORED_LAPA)] * (-1, 1)) / 2
    return {"lapa106": lapa, "ibug68": seen_as_ibug(lapa)}


def needs_vision() -> None:
    """Skip where the environment is not created."""
    if state_of(TOOLS["vision"]) != "ready":
        pytest.skip(f"the tool environment `vision` is not in {home()}; run `avatarsync tools create vision`")


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the planted networks; they stand for the published ones until the tests end."""
    needs_vision()
    folder = tmp_path_factory.mktemp("planted")
    np.savez(folder / "shape.npz", **mean_shape())
    script = Path(__file__).with_name("plant_vision.py")
    command = [str(python_of(TOOLS["vision"])), "-I", "-W", "ignore", str(script), str(folder)]
    subprocess.run([*command, str(folder / "shape.npz")], check=True, capture_output=True)
    registry = folder / "registry.json"
    registry.write_text(json.dumps([entry(name, folder / file) for name, file in FILES.items()]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVATARSYNC_TOOLS", str(home()))
        patch.setenv("AVATARSYNC_WEIGHTS", os.environ.get("AVATARSYNC_WEIGHTS") or str(weights.cache_dir()))
        patch.setenv("AVATARSYNC_CACHE", str(folder / "cache"))
        patch.setenv("AVATARSYNC_REGISTRY", str(registry))
        weights.registry.cache_clear()
        yield folder
    weights.registry.cache_clear()


def entry(name: str, path: Path) -> object:
    """A planted file in place of the published one."""
    return to_dict(
        replace(
            weights.lookup(name),
            file=str(path),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            num_bytes=path.stat().st_size,
            about="seeded by the tests",
        )
    )
