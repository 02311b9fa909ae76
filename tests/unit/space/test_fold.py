import pytest
import torch
from torch import nn

from nas_lightning.space.fold import fold
from nas_lightning.space.network import ConvNet
from nas_lightning.space.size import Task


def test_the_folded_network_computes_the_same_without_batch_norm():
    torch.manual_seed(0)
    network = ConvNet(Task(3, 20, 4), (4, 6), 5)
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
