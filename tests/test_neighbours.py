"""EARTalking and JoyAvatar on a run's latents: nothing is lost on the way, and they train and speak."""

import json

import numpy as np
import pytest
import small
import torch
from small import dataset, sample
from toy_run import PRESET, SIZE, write_run

from datapipe.media import SAMPLE_RATE
from datapipe.records import Rejected
from model.__main__ import main
from model.cases import SYSTEMS, Places
from model.layers import to_bytes, to_signed
from model.neighbours.corpus import LatentClip, draw_clips, edge_motion, read_latents, space_of
from model.neighbours.kinds import KINDS
from model.neighbours.sound import BANDS, log_mel, mel_filters, rows_of_latents
from model.neighbours.space import (
    FRAMES,
    check_tokenizer,
    draw_moves,
    encode,
    reference_latent,
    to_codes,
    to_places,
)
from model.neighbours.train import kind_named, load_neighbour, speak
from model.tokenizer import Tokenizer, TokenizerConfig
from model.training.parts import load_tokenizer


def tone(hertz, seconds=1.0):
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


# --- sound ----------------------------------------------------------------------------------------------


@pytest.mark.slow  # the import of the other one is
def test_mel_filters_are_those_of_another_implementation():
    audio_utils = pytest.importorskip("transformers.audio_utils")
    wanted = audio_utils.mel_filter_bank(257, BANDS, 0.0, 8000.0, SAMPLE_RATE, norm=None, mel_scale="htk")
    assert np.allclose(mel_filters().numpy(), wanted, atol=1e-4)


@pytest.mark.parametrize("hertz", [200, 1000, 3000])
def test_a_tone_lies_in_its_band(hertz):
    band = int(log_mel(tone(hertz), 40).mean(0).argmax())
    mel = 2595 * np.log10(1 + hertz / 700) / (2595 * np.log10(1 + 8000 / 700)) * (BANDS + 1) - 1
    assert abs(band - mel) < 1.5


def test_rows_of_a_latent_are_those_of_its_own_time_and_a_little_around():
    audio = np.concatenate((np.zeros(5 * 2560, np.float32), tone(500, 0.16), np.zeros(4 * 2560, np.float32)))
    loud = rows_of_latents(audio, 10, FRAMES).amax(-1) > 0.5
    assert loud.shape == (10, 12)
    assert loud[5, 2:10].all() and not loud[:4].any() and not loud[7:].any()
    assert loud[4].nonzero()[:, 0].min() >= 9 and loud[6].nonzero()[:, 0].max() <= 1
    longer, whole = (rows_of_latents(audio, count, FRAMES) for count in (12, 10))
    assert torch.equal(longer[:10], whole), "silence after the end is no other sound"


# --- latents --------------------------------------------------------------------------------------------


def test_places_and_codes_are_the_same_numbers():
    codes = torch.randn(2 * FRAMES, 6, 8, 8)
    places = to_places(codes)
    assert places.shape == (2, 16, 6 * 4 * FRAMES)
    assert torch.equal(to_codes(places, 6), codes)
    # a place is a corner of the picture: its numbers are those of its 2 x 2 codes in four frames
    assert set(places[0, 0].tolist()) == set(codes[:4, :, :2, :2].flatten().tolist())
    assert torch.equal(reference_latent(codes[:1]), to_places(codes[:1].expand(4, -1, -1, -1))[0])


def test_motion_is_what_the_edge_of_the_face_goes_in_percent():
    points = np.zeros((4, 106, 2), np.float32)
    points[2:, :33] += (3.0, 4.0)
    points[:, 60] = np.arange(4)[:, None] * 50.0  # the lips are no edge
    assert edge_motion(points, 100).tolist() == [0.0, 0.0, 5.0, 0.0]


def clip_of(codes):
    count = len(codes) // FRAMES
    return LatentClip(codes, torch.arange(count)[:, None, None].float(), torch.arange(count).float())


