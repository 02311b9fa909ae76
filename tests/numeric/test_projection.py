"""The projection onto a budget: never above a limit, and the best there is."""

import itertools
import random

import pytest
import torch
from random_networks import ALL_OPS, has_twins, random_genotype, random_size, random_task

from nas_lightning.cost.exact import MEASURES, cost_of
from nas_lightning.errors import BudgetError
from nas_lightning.space.cells.genotype import KINDS, Genotype, Genotypes
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.projection import check_feasible, is_feasible, least, project
from nas_lightning.space.cells.size import Size, edges
from nas_lightning.space.cells.tables import SpaceCost
from nas_lightning.space.choices import strongest
from nas_lightning.space.ops import DEFAULT_OPS
from nas_lightning.tasks import Classification


def random_weights(rng, size, num_ops):
    generator = torch.Generator().manual_seed(rng.randrange(10**6))
    scale = rng.choice([0.5, 3.0])
    return {kind: (scale * torch.randn(size.num_edges, num_ops, generator=generator)).softmax(-1) for kind in KINDS}


@pytest.mark.parametrize("block", range(10))
def test_no_network_exceeds_a_limit(block):
    """30 random spaces, op weights and budgets a block: every network found is built, and costed by the exact model."""
    rng = random.Random(block)
    num_found = 0
    for _ in range(30):
        size, task = random_size(rng), random_task(rng)
        ops = ("none", *rng.sample(ALL_OPS[1:], rng.randint(2, 8)))
        weights, space_cost = random_weights(rng, size, len(ops)), SpaceCost(size, task, ops)
        some = space_cost.cost(random_genotype(rng, size.nodes_per_layer, ops))
        measures = rng.sample(MEASURES, rng.randint(1, 4))
        limits = {measure: int(some[measure] * rng.uniform(0.93, 1.1)) for measure in measures}
        if not is_feasible(space_cost, limits):
            with pytest.raises(BudgetError) as caught:
                project(weights, space_cost, limits)
            assert is_feasible(space_cost, caught.value.nearest)
            continue
        found = project(weights, space_cost, limits)
        exact = cost_of(Network(found.architecture, size, task), task.in_channels, task.length)
        assert all(getattr(exact, measure) <= limit for measure, limit in limits.items())
        counted = {measure: getattr(exact, measure) for measure in MEASURES}
        if has_twins(found.architecture):
            assert all(found.cost[measure] >= counted[measure] for measure in MEASURES)
        else:
            assert found.cost == counted
        num_found += 1
    assert num_found >= 15


def all_genotypes(num_nodes, ops):
    choices = [
        [(op, source) for source in range(node) for op in ops if op != "none"] for node in range(1, num_nodes + 1)
    ]
    cells = list(itertools.product(*choices))
    return [Genotype(normal, reduce) for normal in cells for reduce in cells]


def log_weight(genotype, weights, ops):
    rows = edges(genotype.num_nodes)
    return sum(
        float(weights[kind][rows.index((source, node)), ops.index(op)].log())
        for kind in KINDS
        for node, (op, source) in enumerate(genotype.cell(kind), start=1)
    )


@pytest.mark.parametrize("fanout", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_best_of_all(seed, fanout):
    rng = random.Random(seed)
    size, task = Size(4, 2, 2, 1, fanout), Classification(1, 19, 3)
    ops = ("none", "skip_connect", "max_pool_3x1", "conv_bn_relu_3x1", "sep_conv_5x1")
    space_cost, weights = SpaceCost(size, task, ops), random_weights(rng, size, len(ops))
    weights = {kind: w.double() for kind, w in weights.items()}
    costs = {genotype: space_cost.cost(genotype) for genotype in all_genotypes(2, ops)}
    for _ in range(4):
        pattern = rng.choice(list(costs.values()))
        limits = {measure: pattern[measure] for measure in rng.sample(MEASURES, rng.randint(1, 3))}
        within = [g for g, cost in costs.items() if all(cost[m] <= limit for m, limit in limits.items())]
        best = max(log_weight(genotype, weights, ops) for genotype in within)
        found = project(weights, space_cost, limits)
        assert found.architecture in within
        assert found.log_weight == pytest.approx(best, abs=1e-9)
        assert found.log_weight == pytest.approx(log_weight(found.architecture, weights, ops), abs=1e-9)


def test_without_limits_it_is_the_free_choice():
    size = Size(3, 3, 1, 3, 2)
    weights = random_weights(random.Random(0), size, len(DEFAULT_OPS))
    found = project(weights, SpaceCost(size, Classification(1, 32, 2), DEFAULT_OPS), {})
    assert found.architecture == strongest(weights, Genotypes(DEFAULT_OPS, 3))
    assert found.log_weight == found.free_log_weight


def test_the_least_of_each_measure_is_that_of_all_genotypes():
    size, task, ops = (
        Size(4, 2, 2, 1, 2),
        Classification(1, 19, 3),
        ("none", "skip_connect", "conv_bn_relu_3x1", "sep_conv_5x1"),
    )
    space_cost = SpaceCost(size, task, ops)
    costs = [space_cost.cost(genotype) for genotype in all_genotypes(2, ops)]
    for measure in MEASURES:
        assert least(measure, space_cost, {}) == min(cost[measure] for cost in costs)
    middle = sorted(cost["params"] for cost in costs)[len(costs) // 2]
    within = [cost["ram_bytes"] for cost in costs if cost["params"] <= middle]
    assert least("ram_bytes", space_cost, {"params": middle}) == min(within)


def test_limits_that_cannot_be_met_say_what_could():
    space_cost = SpaceCost(Size(3, 2, 1, 3, 2), Classification(1, 16, 2), DEFAULT_OPS)
    smallest = least("params", space_cost, {})
    with pytest.raises(BudgetError) as caught:
        check_feasible(space_cost, {"params": 10})
    assert str(caught.value) == (
        "budget: no network of this space meets params 10; params binds; "
        f"the nearest limits that can be met: params {smallest:,}"
    )
    check_feasible(space_cost, caught.value.nearest)


def test_limits_that_bind_only_together_are_told_apart():
    """Each can be met alone: a separable convolution has fewer parameters, but code for one more layer."""
    space_cost = SpaceCost(Size(3, 2, 4, 1, 2), Classification(1, 16, 2), ("none", "sep_conv_3x1", "conv_bn_relu_3x1"))
    limits = {measure: least(measure, space_cost, {}) for measure in ("params", "flash_bytes")}
    with pytest.raises(BudgetError) as caught:
        check_feasible(space_cost, limits)
    assert caught.value.binding == ("params",)
    assert caught.value.nearest["params"] == least("params", space_cost, {"flash_bytes": limits["flash_bytes"]})
    check_feasible(space_cost, caught.value.nearest)
