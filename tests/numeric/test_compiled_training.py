"""The compiled kernel computes what a network or a supernet in training does: values, gradients, statistics."""

import copy
import itertools
import random
from functools import partial

import pytest
import torch
from torch import nn

from nas_lightning.kernels.build import why_not_native
from nas_lightning.kernels.network_ops import Program, UnsupportedError
from nas_lightning.space.cells.compiled import CompiledSupernet, compile_network, training_pass
from nas_lightning.space.cells.genotype import Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.supernet import Path, Supernet
from nas_lightning.space.ops import OPS
from nas_lightning.space.reference import ConvNet
from nas_lightning.tasks import Classification

pytestmark = pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native()))
USED = [op for op in OPS if op != "none"]


def prepared(network):
    """In float64, and with BatchNorms that are not neutral."""
    generator = torch.Generator().manual_seed(1)
    for norm in network.double().train().modules():
        if isinstance(norm, nn.BatchNorm1d):
            nn.init.uniform_(norm.weight, 0.5, 1.5, generator)
            nn.init.normal_(norm.bias, generator=generator)
    network.stem.norm.set_constants(torch.tensor([0.3]), torch.tensor([2.0]))
    return network


def random_network(seed, task, layers=3, channels=2, fanout_concat=4, post_reduction_stride=1):
    choose = random.Random(seed)
    cells = [tuple((choose.choice(USED), choose.randrange(node)) for node in (1, 2, 3, 4)) for _ in range(2)]
    torch.manual_seed(seed)
    size = Size(layers, 4, channels, 3, fanout_concat, post_reduction_stride)
    return prepared(Network(Genotype(*cells), size, task))


def step(network, forward, x, y):
    """One pass forward and back: logits, gradients and buffers."""
    logits = forward(x)
    nn.functional.cross_entropy(logits, y).backward()
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in network.parameters()]
    return [logits.detach(), *grads, *network.buffers()]


