"""EARTalking: sink and cyclic positions, exact zeros where nothing may be seen, and that it learns."""

from dataclasses import replace

import pytest
import torch

from datapipe.records import Rejected
from model.eartalking.config import Control, EARTalkingConfig
from model.eartalking.generate import FrameConfig, generate_frames
from model.eartalking.network import make_eartalking
from model.eartalking.objective import EARTalkingLoss, clip_loss
from model.eartalking.presets import paper, tiny
from model.eartalking.spatial import group_sizes, hide_places
from model.eartalking.window import cyclic_index, rows_of, visible
from model.latents.clips import Clips

SMALL = EARTalkingConfig(
    num_places=4, channels=6, audio_rows=2, audio_dim=5, width=32, heads=2, depth=2, spatial_depth=2,
    head_width=32, head_depth=2, window=4, table=8, sink_rank=8,
)  # fmt: skip
FRAMES = 9
QUICK = FrameConfig(spatial_steps=3, denoise_steps=4)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(**changes):
    """A network whose silent parts (modulations, head) are drawn too, so that everything shows."""
    network = make_eartalking(replace(SMALL, **changes)).eval()
    noise = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if not parameter.any():
            parameter.data = 0.2 * torch.randn(parameter.shape, generator=noise)
    for block in network.frames.layers:
        torch.nn.init.normal_(block.attention.qkv.weight, std=0.5, generator=noise)
    return network


def inputs(frames=FRAMES, batch=1):
    draw = torch.Generator().manual_seed(2)
    shapes = ((4, 6), (frames, 4, 6), (frames, 2, 5), (frames,))
    return [torch.randn(batch, *shape, generator=draw) for shape in shapes]


def step_through(network, reference, before, audio, motion):
    """Features of every frame by the cache, one frame at a time."""
    cache, _ = network.begin(reference)
    made = []
    for frame in range(1, before.shape[1] + 1):
        now = slice(frame - 1, frame)
        at = cyclic_index(torch.tensor([[frame]]), network.config.table)
        rows = network.frames.frame_rows(before[:, now], audio[:, now], motion[:, now], at)
        made.append(network.frames.step(rows[:, 0], frame, cache))
    return torch.stack(made, dim=1)


# --- the window -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"audio_cache": False}, {"one_way": True}])
@torch.no_grad()
def test_the_cache_gives_what_one_masked_pass_over_the_whole_clip_gives(changes):
    """More than twice as many frames as live in the window, and more than the table has positions."""
    network = make(**changes)
    reference, before, audio, motion = inputs(20, batch=2)
    whole = network.frames(reference, before, audio, motion)
    assert torch.allclose(step_through(network, reference, before, audio, motion), whole[:, 1:], atol=1e-4)
    assert whole[:, 1:].std() > 0.1


def test_positions_go_round_without_the_reference_and_never_repeat_inside_a_window():
    index = cyclic_index(torch.arange(60), 8).tolist()
    assert index[:16] == [0, 1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7, 1]
    for offset in range(7):
        index = cyclic_index(torch.arange(60), 8, offset).tolist()
        for first in range(1, 54):
            live = [index[0], *index[first : first + SMALL.window - 1]]
            assert len(set(live)) == SMALL.window


@torch.no_grad()
def test_the_reference_stays_and_the_second_frame_of_the_window_goes():
    network = make()
    reference, before, audio, motion = inputs(1)
    cache, _ = network.begin(reference)
    sink = cache.keys[:, :, :, : SMALL.rows].clone(), cache.values[:, :, :, : SMALL.rows].clone()
    size = cache.num_bytes
    for frame in range(1, 501):
        at = cyclic_index(torch.tensor([[frame]]), SMALL.table)
        rows = network.frames.frame_rows(before + frame, audio, motion, at)
        network.frames.step(rows[:, 0], frame, cache)
        newest = range(max(1, frame - SMALL.window + 2), frame + 1)
        assert sorted(cache.frames[cache.frames <= frame].tolist()) == [0, *newest]
    assert torch.equal(cache.keys[:, :, :, : SMALL.rows], sink[0])
    assert torch.equal(cache.values[:, :, :, : SMALL.rows], sink[1])
    assert cache.num_bytes == size


