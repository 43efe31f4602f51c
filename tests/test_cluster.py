"""Real Dask processes that are killed: the shards come out byte for byte as from one process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cloudpickle
import pytest

from datapipe.cluster import DaskConfig, run_on_dask
from datapipe.config import BuildConfig
from datapipe.crop import CropConfig
from datapipe.manifest import verify
from datapipe.records import Rejected
from datapipe.run import BuildReport, RunConfig, build
from datapipe.sample import SampleConfig, make_sample
from datapipe.upscale import UpscaleConfig

CONFIG = BuildConfig(crop=CropConfig(size=64))
PUBLISHED = ("manifest.json", "samples.parquet", "splits.json", "leakage.json", "README.md")
pytestmark = [pytest.mark.slow, pytest.mark.assets]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    make_sample(root, SampleConfig())
    return root


@pytest.fixture(scope="module")
def inline(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("inline")
    for source in ("cmlr", "hdtf"):
        build(source, raw / source, out / source, CONFIG, RunConfig(per_shard=16))
    return out


def published(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in (*folder.glob("*.tar"), *(folder / n for n in PUBLISHED))
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def dask(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(condition: object, seconds: float = 60.0) -> None:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def num_cached(out: Path) -> int:
    return len(list((out / ".cache").glob("??/[!.]*.tar")))


def test_a_worker_of_a_scheduler_dies_midway(raw: Path, inline: Path, tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    worker = ("worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--local-directory")
    with (
        dask("scheduler", "--port", address.rpartition(":")[2], "--no-dashboard"),
        dask(*worker, str(tmp_path / "a")) as first,
        dask(*worker, str(tmp_path / "b")),
    ):
        for source in ("cmlr", "hdtf"):
            out = tmp_path / source
            script = (
                "import sys; from pathlib import Path; from datapipe.config import BuildConfig;"
                "from datapipe.crop import CropConfig; from datapipe.run import RunConfig, build;"
                f"build({source!r}, Path({str(raw / source)!r}), Path({str(out)!r}),"
                " BuildConfig(crop=CropConfig(size=64)),"
                f" RunConfig(per_shard=16, batch=2, cluster={address!r}))"
            )
            command = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
            if source == "cmlr":
                wait_until(lambda out=out: num_cached(out) >= 5, 300)
                first.send_signal(signal.SIGKILL)
            assert command.wait(900) == 0
            assert published(out) == published(inline / source) and verify(out) == ()
        assert first.poll() == -signal.SIGKILL


def workers_of(tasks: Sequence[int]) -> list[str]:
    from distributed import get_worker

    return [str(get_worker().name) for _ in tasks]


def gpu_workers_of(tasks: Sequence[int], before: Sequence[str]) -> list[str]:
    return [f"{first} {name}" for first, name in zip(before, workers_of(tasks), strict=True)]


def test_super_resolution_goes_to_workers_with_a_gpu(raw: Path, tmp_path: Path) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    address = f"tcp://127.0.0.1:{free_port()}"
    worker = ("worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--local-directory")
    enhanced = replace(CONFIG, upscale=UpscaleConfig(backend="lanczos"))
    build("hdtf", raw / "hdtf", tmp_path / "inline", enhanced, RunConfig())
    with (
        dask("scheduler", "--port", address.rpartition(":")[2], "--no-dashboard"),
        dask(*worker, str(tmp_path / "a"), "--name", "plain"),
    ):
        on_gpu = RunConfig(cluster=address, gpu=True, batch=2)
        with pytest.raises(Rejected, match="offers a GPU"):
            build("hdtf", raw / "hdtf", tmp_path / "none", enhanced, on_gpu)
        with dask(*worker, str(tmp_path / "b"), "--name", "strong", "--resources", "GPU=1"):
            wait_until(lambda: num_workers(address) == 2)
            config = DaskConfig(
                cluster=address, workers=2, stall=60, batch=1, on_gpu=gpu_workers_of, scratch=tmp_path
            )
            ways = {str(way) for _, way in run_on_dask(workers_of, range(40), config)}
            assert ways == {"plain strong", "strong strong"}
            build("hdtf", raw / "hdtf", tmp_path / "gpu", enhanced, on_gpu)
    assert published(tmp_path / "gpu") == published(tmp_path / "inline")
    assert not list((tmp_path / "gpu" / ".cache" / "drafts").iterdir())


def num_workers(address: str) -> int:
    from distributed import Client

    with Client(address) as client:
        return len(client.nthreads())


@pytest.mark.parametrize("cached", [2, 20, 45])
def test_a_whole_build_with_its_workers_is_killed(
    raw: Path, inline: Path, tmp_path: Path, cached: int
) -> None:
    out = tmp_path / "cmlr"
    words = ["--source", "cmlr", "--root", str(raw / "cmlr"), "--out", str(out), "--size", "64"]
    run = ["--cluster", "local", "--workers", "2", "--per-shard", "16"]
    command = [sys.executable, "-m", "avatarsync", "data", "build", *words, *run]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: num_cached(out) >= cached, 400)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.json").exists()
    report: BuildReport = build("cmlr", raw / "cmlr", out, CONFIG, RunConfig(per_shard=16))
    assert report.counts.reused >= cached
    assert published(out) == published(inline / "cmlr") and verify(out) == ()
    assert not [path for path in out.rglob("*") if ".tmp" in path.name]