def assert_same(network, task, batch):
    other = copy.deepcopy(network)
    compiled = compile_network(other, task, "native")
    generator = torch.Generator().manual_seed(2)
    for _ in range(2):
        x = torch.randn(batch, task.in_channels, task.length, generator=generator, dtype=torch.float64)
        y = torch.randint(task.num_classes, (batch,), generator=generator)
        for expected, found in zip(step(network, network, x, y), step(other, compiled, x, y), strict=True):
            assert torch.allclose(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("op", USED)
def test_every_operation_at_both_strides(op):
    task = Classification(1, 21, 3)
    cell = ((op, 0), (op, 1))
    torch.manual_seed(0)
    assert_same(prepared(Network(Genotype(cell, cell), Size(3, 2, 2, 2, 2), task)), task, batch=3)


@pytest.mark.parametrize("seed", range(12))
def test_random_networks(seed):
    lengths, batches = itertools.cycle((9, 16, 31, 50, 37)), itertools.cycle((1, 2, 5))
    length = next(itertools.islice(lengths, seed, None))
    task = Classification(1 + seed % 3, length, 4)
    outline = {"layers": 3 + seed % 4, "channels": 1 + seed % 4, "fanout_concat": 1 + seed % 4}
    network = random_network(seed, task, **outline, post_reduction_stride=1 + seed % 2)
    assert_same(network, task, batch=next(itertools.islice(batches, seed, None)) + 1)


@pytest.mark.parametrize("kernel_size", [3, 9])
def test_hand_made_networks(kernel_size):
    task = Classification(2, 33, 3)
    torch.manual_seed(0)
    assert_same(prepared(ConvNet(task, [4, 6, 5], kernel_size)), task, batch=4)


SPACES = [tuple(OPS), ("none", "avg_pool_3x1", "max_pool_3x1", "skip_connect", "conv_bn_relu_5x1"), ("max_pool_3x1",)]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("ops", SPACES, ids=len)
def test_a_supernet_in_both_steps_of_a_search(ops, stride):
    """One that learns op weights alone, as a step of the alphas does, and one that learns weights alone."""
    torch.manual_seed(0)
    task, size = Classification(2, 29, 3), Size(4, 3, 2, 2, 2, stride)
    supernet = Supernet(size, task, ops).double().train()
    other = copy.deepcopy(supernet)
    compiled = CompiledSupernet(other)
    generator = torch.Generator().manual_seed(1)
    for learns_weights in (False, True, False):
        op_weights = {kind: alphas.detach().softmax(1) for kind, alphas in supernet.alphas.items()}
        x = torch.randn(5, 2, 29, generator=generator, dtype=torch.float64)
        y = torch.randint(3, (5,), generator=generator)
        found = []
        for network, run in ((supernet, supernet), (other, compiled)):
            own = {kind: w.clone().requires_grad_(not learns_weights) for kind, w in op_weights.items()}
            network.zero_grad()
            for parameter in network.weights().values():
                parameter.requires_grad_(learns_weights)
            logits = run(x, own)
            nn.functional.cross_entropy(logits, y).backward()
            learned = network.weights().values() if learns_weights else own.values()
            found.append([logits.detach(), *(each.grad for each in learned), *network.buffers()])
        for expected, value in zip(*found, strict=True):
            assert (expected is None) == (value is None)
            assert expected is None or torch.allclose(value, expected, rtol=1e-8, atol=1e-10)


def test_what_the_kernel_does_not_serve_is_left_to_the_supernet():
    size, task = Size(3, 2, 4, 1, 2), Classification(1, 16, 2)
    with pytest.raises(UnsupportedError):
        CompiledSupernet(Supernet(size, task, partial=2))
    for settings in ({"partial": 2}, {"kernels": "torch"}):
        supernet = Supernet(size, task, **settings)
        x, op_weights = torch.randn(3, 1, 16), {kind: a.softmax(1) for kind, a in supernet.alphas.items()}
        assert torch.equal(training_pass(supernet)(x, op_weights), supernet(x, op_weights))
    compiled = CompiledSupernet(Supernet(Size(3, 2, 1, 1, 2), Classification(1, 16, 2)))
    assert compiled.serves(torch.zeros(4, 1, 16))
    assert not compiled.serves(torch.zeros(100_000, 1, 16))
    path = Path(Genotype((("skip_connect", 0), ("max_pool_3x1", 1)), (("conv_bn_relu_3x1", 0), ("avg_pool_3x1", 0))))
    supernet = Supernet(Size(3, 2, 1, 1, 2), Classification(1, 16, 2)).eval()
    x = torch.randn(3, 1, 16)
    assert torch.equal(training_pass(supernet)(x, path), supernet(x, path))


def test_gradients_are_finite_differences():
    task = Classification(1, 14, 2)
    torch.manual_seed(0)
    cell = (("conv_bn_relu_3x1", 0), ("avg_pool_3x1", 1))
    network = prepared(Network(Genotype(cell, cell), Size(3, 2, 1, 1, 2), task))
    program = compile_network(network, task, "native").program
    x = torch.randn(3, 1, 14, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    program(x).square().sum().backward()
    for parameter in program.params:
        flat, grad = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(len(flat)):
            values = []
            for change in (1e-6, -2e-6):
                flat[i] += change
                values.append(float(program(x).detach().square().sum()))
            flat[i] += 1e-6
            assert float(grad[i]) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-6)


def test_of_equal_values_the_first_gets_the_gradient_of_a_maximum():
    program = Program(1, 4)
    norm = nn.BatchNorm1d(1).double()
    planes = program.norm(norm, program.inputs, relu=True)
    program.mean(program.pool(nn.MaxPool1d(3, 2, 1), planes))
    x = torch.tensor([[[-1.0, -1.0, -1.0, 3.0]], [[1.0, 1.0, 1.0, 1.0]]], dtype=torch.float64)
    reference = copy.deepcopy(norm)
    nn.functional.max_pool1d(reference(x).relu(), 3, 2, 1).mean(2).square().sum().backward()
    program(x).square().sum().backward()
    assert torch.allclose(norm.weight.grad, reference.weight.grad)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pool", [nn.MaxPool1d, partial(nn.AvgPool1d, count_include_pad=False)], ids=["max", "avg"])
def test_pools_at_every_length_and_with_many_equal_values(pool, stride):
    """Behind a convolution, whose weights tell which of equal values got the gradient."""
    generator = torch.Generator().manual_seed(0)
    for length in range(1, 40):
        layers = nn.Sequential(nn.Conv1d(2, 2, 3, 1, 1, bias=False), nn.BatchNorm1d(2), nn.ReLU()).double()
        layers[0].weight.data = torch.randint(-1, 2, (2, 2, 3), generator=generator).double()
        reference, program = copy.deepcopy(layers), Program(2, length)
        program.mean(program.pool(pool(3, stride, 1), program.layers(layers, program.inputs)))
        x = torch.randint(-2, 3, (4, 2, length), generator=generator).double()
        expected, found = pool(3, stride, 1)(reference(x)).mean(2), program(x)
        g = torch.randn(4, 2, generator=generator, dtype=torch.float64)
        for value in (expected, found):
            value.backward(g)
        assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)
        for own, other in zip(layers.parameters(), reference.parameters(), strict=True):
            assert torch.allclose(own.grad, other.grad, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(2, 2, 3, padding=1),
        nn.Conv1d(2, 2, 3, bias=False),
        nn.Conv1d(2, 2, 3, 3, 1, bias=False),
        nn.Conv1d(2, 2, 4, padding=2, bias=False),
        nn.Conv1d(2, 2, 3, padding=1, bias=False, padding_mode="circular"),
        nn.Conv1d(2, 2, 19, padding=18, bias=False),
        nn.AvgPool1d(3, 1, 1),
        nn.MaxPool1d(5, 1, 2),
        nn.Softplus(),
    ],
    ids=str,
)
def test_a_layer_without_a_compiled_form_is_refused(layer):
    program = Program(2, 10)
    with pytest.raises(UnsupportedError):
        (program.conv if isinstance(layer, nn.Conv1d) else program.layers)(layer, program.inputs)


def test_a_single_value_cannot_be_normalised():
    task = Classification(1, 4, 2)
    cell = (("skip_connect", 0),)
    network = Network(Genotype(cell, cell), Size(3, 1, 1, 1, 1), task).double()
    with pytest.raises(ValueError, match="batch normalisation needs more than one value per channel in training"):
        compile_network(network, task, "native")(torch.zeros(1, 1, 4, dtype=torch.float64))


def test_samples_that_the_kernel_cannot_take_are_left_to_the_network():
    task = Classification(1, 20, 2)
    network = random_network(0, task).float()
    serves = compile_network(network, task, "auto").serves
    assert serves(torch.zeros(2, 1, 20))
    assert not serves(torch.zeros(2, 1, 20, dtype=torch.float64))
    assert not serves(torch.zeros(2, 1, 20, device="meta"))
    with torch.autocast("cpu"):
        assert not serves(torch.zeros(2, 1, 20))
    assert compile_network(network, task, "torch") is None
