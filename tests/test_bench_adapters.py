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

# What each script declares, and where it writes, as read at the adapter's commit.
HEAD = """
import argparse, json, os, shutil, sys, wave
from pathlib import Path
def seconds_of(path):
    with wave.open(str(path)) as sound:
        assert sound.getframerate() == 16000 and sound.getnchannels() == 1
        return sound.getnframes() / 16000
def picture(path):
    assert Path(path).read_bytes()[:8] == b"\\x89PNG\\r\\n\\x1a\\n", path
def write(path, made="made.mp4"):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(os.environ["FAKE_VIDEOS"]) / made, path)
parser = argparse.ArgumentParser(allow_abbrev=False)
add = parser.add_argument
"""
SCRIPTS = {
    "sadtalker": """
for name in ("driven_audio", "source_image", "ref_eyeblink", "ref_pose", "checkpoint_dir", "result_dir"):
    add("--" + name)
for name in ("pose_style", "batch_size", "size"):
    add("--" + name, type=int, default=256)
add("--expression_scale", type=float, default=1.0)
add("--enhancer"); add("--background_enhancer")
for name in ("cpu", "face3dvis", "still", "verbose", "old_version"):
    add("--" + name, action="store_true")
add("--preprocess", default="crop", choices=["crop", "extcrop", "resize", "full", "extfull"])
args = parser.parse_args()
picture(args.source_image)
assert os.path.isdir("src/config") and os.path.isdir(args.checkpoint_dir)
assert seconds_of(args.driven_audio) * 25 > 20, "random.choice of an empty range"
assert not os.listdir(args.result_dir), "an old result"
os.makedirs(args.result_dir + "/2023_10_11_10.00.00/first_frame_dir")
write(args.result_dir + "/2023_10_11_10.00.00.mp4", "long.mp4")
""",
    "v-express": """
for name in ("reference_image_path", "audio_path", "output_path", "dtype", "device", "test_stage"):
    add("--" + name)
add("--kps_path", default="./test_samples/emo/talk_emotion/kps.pth")
add("--retarget_strategy", default="fix_face")
for name in ("num_inference_steps", "seed", "image_width", "image_height", "gpu_id"):
    add("--" + name, type=int)
for name in ("fps", "guidance_scale", "reference_attention_weight", "audio_attention_weight"):
    add("--" + name, type=float)
add("--save_gpu_memory", action="store_true")
args = parser.parse_args()
assert args.kps_path == "" or os.path.exists(args.kps_path), args.kps_path
picture(args.reference_image_path)
assert int(seconds_of(args.audio_path) * 30) >= 24, "no context"
open("inference_v2.yaml").close()
write(args.output_path, "long.mp4")
""",
    "aniportrait": """
import yaml
add("--config", default="./configs/prompts/animation_audio.yaml")
for name in ("-W", "-H", "-L", "--seed", "--steps", "--fps", "--fi_step"):
    add(name, type=int, default=512)
add("--cfg", type=float, default=3.5)
add("-acc", "--accelerate", action="store_true")
args = parser.parse_args()
config = yaml.safe_load(open(args.config))
assert config["weight_dtype"] == "fp16" and config["audio_inference_config"]
for image, sounds in config["test_cases"].items():
    for sound in sounds:
        picture(image)
        assert seconds_of(sound) > 5, "audio_chunks[-2]"
        name = f"{Path(image).stem}_{Path(sound).stem}_{args.H}x{args.W}_3_1000"
        write(f"output/20240702/1000--seed_{args.seed}-{args.W}x{args.H}/{name}.mp4", "grid.mp4")
""",
    "hallo": """
add("-c", "--config", default="configs/inference/default.yaml")
for name in ("--source_image", "--driving_audio"):
    add(name)
add("--output", default=".cache/output.mp4")
for name in ("--pose_weight", "--face_weight", "--lip_weight", "--face_expand_ratio"):
    add(name, type=float)
add("--audio_ckpt_dir", "--checkpoint")
args = parser.parse_args()
open(args.config).close(); picture(args.source_image); seconds_of(args.driving_audio)
import hallo
os.makedirs(".cache/audio_preprocess")
write(args.output)
""",
    "hallo2": """
import yaml
add("-c", "--config", default="configs/inference/long.yaml")
for name in ("--source_image", "--driving_audio"):
    add(name)
for name in ("--pose_weight", "--face_weight", "--lip_weight", "--face_expand_ratio"):
    add(name, type=float)
add("--audio_ckpt_dir", "--checkpoint")
args = parser.parse_args()
config = yaml.safe_load(open(args.config))
assert config["use_cut"] is True and config["data"]["export_video"]["fps"] == 25
picture(args.source_image); seconds_of(args.driving_audio)
folder = Path(config["save_path"]) / Path(args.source_image).stem
write(folder / "seg_video/reference-000001.mp4")
write(folder / "merge_video.mp4")
""",
    "echomimic": """
import yaml
add("--config", default="./configs/prompts/animation.yaml")
for name in ("-W", "-H", "-L", "--seed", "--context_frames", "--context_overlap", "--steps"):
    add(name, type=int, default=512)
for name in ("--sample_rate", "--fps"):
    add(name, type=int, default=512)
for name in ("--facemusk_dilation_ratio", "--facecrop_dilation_ratio", "--cfg"):
    add(name, type=float, default=0.5)
add("--device", default="cuda")
args = parser.parse_args()
config = yaml.safe_load(open(args.config))
assert config["audio_model_path"] and config["inference_config"]
for image, sounds in config["test_cases"].items():
    for sound in sounds:
        picture(image); seconds_of(sound)
        stem = f"{Path(image).stem}_{Path(sound).stem}_{args.H}x{args.W}_2_1000"
        folder = f"output/20250805/1000--seed_{args.seed}-{args.W}x{args.H}"
        write(f"{folder}/{stem}.mp4", "mute.mp4")
        write(f"{folder}/{stem}_withaudio.mp4")
""",
    "sonic": """
add("image_path"); add("audio_path"); add("output_path")
add("--dynamic_scale", type=float, default=1.0)
add("--crop", action="store_true")
add("--seed", type=int)
args = parser.parse_args()
picture(args.image_path)
os.makedirs(os.path.dirname(args.output_path), exist_ok=True)
frames = int(seconds_of(args.audio_path) * 25)
assert 2 * (frames // 2) - 1 >= 10, "shorter than the clip"
write(args.output_path, "long.mp4")
""",
    "stableavatar": """
add("--pretrained_model_name_or_path", required=True)
for name in ("transformer_path", "output_dir", "pretrained_wav2vec_path", "validation_reference_path"):
    add("--" + name)
for name in ("validation_driven_audio_path", "config_path", "overlapping_weight_scheme"):
    add("--" + name)
add("--validation_prompts", nargs="+")
add("--GPU_memory_mode", default="model_full_load")
for name in ("width", "height", "ulysses_degree", "ring_degree", "seed", "motion_frame", "sample_steps"):
    add("--" + name, type=int)
for name in ("overlap_window_length", "clip_sample_n_frames"):
    add("--" + name, type=int)
for name in ("sample_shift", "sample_text_guide_scale", "sample_audio_guide_scale"):
    add("--" + name, type=float)
args = parser.parse_args()
open(args.config_path).close(); picture(args.validation_reference_path)
assert args.validation_prompts == ["A person is talking to the camera."] and args.seed is not None
assert int(seconds_of(args.validation_driven_audio_path) * 25) >= args.clip_sample_n_frames, "noise"
os.makedirs(args.output_dir + "/animated_images")
write(args.output_dir + "/video_without_audio.mp4", "mute.mp4")
""",
    "wav2lip": """
for name in ("--checkpoint_path", "--face", "--audio"):
    add(name, required=True)
add("--outfile", default="results/result_voice.mp4")
add("--static", type=bool, default=False)
add("--fps", type=float, default=25.0)
for name in ("--pads", "--crop", "--box"):
    add(name, nargs="+", type=int)
add("--nosmooth", action="store_true")
args = parser.parse_args()
open(args.checkpoint_path).close()
if args.face.split(".")[1] in ["jpg", "png", "jpeg"]:
    picture(args.face)
else:
    assert Path(args.face).stat().st_size > 500
mel = int(seconds_of(args.audio) * 80) + 1
chunks = next(i for i in range(9999) if int(i * 3.2) + 16 > mel) + 1
assert chunks >= 10, "shorter than the clip"
open("temp/result.avi", "wb").close()
write(args.outfile, "long.mp4")
""",
    "latentsync": """
add("--unet_config_path", default="configs/unet.yaml")
for name in ("--inference_ckpt_path", "--video_path", "--audio_path", "--video_out_path"):
    add(name, required=True)
add("--inference_steps", type=int, default=20)
add("--guidance_scale", type=float, default=1.0)
add("--temp_dir", default="temp")
add("--seed", type=int, default=1247)
add("--enable_deepcache", action="store_true")
args = parser.parse_args()
for path in (args.unet_config_path, args.inference_ckpt_path, "latentsync/utils/mask.png"):
    open(path).close()
assert Path(args.video_path).read_bytes()[4:8] == b"ftyp"
seconds_of(args.audio_path)
shutil.rmtree("temp"); os.makedirs("temp")
write(args.video_out_path, "long.mp4")
""",
    "musetalk": """
import yaml
for name in ("ffmpeg_path", "vae_type", "unet_config", "unet_model_path", "whisper_dir", "inference_config"):
    add("--" + name)
add("--result_dir", default="./results")
for name in ("gpu_id", "bbox_shift", "extra_margin", "fps", "batch_size", "left_cheek_width"):
    add("--" + name, type=int)
for name in ("use_saved_coord", "saved_coord", "use_float16"):
    add("--" + name, action="store_true")
add("--parsing_mode", default="jaw")
add("--version", default="v15", choices=["v1", "v15"])
args = parser.parse_args()
open(args.unet_config).close(); open(args.unet_model_path).close()
for task in yaml.safe_load(open(args.inference_config)).values():
    assert os.path.splitext(task["video_path"])[1] in (".png", ".mp4")
    seconds_of(task["audio_path"])
    open(os.path.join(args.result_dir, "../", "reference.pkl"), "wb").close()
    write(os.path.join(args.result_dir, args.version, task["result_name"]))
print("Error occurred during processing: local variable 'save_dir_full' referenced before assignment")
""",
    "ditto": """
for name in ("data_root", "cfg_pkl", "audio_path", "source_path", "output_path"):
    add("--" + name)
args = parser.parse_args()
open(args.cfg_pkl).close(); picture(args.source_path); seconds_of(args.audio_path)
os.makedirs(os.path.dirname(args.output_path + ".tmp.mp4"), exist_ok=True)
write(args.output_path + ".tmp.mp4", "mute.mp4")
write(args.output_path)
""",
}
FILES = {
    "sadtalker": ("src/config/facerender.yaml", "checkpoints/a.pth", "results/old.mp4"),
    "v-express": ("inference_v2.yaml",),
    "hallo": ("configs/inference/default.yaml", "hallo/__init__.py", ".cache/old.txt"),
    "hallo2": ("output_long/reference/merge_video.mp4",),
    "stableavatar": ("deepspeed_config/wan2.1/wan_civitai.yaml",),
    "wav2lip": ("checkpoints/wav2lip_gan.pth", "temp/README.md", "results/README.md"),
    "latentsync": (
        "configs/unet/stage2_512.yaml",
        "checkpoints/latentsync_unet.pt",
        "latentsync/utils/mask.png",
    ),
    "musetalk": ("models/musetalkV15/unet.pth", "models/musetalkV15/musetalk.json"),
    "ditto": ("checkpoints/ditto_cfg/v0.4_hubert_cfg_pytorch.pkl",),
}
CONFIGS = {
    "aniportrait": {
        "configs/prompts/animation_audio.yaml": {
            "audio_inference_config": "./configs/inference/inference_audio.yaml",
            "weight_dtype": "fp16",
            "test_cases": {"./configs/inference/ref_images/lyl.png": ["./configs/inference/audio/lyl.wav"]},
        }
    },
    "hallo2": {
        "configs/inference/long.yaml": {
            "use_cut": True,
            "data": {"export_video": {"fps": 25}},
            "save_path": "./output_long/debug/",
        }
    },
    "echomimic": {
        "configs/prompts/animation.yaml": {
            "audio_model_path": "./pretrained_weights/audio_processor/whisper_tiny.pt",
            "inference_config": "./configs/inference/inference_v2.yaml",
            "test_cases": {"./assets/test_imgs/a.png": ["./assets/test_audios/echomimic_en.wav"]},
        }
    },
}
CUT = ("sadtalker", "v-express", "sonic", "wav2lip", "latentsync")
"""Their fakes write more frames than the clip has, as the real ones do here."""


def pattern(num_frames: int, side: int, phase: float) -> np.ndarray:
    """Stripes that move: (T, H, W, 3) RGB, no two frames and no two sides alike."""
    time, row, column = np.mgrid[:num_frames, :side, :side] / side
    waves = [np.sin(9 * row + speed * column + 4 * time + phase) for speed in (1, 3, 7)]
    return np.uint8(np.stack(waves, axis=-1) * 90 + 120)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, ...]:
    folder = tmp_path_factory.mktemp("it's $(held) out")
    write_video(folder / "a b; 'c'.mp4", pattern(NUM_FRAMES, 48, 0.5), TONE)
    return find_cases(folder)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    loud = np.pad(TONE, (0, 10 * SAMPLES_PER_FRAME))
    write_video(folder / "made.mp4", pattern(NUM_FRAMES, 64, 0.2), TONE)
    write_video(folder / "mute.mp4", pattern(NUM_FRAMES, 64, 0.2))
    write_video(folder / "long.mp4", pattern(NUM_FRAMES + 5, 64, 0.2), loud)
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
