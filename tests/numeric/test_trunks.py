"""Networks of any reach, stride and readout: the compiled kernel gives the numbers of PyTorch to 1e-9."""

import copy
import random

import pytest
import torch
from torch import nn

from nas_lightning.kernels.build import why_not_native
from nas_lightning.kernels.network_ops import Program
from nas_lightning.space.cells.compiled import compile_network
from nas_lightning.space.readouts import READOUTS, Together, build_readout
from nas_lightning.space.trunk import Block, Trunk
from nas_lightning.tasks import Classification

pytestmark = pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native()))
KINDS, STRIDES = ("full", "depthwise", "separable"), (1, 2, 4)
READ = [*READOUTS, "mean+means_2+means_4", "maximum+positive_share"]


def assert_trunk(task, blocks, readout, batch, seed=0):
    """Two passes forward and back: logits, gradients of all parameters (of the input's too) and running statistics."""
    torch.manual_seed(seed)
    network = Trunk(task, blocks, readout).double().train()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
    other = copy.deepcopy(network)
    compiled = compile_network(other, task, "native")
    for _ in range(2):
        x = torch.randn(batch, task.in_channels, task.length, dtype=torch.float64)
        y = torch.randint(task.num_classes, (batch,))
        for module, forward in ((network, network), (other, compiled)):
            module.zero_grad()
            nn.functional.cross_entropy(forward(x), y).backward()
        torch.testing.assert_close(compiled(x), network(x), rtol=1e-9, atol=1e-10)
        for own, found in zip(network.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(found.grad, own.grad, rtol=1e-9, atol=1e-10)
        for own, found in zip(network.buffers(), other.buffers(), strict=True):
            torch.testing.assert_close(found, own, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel_size", [1, 3, 5, 9, 15, 17, 21, 31, 41])
def test_every_number_of_taps(kernel_size, kind, stride):
    for dilation, length in ((1, 61), (2, 100), (3, 37), (4, 128)):
        task = Classification(3, length, 3)
        blocks = [Block("full", 5, 3), Block(kind, 5, kernel_size, stride, dilation)]
        assert_trunk(task, blocks, "mean", batch=3)


@pytest.mark.parametrize("seed", range(40))
def test_random_trunks(seed):
    choose = random.Random(seed)
    task = Classification(choose.randint(1, 3), choose.choice((8, 9, 13, 24, 33, 50, 64, 127)), choose.randint(2, 5))
    channels, blocks = task.in_channels, []
    for _ in range(choose.randint(1, 4)):
        kind = choose.choice((*KINDS, "pool"))
        channels = channels if kind in ("depthwise", "pool") else choose.randint(1, 9)
        if kind == "pool":
            blocks.append(Block(kind, channels, 3, choose.choice(STRIDES)))
            continue
        reach = choose.choice((1, 3, 5, 7, 11, 19, 29, 41)), choose.choice(STRIDES), choose.choice((1, 2, 3, 4, 8))
        blocks.append(Block(kind, channels, *reach))
    assert_trunk(task, blocks, choose.choice(READ), batch=choose.choice((2, 3, 4, 9)), seed=seed)


@pytest.mark.parametrize("length", [5, 16, 31])
@pytest.mark.parametrize("readout", READ)
def test_every_readout(readout, length):
    """At lengths below, at and beside multiples of the numbers of segments, and with more samples than a vector has."""
    assert_trunk(Classification(2, length, 3), [Block("full", 6, 9)], readout, batch=11)


@pytest.mark.parametrize("readout", READ)
def test_every_readout_of_values_of_both_signs(readout):
    program, norm = Program(3, 13), nn.BatchNorm1d(3).double()
    build_readout(readout, 13).write(program, program.norm(norm, program.inputs, relu=False))
    reference, x = copy.deepcopy(norm), torch.randn(9, 3, 13, dtype=torch.float64)
    expected, found = build_readout(readout, 13)(reference(x)), program(x)
    g = torch.randn(expected.shape, dtype=torch.float64)
    for value in (expected, found):
        value.backward(g)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(norm.weight.grad, reference.weight.grad, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(norm.bias.grad, reference.bias.grad, rtol=1e-9, atol=1e-10)


def test_taps_that_reach_beyond_short_series():
    """At 2 and 3 steps most of the 41 taps meet zeros alone; their weights get no gradient."""
    for length, stride in ((2, 1), (3, 1), (9, 4), (12, 4)):
        blocks = [Block("full", 3, 3, stride), Block("separable", 4, 41), Block("depthwise", 4, 41, 1, 4)]
        assert_trunk(Classification(1, length, 2), blocks, "mean", batch=3)


def test_gaps_follow_the_reach_of_the_planes_of_each_length():
    task = Classification(1, 100, 2)
    blocks = [Block("full", 2, 41, 4), Block("separable", 2, 21, 1, 2)]
    program = compile_network(Trunk(task, blocks), task, "native").program
    lengths, gaps, _ = program.tables
    assert set(gaps[lengths == 100].tolist()) == {8}  # read by phases only
    assert set(gaps[lengths == 25].tolist()) == {24}  # 20 steps of the dilated taps
    short = compile_network(Trunk(task, [Block("full", 2, 17)]), task, "native").program
    assert set(short.tables[1].tolist()) == {8}


def test_of_equal_largest_values_the_first_gets_the_gradient():
    """Behind a convolution, whose weights tell which of them got it."""
    generator = torch.Generator().manual_seed(0)
    layers = nn.Sequential(nn.Conv1d(2, 2, 3, 1, 1, bias=False), nn.BatchNorm1d(2), nn.ReLU()).double()
    layers[0].weight.data = torch.randint(-1, 2, (2, 2, 3), generator=generator).double()
    reference, program = copy.deepcopy(layers), Program(2, 30)
    build_readout("maximum", 30).write(program, program.layers(layers, program.inputs))
    x = torch.randint(-2, 3, (4, 2, 30), generator=generator).double()
    build_readout("maximum", 30)(reference(x)).square().sum().backward()
    program(x).square().sum().backward()
    for own, other in zip(layers.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-9, atol=1e-10)


def test_steps_of_training_end_at_the_same_weights():
    task = Classification(1, 60, 3)
    torch.manual_seed(0)
    network = Trunk(task, [Block("full", 6, 41, 2), Block("separable", 8, 21, 1, 2)], "mean+means_2").double()
    other = copy.deepcopy(network)
    x, y = torch.randn(8, 1, 60, dtype=torch.float64), torch.randint(3, (8,))
    for module, forward in ((network, network), (other, compile_network(other, task, "native"))):
        optimizer = torch.optim.AdamW(module.parameters(), 0.01)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(forward(x), y).backward()
            optimizer.step()
    for own, found in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(found, own, rtol=1e-7, atol=1e-7)  # AdamW divides by what may be near zero


def test_together_joins_in_order():
    assert isinstance(build_readout("mean+maximum", 6), Together)
    x = torch.arange(12.0).reshape(1, 2, 6)
    torch.testing.assert_close(build_readout("mean+maximum", 6)(x), torch.tensor([[2.5, 8.5, 5.0, 11.0]]))


def test_passes_may_overlap_and_be_taken_back_twice():
    """Values live as long as something may ask for gradients of them."""
    task = Classification(1, 30, 3)
    torch.manual_seed(0)
    network = Trunk(task, [Block("full", 4, 9), Block("separable", 4, 21)]).double()
    other = copy.deepcopy(network)
    compiled, own, copied = compile_network(other, task, "native"), list(network.parameters()), list(other.parameters())
    batches = [torch.randn(5, 1, 30, dtype=torch.float64) for _ in range(3)]
    alone = [torch.autograd.grad(network(x).square().sum(), own) for x in batches]
    losses = [compiled(x).square().sum() for x in batches]
    for _ in range(2):
        for loss, expected in zip(losses, alone, strict=True):
            found = torch.autograd.grad(loss, copied, retain_graph=True)
            for value, reference in zip(found, expected, strict=True):
                torch.testing.assert_close(value, reference, rtol=1e-9, atol=1e-10)
