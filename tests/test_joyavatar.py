"""JoyAvatar: positions without an end, blocks that see what they may, steps in their order, learning."""

from dataclasses import replace

import pytest
import torch

from datapipe.records import Rejected
from model.joyavatar.config import JoyAvatarConfig
from model.joyavatar.generate import BlockConfig, Speaking, generate_blocks
from model.joyavatar.network import MOTION, PICTURE, REFERENCE, make_joyavatar
from model.joyavatar.objective import (
    JoyAvatarLoss,
    forced_loss,
    forced_velocities,
    make_plan,
    rollout_loss,
    visible,
)
from model.joyavatar.presets import paper, tiny
from model.joyavatar.rotation import Rotation, turned
from model.latents.clips import Clips

SMALL = JoyAvatarConfig(
    side=2, channels=6, audio_rows=2, audio_dim=5, width=48, heads=2, depth=2, block=2, past=4, motion=1,
    positions=64,
)  # fmt: skip
QUICK = BlockConfig(steps=(2, 1))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(**changes):
    """A network whose silent parts (modulations, output) are drawn too, so that everything shows."""
    network = make_joyavatar(replace(SMALL, **changes)).eval()
    noise = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if not parameter.any():
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=noise)
    for layer in network.layers:
        torch.nn.init.normal_(layer.attention.qkv.weight, std=0.3, generator=noise)
    return network


def clip(latents=6, batch=1):
    draw = torch.Generator().manual_seed(2)
    shapes = ((4, 6), (latents, 4, 6), (latents, 2, 5), (latents,))
    return Clips(*(torch.randn(batch, *shape, generator=draw) for shape in shapes))


def sounds(blocks, seed=3):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(SMALL.block, 2, 5, generator=draw) for _ in range(blocks)]


# --- positions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [1, 17, 50])
def test_attention_depends_on_differences_of_positions_alone(later):
    draw = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 2, 12, 24, generator=draw) for _ in range(2))
    rotation, times = Rotation(SMALL), torch.tensor([0, 3, 9])
    here, there = (
        turned(q, rotation.angles(at)) @ turned(k, rotation.angles(at)).mT for at in (times, times + later)
    )
    assert torch.allclose(here, there, atol=1e-4) and here.std() > 1
    apart = turned(q, rotation.angles(times)) @ turned(k, rotation.angles(times + later)).mT
    assert not torch.allclose(here, apart, atol=0.1)


@torch.no_grad()
def test_adding_any_constant_to_all_positions_changes_nothing():
    network, given = make(), clip()
    noised = torch.randn(1, int(make_plan(6, SMALL).noised.sum()), 4, 6)
    times = torch.full(noised.shape[:2], 0.5)
    here, there = (forced_velocities(network, given, noised, times, later) for later in (0, 40))
    assert torch.allclose(here, there, atol=1e-4) and here.std() > 0.1


def test_the_table_of_rotations_ends():
    with pytest.raises(Rejected, match="beyond the table of 64"):
        Rotation(SMALL).angles(torch.tensor([64]))


class FarSight:
    """The plain definition without a cache: all latents of a long video at absolute positions, masked.

    The reference's keys and values are nothing, since its distance is that of the window by intent.
    """

    def __init__(self, times, mask):
        self.angles = Rotation(replace(SMALL, positions=512)).angles(times)
        self.mask = mask.repeat_interleave(4, 0).repeat_interleave(4, 1)

    def attend(self, layer, q, k, v):
        k, v = k.clone(), v.clone()
        k[:, :, :4] = v[:, :, :4] = 0.0
        q, k = turned(q, self.angles), turned(k, self.angles)
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)


