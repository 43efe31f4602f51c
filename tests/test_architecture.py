"""The rules of CONTRIBUTING.md that a machine can check."""

import ast
import dataclasses
import importlib
import importlib.metadata
import inspect
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("datapipe", "model", "benchmark")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
UNSAFE = re.compile(
    r"pickle\.loads?\(|shell\s*=\s*True|yaml\.load\(|extractall\(|weights_only\s*=\s*False|(?<![.\w])eval\(|(?<![.\w])exec\("
)


def functions_of(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


def length(node: ast.FunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_a_room_one_can_know(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_functions_are_short() -> None:
    lengths = sorted(length(node) for path in SOURCES for node in functions_of(path))
    assert statistics.median(lengths) <= 14
    assert lengths[int(len(lengths) * 0.9)] < 50


@pytest.mark.parametrize(
    "path", [ROOT / "datapipe/flow.py", ROOT / "model/generate.py", ROOT / "benchmark/evaluate.py"]
)
def test_the_flow_is_a_page(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 80


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_unsafe_loading_or_shelling_out(path: Path) -> None:
    found = UNSAFE.findall(path.read_text())
    assert not found, f"{path.name}: {found}"


def test_public_functions_say_what_they_do() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in functions_of(path)
        if not node.name.startswith("_") and not ast.get_docstring(node) and length(node) > 4
    ]
    public = [node for path in SOURCES for node in functions_of(path) if not node.name.startswith("_")]
    assert len(silent) <= 0.02 * len(public), silent


def test_every_record_is_frozen() -> None:
    loose = []
    for path in SOURCES:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if name.endswith(("__main__", "pip_fetch")) or re.match(r"datapipe\.tools\.\w+\.", name):
            continue  # a tool's folder is imported in its own environment only
        for _, kind in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            if (
                kind.__module__ == name
                and dataclasses.is_dataclass(kind)
                and not kind.__dataclass_params__.frozen
            ):
                loose.append(f"{name}.{kind.__name__}")
    assert not loose


def test_dependencies_go_one_way() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports"))]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_the_packages_are_ours_alone() -> None:
    owners = importlib.metadata.packages_distributions()
    for package in PACKAGES:
        assert Path(importlib.import_module(package).__file__).is_relative_to(ROOT)
        assert set(owners.get(package, ["avatarsync"])) == {"avatarsync"}


def test_tests_folder_is_no_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
