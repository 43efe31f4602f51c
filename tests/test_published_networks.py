"""Published tokenizers: sizes, and the ids and pictures of plain functions of the checkpoints' tensors."""

from dataclasses import replace

import plain_tokenizers
import pytest
import torch

from datapipe.records import Rejected
from model.avatarsync.render import decode_pictures
from model.published.config import PublishedConfig
from model.published.families import VARIANTS, variant_named
from model.published.layouts import published_names
from model.published.network import PublishedTokenizer

SMALL = {
    "magvit2": PublishedConfig(
        family="magvit2",
        size=32,
        base=32,
        multipliers=(1, 2, 2),
        latent_dim=7,
        code_dim=7,
        groups=(3, 4),
    ),
    "llamagen": PublishedConfig(
        family="llamagen", size=32, base=32, multipliers=(1, 2, 2), blocks=1, latent_dim=16, groups=(6,)
    ),
    "taming": PublishedConfig(
        family="taming", size=32, base=32, multipliers=(1, 1, 2), latent_dim=16, code_dim=12, groups=(5,)
    ),
}


def seeded(config: PublishedConfig) -> PublishedTokenizer:
    """Weights that keep numbers lively all the way."""
    torch.manual_seed(7)
    network = PublishedTokenizer(config).eval()
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        else:
            torch.nn.init.normal_(parameter, mean=0.5, std=0.3)
    return network


def in_their_names(network: PublishedTokenizer) -> dict[str, torch.Tensor]:
    names = published_names(network.config, network.state_dict())
    return {names[ours]: value.clone() for ours, value in network.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "encoder", "decoder"),
    [("magvit2-f16", 49.8, 65.4), ("magvit2-f8", 48.4, 63.6)],
)
def test_open_magvit2_has_the_known_sizes(name, encoder, decoder):
    """Millions of parameters, counted on the public code (SEED-Voken b9a17ea)."""
    with torch.device("meta"):
        network = PublishedTokenizer(VARIANTS[name])
    for part, known in ((network.encoder, encoder), (network.decoder, decoder)):
        assert sum(p.numel() for p in part.parameters()) / 1e6 == pytest.approx(known, abs=0.06)


@pytest.mark.parametrize(
    ("name", "known"),
    [("llamagen-f16", 71.9), ("llamagen-f8", 70.1), ("taming-f16-1024", 72.1), ("taming-f16-16384", 76.1)],
)
def test_vqgans_have_the_known_sizes(name, known):
    """LlamaGen's are in its README (72M, 70M); taming's are the same networks around a wider table."""
    with torch.device("meta"):
        network = PublishedTokenizer(VARIANTS[name])
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(known, abs=0.06)


@pytest.mark.parametrize("family", SMALL)
def test_ids_and_pictures_are_those_of_plain_functions(family):
    network = seeded(SMALL[family])
    picture = torch.rand(1, 3, 32, 32) * 2 - 1
    ids, rebuilt = getattr(plain_tokenizers, family)(in_their_names(network), picture)
    assert len(ids.unique()) > 3
    assert torch.equal(network.encode(picture), ids.flatten()[None])
    made = network.decode(network.codes(ids.flatten()[None]), picture)
    assert torch.allclose(made, rebuilt, atol=1e-4 * float(rebuilt.abs().max()))


@pytest.mark.parametrize("family", SMALL)
def test_the_face_is_that_of_our_tokenizer(family):
    network = seeded(SMALL[family])
    config, pictures = network.config, torch.rand(2, 3, 32, 32) * 2 - 1
    ids = network.encode(pictures)
    assert ids.shape == (2, config.num_tokens) and int(ids.max()) < 2**config.bits
    assert not network.has_points
    shown = decode_pictures(network, ids, pictures[:1])
    assert shown.shape == (2, 3, config.size, config.size)
    logits = tuple(torch.randn(2, config.num_tokens, 2**bits).requires_grad_() for bits in config.groups)
    network.decode(network.expected(logits), pictures[:1]).square().mean().backward()
    assert all(each.grad.abs().sum() > 0 for each in logits)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_says_how_many_tokens_it_makes(name):
    config = replace(VARIANTS[name], size=512)
    assert config.num_tokens == (512 // config.stride) ** 2
    assert config.stride == (8 if "f8" in name else 16)


def test_unknown_names_and_odd_sizes_are_refused():
    with pytest.raises(Rejected, match="did you mean llamagen-f16"):
        variant_named("lamagen-16")
    with pytest.raises(Rejected, match="100 px do not fit a stride of 16"):
        replace(VARIANTS["llamagen-f16"], size=100)
