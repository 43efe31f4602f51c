"""Ready adapters, each against a fake repository that parses and writes as the real script does.

None of the methods can run here: what is tested is that the command fits the script's flags, that the files
it wants are there, and that what it leaves becomes the clip's one video.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from method_scripts import CONFIGS, CUT, FILES, HEAD, SCRIPTS
from striped import stripes

from benchmark.cases import find_cases
from benchmark.records import Case, System
from benchmark.systems.adapters import ADAPTERS, adapter_named, table
from benchmark.systems.adapters.adapter import GIVEN, OUT
from benchmark.systems.adapters.scratch import Setup, stage
from benchmark.systems.commands import SystemsCommand
from benchmark.systems.inputs import SAMPLES_PER_FRAME
from benchmark.systems.making import MakeConfig, make_videos
from benchmark.systems.specs import parse_system
from datapipe.media import probe, read_audio, read_frames, write_video
from datapipe.records import Rejected, to_json
from datapipe.template import places_in, split

ROOT = Path(__file__).parent.parent
NUM_FRAMES = 10
TONE = np.sin(np.arange(NUM_FRAMES * SAMPLES_PER_FRAME, dtype=np.float32) * 0.2) * 0.5


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, ...]:
    folder = tmp_path_factory.mktemp("it's $(held) out")
    write_video(folder / "a b; 'c'.mp4", stripes(NUM_FRAMES, 48, 0.5), TONE)
    return find_cases(folder)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    loud = np.pad(TONE, (0, 10 * SAMPLES_PER_FRAME))
    write_video(folder / "made.mp4", stripes(NUM_FRAMES, 64, 0.2), TONE)
    write_video(folder / "mute.mp4", stripes(NUM_FRAMES, 64, 0.2))
    write_video(folder / "long.mp4", stripes(NUM_FRAMES + 5, 64, 0.2), loud)
    grid = np.zeros((NUM_FRAMES + 5, 516, 1544, 3), np.uint8)
    grid[:, 2:514, 1030:1542] = (200, 40, 40)
    write_video(folder / "grid.mp4", grid, loud, fps=30)
    return folder


def build(name: str, root: Path) -> Path:
    """A repository with the adapter's script and what the script opens."""
    adapter, repo = ADAPTERS[name], root / name
    for path in (adapter.entry, *FILES.get(name, ())):
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_bytes(b"")
    (repo / adapter.entry).write_text(HEAD + SCRIPTS[name])
    for path, config in CONFIGS.get(name, {}).items():
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_text(yaml.safe_dump(config))
    return repo


def make(
    name: str, cases: tuple[Case, ...], videos: Path, root: Path, patch: pytest.MonkeyPatch, more: str = ""
) -> System:
    patch.setenv("FAKE_VIDEOS", str(videos))
    repo = root / name if (root / name).exists() else build(name, root)
    spec = parse_system(f"{name}=adapter:{name}?repo={repo}&python={sys.executable}{more}")
    return make_videos(spec, cases, root / "out", MakeConfig(timeout=60))