def test_gradients_reach_exactly_what_a_frame_may_see():
    """Over two layers a frame feels the reference, and twice as far back as one window; never ahead."""
    network = make()
    reference, before, audio, motion = (each.requires_grad_() for each in inputs())
    features = network.frames(reference, before, audio, motion)
    reach = SMALL.depth * (SMALL.window - 2)
    for frame in range(1, FRAMES + 1):
        gradients = torch.autograd.grad(
            features[0, frame].square().sum(), (reference, before, audio, motion), retain_graph=True
        )
        assert gradients[0].abs().sum() > 0
        live = set(range(max(1, frame - reach), frame + 1))
        for gradient in gradients[1:]:
            size = gradient[0].reshape(FRAMES, -1).abs().sum(1)
            assert {i + 1 for i in range(FRAMES) if size[i] != 0} == live, frame
    alone = torch.autograd.grad(features[0, 0].square().sum(), (audio, motion, before), allow_unused=True)
    assert all(each is None or not each.any() for each in alone), "the reference depends on nothing else"


def test_the_papers_ablations_hide_what_they_name():
    where = rows_of(torch.arange(3), SMALL)
    full = visible(where, where, SMALL)
    kept = visible(where, where, replace(SMALL, audio_cache=False))
    past = where.frame[:, None] > where.frame
    assert torch.equal(kept, full & ~(past & ~where.visual)), "sound of earlier frames only"
    one_way = visible(where, where, replace(SMALL, one_way=True))
    assert torch.equal(one_way, full & ~(~where.visual[:, None] & where.visual)), "sound that sees pictures"


@torch.no_grad()
def test_a_frame_scales_and_shifts_the_reference_and_nothing_else():
    """Eq. 4: linear in the anchor, whose scale and shift are those of the frame's own place."""
    network, plain = make(), make(sink=False)
    features = torch.randn(1, SMALL.rows, 32)
    zero, one, three = (network.told(torch.full((1, 4, 32), at), features).picture for at in (0.0, 1.0, 3.0))
    assert torch.allclose(three - zero, 3 * (one - zero), atol=1e-5)
    assert torch.allclose(one - zero, torch.ones(1), atol=0.5) and not torch.equal(one - zero, zero)
    touched = features.clone()
    touched[0, SMALL.controls + 2] += 1.0
    moved = (network.told(torch.ones(1, 4, 32), touched).picture != one)[0].any(-1)
    assert moved.tolist() == [False, False, True, False]
    assert torch.equal(plain.told(torch.ones(1, 4, 32), features).picture, features[:, SMALL.controls :])


@pytest.mark.parametrize(
    ("wrong", "word"), [({"heads": 3}, "heads"), ({"window": 1}, "window"), ({"table": 4}, "alike")]
)
def test_sizes_that_cannot_work_are_refused(wrong, word):
    with pytest.raises(Rejected, match=word):
        replace(SMALL, **wrong)


# --- places of a frame ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("places", "steps"), [(16, 36), (16, 8), (256, 36), (5, 1), (7, 7), (1024, 64)])
def test_every_place_is_written_once_and_later_steps_write_more(places, steps):
    sizes = group_sizes(places, steps)
    assert sum(sizes) == places and min(sizes) >= 1 and len(sizes) == min(steps, places)
    assert places < 4 * steps or sizes[-1] > sizes[0] or steps == 1


def test_training_hides_at_least_seven_tenths_of_every_frame_and_not_the_same_share():
    torch.manual_seed(0)
    hidden = hide_places(400, 100).sum(1)
    assert 70 <= hidden.min() < 75 and hidden.max() == 100 and hidden.unique().numel() > 20


