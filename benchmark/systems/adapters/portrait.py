"""Methods that make a video from one picture and a sound."""

from __future__ import annotations

from .adapter import Adapter, Option, ScratchFile

NOT_READ = "not in the repository; see the model page that its README links"

SADTALKER = Adapter(
    name="sadtalker",
    title="SadTalker",
    paper="arXiv:2211.12194",
    repository="https://github.com/OpenTalker/SadTalker",
    commit="cd4c0465ae0b54a6f85af57f5c65fec9fe23e7f8",
    source=(
        "inference.py",
        "src/facerender/animate.py",
        "src/generate_batch.py",
        "src/utils/preprocess.py",
        "docs/best_practice.md",
        "README.md",
    ),
    code_licence="Apache-2.0, except third-party parts that its LICENSE lists",
    weights_licence=NOT_READ,
    needs=("Python 3.8, torch 1.12.1", "ffmpeg", "scripts/download_models.sh into checkpoints/"),
    entry="inference.py",
    command="{python} inference.py --driven_audio {audio} --source_image {reference}"
    " --checkpoint_dir ./checkpoints"
    " --result_dir ./results --preprocess {preprocess} --size {size}",
    options=(
        Option(
            name="preprocess",
            default="resize",
            about="resize keeps the reference's framing; the script's default, crop, does not;"
            " full wants a still head",
        ),
        Option(name="size", default="256", about="side of the rendered face, 256 or 512"),
    ),
    fresh=("results",),
    collect="results/*.mp4",
    inputs="picture of a real person, head filling it; sound is taken at 16 kHz; 21 frames or more (0.84 s)",
    output="25 fps; `size` wide, height by the picture's shape",
    least_seconds=0.88,
    notes=(
        "A face that is not found ends the script with code 0 and no video: counted as a failure.",
        "Blinks are drawn at random without a seed, so two runs differ.",
    ),
)

V_EXPRESS = Adapter(
    name="v-express",
    title="V-Express",
    paper="arXiv:2406.02511",
    repository="https://github.com/tencent-ailab/V-Express",
    commit="6814f7db362dc9e26644162034b4d28c5277651a",
    source=("inference.py", "pipelines/utils.py", "pipelines/context.py", "README.md"),
    code_licence="none stated: the repository holds no licence file",
    weights_licence=NOT_READ,
    needs=("pip install -r requirements.txt (torch 2.0.1)", "its model_ckpts/ folder, by git lfs"),
    entry="inference.py",
    command="{python} inference.py --reference_image_path {reference} --audio_path {audio} --kps_path ''"
    " --output_path {out} --retarget_strategy fix_face --num_inference_steps {steps} --seed {seed}",
    options=(
        Option(name="steps", default="25", about="denoising steps"),
        Option(name="seed", default="42", about="the script's own default"),
    ),
    inputs="square face crop, 512x512 or more; any sound rate; 0.8 s or more",
    output="512x512; 24 + 20k frames spread over the sound, so the rate is at most 30 fps and seldom whole",
    least_seconds=0.84,
    notes=(
        "fix_face needs no key points of a driving video, so the head hardly moves.",
        (
            "Below 24 frames at 30 fps the script ends with an IndexError; such clips get"
            " silence and are cut again."
        ),
    ),
)

ANIPORTRAIT = Adapter(
    name="aniportrait",
    title="AniPortrait",
    paper="arXiv:2403.17694",
    repository="https://github.com/Zejun-Yang/AniPortrait",
    commit="7f6593fd971c95b65f603c15ef8ce2c3fc7f5404",
    source=(
        "scripts/audio2vid.py",
        "src/utils/util.py",
        "src/utils/audio_util.py",
        "configs/prompts/animation_audio.yaml",
        "README.md",
    ),
    code_licence="Apache-2.0",
    weights_licence=NOT_READ,
    needs=(
        "Python 3.10 or newer, CUDA 11.7, pip install -r requirements.txt",
        (
            "weights where configs/prompts/animation_audio.yaml says (pretrained_model/; the"
            " README says pretrained_weights/)"
        ),
        "ffmpeg",
    ),
    entry="scripts/audio2vid.py",
    command="{python} -m scripts.audio2vid --config case/config.yaml -W 512 -H 512 --seed {seed}"
    " --steps {steps}",
    options=(
        Option(name="seed", default="42", about="the script's own default"),
        Option(name="steps", default="25", about="denoising steps"),
    ),
    files=(
        ScratchFile(
            path="case/config.yaml",
            base="configs/prompts/animation_audio.yaml",
            values={"test_cases": {"{reference}": ["{audio}"]}},
        ),
    ),
    fresh=("output",),
    collect="output/*/*/*.mp4",
    crop=(1030, 2, 1542, 514),
    inputs="any picture, stretched to 512x512; more than 5 s of sound",
    output="30 fps; reference, pose and result side by side in 1544x516, of which the result is"
    " kept (512x512)",
    least_seconds=5.2,
    notes=(
        "Up to 5 s of sound the script ends with an IndexError; such clips get silence and are cut again.",
        "The head pose is drawn at random without a seed, so two runs differ.",
        "Head poses are only made for about 10 s.",
    ),
)