def test_windows_hold_moves_from_their_reference_with_their_own_sound():
    clips = [clip_of(torch.randn(40, 6, 4, 4)) for _ in range(3)]
    space = space_of(clips)
    drawn = draw_clips(clips, space, 16, 5, np.random.default_rng(0))
    assert torch.equal(drawn.audio_BTAF[:, :, 0, 0], drawn.motion_BT)
    assert (drawn.motion_BT.diff(dim=1) == 1).all()
    code = drawn.latents_BTNC / space.scale + drawn.reference_BNC[:, None]
    for at in range(16):
        whole = to_codes(code[at], 6)
        first = int(drawn.motion_BT[at, 0]) * FRAMES
        assert any(torch.allclose(whole, clip.codes_TdSS[first : first + 20], atol=1e-5) for clip in clips)
    spread = torch.cat([clip.codes_TdSS - clip.codes_TdSS[:1] for clip in clips]) * space.scale
    assert abs(spread.square().mean() - 1) < 1e-4


def test_windows_lie_on_the_device_that_training_runs_under():
    clips = [clip_of(torch.randn(40, 6, 4, 4))]
    space = space_of(clips)
    with torch.device("meta"):
        drawn = draw_clips(clips, space, 2, 5, np.random.default_rng(0))
    fields = (drawn.reference_BNC, drawn.latents_BTNC, drawn.audio_BTAF, drawn.motion_BT)
    assert {each.device.type for each in fields} == {"meta"}


# --- whole ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Clips of 1.6 s at the tiny preset's size."""
    changed = pytest.MonkeyPatch()
    changed.setattr(small, "SIZE", SIZE)
    changed.setattr(small, "FRAMES", 40)
    metas = [sample(number, size=SIZE, num_frames=40, duration=1.6, split="train") for number in range(2)]
    made = dataset(tmp_path_factory.mktemp("shards"), metas)
    changed.undo()
    return made


@pytest.mark.parametrize("name", KINDS)
def test_a_neighbour_trains_and_makes_frames_for_a_case(name, run, shards):
    command = ["train-neighbour", name, "--run", str(run), "--data", str(shards)]
    assert main([*command, "--steps", "1", "--batch", "1", "--threads", "1"]) == 0
    log = (run / name / "log.jsonl").read_text().splitlines()
    assert np.isfinite(json.loads(log[-1])["loss"])
    neighbour = load_neighbour(name, run)
    picture = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    blocks = list(speak(neighbour, picture, tone(300, 0.6), 0.6))
    frames = np.concatenate(blocks)
    assert frames.shape == (15, SIZE, SIZE, 3) and frames.dtype == np.uint8 and len(blocks) > 1
    assert np.array_equal(frames, np.concatenate(list(speak(neighbour, picture, tone(300, 0.6), 0.6))))


def test_codes_of_a_still_picture_decode_as_the_tokenizer_does(run):
    tokenizer = check_tokenizer(load_tokenizer(run)).eval()
    picture = np.random.default_rng(0).integers(0, 255, (1, SIZE, SIZE, 3), np.uint8)
    signed = to_signed(torch.from_numpy(picture))
    code = encode(tokenizer, picture)
    still = torch.zeros_like(reference_latent(code))[None]
    with torch.no_grad():
        seen = tokenizer.look(signed)
        wanted = to_bytes(tokenizer.draw(tokenizer.codes(tokenizer.encode(signed)), seen)).numpy()
    made = draw_moves(tokenizer, code, seen, still).astype(int)
    assert np.abs(made - wanted.repeat(FRAMES, 0)).max() <= 1, "no more than rounding"


@pytest.mark.parametrize("name", KINDS)
def test_what_is_not_there_is_named_with_what_to_do(name, tmp_path, shards):
    empty = write_run(tmp_path)
    with pytest.raises(Rejected, match="--run"):
        SYSTEMS[name](Places(cases=tmp_path, out=tmp_path))
    with pytest.raises(Rejected, match=f"train-neighbour {name}"):
        load_neighbour(name, empty)
    tokenizer = Tokenizer(PRESET.tokenizer)
    with pytest.raises(Rejected, match="200 frames"):
        read_latents(tokenizer, [shards], "train", 50)
    with pytest.raises(Rejected, match="eartalking, joyavatar"):
        kind_named("wan")
    with pytest.raises(Rejected, match="lfq"):
        check_tokenizer(Tokenizer(TokenizerConfig(size=64, widths=(8, 8), groups=(4,), quantiser="vq")))
