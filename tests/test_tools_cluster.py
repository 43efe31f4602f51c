"""A tool's worker process is killed in the middle of a build on a cluster: the shards come out the same."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from pathlib import Path

import psutil
import pytest

from datapipe.config import BuildConfig
from datapipe.crop import CropConfig
from datapipe.manifest import verify
from datapipe.run import RunConfig, build
from datapipe.sample import SampleConfig, make_sample
from datapipe.tools.registry import TOOLS
from datapipe.transcribe import TranscribeConfig

pytestmark = [pytest.mark.tools("speech"), pytest.mark.assets]
CONFIG = BuildConfig(crop=CropConfig(size=64), transcribe=TranscribeConfig(backend="whisperx"))
LOADED = 1.5
"""Seconds after which a worker is within its first call: it loads packages and network for longer."""


def tool_workers() -> list[psutil.Process]:
    """Workers of the tool below this process, those of Dask workers' clip processes included."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if str(TOOLS["speech"].folder) in each.cmdline():
                found.append(each)
    return found


def kill_the_first(killed: list[int], over: threading.Event) -> None:
    while not over.wait(0.1) and not killed:
        for worker in tool_workers():
            with contextlib.suppress(psutil.Error):
                if time.time() - worker.create_time() > LOADED:
                    worker.kill()
                    killed.append(worker.pid)
                    break


def test_a_tool_worker_killed_in_mid_call_costs_a_retry_not_the_build(tmp_path: Path) -> None:
    make_sample(tmp_path / "raw", SampleConfig(num_cmlr_speakers=1, clips_per_speaker=1, num_hdtf_videos=1))
    raw = tmp_path / "raw" / "hdtf"
    run = RunConfig(cluster="local", workers=2, limit=2)
    quiet = build("hdtf", raw, tmp_path / "quiet", CONFIG, run)
    killed: list[int] = []
    over = threading.Event()
    killer = threading.Thread(target=kill_the_first, args=(killed, over))
    killer.start()
    try:
        disturbed = build("hdtf", raw, tmp_path / "disturbed", CONFIG, run)
    finally:
        over.set()
        killer.join()
    assert killed and disturbed.counts == quiet.counts and quiet.counts.done == 2
    for name in [path.name for path in (tmp_path / "quiet").glob("*.tar")] + ["manifest.json"]:
        assert (tmp_path / "disturbed" / name).read_bytes() == (tmp_path / "quiet" / name).read_bytes()
    assert verify(tmp_path / "disturbed") == () and not tool_workers()
    manifest = json.loads((tmp_path / "disturbed" / "manifest.json").read_text())
    assert "whisperx" in json.dumps(manifest)
