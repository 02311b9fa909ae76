import itertools

import pytest
import torch

from nas_lightning.errors import InputError
from nas_lightning.graph.trace import trace
from nas_lightning.space.readouts import READOUTS, build_readout
from nas_lightning.space.trunk import Block, Trunk
from nas_lightning.tasks import Classification

TASK = Classification(2, 20, 3)
X = torch.randn(3, 4, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("name", [*READOUTS, "mean+means_8+positive_share"])
def test_columns_are_what_comes_out(name):
    readout = build_readout(name, 10)
    assert readout(X).shape == (3, readout.columns(4))


@pytest.mark.parametrize(("segments", "length", "borders"), [
    (2, 8, [0, 4, 8]), (2, 9, [0, 5, 9]), (4, 10, [0, 3, 6, 9, 10]), (4, 9, [0, 3, 6, 9]),
    (8, 30, [*range(0, 30, 4), 30]), (8, 5, [0, 1, 2, 3, 4, 5]),
])  # fmt: skip
def test_segments_have_equal_lengths_but_the_last(segments, length, borders):
    x = torch.randn(2, 3, length)
    expected = torch.stack([x[:, :, a:b].mean(2) for a, b in itertools.pairwise(borders)], dim=2).flatten(1)
    readout = build_readout(f"means_{segments}", length)
    torch.testing.assert_close(readout(x), expected)
    assert readout.columns(3) == 3 * (len(borders) - 1)


def test_shares_and_means_of_positives_by_hand():
    x = torch.tensor([[[-1.0, 0.0, 2.0, 4.0], [-1.0, -2.0, 0.0, 0.0]]])
    assert build_readout("positive_share", 4)(x).tolist() == [[0.5, 0.0]]
    assert build_readout("positive_mean", 4)(x).tolist() == [[3.0, 0.0]]


def test_the_gradient_of_a_share_is_that_of_a_cut_line():
    x, soft = X.clone().requires_grad_(), X.clone().requires_grad_()
    g = torch.arange(12, dtype=torch.float64).reshape(3, 4)
    build_readout("positive_share", 4)(x).backward(g)
    ((soft + 1) / 2).clamp(0, 1).mean(2).backward(g)
    torch.testing.assert_close(x.grad, soft.grad)


@pytest.mark.parametrize("name", [name for name in READOUTS if name != "positive_share"])
def test_gradients_of_both_orders(name):
    x, readout = X[:2, :2].clone().requires_grad_(), build_readout(name, 10)
    assert torch.autograd.gradcheck(readout, x)
    assert torch.autograd.gradgradcheck(readout, x)


def test_the_surrogate_of_a_share_can_be_differentiated_again():
    x, g = X.clone().requires_grad_(), torch.ones(3, 4, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(build_readout("positive_share", 4)(x), x, g, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), g)
    torch.testing.assert_close(second, (X.abs() < 1).to(X).mean(2) / 2)


@pytest.mark.parametrize("name", ["positive_share", "positive_mean"])
def test_a_readout_that_cannot_be_deployed_is_named(name):
    with pytest.raises(InputError, match=r"network: found the layer \w+ \(readout.*\); allowed: ChannelAffine, "):
        trace(Trunk(TASK, [Block("full", 4, 3)], name), 2, 20)


@pytest.mark.parametrize(("name", "kinds"), [
    ("mean", ["global_avg_pool"]), ("means_4", ["segment_mean", "flatten"]), ("maximum", ["segment_max", "flatten"]),
])  # fmt: skip
def test_the_others_can(name, kinds):
    graph = trace(Trunk(TASK, [Block("separable", 4, 21, 2), Block("pool", 4, 3, 2)], name), 2, 20)
    assert [layer.kind.name for layer in graph.layers] == [
        "affine", "depthwise", "pointwise", "relu", "max_pool", *kinds, "linear",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["", "median", "mean+", "mean,maximum"])
def test_another_readout_is_refused(name):
    with pytest.raises(InputError, match=r"`readout`: found .*; allowed: mean, means_2, "):
        build_readout(name, 4)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("inverted", 4, 3), "found the kind inverted; allowed: full, depthwise, separable, pool"),
        (("full", 4, 40), "found 40 taps; allowed: an odd number"),
        (("full", 4, 3, 3), "found the stride 3; allowed: 1, 2, 4"),
        (("full", 0, 3), "found 0 channels"),
        (("full", 4, 3, 1, 0), "dilation 0"),
        (("depthwise", 4, 3), "found 4 channels; allowed: 2, for depthwise keeps them"),
        (("pool", 4, 3), "found 4 channels; allowed: 2, for pool keeps them"),
        (("pool", 2, 5), "found a pool of 5 taps, dilation 1; allowed: 3, 1"),
    ],
)
def test_a_block_that_cannot_be_is_refused(arguments, text):
    with pytest.raises(InputError, match=text):
        Trunk(TASK, [Block(*arguments)])
