import random

import pytest
import torch
from random_networks import ALL_OPS, random_genotype, random_size, random_task, scale_apart
from torch import nn

from nas_lightning.export.equalise import equalise
from nas_lightning.graph.fold import fold
from nas_lightning.graph.norm import ChannelAffine
from nas_lightning.space.cells.genotype import Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.space.reference import ConvNet
from nas_lightning.tasks import Classification
from nas_lightning.training.fake_quant import fake_quantized, observe

OPS = [op for op in ALL_OPS if op != "none"]


def with_statistics(network):
    """Every BatchNorm does something, and the input constants too."""
    norm = network.stem.norm
    norm.set_constants(torch.randn(norm.mean.shape), torch.rand(norm.std.shape) + 0.5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, 0, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.5)
    return network.eval()


def convnet(seed):
    torch.manual_seed(seed)
    return with_statistics(ConvNet(Classification(3, 32, 5), (8, 8, 8), 3)), torch.randn(64, 3, 32)


@torch.no_grad()
def int8_error(network, x):
    """What int8 changes in the logits, as a share of their spread."""
    model, logits = fake_quantized(network, *x.shape[1:]), network(x)
    observe(model, [x])
    return float((model(x) - logits).std() / logits.std(0).mean())


def assert_same(network, x):
    with torch.no_grad():
        for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-9)):
            network, x = network.to(dtype), x.to(dtype)
            expected, found = network(x), equalise(network, x)(x)
            assert float((found - expected).abs().max()) <= tolerance * float(expected.abs().max())


@pytest.mark.parametrize("op", OPS)
def test_the_function_stays(op):
    rng = random.Random(op)
    torch.manual_seed(0)
    for _ in range(3):
        size, task = random_size(rng), random_task(rng)
        drawn = random_genotype(rng, size.nodes_per_layer)
        genotype = Genotype(*(((op, 0), *cell[1:]) for cell in (drawn.normal, drawn.reduce)))
        network = with_statistics(Network(genotype, size, task))
        assert_same(network, 2 * torch.randn(20, task.in_channels, task.length) + 1)


def test_the_scales_by_hand():
    """Channels reach 100 and 1 and are read by weights 1: as shares of the output's largest product, 100, 1/100 each.

    So the scales are sqrt(100 / 0.01) = 100 and sqrt(1 / 0.01) = 10.
    """
    network = nn.Sequential(nn.Conv1d(1, 2, 1), nn.ReLU(), nn.Conv1d(2, 1, 1))
    for layer in (network[0], network[2]):
        nn.init.zeros_(layer.bias)
    network[0].weight.data[:, 0, 0] = torch.tensor([100.0, 1])
    nn.init.ones_(network[2].weight)
    found = equalise(network, torch.tensor([[[0.5, 1, -3]]]))
    torch.testing.assert_close(found[0].weight.flatten(), torch.tensor([1, 0.1]))
    torch.testing.assert_close(found[2].weight.flatten(), torch.tensor([100.0, 10]))


def test_a_value_with_two_readers_has_one_scale():
    """The depthwise layer weighs both channels alike, the other one does not: the larger share counts, which is 1."""
    genotype = Genotype(*[(("depthwise_3x1", 0), ("conv_bn_relu_1x1", 0))] * 2)
    torch.manual_seed(0)
    network = with_statistics(Network(genotype, Size(3, 2, 2, 1, 2), Classification(1, 16, 2)))
    nn.init.ones_(network.cells[0].preprocess[1].bias)
    x = torch.randn(30, 1, 16)
    assert_same(network, x)
    found, x = equalise(network, x.double()), x.double()
    peaks = found.cells[0].preprocess(found.stem(x)).amax((0, 2))
    torch.testing.assert_close(peaks, torch.ones_like(peaks))


def test_the_normalisation_stays():
    network, x = convnet(0)
    before, after = (
        next(m for m in n.modules() if isinstance(m, ChannelAffine)) for n in (fold(network), equalise(network, x))
    )
    assert torch.equal(before.scale, after.scale)
    assert torch.equal(before.shift, after.shift)


@pytest.mark.parametrize("seed", range(3))
def test_int8_loses_less_of_channels_scaled_apart(seed):
    network, x = convnet(seed)
    level = int8_error(network, x)
    scale_apart(network, torch.logspace(-2, 2, 8))
    assert int8_error(network, x) > 10 * level
    assert int8_error(equalise(network, x), x) < 1.5 * level


def test_scales_that_cancel_out_change_nothing():
    network, x = (value.double() for value in convnet(0))
    expected = equalise(network, x).state_dict()
    scale_apart(network, torch.logspace(-2, 2, 8, dtype=torch.float64))
    found = equalise(network, x).state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)


def test_more_samples_than_one_batch():
    network, x = convnet(0)
    x = torch.cat([x * 0.1] * 5 + [x])
    torch.testing.assert_close(equalise(network, x).state_dict(), equalise(network, x.flip(0)).state_dict())


def test_dead_and_unread_channels():
    """Channel 0 is 0 on all samples and channel 1 is read by nobody: neither may spoil a scale that others share."""
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Conv1d(4, 4, 3)), torch.randn(20, 1, 16)
    network[0].bias.data[:2] = torch.tensor([-100.0, 1000])
    network[2].weight.data[:, 0] = 1000
    network[2].weight.data[:, 1] = 0
    assert_same(network, x)
    found = equalise(network.float(), x)
    assert found[1](found[0](x)).amax() <= 1.001
    shares = found[2].weight.abs().amax(2)
    assert (shares <= 1.001 * shares[:, 2:].amax(1, keepdim=True)).all()


def test_a_network_dead_from_some_layer_on():
    network, x = convnet(0)
    network.blocks[1][1].bias.data.fill_(-1000)
    assert_same(network, x)
    assert all(bool(torch.isfinite(value).all()) for value in equalise(network.float(), x).state_dict().values())


def test_scales_stop_where_they_cannot_be_moved():
    """At the end of the network, whose last convolution here has another reader."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.relu, self.second = nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, 3, 1)

        def forward(self, x):
            y = self.relu(self.first(x))
            return torch.cat([y, self.second(y)], dim=1)

    torch.manual_seed(0)
    assert_same(Two(), torch.randn(20, 2, 8))