def far_mask(clean, motion):
    """Clean latents see their block and `past` before it; the last block is noised, with its motion."""
    count = 1 + clean + motion + SMALL.block
    mask = torch.zeros(count, count, dtype=torch.bool)
    mask[:, 0] = True
    for block in range(clean // SMALL.block):
        first = 1 + block * SMALL.block
        mask[first : first + SMALL.block, max(1, first - SMALL.past) : first + SMALL.block] = True
    mask[1 + clean :, 1 + clean - min(clean, SMALL.past) :] = True
    mask[0, 1:] = False
    return mask


@pytest.mark.parametrize("changes", [{"positions": 7}, {"positions": 512, "reset": "recompute"}])
@torch.no_grad()
def test_the_cache_gives_what_one_pass_over_a_whole_long_video_gives(changes):
    """Far beyond the table for keys turned in the window, and for positions that count on in a long one."""
    network, blocks = make(**changes), 12
    given = clip(SMALL.block * blocks)
    sound = network.heard(given.audio_BTAF)
    speaking = Speaking(network, given.reference_BNC, QUICK)
    speaking.cache.keys[:, :, :, :4] = speaking.cache.values[:, :, :, :4] = 0.0
    for block in range(blocks - 1):
        now = slice(block * 2, block * 2 + 2)
        speaking.keep(given.latents_BTNC[:, now], sound[:, now])
    draw = torch.Generator().manual_seed(5)
    noised, motion = (torch.randn(1, count, 4, 6, generator=draw) for count in (2, 1))
    sounds_here = torch.cat((sound[:, -3:-2], sound[:, -2:]), 1)
    data = speaking._step(noised, motion, sounds_here, 0.5)

    clean = 2 * (blocks - 1)
    rows = torch.cat((given.reference_BNC[:, None], given.latents_BTNC[:, :clean], motion, noised), 1)
    times = torch.tensor([[0.0] * (1 + clean) + [QUICK.motion_noise] + [0.5] * 2])
    kinds = torch.tensor([REFERENCE] + [PICTURE] * clean + [MOTION] + [PICTURE] * 2)
    heard = torch.cat((network.unheard(1), sound[:, :clean], sounds_here), 1)
    where = torch.tensor([*range(clean + 1), clean, clean + 1, clean + 2])
    said = network(rows, times, heard, kinds, FarSight(where, far_mask(clean, 1)))[:, -2:]
    assert torch.allclose(data, noised - 0.5 * said, atol=1e-3)
    assert said.std() > 0.1


@torch.no_grad()
def test_positions_start_anew_with_every_block_and_memory_stays():
    network = make(positions=SMALL.live)
    speaking = Speaking(network, torch.randn(1, 4, 6), BlockConfig(steps=(1,)))
    size, seen = speaking.cache.num_bytes, []
    for audio in sounds(60):
        sound = network.heard(audio[None])
        speaking.keep(speaking.draw(sound), sound)
        seen.append(speaking.cache.held_times().tolist())
        assert speaking.latents.shape[1] <= SMALL.past and speaking.sound.shape[1] <= SMALL.past
    assert seen[:3] == [[0, 1, 2], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]] and seen[-1] == seen[1]
    assert speaking.cache.num_bytes == size


@torch.no_grad()
def test_the_reference_stays_in_the_cache():
    network = make()
    speaking = Speaking(network, torch.randn(1, 4, 6), QUICK)
    before = speaking.cache.keys[:, :, :, :4].clone(), speaking.cache.values[:, :, :, :4].clone()
    for audio in sounds(9):
        sound = network.heard(audio[None])
        speaking.keep(speaking.draw(sound), sound)
    assert torch.equal(before[0], speaking.cache.keys[:, :, :, :4])
    assert torch.equal(before[1], speaking.cache.values[:, :, :, :4])
    assert speaking.cache.held == 1 + SMALL.past


@torch.no_grad()
def test_a_recomputed_cache_is_one_that_began_with_the_last_latents():
    """Before the table of 11 ends, after four blocks, positions go back to those of the window."""
    network = make(reset="recompute", positions=11)
    given = clip(12)
    sound = network.heard(given.audio_BTAF)
    speaking, fresh = (Speaking(network, given.reference_BNC, QUICK) for _ in range(2))
    newest = []
    for block in range(5):
        now = slice(block * 2, block * 2 + 2)
        speaking.keep(given.latents_BTNC[:, now], sound[:, now])
        newest.append(speaking.cache.newest)
        if block in (3, 4):
            fresh.keep(given.latents_BTNC[:, now], sound[:, now])
    assert newest == [2, 4, 6, 8, 4]
    assert speaking.cache.held_times().tolist() == [0, 1, 2, 3, 4]
    held = slice(0, 5 * 4)
    assert torch.allclose(speaking.cache.keys[:, :, :, held], fresh.cache.keys[:, :, :, held], atol=1e-5)


