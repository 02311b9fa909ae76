"""A trunk under the heads of several readouts: each head alone gives what it gives beside the others."""

import pytest
import torch

from nas_lightning.errors import InputError
from nas_lightning.space.cells.compiled import compile_network
from nas_lightning.space.shared import SharedBlueprint
from nas_lightning.space.trunk import Block
from nas_lightning.tasks import Classification

TASK = Classification(2, 50, 3)
BLOCKS = (Block("full", 4, 7, stride=2), Block("separable", 6, 5, dilation=2))
SHARED = SharedBlueprint(BLOCKS, TASK, ("mean", "means_4", "maximum"))


def test_each_head_alone_gives_what_it_gives_beside_the_others():
    torch.manual_seed(0)
    network = SHARED.build()
    x = torch.randn(8, 2, 50)
    network(x)  # so that the running statistics are those of data
    together = network.eval()(x)
    assert together.shape == (8, 3, 3)
    for index, readout in enumerate(SHARED.readouts):
        alone = network.alone(index)
        assert torch.allclose(alone(x), together[:, index], atol=1e-6)
        assert alone.state_dict().keys() == SHARED.alone(index).build().state_dict().keys()
        assert SHARED.alone(index).readout == readout


def test_the_kernel_trains_all_heads():
    torch.manual_seed(0)
    network = SHARED.build().double()
    compiled = compile_network(network, TASK, "native")
    x = torch.randn(8, 2, 50, dtype=torch.float64)
    found, expected = compiled(x), network(x)
    assert torch.allclose(found, expected, atol=1e-12)
    weights = list(network.parameters())
    cotangent = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, weights, cotangent), torch.autograd.grad(expected, weights, cotangent), strict=True
    ):
        assert torch.allclose(ours, theirs, atol=1e-10)


def test_its_description_names_all_readouts():
    assert SHARED.to_dict() == {**SHARED.alone(0).to_dict(), "readout": ["mean", "means_4", "maximum"]}
    assert dict(SHARED.summary())["readouts"] == "mean, means_4, maximum"


def test_a_readout_that_is_unknown_is_refused():
    with pytest.raises(InputError, match="found median; allowed: mean, "):
        SharedBlueprint(BLOCKS, TASK, ("mean", "median"))
