import copy

import numpy as np
import pytest
import torch
from torch import nn

from nas_lightning.graph.fold import fold
from nas_lightning.graph.norm import ChannelAffine
from nas_lightning.space.reference import ConvNet
from nas_lightning.tasks import Classification


def test_the_folded_network_computes_the_same_without_batch_norm():
    torch.manual_seed(0)
    network = ConvNet(Classification(3, 20, 4), (4, 6), 5)
    network.stem.norm.set_constants(torch.randn(3), torch.rand(3) + 0.5)
    for _ in range(5):
        network(3 * torch.randn(8, 3, 20) + 1)
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    folded = fold(network)
    x = torch.randn(4, 3, 20)
    network.eval()
    torch.testing.assert_close(folded(x), network(x), rtol=1e-4, atol=1e-4)
    assert not any(isinstance(m, nn.BatchNorm1d) for m in folded.modules())
    assert any(isinstance(m, nn.BatchNorm1d) for m in network.modules())


def test_a_batch_norm_that_cannot_be_folded_is_an_error():
    with pytest.raises(NotImplementedError, match="does not follow a Conv1d"):
        fold(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3)))


def with_constants(mean, std):
    torch.manual_seed(0)
    network = ConvNet(Classification(3, 128, 3), (4, 6), 3)
    network.stem.norm.set_constants(mean, std)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.5)
    return network.eval()


def counts_on(level, num=60):
    """A small signal on a large constant, in whole numbers: float64 ``[N, 3, 128]``."""
    generator, time = np.random.default_rng(0), np.arange(128) / 50
    phase = generator.uniform(0, 7, (num, 3, 1))
    return np.rint(level + 2 * np.sin(2 * np.pi * np.array([1.5, 4, 9])[:, None] * time + phase))


@pytest.mark.parametrize("level", [8_388_608, 16_000_000, -5_000_000, 3_000_000.0, 101_325])
def test_a_small_signal_on_a_large_constant_is_kept(level):
    """In float32 ``x * a + b`` would lose it: the products are a million times what is left of them."""
    x = counts_on(level)
    assert np.array_equal(x.astype(np.float32), x)
    mean, std = torch.from_numpy(x.mean((0, 2))).float(), torch.from_numpy(x.std((0, 2))).float()
    network = with_constants(mean, std)
    exact = copy.deepcopy(network).double()(torch.from_numpy(x)).detach()
    found = fold(network)(torch.from_numpy(x).float()).detach()
    assert float((found - exact).abs().max() / exact.abs().max()) < 1e-5


def test_what_the_mean_leaves_is_exact():
    x = counts_on(8_388_608)
    norm = fold(with_constants(torch.full((3,), 8_388_608.0), torch.ones(3))).stem.norm
    assert isinstance(norm, ChannelAffine)
    nn.init.ones_(norm.scale)
    nn.init.zeros_(norm.shift)
    np.testing.assert_array_equal(norm(torch.from_numpy(x).float()).detach().numpy(), x - 8_388_608)
