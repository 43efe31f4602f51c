"""What the documents say is true: commands parse, options exist, files are there."""

import io
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pytest

import avatarsync_demo as demo
from avatarsync import main
from benchmark.headlines import headlines
from benchmark.runs import read_run

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```(?:sh|bash|console)?\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


def commands_of(document: Path) -> list[list[str]]:
    text = document.read_text().replace("\\\n", " ")
    lines = [line.strip() for block in BLOCK.findall(text) for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(("avatarsync ", "make "))]


COMMANDS = [
    pytest.param(command, id=" ".join(command)[:70]) for doc in DOCUMENTS for command in commands_of(doc)
]


@cache
def help_of(*words: str) -> str:
    """What a command says of itself, without a process for each."""
    told = io.StringIO()
    with redirect_stdout(told):
        try:
            code = main([*words, "--help"])
        except SystemExit as end:
            code = end.code
    assert not code
    return told.getvalue()


def test_the_command_starts_as_a_module() -> None:
    command = [sys.executable, "-m", "avatarsync", "--help"]
    assert subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout == help_of()


@pytest.mark.parametrize("command", COMMANDS)
def test_documented_command_exists_with_its_options(command: list[str]) -> None:
    if command[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert command[1].split("=")[0] in targets
        return
    words = [word for word in command[1:] if re.fullmatch(r"[a-z][a-z-]*", word)][
        : 1 if command[1] == "demo" else 2
    ]
    if command[1:3] in (["model", "train"], ["bench", "human"]):
        words = command[1:4]
    if command[1].startswith("-"):
        words = []
    text = help_of(*words)
    for option in (word.split("=")[0] for word in command if word.startswith("--")):
        assert option in text, f"{option} is not an option of `avatarsync {' '.join(words)}`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_reason_and_target_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert all("##" in line for line in re.findall(r"^[a-z-]+:.*$", makefile, re.MULTILINE))


def test_readme_figures_are_those_of_the_committed_run() -> None:
    run = read_run(ROOT / "reports/runs/demo-sample-corpus.json")
    readme = (ROOT / "README.md").read_text()
    names = ("mouth_psnr", "mouth_opening_r", "psnr", "ssim", "lpips_alex", "fid", "fvd_styleganv")
    names += ("csim_w600k_mbf", "sync_c_demo")
    for system in (row for row in run.systems if row.kind == "system"):
        (row,) = (line for line in readme.splitlines() if line.startswith(f"| {system.name} |"))
        cells = [cell.strip().removesuffix(" dB") for cell in row.strip("|").split("|")[1:]]
        values = {score.metric: score.value for score in system.scores}
        for name, cell in zip(names, cells, strict=True):
            digits = len(cell.split(".")[1])
            assert f"{values[f'video/{name}']:.{digits}f}" == cell, (system.name, name)
    for headline in headlines(run):
        low, high = (f"{bound:+.2f}" for bound in (headline.low, headline.high))
        assert f"{headline.value:+.2f}{headline.unit}** [{low}, {high}]" in readme


def test_the_demo_runs_the_commands_it_prints() -> None:
    """Every step of the demo parses: its command exists and knows all its options."""
    out = Path("out")
    together, after = demo.training_steps(out, "demo")
    for step in [
        *demo.data_steps(out, 128),
        *together,
        *after,
        *demo.scoring_steps(out),
        *demo.table_steps(out),
    ]:
        words = step[:3] if step[:2] == ["model", "train"] else step[:2]
        text = help_of(*words)
        assert all(word in text for word in step if word.startswith("--")), step
