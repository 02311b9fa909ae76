"""A convolution by the compiled kernel, and supernets with long ones: first and second derivatives are PyTorch's."""

import itertools
from functools import partial

import pytest
import torch
from torch import nn

from nas_lightning.kernels import torch_ops
from nas_lightning.kernels.build import why_not_native
from nas_lightning.kernels.convolutions import convolve
from nas_lightning.kernels.network_ops import UnsupportedError
from nas_lightning.space.cells.compiled import CompiledSupernet
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.supernet import Supernet
from nas_lightning.space.ops import OPS, _depthwise
from nas_lightning.tasks import Classification

pytestmark = pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native()))
LONG_OPS = {
    "depthwise_41x1": partial(_depthwise, kernel_size=41),
    "sep_conv_21x1": partial(_depthwise, kernel_size=21, pointwise=True),
    "dil_conv_11x1": partial(_depthwise, kernel_size=11, dilation=4, pointwise=True),
}
GRID = list(itertools.product((1, 3, 21, 41), (1, 2, 4), (1, 2, 3), (1, 7, 40)))


def made(taps, length, channels=4, outs=4, groups=4, batch=3):
    generator = torch.Generator().manual_seed(taps + length)
    options = {"generator": generator, "dtype": torch.float64}
    x = torch.randn(batch, channels, length, **options).requires_grad_()
    weight = torch.randn(outs, channels // groups, taps, **options).requires_grad_()
    return x, weight, options


@pytest.mark.parametrize(("taps", "stride", "dilation", "length"), GRID)
def test_values_and_gradients_of_both_orders(taps, stride, dilation, length):
    for groups, outs in ((4, 4), (1, 3), (2, 6), (4, 8)):
        x, weight, options = made(taps, length, outs=outs, groups=groups)
        u_x, u_weight = torch.randn(x.shape, **options), torch.randn(weight.shape, **options)
        g = torch.randn(torch_ops.convolve(x, weight, stride, dilation).shape, **options).requires_grad_()
        found = []
        for run in (torch_ops.convolve, convolve):
            y = run(x, weight, stride, dilation)
            first = torch.autograd.grad(y, [x, weight], g, create_graph=True)
            along = (first[0] * u_x).sum() + (first[1] * u_weight).sum() + first[1].square().sum()
            found.append([y, *first, *torch.autograd.grad(along, [x, weight, g])])
        for expected, value in zip(*found, strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("taps", "stride", "dilation"), [(5, 1, 2), (7, 2, 1), (9, 4, 1)])
def test_derivatives_are_finite_differences(taps, stride, dilation):
    x, weight, _ = made(taps, 11, batch=2, channels=2, outs=2, groups=2)
    run = partial(convolve, stride=stride, dilation=dilation)
    assert torch.autograd.gradcheck(run, (x, weight))
    assert torch.autograd.gradgradcheck(run, (x, weight))


def test_values_that_do_not_lie_in_a_row_keep_their_second_derivatives():
    x, weight, _ = made(5, 12)
    found = []
    for run in (torch_ops.convolve, convolve):
        turned = x.mT.contiguous().mT  # steps before channels in memory
        y = run(turned, weight, 1, 1).sum(1, keepdim=True).expand(-1, 4, -1)
        (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), [x, weight]))
    for expected, value in zip(*found, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)


def test_a_gradient_that_nobody_wants_is_not_made():
    x, weight, _ = made(5, 12)
    convolve(x.detach(), weight, 1, 1).sum().backward()
    assert x.grad is None
    assert weight.grad is not None


def test_what_does_not_fit_is_refused():
    x, weight, _ = made(5, 12)
    with pytest.raises(ValueError, match="do not fit"):
        convolve(x, weight.float(), 1, 1)
    with pytest.raises(ValueError, match="do not fit"):
        convolve(x, torch.randn(4, 3, 5, dtype=torch.float64), 1, 1)
    with pytest.raises(UnsupportedError):
        convolve(x, weight, 3, 1)


@pytest.fixture
def _long_ops(monkeypatch):
    for name, build in LONG_OPS.items():
        monkeypatch.setitem(OPS, name, build)


def supernets(stride):
    """The same supernet with PyTorch's kernels and with the compiled ones."""
    ops = ("none", "skip_connect", "conv_bn_relu_3x1", *LONG_OPS)
    task, size, pair = Classification(2, 29, 3), Size(4, 3, 2, 2, 2, stride), []
    for kernels in ("torch", "native"):
        torch.manual_seed(0)
        pair.append(Supernet(size, task, ops, kernels).double().train())
    return pair


@pytest.mark.usefixtures("_long_ops")
@pytest.mark.parametrize("stride", [1, 2])
def test_long_operations_in_a_supernet_in_both_orders(stride):
    """The gradient of alphas through a step of the weights, as an unrolled search takes it."""
    x, y = torch.randn(5, 2, 29, dtype=torch.float64), torch.randint(3, (5,))
    found = []
    for supernet in supernets(stride):
        choice = {kind: alphas.softmax(1) for kind, alphas in supernet.alphas.items()}
        weights, alphas = list(supernet.weights().values()), list(supernet.alphas.values())
        logits = supernet(x, choice)
        first = torch.autograd.grad(nn.functional.cross_entropy(logits, y), weights, create_graph=True)
        second = torch.autograd.grad(sum(each.square().sum() for each in first), [*weights, *alphas])
        found.append([logits, *first, *second, *supernet.buffers()])
    for expected, value in zip(*found, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.usefixtures("_long_ops")
@pytest.mark.parametrize("stride", [1, 2])
def test_long_operations_in_a_compiled_supernet(stride):
    supernet, other = supernets(stride)
    x, y = torch.randn(5, 2, 29, dtype=torch.float64), torch.randint(3, (5,))
    found = []
    for network, run in ((supernet, supernet), (other, CompiledSupernet(other))):
        choice = {kind: alphas.softmax(1) for kind, alphas in network.alphas.items()}
        logits = run(x, choice)
        nn.functional.cross_entropy(logits, y).backward()
        found.append([logits, *(parameter.grad for parameter in network.parameters()), *network.buffers()])
    for expected, value in zip(*found, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-8, atol=1e-9)
