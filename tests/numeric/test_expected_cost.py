"""The expected cost against the exact one, and its gradients."""

import pytest
import torch

from nas_lightning.cost.exact import cost_of
from nas_lightning.cost.expected import MEASURES, ExpectedCost
from nas_lightning.space.genotype import KINDS, Genotype
from nas_lightning.space.network import Network
from nas_lightning.space.ops import DEFAULT_OPS, OPS
from nas_lightning.space.size import Size, Task, edges

ALL_OPS = tuple(OPS)


def random_genotype(generator, num_nodes):
    def cell():
        return tuple(
            (ALL_OPS[1 + int(torch.randint(len(ALL_OPS) - 1, (), generator=generator))],
             int(torch.randint(node, (), generator=generator)))
            for node in range(1, num_nodes + 1)
        )  # fmt: skip

    return Genotype(cell(), cell())


def one_hot(genotype):
    weights = {}
    for kind in KINDS:
        rows = edges(genotype.num_nodes)
        weights[kind] = torch.zeros(len(rows), len(ALL_OPS), dtype=torch.float64)
        weights[kind][:, 0] = 1
        for node, (op, source) in enumerate(genotype.cell(kind), start=1):
            weights[kind][rows.index((source, node))] = 0
            weights[kind][rows.index((source, node)), ALL_OPS.index(op)] = 1
    return weights


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("seed", range(10))
def test_expected_equals_exact_at_one_hot(seed, measure):
    generator = torch.Generator().manual_seed(seed)
    fanout = 1 + seed % 4
    size = Size(3 + seed, 4, 1 + seed % 3, 3, fanout, post_reduction_stride=1 + seed % 2)
    task = Task(2, 40 + seed, 5)
    genotype = random_genotype(generator, 4)
    exact = getattr(cost_of(Network(genotype, size, task), task.in_channels, task.length), measure)
    assert float(ExpectedCost(size, task, ALL_OPS, measure)(one_hot(genotype))) == exact


def gradients(measure, size, task):
    alphas = {kind: torch.zeros(size.num_edges, 7, dtype=torch.float64, requires_grad=True) for kind in KINDS}
    expected = ExpectedCost(size, task, DEFAULT_OPS, measure)
    expected({kind: a.softmax(-1) for kind, a in alphas.items()}).backward()
    return {kind: a.grad for kind, a in alphas.items()}


def test_memory_and_compute_have_different_gradients():
    """Parameters do not depend on the length, MACs do; late cells are wide and short."""
    size, task = Size(6, 3, 2, 3, 3), Task(1, 64, 2)
    params, macs = (gradients(measure, size, task) for measure in ("params", "macs"))
    ratio = [float(params[kind].norm() / macs[kind].norm()) for kind in KINDS]
    assert abs(ratio[0] / ratio[1] - 1) > 0.05


def test_macs_grow_with_the_length_and_parameters_do_not():
    size = Size(3, 2, 2, 3, 2)
    largest = {
        (measure, length): ExpectedCost(size, Task(1, length, 2), DEFAULT_OPS, measure).largest
        for measure in MEASURES
        for length in (32, 64)
    }
    assert largest["params", 32] == largest["params", 64]
    assert largest["macs", 64] > 1.9 * largest["macs", 32]


def test_the_gradient_agrees_with_finite_differences():
    expected = ExpectedCost(Size(3, 3, 1, 3, 2), Task(1, 16, 2), DEFAULT_OPS, "macs")
    raw = torch.randn(2, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)

    def cost(alphas):
        return expected(dict(zip(KINDS, alphas.softmax(-1), strict=True)))

    assert torch.autograd.gradcheck(cost, (raw,))


def test_every_convolution_costs_something():
    """peers.md: a peer's cost model counted Conv1d as zero."""
    size, task = Size(3, 2, 1, 3, 2), Task(1, 16, 2)
    for measure in MEASURES:
        expected = ExpectedCost(size, task, ALL_OPS, measure)
        for column, op in enumerate(ALL_OPS):
            costs = expected.tables["normal"][:, column]
            assert (costs > 0).all() == ("conv" in op or "depthwise" in op), op
