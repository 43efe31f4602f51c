"""Copies for other programs: every number as it was, nothing else, and nothing of a hostile file runs."""

import hashlib
import json
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from datapipe import weights
from datapipe.checkpoints import plain_checkpoint, read_tensors
from datapipe.records import Rejected


class Evil:
    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.fixture
def placed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Save an object as the weight `mine` of a registry of one's own."""
    monkeypatch.setenv("AVATARSYNC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AVATARSYNC_REGISTRY", str(tmp_path / "mine.json"))

    def save(tree: object, digits: int = 64) -> Path:
        path = tmp_path / "mine.pth"
        torch.save(tree, path)
        entry = {
            "name": "mine", "file": str(path), "num_bytes": 1, "licence": "mine", "about": "a test",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest()[:digits],
            "url": "https://example.org", "packages": [],
        }  # fmt: skip
        (tmp_path / "mine.json").write_text(json.dumps([entry]))
        weights.registry.cache_clear()
        return path

    yield save
    weights.registry.cache_clear()


def published() -> OrderedDict[str, torch.Tensor]:
    state = OrderedDict(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict())
    state._metadata = {"1": {"version": 2}}  # type: ignore[attr-defined]
    return state


def test_tensors_keep_names_nesting_values_and_version_notes(placed) -> None:
    facts = {"dataset_meta": {"sigmas": np.ones(3, np.float32), "name": "x", "mean": np.float64(2.0)}}
    placed({"meta": facts, "state_dict": published(), "epoch": 3})
    copy = plain_checkpoint("mine")
    assert copy.file == "mine.pth"
    assert copy.told["sha256"] == hashlib.sha256(copy.path.read_bytes()).hexdigest()
    tree = torch.load(copy.path, weights_only=True)
    assert set(tree) == {"state_dict"}
    assert tree["state_dict"]._metadata == {"1": {"version": 2}}
    assert list(tree["state_dict"]) == list(published())
    original = torch.load(weights.resolve("mine"), weights_only=False)["state_dict"]
    assert all(torch.equal(value, original[name]) for name, value in tree["state_dict"].items())


def test_a_copy_is_made_once_and_again_for_another_file(placed) -> None:
    placed({"w": torch.zeros(1)})
    first = plain_checkpoint("mine").path
    stamp = first.stat().st_mtime_ns
    assert plain_checkpoint("mine").path.stat().st_mtime_ns == stamp
    placed({"w": torch.ones(1)})
    second = plain_checkpoint("mine").path
    assert second != first and torch.load(second, weights_only=True)["w"].item() == 1


@pytest.mark.parametrize("tree", [{"w": torch.zeros(1), "evil": Evil()}, [1, 2], {"meta": {"a": 1}}])
def test_a_file_with_more_or_less_than_tensors_is_refused(placed, tree, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    placed(tree)
    with pytest.raises(Rejected) as caught:
        plain_checkpoint("mine")
    assert caught.value.reason == "bad_weight"
    assert not (tmp_path / "ran").exists()


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "torn.pth"
    torch.save({"w": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(Rejected, match="no checkpoint"):
        read_tensors(path)


def test_a_publisher_who_tells_the_first_digits_only(placed) -> None:
    path = placed({"w": torch.zeros(1)}, digits=8)
    whole = hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights.content_of("mine") == whole
    torch.save({"w": torch.ones(2)}, path)
    with pytest.raises(Rejected, match="sha256 differs"):
        weights.resolve("mine")


@pytest.mark.parametrize("text", ["{", "[1]", '[{"name": "x"}]', '{"a": 1}'])
def test_a_registry_of_ones_own_that_is_none(text: str, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "mine.json").write_text(text)
    monkeypatch.setenv("AVATARSYNC_REGISTRY", str(tmp_path / "mine.json"))
    weights.registry.cache_clear()
    with pytest.raises(Rejected, match="no registry of weights"):
        weights.lookup("mine")
    weights.registry.cache_clear()
