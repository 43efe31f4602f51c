"""Fake repositories of the methods: scripts that parse and write as the real ones do."""

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