# --- who sees whom --------------------------------------------------------------------------------------


def test_gradients_reach_the_past_and_the_own_block_and_nothing_ahead():
    network, given = make(), clip()
    plan = make_plan(6, SMALL)
    parts = [each.requires_grad_() for each in (given.latents_BTNC, given.audio_BTAF)]
    noised = torch.randn(1, int(plan.noised.sum()), 4, 6, requires_grad=True)
    said = forced_velocities(network, given, noised, torch.full(noised.shape[:2], 0.5))
    own = plan.block[plan.noised]
    for block in range(3):
        loss = said[0, own == block].square().sum()
        gradients = torch.autograd.grad(loss, (*parts, noised), retain_graph=True)
        latents, audio = (each[0].reshape(6, -1).abs().sum(1) for each in gradients[:2])
        assert (latents != 0).tolist() == [i < 2 * block for i in range(6)]
        assert (audio != 0).tolist() == [i < 2 * block + 2 for i in range(6)]
        reached = gradients[2][0].reshape(len(own), -1).abs().sum(1) != 0
        assert torch.equal(reached, own == block)


def test_the_training_sequence_gives_each_block_the_motion_before_it():
    plan = make_plan(6, SMALL)
    assert plan.time[plan.noised].tolist() == [1, 2, 2, 3, 4, 4, 5, 6]
    assert plan.kind[plan.noised].tolist() == [PICTURE] * 2 + [MOTION, PICTURE, PICTURE] * 2
    assert not make_plan(6, replace(SMALL, motion=0)).kind.eq(MOTION).any()
    assert visible(plan)[:, 0].all() and visible(plan)[0].sum() == 1


@torch.no_grad()
def test_the_motion_before_a_block_matters_by_its_noise():
    """MCI reaches the block; without it the same cache gives another one."""
    given = sounds(3)
    reference = torch.randn(4, 6)
    network, without = make(), make(motion=0)
    without.load_state_dict(network.state_dict())
    made, plain = (list(generate_blocks(each, reference, given, QUICK)) for each in (network, without))
    louder = list(generate_blocks(network, reference, given, replace(QUICK, motion_noise=0.3)))
    assert torch.equal(made[0], louder[0]) and not torch.allclose(made[1], louder[1])
    assert not torch.allclose(made[1], plain[1])


@pytest.mark.parametrize(
    ("wrong", "word"),
    [({"heads": 5}, "heads"), ({"past": 3}, "past"), ({"past": 0}, "past"), ({"motion": 3}, "motion"),
     ({"positions": 6}, "live at once")],
)  # fmt: skip
def test_sizes_that_cannot_work_are_refused(wrong, word):
    with pytest.raises(Rejected, match=word):
        replace(SMALL, **wrong)


@pytest.mark.parametrize("latents", [5, 8, 0])
def test_training_clips_that_do_not_fit_the_window_are_refused(latents):
    with pytest.raises(Rejected, match="whole blocks"):
        make_plan(latents, SMALL)


# --- steps ----------------------------------------------------------------------------------------------


def counted(network):
    """Times of every pass of a network: 0 where it writes keys."""
    passes, forward = [], network.forward

    def counting(latents, times, *others):
        passes.append(round(float(times[0, -1]), 4))
        return forward(latents, times, *others)

    network.forward = counting
    return passes


def test_blocks_get_their_steps_in_the_order_given_and_the_last_number_repeats():
    network, config = make(), BlockConfig(steps=(5, 3, 2), shift=1.0)
    passes = counted(network)
    list(generate_blocks(network, torch.randn(4, 6), sounds(5), config))
    assert passes[0] == 0  # the reference
    per_block = " ".join(map(str, passes[1:])).split(" 0.0")
    assert [len(each.split()) for each in per_block[:-1]] == [5, 3, 2, 2, 2]
    assert per_block[0].split() == ["1.0", "0.8", "0.6", "0.4", "0.2"]
    assert [config.steps_of(block) for block in range(6)] == [5, 3, 2, 2, 2, 2]
    with pytest.raises(Rejected, match="steps"):
        BlockConfig(steps=(4, 0))


