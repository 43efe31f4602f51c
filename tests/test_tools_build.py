"""A build of the sample corpus by the named stacks, as a user starts it: both environments, on a cluster.

Whisper and RetinaFace have their published weights. RTMPose is planted with a mean face, so that crops follow
the real face that RetinaFace found; GFPGAN is planted to give its input back with more contrast.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tools_vision import needs_vision, planted  # noqa: F401

from avatarsync import main
from datapipe import faces
from datapipe.media import read_frames
from datapipe.shards import read_samples
from datapipe.tools.home import home, state_of
from datapipe.tools.registry import TOOLS

pytestmark = [pytest.mark.tools, pytest.mark.assets]
STACKS = Path(__file__).parent.parent / "docs" / "named-stacks.json"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Build one clip with whisperx, RetinaFace, mmpose and gfpgan on a local cluster."""
    needs_vision()
    if state_of(TOOLS["speech"]) != "ready":
        pytest.skip(f"the tool environment `speech` is not in {home()}; run `avatarsync tools create speech`")
    request.getfixturevalue("planted")
    out = tmp_path_factory.mktemp("named")
    few = ["--num-cmlr-speakers", "1", "--clips-per-speaker", "1", "--num-hdtf-videos", "0"]
    places = ["--source", "cmlr", "--root", f"{out}/raw/cmlr", "--out", f"{out}/shards"]
    how = ["--cluster", "local", "--workers", "1", "--limit", "1", "--timeout", "3000", "--memory", "12"]
    assert main(["data", "sample", f"{out}/raw", *few]) == 0
    assert main(["data", "build", "--config", str(STACKS), *places, *how, "--upscale.no-paste"]) == 0
    assert main(["data", "verify", "--shards", f"{out}/shards"]) == 0
    return out / "shards"


def test_the_manifest_names_each_backend_its_version_and_its_weights(shards: Path, planted: Path) -> None:  # noqa: F811
    manifest = json.loads((shards / "manifest.json").read_text())
    assert manifest["num_samples"] == 1 and not manifest["rejected"] and not manifest["failed"]
    versions, weights, config = manifest["versions"], manifest["weights"], manifest["config"]
    for package, version in (("gfpgan", "1.3.8"), ("mmpose", "1.3.2"), ("facexlib", "0.3.0")):
        assert versions[f"vision/{package}"] == version
    assert versions["speech/whisperx"]
    for name, file in (("gfpgan/model", "GFPGANv1.4.pth"), ("mmpose/face6", "face6.pth")):
        assert weights[name] == hashlib.sha256((planted / file).read_bytes()).hexdigest()
    assert weights["facexlib/retinaface-mobilenet"].startswith("2979b33ffafda5d7")  # the published file
    assert config["transcribe"]["backend"] == "whisperx" and config["upscale"]["backend"] == "gfpgan"


def test_the_sample_shows_the_face_and_says_who_made_it(shards: Path) -> None:
    (sample,) = read_samples(shards)
    notes = sample.meta.notes
    assert notes["detector"] == "retinaface-mobilenet, mmpose-face6"
    assert notes["upscale"].startswith("gfpgan on")
    assert "cer" in sample.meta.quality
    (path := shards.parent / "video.mp4").write_bytes(sample.video)
    frames = read_frames(path)
    middle = frames[len(frames) // 2]
    face = faces.detect(middle)[0]
    eyes = faces.eye_distance(faces.landmarks(middle, face)) / len(middle)
    assert 0.2 < eyes < 0.4  # the pose crop asks for 0.29
