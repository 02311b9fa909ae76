"""One path of the supernet, run alone: what the mixture with all weight on it computes, at the cost of its network."""

import copy

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from nas_lightning.space.cells.edge_group import EdgeGroup
from nas_lightning.space.cells.genotype import KINDS, Genotype, Genotypes
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.supernet import Path, Supernet
from nas_lightning.space.choices import one_hot
from nas_lightning.space.ops import DEFAULT_OPS, OPS
from nas_lightning.tasks import Classification

KEPT = [op for op in OPS if op != "none"]


def make_supernet(size, task, ops=tuple(OPS), partial=1):
    """In float64, with running statistics that are not those of the start."""
    torch.manual_seed(0)
    supernet = Supernet(size, task, ops, "torch", partial=partial).double()
    for name, buffer in supernet.named_buffers():
        if name.endswith("running_mean"):
            nn.init.normal_(buffer, std=0.3)
        elif name.endswith("running_var"):
            nn.init.uniform_(buffer, 0.05, 0.2)
    return supernet


def hot(genotype, ops):
    return {kind: weights.double() for kind, weights in one_hot(genotype, Genotypes(ops, genotype.num_nodes)).items()}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("fanout", [1, 3])
@pytest.mark.parametrize("op", KEPT)
def test_a_path_is_the_mixture_with_all_weight_on_it(op, fanout, train):
    """At both strides; statistics of what runs move alike, those of what does not stay as they are."""
    size, task = Size(4, 3, 2, 3, fanout, post_reduction_stride=2), Classification(2, 33, 3)
    other = KEPT[KEPT.index(op) - 1]
    genotype = Genotype(((op, 0), (other, 0), (op, 1)), ((op, 0), (op, 1), (other, 0)))
    mixture = make_supernet(size, task).train(train)
    alone, before = copy.deepcopy(mixture), copy.deepcopy(mixture.state_dict())
    x = torch.randn(5, 2, 33, dtype=torch.float64)
    expected, found = mixture(x, hot(genotype, mixture.op_names)), alone(x, Path(genotype))
    assert float(expected.detach().std(0).max()) > 1e-5, "the network must not be constant"
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    for name, tensor in alone.state_dict().items():
        if not name.endswith(("running_mean", "running_var")):
            continue
        moved = tensor != before[name]
        assert train or not moved.any()
        torch.testing.assert_close(tensor[moved], mixture.state_dict()[name][moved], rtol=1e-9, atol=1e-9)


def test_the_gradient_of_the_weights_is_that_of_the_mixture():
    size, task = Size(4, 3, 2, 3, 2), Classification(2, 32, 3)
    genotype = Genotype(
        (("conv_bn_relu_5x1", 0), ("sep_conv_3x1", 1), ("max_pool_3x1", 0)),
        (("dil_conv_5x1", 0), ("skip_connect", 0), ("conv_bn_relu_3x1", 2)),
    )
    mixture = make_supernet(size, task)
    alone = copy.deepcopy(mixture)
    x, y = torch.randn(6, 2, 32, dtype=torch.float64), torch.arange(6) % 3
    nn.functional.cross_entropy(mixture(x, hot(genotype, mixture.op_names)), y).backward()
    nn.functional.cross_entropy(alone(x, Path(genotype)), y).backward()
    gradients = dict(alone.named_parameters())
    for name, parameter in mixture.weights().items():
        found = gradients[name].grad
        torch.testing.assert_close(
            torch.zeros_like(parameter) if found is None else found,
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad,
            rtol=1e-8,
            atol=1e-10,
        )


def test_gates_multiply_the_values_of_the_nodes():
    """Against the cells one by one."""
    size, task = Size(3, 1, 2, 1, 1), Classification(1, 32, 2)
    supernet = make_supernet(size, task).eval()
    genotype = Genotype((("skip_connect", 0),), (("skip_connect", 0),))
    x = torch.randn(3, 1, 32, dtype=torch.float64)
    ones = {kind: torch.ones(1, dtype=torch.float64) for kind in KINDS}
    plain = supernet(x, Path(genotype))
    assert torch.equal(supernet(x, Path(genotype, ones)), plain)
    tripled = supernet(x, Path(genotype, ones | {"reduce": 3 * ones["reduce"]}))
    values = supernet.stem(x)
    for cell, kind in zip(supernet.cells, supernet.kinds, strict=True):
        factor = 3 if kind == "reduce" else 1
        values = factor * cell.run_path(values, genotype.cell(kind), None)
    torch.testing.assert_close(tripled, supernet.head(values.mean(2)))
    assert not torch.allclose(tripled, plain)


class Count(TorchDispatchMode):
    """How many convolutions and pools run."""

    def __init__(self):
        super().__init__()
        self.calls = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if "conv" in name or "pool" in name:
            self.calls[name] = self.calls.get(name, 0) + 1
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def calls_of(module, *inputs):
    with Count() as count:
        module(*inputs)
    return count.calls


@pytest.mark.parametrize("seed", range(5))
def test_as_many_convolutions_and_pools_run_as_in_the_network(seed):
    """With a dead node, too: one that no output sees."""
    import random

    from random_networks import random_genotype

    size, task = Size(5, 4, 1, 3, 2), Classification(1, 64, 2)
    genotype = random_genotype(random.Random(seed), 4, DEFAULT_OPS)
    supernet = Supernet(size, task, DEFAULT_OPS, "torch")
    x = torch.randn(2, 1, 64)
    found = calls_of(supernet, x, Path(genotype))
    network = Network(genotype, size, task)
    convs = sum(count for name, count in found.items() if "conv" in name)
    assert convs == calls_of(network, x)["convolution"]
    assert sum(found.values()) - convs <= 5 * 4
    groups = [module for module in supernet.modules() if isinstance(module, EdgeGroup)]
    moved = sum(int((group.running_var != 1).any(-1).sum()) for group in groups)
    assert moved == convs - 1 - 5  # besides the stem and the 1x1 convolutions before the cells


def test_partial_channels_have_no_path():
    supernet = make_supernet(Size(3, 1, 4, 1, 1), Classification(1, 16, 2), DEFAULT_OPS, partial=4)
    genotype = Genotype((("skip_connect", 0),), (("skip_connect", 0),))
    with pytest.raises(NotImplementedError, match="partial channels: a path cannot be run alone"):
        supernet(torch.randn(2, 1, 16, dtype=torch.float64), Path(genotype))