def test_four_steps_are_those_of_self_forcing():
    network = make()
    passes = counted(network)
    list(generate_blocks(network, torch.randn(4, 6), sounds(1), BlockConfig(steps=(4,))))
    assert passes[1:5] == [1.0, 0.9375, 0.8333, 0.625]


def test_rollouts_have_a_gradient_at_their_last_step_alone_and_use_the_steps_of_generation():
    network, given = make(), clip(4, batch=2)
    passes = counted(network)
    terms = rollout_loss(network, given, BlockConfig(steps=(3, 1)))
    terms["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.out.parameters())
    assert 5 <= len(passes) <= 7  # the reference, 1 to 3 steps and keys, 1 step and keys
    with torch.no_grad():
        begun = Speaking(network, given.reference_BNC, QUICK)
        assert begun.draw(network.heard(given.audio_BTAF[:, :2]), until=0).shape == (2, 2, 4, 6)


# --- training and generation ----------------------------------------------------------------------------


def sung_clips(batch, generator):
    """Latents that are the reference plus what the latent's sound says: there is one right answer."""
    reference = torch.randn(batch, 4, 6, generator=generator)
    audio = torch.randn(batch, 4, 2, 5, generator=generator)
    said = torch.nn.functional.pad(audio.mean(2), (0, 1))[:, :, None]
    return Clips(reference, 0.5 * reference[:, None] + said, audio, torch.zeros(batch, 4))


def test_the_losses_fall_and_made_blocks_follow_their_sound():
    config = replace(SMALL, depth=1, past=2)
    network, generator = make_joyavatar(config), torch.Generator().manual_seed(3)
    optimizer = torch.optim.Adam(network.parameters(), lr=8e-3)
    torch.manual_seed(0)
    forced, rolled = [], []
    for step in range(100):
        clips = sung_clips(8, generator)
        rolls = step >= 75
        terms = rollout_loss(network, clips, QUICK) if rolls else forced_loss(network, clips, JoyAvatarLoss())
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        (rolled if rolls else forced).append(terms["loss"].item())
    assert sum(forced[-10:]) < 0.5 * sum(forced[:10])
    assert sum(rolled[-10:]) < 0.8 * sum(rolled[:10])
    reference = torch.randn(4, 6, generator=generator)
    given = sounds(8)  # four times as long as it was trained on
    made = torch.cat(list(generate_blocks(network.eval(), reference, given, QUICK)))
    truth = 0.5 * reference + torch.nn.functional.pad(torch.cat(given).mean(1), (0, 1))[:, None]
    error = (made - truth).square().mean()
    assert error < 0.4 * (truth - reference).square().mean(), "no better than the reference"
    assert error < 0.4 * (made - truth.roll(1, 0)).square().mean(), "not the sound of its own latent"


def test_a_stream_asks_for_sound_only_when_its_block_comes_and_draws_the_same_again():
    network, reference, given = make(), torch.randn(4, 6), sounds(3)

    def endless():
        yield given[0]
        raise RuntimeError("asked for sound before its block")

    whole = list(generate_blocks(network, reference, given, QUICK))
    assert torch.equal(next(generate_blocks(network, reference, endless(), QUICK)), whole[0])
    assert all(map(torch.equal, whole, generate_blocks(network, reference, given, QUICK)))
    later = [*given[:2], given[2] + 1]
    changed = list(generate_blocks(network, reference, later, QUICK))
    assert torch.equal(whole[1], changed[1]) and not torch.equal(whole[2], changed[2])


@pytest.mark.parametrize("preset", [tiny, paper])
def test_presets_have_the_size_that_they_state(preset):
    with torch.device("meta"):
        network = make_joyavatar(preset())
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    assert (1.5 < millions < 3.0) if preset is tiny else (1100 < millions < 1500), millions
