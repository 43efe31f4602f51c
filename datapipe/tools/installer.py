"""Put pinned packages into an environment: by uv where it is installed, else by the environment's own pip."""

from __future__ import annotations

import ast
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..child import run_child
from ..console import say
from ..records import Rejected, Seconds

LONGEST: Seconds = 3 * 3600.0
"""For one step: compiling mmcv takes about ten minutes of two cores."""
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}
"""pip's settings, and the variables by which uv is told the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installer:
    """Installs into one environment and writes what is said to one log."""

    python: Path
    """The environment's interpreter."""
    log: Path
    """Of the step that runs; the one before is kept beside it."""
    uv: str | None
    """The program, or None for pip."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What pip is configured with where AvatarSync is installed."""

    def install(self, lines: Sequence[str], *options: str) -> None:
        """Install exactly these pins (`name==version`), or wheel files, without what they depend on.

        Raises `Rejected` with the log's last words. Where uv fails, as it does with an index that only pip
        understands, pip has the last word.
        """
        if not lines:
            return
        pins = self.log.with_suffix(".pins.txt")
        pins.write_text("\n".join(lines) + "\n", encoding="utf-8")
        wanted = ["--no-deps", *options, "-r", str(pins)]
        if self.uv is not None:
            try:
                self.run([self.uv, "pip", "install", "--python", str(self.python), *wanted])
                return
            except Rejected as rejected:
                say(f"uv could not install that ({rejected.message}); pip goes on")
        self.run([str(self.python), "-m", "pip", "install", *wanted])

    def wheel(self, pin: str, folder: Path) -> Path:
        """Compile a pinned package from its source with what the environment holds; give the wheel."""
        name = pin.partition("==")[0]
        options = ["--no-deps", "--no-build-isolation", "--no-binary", name, "--wheel-dir", str(folder)]
        self.run([str(self.python), "-m", "pip", "wheel", *options, pin])
        (wheel,) = folder.glob("*.whl")
        return wheel

    def run(self, command: Sequence[str]) -> None:
        """Run one command of the making, with the environment's programs first on the path."""
        path = os.pathsep.join([str(self.python.parent), os.environ.get("PATH", os.defpath)])
        env = pip_variables(self.settings) | uv_variables(self.settings) | {"PATH": path}
        env |= {"VIRTUAL_ENV": "", "PYTHONPATH": "", "PYTHONNOUSERSITE": "1"}
        if not _for_gpu():
            env["CUDA_VISIBLE_DEVICES"] = ""  # a build that saw a GPU would want its torch's own nvcc
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".before.log"))
        run_child(command, cwd=self.log.parent, env=env, timeout=LONGEST, log=self.log)

    def name(self) -> str:
        """Which program it is, with its version."""
        command = [self.uv, "--version"] if self.uv else [str(self.python), "-m", "pip", "--version"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return " ".join(said.split()[:2])


def pip_settings() -> dict[str, str]:
    """What pip is told by its files and variables; the later and nearer ones win, as in pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    rows = [line.partition("=") for line in said.splitlines() if "=" in line]
    found = {key: str(ast.literal_eval(value)) for key, _, value in rows}
    ordered = sorted(found, key=lambda key: key.startswith((":env:", "install.")))
    return {key.rpartition(".")[2]: " ".join(found[key].split()) for key in ordered}


def pip_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """The same settings for the pip of another environment, which does not read our environment's file."""
    return {f"PIP_{name.replace('-', '_').upper()}": value for name, value in settings.items()}


def uv_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """The same settings for uv, which reads none of pip's; what the user told uv itself stands."""
    told = {UV_NAMES[name]: value for name, value in settings.items() if name in UV_NAMES}
    told["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip: the best version of all indexes
    if "UV_FIND_LINKS" in told:
        told["UV_FIND_LINKS"] = told["UV_FIND_LINKS"].replace(" ", ",")
    return {name: value for name, value in told.items() if name not in os.environ}


def _for_gpu() -> bool:
    """Whether the user wants operators compiled for the GPU: mmcv's own switch."""
    return os.environ.get("FORCE_CUDA") == "1"


def build_key(pins: Mapping[str, str]) -> str:
    """What a compiled wheel depends on: interpreter, torch, numpy, C library and compiler."""
    command = ["gcc", "-dumpfullversion"]
    gcc = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    device = "cuda" if _for_gpu() else "cpu"
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}-{device}"
    libc = "".join(platform.libc_ver())
    return f"{tag}-torch{pins.get('torch', '')}-numpy{pins.get('numpy', '')}-{libc}-gcc{gcc}"