HALLO = Adapter(
    name="hallo",
    title="Hallo",
    paper="arXiv:2406.08801",
    repository="https://github.com/fudan-generative-vision/hallo",
    commit="8fd7c572a3d43c2a9c1a5473219ce4fc1b6e3ed2",
    source=("scripts/inference.py", "configs/inference/default.yaml", "README.md"),
    code_licence="MIT",
    weights_licence=NOT_READ,
    needs=(
        "Python 3.10, pip install -r requirements.txt, pip install .",
        "pretrained_models/, by git lfs",
        "ffmpeg",
    ),
    entry="scripts/inference.py",
    command="{python} scripts/inference.py --source_image {reference} --driving_audio {audio} --output {out}",
    inputs="square picture, face 50-70 % of it, turned less than 30 degrees; WAV; trained on English",
    output="25 fps, 512x512, one frame per 40 ms of sound",
    notes=("The background of the sound is removed first, in the same process.", "The seed is fixed at 42."),
)

HALLO2 = Adapter(
    name="hallo2",
    title="Hallo2",
    paper="arXiv:2410.07718",
    repository="https://github.com/fudan-generative-vision/hallo2",
    commit="58a9aa6c9f66817a6e084f3874cfc01ac24fed3e",
    source=("scripts/inference_long.py", "hallo/utils/util.py", "configs/inference/long.yaml", "README.md"),
    code_licence="MIT; its super-resolution follows CodeFormer's S-Lab License 1.0",
    weights_licence=NOT_READ,
    needs=("Python 3.10, torch 2.2.2, pip install -r requirements.txt", "pretrained_models/", "ffmpeg"),
    entry="scripts/inference_long.py",
    command="{python} scripts/inference_long.py --config case/config.yaml --source_image {reference}"
    " --driving_audio {audio}",
    files=(
        ScratchFile(
            path="case/config.yaml", base="configs/inference/long.yaml", values={"save_path": "output_long"}
        ),
    ),
    fresh=("output_long",),
    collect="output_long/reference/merge_video.mp4",
    inputs="square picture, face 50-70 % of it, turned less than 30 degrees; WAV; trained on English",
    output="25 fps, 512x512 (super-resolution, scripts/video_sr.py, is a step of its own and is not run)",
    notes=(
        (
            "The script joins every part it finds in its output folder, old ones too: the"
            " folder is new for each clip."
        ),
    ),
)

ECHOMIMIC = Adapter(
    name="echomimic",
    title="EchoMimic",
    paper="arXiv:2407.08136",
    repository="https://github.com/antgroup/echomimic",
    commit="a53e97040398ddae5d26df0d2054a8f1e9f9df6d",
    source=(
        "infer_audio2vid.py",
        "src/utils/util.py",
        "src/pipelines/pipeline_echo_mimic.py",
        "configs/prompts/animation.yaml",
        "README.md",
    ),
    code_licence="Apache-2.0",
    weights_licence=NOT_READ,
    needs=(
        "Python 3.8, 3.10 or 3.11, pip install -r requirements.txt",
        "pretrained_weights/",
        "ffmpeg, or FFMPEG_PATH",
    ),
    entry="infer_audio2vid.py",
    command="{python} -u infer_audio2vid.py --config case/config.yaml -W 512 -H 512 --seed {seed}"
    " --steps {steps}"
    " --fps {fps} --facecrop_dilation_ratio {facecrop}",
    options=(
        Option(name="seed", default="420", about="the script's own default"),
        Option(name="steps", default="30", about="denoising steps"),
        Option(name="fps", default="24", about="the script's own default"),
        Option(
            name="facecrop",
            default="10",
            about="margin round the found face, in faces; 10 keeps a square picture's framing,"
            " the script's 0.5 crops it",
        ),
    ),
    files=(
        ScratchFile(
            path="case/config.yaml",
            base="configs/prompts/animation.yaml",
            values={"test_cases": {"{reference}": ["{audio}"]}},
        ),
    ),
    fresh=("output",),
    collect="output/*/*/*_withaudio.mp4",
    inputs="picture with one face; sound is taken at 16 kHz; English and Mandarin",
    output="24 fps unless told otherwise, 512x512, at most 1200 frames",
    notes=("The plain script; infer_audio2vid_acc.py is its faster variant with weights of its own.",),
)