@torch.no_grad()
def test_hidden_places_are_not_looked_at_and_known_ones_are():
    network = make()
    controls, picture, values = torch.randn(1, 3, 32), torch.randn(1, 4, 32), torch.randn(1, 4, 6)
    known = torch.tensor([[True, False, False, True]])
    before = network.spatial(controls, picture, values, known)
    for place in range(4):
        touched = values.clone()
        touched[0, place] += 1.0
        after = network.spatial(controls, picture, touched, known)
        assert torch.equal(before, after) != known[0, place].item()


# --- training and generation ----------------------------------------------------------------------------


def sung_clips(batch, frames, generator):
    """Latents that are the reference plus what the frame's sound says: there is one right answer."""
    reference = torch.randn(batch, 4, 6, generator=generator)
    audio = torch.randn(batch, frames, 2, 5, generator=generator)
    said = torch.nn.functional.pad(audio.mean(2), (0, 1))[:, :, None]
    return Clips(reference, 0.5 * reference[:, None] + said, audio, torch.zeros(batch, frames))


def train(config, steps):
    """Train on sung clips; the network and its losses."""
    network, generator = make_eartalking(config), torch.Generator().manual_seed(3)
    optimizer = torch.optim.Adam(network.parameters(), lr=6e-3)
    torch.manual_seed(0)
    losses = []
    for _ in range(steps):
        terms = clip_loss(network, sung_clips(8, 3, generator), EARTalkingLoss(noise=0.1))
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        losses.append(terms["loss"].item())
    return network.eval(), losses


SHALLOW = replace(SMALL, depth=1, spatial_depth=1, head_depth=1)


def test_the_loss_of_eq_1_falls():
    _, losses = train(SHALLOW, 30)
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])


def test_made_frames_follow_their_sound():
    network, losses = train(replace(SHALLOW, target="velocity"), 90)
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    clips = sung_clips(1, 12, torch.Generator().manual_seed(4))  # four times as long as it was trained on
    controls = [Control(audio) for audio in clips.audio_BTAF[0]]
    made = torch.stack(list(generate_frames(network, clips.reference_BNC[0], controls, QUICK)))
    truth = clips.latents_BTNC[0]
    error = (made - truth).square().mean()
    assert error < 0.4 * (truth - clips.reference_BNC).square().mean(), "no better than the reference"
    assert error < 0.4 * (made - truth.roll(1, 0)).square().mean(), "not the sound of its own frame"


def test_controls_are_read_as_they_come_and_change_no_earlier_frame():
    network = make()
    reference, _, audio, _ = inputs()

    def frames(motion):
        controls = [Control(audio[0, i], motion[i]) for i in range(FRAMES)]
        return torch.stack(list(generate_frames(network, reference[0], controls, QUICK)))

    calm = frames([0.0] * FRAMES)
    stirred = frames([0.0] * 4 + [3.0] + [0.0] * 4)
    assert torch.equal(calm, frames([0.0] * FRAMES)), "the same draws give the same frames"
    assert torch.equal(calm[:4], stirred[:4])
    assert not torch.equal(calm[4], stirred[4])

    def endless():
        yield Control(audio[0, 0])
        raise RuntimeError("asked for a control before its frame")

    assert torch.equal(next(generate_frames(network, reference[0], endless(), QUICK)), calm[0])


def test_other_seeds_draw_other_frames():
    network = make()
    reference, _, audio, _ = inputs(1)
    control = [Control(audio[0, 0])]
    drawn = [next(generate_frames(network, reference[0], control, replace(QUICK, seed=s))) for s in (0, 1)]
    assert not torch.allclose(*drawn)


@pytest.mark.parametrize("preset", [tiny, paper])
def test_presets_have_the_size_that_they_state(preset):
    with torch.device("meta"):
        network = make_eartalking(preset())
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    assert (1.5 < millions < 3.0) if preset is tiny else (550 < millions < 750), millions
