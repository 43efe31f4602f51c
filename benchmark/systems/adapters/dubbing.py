"""Methods that repaint the mouth of a video; here they get a still picture unless told otherwise.

With `face=video` they see the true video: head motion and upper face are then the ground truth's, and the
row must not stand beside methods that know one picture only.
"""

from __future__ import annotations

from .adapter import Adapter, Option, ScratchFile

FACE_ABOUT = "picture, still (a video that repeats it), or video (the true one, with its head motion)"

WAV2LIP = Adapter(
    name="wav2lip",
    title="Wav2Lip",
    paper="arXiv:2008.10010",
    repository="https://github.com/Rudrabha/Wav2Lip",
    commit="5c90fa9b4a2c2a37d0b4ebf7633ac41534eb9941",
    source=("inference.py", "hparams.py", "face_detection/detection/sfd/sfd_detector.py", "README.md"),
    code_licence="personal, research and non-commercial use only, as its README says; no licence file",
    weights_licence="the same; trained on LRS2",
    needs=(
        "Python 3.6, pip install -r requirements.txt",
        "ffmpeg",
        "a checkpoint in checkpoints/ and face_detection/detection/sfd/s3fd.pth",
    ),
    entry="inference.py",
    command="{python} inference.py --checkpoint_path {checkpoint} --face {face} --audio {audio}"
    " --outfile {out}",
    options=(
        Option(
            name="checkpoint",
            default="checkpoints/wav2lip_gan.pth",
            about="the file you fetched; it has no default",
        ),
        Option(name="face", default="picture", about=FACE_ABOUT),
    ),
    fresh=("temp", "results"),
    inputs="picture or video with one face in every frame; sound is taken at 16 kHz",
    output="25 fps for a picture, the video's own rate otherwise; the picture's size, mouth drawn at 96x96",
    pad_seconds=0.2,
    notes=(
        (
            "About 3 of a clip's frames are missing at the end: the sound gets 0.2 s of"
            " silence and the video is cut again."
        ),
        (
            "What follows the first dot of the path decides what is a picture: the scratch"
            " folder's relative names are safe."
        ),
    ),
)

LATENTSYNC = Adapter(
    name="latentsync",
    title="LatentSync",
    paper="arXiv:2412.09262",
    repository="https://github.com/bytedance/LatentSync",
    commit="a229c3948406bc2cf6eaf4873e662e70c6a04746",
    source=(
        "scripts/inference.py",
        "inference.sh",
        "setup_env.sh",
        "latentsync/pipelines/lipsync_pipeline.py",
        "latentsync/utils/util.py",
        "latentsync/whisper/audio2feature.py",
        "README.md",
    ),
    code_licence="Apache-2.0",
    weights_licence="not in the repository; see the model page that its README links",
    needs=(
        "setup_env.sh (Python 3.10.13)",
        "checkpoints/latentsync_unet.pt and checkpoints/whisper/tiny.pt",
        "18 GB of GPU memory",
        "ffmpeg",
    ),
    entry="scripts/inference.py",
    command="{python} -m scripts.inference --unet_config_path {unet_config} --inference_ckpt_path"
    " {checkpoint}"
    " --inference_steps {steps} --guidance_scale {guidance} --enable_deepcache --seed {seed}"
    " --video_path {face} --audio_path {audio} --video_out_path {out}",
    options=(
        Option(
            name="unet_config",
            default="configs/unet/stage2_512.yaml",
            about="stage2.yaml goes with version 1.5",
        ),
        Option(
            name="checkpoint", default="checkpoints/latentsync_unet.pt", about="as setup_env.sh fetches it"
        ),
        Option(name="steps", default="20", about="20 to 50"),
        Option(name="guidance", default="1.5", about="1.0 to 3.0"),
        Option(name="seed", default="1247", about="the script's own default"),
        Option(name="face", default="still", about=FACE_ABOUT + "; the script takes videos only"),
    ),
    fresh=("temp",),
    inputs="video with one face in every frame, brought to 25 fps; sound is taken at 16 kHz",
    output="25 fps, the video's size; one or two frames more than the sound has, which are cut",
    notes=(
        (
            "temp/ is emptied by the script itself: two runs in one folder would spoil each"
            " other; here none share one."
        ),
    ),
)

MUSETALK = Adapter(
    name="musetalk",
    title="MuseTalk 1.5",
    paper="arXiv:2410.10122",
    repository="https://github.com/TMElyralab/MuseTalk",
    commit="0a89dec45a0192b824e3cf4daf96c239440c5ed8",
    source=(
        "scripts/inference.py",
        "inference.sh",
        "configs/inference/test.yaml",
        "musetalk/utils/audio_processor.py",
        "musetalk/utils/preprocessing.py",
        "README.md",
    ),
    code_licence="MIT",
    weights_licence="its own: any purpose, commercial too; the models it builds on have theirs",
    needs=(
        "Python 3.10, torch 2.0.1, pip install -r requirements.txt",
        "mmengine, mmcv 2.0.1, mmdet 3.1.0, mmpose 1.1.0, by mim",
        "download_weights.sh into models/",
        "ffmpeg",
    ),
    entry="scripts/inference.py",
    command="{python} -m scripts.inference --inference_config case/config.yaml --result_dir ./results"
    " --unet_model_path ./models/musetalkV15/unet.pth --unet_config ./models/musetalkV15/musetalk.json"
    " --version v15 --fps 25 --parsing_mode {parsing}",
    options=(
        Option(name="face", default="picture", about=FACE_ABOUT),
        Option(name="parsing", default="jaw", about="how the mouth is blended in"),
    ),
    files=(
        ScratchFile(
            path="case/config.yaml",
            values={"task_0": {"video_path": "{face}", "audio_path": "{audio}", "result_name": "made.mp4"}},
        ),
    ),
    fresh=("results",),
    collect="results/v15/made.mp4",
    inputs="picture or video with one face; 25 fps; sound is taken at 16 kHz",
    output="25 fps for a picture, the video's own rate otherwise; the picture's size, mouth drawn at 256x256",
    notes=(
        (
            "Errors end the script with code 0: a clip without a video is a failure, with the"
            " script's last line."
        ),
        "With a picture an error is printed after the video is written; the video counts.",
    ),
)