def listing(folder: Path) -> list[tuple[str, bytes]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(path.relative_to(folder)), path.read_bytes()) for path in files if path.suffix != ".pyc"]


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_an_adapter_makes_the_clips_one_video(
    name: str, cases: tuple[Case, ...], videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(build(name, tmp_path))
    system = make(name, cases, videos, tmp_path, monkeypatch)
    assert not system.failures
    made = tmp_path / f"out/{cases[0].key}.mp4"
    shown = probe(made)
    assert shown.num_frames == NUM_FRAMES and shown.audio_codec, "cut to the clip, never silent"
    assert np.abs(read_audio(made)).max() > 0.2
    untouched = name not in (*CUT, "aniportrait", "stableavatar")
    assert (made.read_bytes() == (videos / "made.mp4").read_bytes()) == untouched
    assert listing(tmp_path / name) == before, "results stay out of the repository"


def test_every_adapter_has_its_fake() -> None:
    assert set(SCRIPTS) == set(ADAPTERS) and len(ADAPTERS) == 12


def test_only_the_result_of_several_pictures_is_kept(
    cases: tuple[Case, ...], videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("aniportrait", cases, videos, tmp_path, monkeypatch)
    frames = read_frames(tmp_path / f"out/{cases[0].key}.mp4")
    assert frames.shape[1:] == (512, 512, 3)
    away = np.abs(frames.astype(int) - (200, 40, 40))
    assert away[:, 8:-8, 8:-8].max() < 12
    edges = (away[:, :, 0], away[:, :, -1], away[:, 0], away[:, -1])
    assert max(edge.mean() for edge in edges) < 40, "a border or neighbour is 93 away"


@pytest.mark.parametrize(
    ("name", "face"), [("wav2lip", "video"), ("wav2lip", "still"), ("latentsync", "video")]
)
def test_dubbing_methods_can_be_shown_the_true_video(
    name: str,
    face: str,
    cases: tuple[Case, ...],
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not make(name, cases, videos, tmp_path, monkeypatch, f"&face={face}").failures


def test_a_still_video_repeats_the_picture(cases: tuple[Case, ...], tmp_path: Path) -> None:
    repo, root = build("latentsync", tmp_path), tmp_path / "root"
    root.mkdir()
    adapter = ADAPTERS["latentsync"]
    options = {each.name: each.default for each in adapter.options}
    command = stage(Setup(adapter=adapter, repo=repo, python="python", options=options), cases[0], root)
    frames = read_frames(root / command[command.index("--video_path") + 1])
    assert len(frames) == NUM_FRAMES
    assert np.abs(frames.astype(int) - frames[:1]).max() < 8
    truth = read_frames(cases[0].video)
    right, others = truth[0], (truth[0][:, :, ::-1], truth[0][:, ::-1], truth[-1])
    away = [np.abs(frames[0].astype(int) - other).mean() for other in (right, *others)]
    assert away[0] < 0.5 * min(away[1:]), "the first picture, its colours and sides in order"
    assert not any(str(cases[0].video.parent) in word for word in command), (
        "no name of the user's in a command"
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "wrote no results/v15/made.mp4; its last line: Error occurred"),
        ("sys.exit('CUDA is not there')", "ended with code 1: CUDA is not there"),
        ("write('results/v15/made.mp4', '../nothing')", "ended with code 1"),
    ],
)
def test_a_method_that_hides_its_error_is_a_failure(
    body: str,
    says: str,
    cases: tuple[Case, ...],
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repo = build("musetalk", tmp_path)
    (repo / "scripts/inference.py").write_text(
        f"{HEAD}{body}\nprint('Error occurred during processing: no face')"
    )
    system = make("musetalk", cases, videos, tmp_path, monkeypatch)
    assert says in system.failures[cases[0].key]


def test_several_videos_where_one_is_expected_are_a_failure(
    cases: tuple[Case, ...], videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = build("sadtalker", tmp_path)
    (repo / "inference.py").write_text(f"{HEAD}write('results/a.mp4'); write('results/b.mp4')")
    system = make("sadtalker", cases, videos, tmp_path, monkeypatch)
    assert "wrote 2 videos where one was expected: a.mp4, b.mp4" in system.failures[cases[0].key]


def test_python_is_found_from_where_the_user_stands(
    cases: tuple[Case, ...], videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    repo, inside = build("ditto", tmp_path), tmp_path / "ditto/.venv/bin/python"
    inside.parent.mkdir(parents=True)
    inside.symlink_to(sys.executable)
    for text in ("", "&python=ditto/.venv/bin/python"):
        assert parse_system(f"d=adapter:ditto?repo=ditto{text}").setup.python == str(inside)
    monkeypatch.setenv("FAKE_VIDEOS", str(videos))
    spec = parse_system("d=adapter:ditto?repo=ditto&python=ditto/.venv/bin/python")
    assert spec.setup.repo == repo and not make_videos(spec, cases, tmp_path / "out").failures
    with pytest.raises(Rejected, match="not a program"):
        make_videos(parse_system("d=adapter:ditto?repo=ditto&python=nowhere/python"), cases, tmp_path / "b")


def test_a_grid_of_another_size_is_not_cut_blindly(
    cases: tuple[Case, ...], videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = build("aniportrait", tmp_path)
    (repo / "scripts/audio2vid.py").write_text(f"{HEAD}write('output/a/b/c.mp4', 'long.mp4')")
    system = make("aniportrait", cases, videos, tmp_path, monkeypatch)
    assert "wrote 64x64; its result is expected in" in system.failures[cases[0].key]


def test_a_config_that_is_not_there_says_so(
    cases: tuple[Case, ...], videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = build("echomimic", tmp_path)
    (repo / "configs/prompts/animation.yaml").write_text("- 1")
    failures = make("echomimic", cases, videos, tmp_path, monkeypatch).failures
    assert "holds no settings by name" in failures[cases[0].key]
    (repo / "configs/prompts/animation.yaml").unlink()
    failures = make("echomimic", cases, videos, tmp_path, monkeypatch).failures
    assert "check out the version that was read" in failures[cases[0].key]


def test_an_option_reaches_the_command(cases: tuple[Case, ...], tmp_path: Path) -> None:
    repo = build("stableavatar", tmp_path)
    spec = parse_system(
        f"s=adapter:stableavatar?repo={repo}&prompt=She%20%22talks%22%20%26%20{{out}}&steps=30"
    )
    (tmp_path / "root").mkdir()
    command = stage(spec.setup, cases[0], tmp_path / "root")
    assert command[command.index("--validation_prompts") + 1] == 'She "talks" & {out}'
    assert command[command.index("--sample_steps") + 1] == "30"
    with pytest.raises(Rejected, match="did you mean `picture`"):
        parse_system(f"s=adapter:wav2lip?repo={build('wav2lip', tmp_path)}&face=pictur")


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=lambda each: each.name)
def test_an_adapter_is_complete(adapter: object) -> None:
    words = split(adapter.command, adapter.places)
    held = {*places_in(words), *places_in([json.dumps([each.values for each in adapter.files])])}
    assert {option.name for option in adapter.options} <= held, "an option that changes nothing"
    assert {"python", "audio"} <= held and held & {"reference", "face"}
    assert ("out" in held) == (adapter.collect == OUT)
    assert (
        len(adapter.commit) == 40 and adapter.source[0].endswith(".py") and adapter.entry == adapter.source[0]
    )
    assert all(each.default for each in adapter.options) and set(GIVEN) <= set(adapter.places)
    for text in (
        adapter.code_licence,
        adapter.weights_licence,
        adapter.inputs,
        adapter.output,
        *adapter.needs,
    ):
        assert text.strip()


def test_an_adapter_of_ones_own_is_a_json_file(
    cases: tuple[Case, ...], videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VIDEOS", str(videos))
    repo = build("ditto", tmp_path)
    path = tmp_path / "mine.json"
    path.write_text(to_json(ADAPTERS["ditto"]).replace('"name": "ditto"', '"name": "mine"'))
    assert adapter_named(str(path)).name == "mine"
    spec = parse_system(f"m=adapter:{path}?repo={repo}&python={sys.executable}")
    assert not make_videos(spec, cases, tmp_path / "out").failures
    for broken in ("{}", "[1]", "{", to_json(ADAPTERS["ditto"]).replace(OUT, "../../../etc/passwd")):
        path.write_text(broken)
        with pytest.raises(Rejected, match=r"is no adapter|leaves the scratch folder"):
            adapter_named(str(path))


def test_the_document_holds_the_table() -> None:
    assert table() in (ROOT / "docs/adding-a-method.md").read_text()


def test_adapters_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert SystemsCommand().execute() == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(ADAPTERS)
    assert SystemsCommand(action="show", name=("sonic",)).execute() == 0
    page = capsys.readouterr().out
    assert "CC BY-NC-SA 4.0" in page and ADAPTERS["sonic"].command in page and "dynamic=1.0" in page
    assert SystemsCommand(action="show", name=("sonic", "ditto"), json=True).execute() == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["sonic", "ditto"]
    for wrong in (SystemsCommand(action="show"), SystemsCommand(action="show", name=("sonik",))):
        with pytest.raises(Rejected):
            wrong.execute()