SONIC = Adapter(
    name="sonic",
    title="Sonic",
    paper="arXiv:2411.16331",
    repository="https://github.com/jixiaozhong/Sonic",
    commit="51a74aec29e100d1505b97da7c03e4db6411dcb9",
    source=(
        "demo.py",
        "sonic.py",
        "config/inference/sonic.yaml",
        "src/dataset/test_preprocess.py",
        "README.md",
    ),
    code_licence="CC BY-NC-SA 4.0, non-commercial",
    weights_licence="non-commercial, as its README says of Sonic; the base models have their own",
    needs=(
        "pip install -r requirements.txt",
        "checkpoints/, by huggingface-cli",
        "32 GB of GPU memory",
        "ffmpeg",
    ),
    entry="demo.py",
    command="{python} demo.py {reference} {audio} {out} --dynamic_scale {dynamic}",
    options=(Option(name="dynamic", default="1.0", about="how much the head moves"),),
    inputs="picture with one face, shorter side scaled to 512",
    output="25 fps (12.5 fps and frames in between), sides rounded to multiples of 64",
    pad_seconds=0.16,
    notes=(
        "2 * floor(n / 2) - 1 frames come of n: the sound gets 0.16 s of silence and the video is cut again.",
        (
            "--seed is read and not used; --crop writes beside the picture and changes the"
            " framing: neither is given."
        ),
        "The seed in sonic.yaml, 72589, is used.",
    ),
)

STABLE_AVATAR = Adapter(
    name="stableavatar",
    title="StableAvatar",
    paper="arXiv:2508.08248",
    repository="https://github.com/Francis-Rings/StableAvatar",
    commit="46c04929cbc86cb2e0f50265d276fcf619737312",
    source=("inference.py", "inference.sh", "wan/pipeline/wan_inference_long_pipeline.py", "README.md"),
    code_licence="MIT",
    weights_licence=NOT_READ,
    needs=("torch 2.6.0, pip install -r requirements.txt", "checkpoints/, by huggingface-cli"),
    entry="inference.py",
    command="{python} inference.py --config_path deepspeed_config/wan2.1/wan_civitai.yaml"
    " --pretrained_model_name_or_path checkpoints/Wan2.1-Fun-V1.1-1.3B-InP"
    " --transformer_path checkpoints/StableAvatar-1.3B/transformer3d-square.pt"
    " --pretrained_wav2vec_path checkpoints/wav2vec2-base-960h --validation_reference_path {reference}"
    " --validation_driven_audio_path {audio} --output_dir case/made --validation_prompts"
    " {prompt} --seed {seed}"
    " --ulysses_degree 1 --ring_degree 1 --motion_frame 25 --sample_steps {steps} --width 512 --height 512"
    " --overlap_window_length {overlap} --clip_sample_n_frames 81 --GPU_memory_mode {memory}"
    " --sample_text_guide_scale 3.0 --sample_audio_guide_scale 5.0",
    options=(
        Option(
            name="prompt",
            default="A person is talking to the camera.",
            about="describes first frame, behaviour and background; the same for all clips, and ours",
        ),
        Option(name="seed", default="42", about="as in inference.sh"),
        Option(name="steps", default="50", about="30 to 50"),
        Option(name="overlap", default="5", about="5 to 15"),
        Option(name="memory", default="model_full_load", about="model_cpu_offload halves the GPU memory"),
    ),
    collect="case/made/video_without_audio.mp4",
    inputs="picture stretched to 512x512; sound is taken at 16 kHz; 81 frames or more (3.24 s); a"
    " text prompt",
    output="25 fps, 512x512, without sound (the clip's own is added)",
    pad_seconds=0.16,
    least_seconds=3.4,
    notes=(
        (
            "4 * floor((n - 1) / 4) + 1 frames come of n: the sound gets 0.16 s of silence and"
            " the video is cut again."
        ),
        (
            "Below 81 frames no denoising step is taken and noise is decoded without an error:"
            " such clips get silence."
        ),
    ),
)

DITTO = Adapter(
    name="ditto",
    title="Ditto",
    paper="arXiv:2411.19509",
    repository="https://github.com/antgroup/ditto-talkinghead",
    commit="e9191cf6cf8cb41d296239889662c27bc592c9ee",
    source=("inference.py", "stream_pipeline_offline.py", "core/atomic_components/writer.py", "README.md"),
    code_licence="Apache-2.0",
    weights_licence=NOT_READ,
    needs=("conda env create -f environment.yaml (Python 3.10)", "checkpoints/, by git lfs", "ffmpeg"),
    entry="inference.py",
    command="{python} inference.py --data_root {data_root} --cfg_pkl {cfg_pkl} --audio_path {audio}"
    " --source_path {reference} --output_path {out}",
    options=(
        Option(
            name="data_root",
            default="./checkpoints/ditto_pytorch",
            about="./checkpoints/ditto_trt_Ampere_Plus with TensorRT 8.6.1",
        ),
        Option(
            name="cfg_pkl",
            default="./checkpoints/ditto_cfg/v0.4_hubert_cfg_pytorch.pkl",
            about="./checkpoints/ditto_cfg/v0.4_hubert_cfg_trt.pkl with TensorRT; a pickle: it can run code",
        ),
    ),
    inputs="picture up to 1920 pixels; sound is taken at 16 kHz",
    output="25 fps, the picture's own size and framing, one frame per 40 ms of sound",
    notes=("The seed call in the script is commented out, so two runs may differ.",),
)
