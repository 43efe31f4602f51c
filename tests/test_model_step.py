"""A step of decoding is one graph of tensors, on any device, and compiled it writes the same tokens."""

from dataclasses import replace

import pytest
import torch
from decoding import inputs, make
from torch.utils._python_dispatch import TorchDispatchMode

from datapipe.phonemes import PHONEMES
from model.avatarsync import decode
from model.avatarsync.decode import DecodeConfig, lockstep, read_prefix, remember
from model.avatarsync.keyframes import KeyframeTransformer
from model.avatarsync.step import write_places
from model.avatarsync.vocabulary import Vocabulary
from model.presets import paper

GUIDED_ROWS = DecodeConfig(temperature=1.0, guidance=(2.0,), window=2)


@pytest.mark.parametrize("config", [DecodeConfig(), GUIDED_ROWS], ids=["greedy", "all"])
def test_the_step_is_one_graph_for_all_places(config, monkeypatch):
    """No graph break and no second compilation: places are a tensor, shapes stay."""
    torch._dynamo.reset()
    graphs = []

    def backend(graph, example):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(write_places, fullgraph=True, backend=backend)
    monkeypatch.setattr(decode, "compiled_step", lambda cuda: compiled)
    model = make("window2", drop_phonemes=0.1, heads=4, kv_heads=2)
    phonemes, reference, _ = inputs(1)
    prefix = read_prefix(model, reference[0])
    quick = lockstep(model, phonemes[0], prefix, replace(config, compile=True))
    assert len(graphs) == 1
    assert torch.equal(quick, lockstep(model, phonemes[0], prefix, config))


def test_sentences_of_many_lengths_need_few_graphs(monkeypatch):
    """The first is compiled for its length, the second for any; else long use would end in an error."""
    torch._dynamo.reset()
    graphs = []

    def backend(graph, example):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(write_places, fullgraph=True, backend=backend)
    monkeypatch.setattr(decode, "compiled_step", lambda cuda: compiled)
    model = make(depth=1, num_tokens=1)
    prefix = read_prefix(model, torch.tensor([7]))
    for length in (4, 2, 1, 3, *range(5, 20)):
        phonemes = 32 + torch.arange(length) % 5
        quick = lockstep(model, phonemes, prefix, DecodeConfig(compile=True))
        assert torch.equal(quick, lockstep(model, phonemes, prefix))
    assert len(graphs) <= 4


@pytest.mark.parametrize(("scope", "frame_scope"), [("one_to_one", "none"), ("window2", "all")])
def test_forward_is_one_graph(scope, frame_scope):
    torch._dynamo.reset()
    model = make(scope, frame_scope)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    for one, other in zip(compiled(*inputs()), model(*inputs()), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    found = torch._dynamo.explain(model)(*inputs())
    assert found.graph_break_count == 0 and found.graph_count == 1


@pytest.mark.slow
def test_compiled_decoding_writes_the_same_tokens():
    """By the compiler itself, not a stand-in."""
    torch._dynamo.reset()
    model = make(depth=1)
    phonemes, reference, _ = inputs(1)
    prefix = read_prefix(model, reference[0])
    quick = lockstep(model, phonemes[0], prefix, DecodeConfig(compile=True))
    assert torch.equal(quick, lockstep(model, phonemes[0], prefix))


# --- devices ------------------------------------------------------------------------------------------


class OnlyOn(TorchDispatchMode):
    """Refuse every operation that gives a tensor elsewhere than on one kind of device."""

    def __init__(self, device):
        super().__init__()
        self.device, self.count = device, 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        made = function(*arguments, **(keywords or {}))
        for each in made if isinstance(made, tuple | list) else [made]:
            if isinstance(each, torch.Tensor):
                self.count += 1
                assert each.device.type == self.device, f"{function} made a tensor on {each.device}"
        return made


def on_meta(**changes):
    config = replace(paper().keyframes, **changes)
    with torch.device("meta"):
        model = KeyframeTransformer(config, Vocabulary(num_visual=2**18, phonemes=PHONEMES)).eval()
        phonemes = torch.zeros(2, 3, dtype=torch.long)
        reference = torch.zeros(2, config.num_tokens, dtype=torch.long)
        frames = torch.zeros(2, 3, config.num_tokens, dtype=torch.long)
    return model, phonemes, reference, frames


def test_the_guard_of_these_tests_sees_a_tensor_made_elsewhere():
    with OnlyOn("meta"), pytest.raises(AssertionError, match="cpu"):
        torch.zeros(3)


@pytest.mark.parametrize("scope", ["one_to_one", "window2"])
@pytest.mark.parametrize("frame_scope", ["none", "previous"])
def test_the_paper_preset_runs_forward_on_its_own_device_only(scope, frame_scope):
    model, *given = on_meta(phoneme_scope=scope, frame_scope=frame_scope, depth=2)
    with OnlyOn("meta") as mode:
        logits = model(*given)
    assert mode.count > 50 and [each.shape[-1] for each in logits] == [64, 4096]


@pytest.mark.parametrize("config", [DecodeConfig(), DecodeConfig(guidance=(1.5, 2.0), window=8)])
def test_a_step_of_the_paper_preset_runs_on_its_own_device_only(config):
    model, phonemes, reference, _ = on_meta(drop_phonemes=0.1)
    with OnlyOn("meta") as mode, torch.no_grad():
        prefix = read_prefix(model, reference[0])
        memory = remember(model, phonemes[0], prefix, range(3), config)
        places = torch.zeros(4, dtype=torch.long, device="meta")
        write_places(model, memory, config, places, model.config.num_tokens)
    streams = 2 if len(config.guidance) == 2 else 1
    assert mode.count > 1000 and memory.own[0][0].shape == (streams * 3, 4, 1024, 64)
    assert prefix.rows[0][0].shape == (1, 4, 1025, 64)


def test_frames_in_turn_run_on_their_own_device_only():
    model, phonemes, reference, _ = on_meta(frame_scope="previous", num_tokens=4, depth=1)
    with OnlyOn("meta"), torch.no_grad():
        tokens = decode.in_turn(model, phonemes[0], read_prefix(model, reference[0]))
    assert tokens.shape == (3, 4)


@pytest.mark.parametrize("config", [DecodeConfig(), GUIDED_ROWS], ids=["greedy", "all"])
def test_decoding_keeps_the_type_of_the_weights(config):
    """Double precision agrees token for token; half precision runs through and mostly agrees."""
    model = make(drop_phonemes=0.1)
    phonemes, reference, _ = inputs(1)
    plain = lockstep(model, phonemes[0], read_prefix(model, reference[0]), config)
    for kind, least in ((torch.float64, 1.0), (torch.bfloat16, 0.5)):
        model = make(drop_phonemes=0.1).to(kind)
        prefix = read_prefix(model, reference[0])
        memory = remember(model, phonemes[0], prefix, range(2), config)
        assert memory.own[0][0].dtype == memory.hidden_KK.dtype == kind
        same = lockstep(model, phonemes[0], prefix, config) == plain
        assert same.float().mean() >= least


def test_decoding_runs_under_autocast():
    model = make()
    phonemes, reference, _ = inputs(1)
    plain = lockstep(model, phonemes[0], read_prefix(model, reference[0]))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = lockstep(model, phonemes[0], read_prefix(model, reference[0]))
    assert (mixed == plain).float().mean() >= 0.5
