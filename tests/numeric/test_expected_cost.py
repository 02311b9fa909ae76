"""The expected costs against the exact ones, and their gradients."""

import random
from functools import cache

import pytest
import torch
from random_networks import ALL_OPS, has_twins, random_genotype, random_size, random_task

from nas_lightning.cost.exact import ADDITIVE, MEASURES, Numbers, cost_of
from nas_lightning.space.cells.expected import ExpectedCost
from nas_lightning.space.cells.genotype import KINDS, Genotype, Genotypes
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.tables import SpaceCost
from nas_lightning.space.choices import one_hot
from nas_lightning.space.ops import DEFAULT_OPS
from nas_lightning.tasks import Classification


def hot(genotype):
    weights = one_hot(genotype, Genotypes(ALL_OPS, genotype.num_nodes))
    return {kind: of_kind.double() for kind, of_kind in weights.items()}


@pytest.mark.parametrize("seed", range(20))
def test_tables_and_expectations_equal_the_exact_cost_of_a_network(seed):
    rng = random.Random(seed)
    size, task = random_size(rng), random_task(rng)
    genotype = random_genotype(rng, size.nodes_per_layer)
    numbers = Numbers(rng.choice([8, 16, 32]), rng.choice([8, 16, 32]))
    exact = cost_of(Network(genotype, size, task), task.in_channels, task.length, numbers)
    space_cost = SpaceCost(size, task, ALL_OPS, numbers)
    if has_twins(genotype):
        assert all(space_cost.cost(genotype)[measure] >= getattr(exact, measure) for measure in MEASURES)
    else:
        assert space_cost.cost(genotype) == {measure: getattr(exact, measure) for measure in MEASURES}
    expected, weights = ExpectedCost(space_cost), hot(genotype)
    assert {m: float(expected(weights, m)) for m in ADDITIVE} == {m: space_cost.cost(genotype)[m] for m in ADDITIVE}


@cache
def of_preset(preset, length):
    """A size on data of one channel, and what is expected of its networks; for each operation the same."""
    from nas_lightning.config.compose import compose_config
    from nas_lightning.runs.build import build_size

    size, task = build_size(compose_config([f"nas_model_size={preset}"])), Classification(1, length, 4)
    return size, task, ExpectedCost(SpaceCost(size, task, ALL_OPS))


@pytest.mark.parametrize("op", [op for op in ALL_OPS if op != "none"])
@pytest.mark.parametrize(("preset", "length"), [("s", 32), ("m", 57), ("l", 64), ("xl", 31), ("xxl", 48)])
def test_every_operation_of_every_size_is_expected_at_its_exact_cost(op, preset, length):
    size, task, expected = of_preset(preset, length)
    cell = tuple((op, node) for node in range(size.nodes_per_layer))
    genotype = Genotype(cell, cell)
    exact = cost_of(Network(genotype, size, task), 1, length)
    weights = hot(genotype)
    assert {m: float(expected(weights, m)) for m in ADDITIVE} == {m: getattr(exact, m) for m in ADDITIVE}


@pytest.mark.parametrize("seed", range(10))
def test_smooth_ram_is_near_the_peak_of_a_network(seed):
    """It looks at the concatenations alone, and a p-norm lies above the largest by its number of terms at most."""
    rng = random.Random(seed)
    size, task = random_size(rng), random_task(rng)
    genotype = random_genotype(rng, size.nodes_per_layer)
    space_cost = SpaceCost(size, task, ALL_OPS)
    smooth = float(ExpectedCost(space_cost)(hot(genotype), "ram_bytes"))
    assert 0.55 * space_cost.cost(genotype)["ram_bytes"] < smooth < 1.25 * space_cost.cost(genotype)["ram_bytes"]


def gradients(measure, size, task):
    alphas = {kind: torch.zeros(size.num_edges, 7, dtype=torch.float64, requires_grad=True) for kind in KINDS}
    expected = ExpectedCost(SpaceCost(size, task, DEFAULT_OPS))
    expected({kind: a.softmax(-1) for kind, a in alphas.items()}, measure).backward()
    return {kind: a.grad for kind, a in alphas.items()}


def test_memory_and_compute_have_different_gradients():
    """Parameters do not depend on the length, MACs do; late cells are wide and short."""
    size, task = Size(6, 3, 2, 3, 3), Classification(1, 64, 2)
    params, macs = (gradients(measure, size, task) for measure in ("params", "macs"))
    ratio = [float(params[kind].norm() / macs[kind].norm()) for kind in KINDS]
    assert abs(ratio[0] / ratio[1] - 1) > 0.05


def test_ram_is_lowered_by_the_identity():
    gradient = gradients("ram_bytes", Size(3, 3, 2, 3, 3), Classification(1, 64, 2))["normal"]
    skip = DEFAULT_OPS.index("skip_connect")
    assert (gradient[:, skip] < 0).all()
    assert (gradient[:, skip + 1 :] > 0).all()


def test_macs_grow_with_the_length_and_parameters_do_not():
    size = Size(3, 2, 2, 3, 2)
    largest = {
        (measure, length): SpaceCost(size, Classification(1, length, 2), DEFAULT_OPS).largest(measure)
        for measure in ("params", "macs")
        for length in (32, 64)
    }
    assert largest["params", 32] == largest["params", 64]
    assert largest["macs", 64] > 1.9 * largest["macs", 32]


@pytest.mark.parametrize("measure", MEASURES)
def test_the_gradient_agrees_with_finite_differences(measure):
    expected = ExpectedCost(SpaceCost(Size(3, 3, 1, 3, 2), Classification(1, 16, 2), DEFAULT_OPS))
    raw = torch.randn(2, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)

    def cost(alphas):
        return expected(dict(zip(KINDS, alphas.softmax(-1), strict=True)), measure)

    assert torch.autograd.gradcheck(cost, (raw,))


def test_every_convolution_costs_something():
    """A peer's cost model counted Conv1d as zero."""
    space_cost = SpaceCost(Size(3, 2, 1, 3, 2), Classification(1, 16, 2), ALL_OPS)
    for measure in ("params", "macs"):
        for column, op in enumerate(ALL_OPS):
            costs = space_cost.tables[measure]["normal"][:, column]
            assert (costs > 0).all() == ("conv" in op or "depthwise" in op), op
