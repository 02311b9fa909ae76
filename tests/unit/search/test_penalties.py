import pytest
import torch

from nas_lightning.cost.budget import Budget
from nas_lightning.search.penalties import BudgetPull, CostPenalty, Objective, RamPenalty
from nas_lightning.space.cells.genotype import KINDS
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.choices import strongest
from nas_lightning.space.ops import DEFAULT_OPS
from nas_lightning.tasks import Classification

SIZE, TASK = Size(4, 3, 2, 3, 3), Classification(1, 32, 2)
SPACE = CellSpace(SIZE, TASK, DEFAULT_OPS)


def alphas(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {kind: torch.randn(SIZE.num_edges, 7, generator=generator).requires_grad_() for kind in KINDS}


def objective(limits, targets=None, measure="params"):
    return Objective(SPACE, measure, Budget(limits, frozenset(limits if targets is None else targets)))


def value_and_step(penalty, limits, raw, measure="params"):
    """The penalty, and by how much the expected cost changes along the penalty's descent."""
    expected = objective(limits)
    op_weights = {kind: a.softmax(-1) for kind, a in raw.items()}
    value = penalty(op_weights, expected)
    gradients = torch.autograd.grad(value, list(raw.values()), retain_graph=True)
    costs = torch.autograd.grad(expected.expected(op_weights, measure), list(raw.values()))
    return float(value.detach()), -sum(float((g * c).sum()) for g, c in zip(gradients, costs, strict=True))


def free_cost(raw):
    return SPACE.cost(strongest({kind: a.softmax(-1) for kind, a in raw.items()}, SPACE))


@pytest.mark.parametrize("measure", ["params", "macs", "flash_bytes"])
def test_the_pull_is_from_both_sides_and_as_far_as_the_derived_network_is_off(measure):
    raw = alphas()
    cost = free_cost(raw)[measure]
    above, step_down = value_and_step(BudgetPull(1.0), {measure: cost // 2}, raw, measure)
    below, step_up = value_and_step(BudgetPull(1.0), {measure: cost * 2}, raw, measure)
    assert above == pytest.approx(cost / (cost // 2) - 1, rel=1e-4)
    assert below == pytest.approx(0.5, rel=1e-4)
    assert step_down < 0 < step_up


def test_of_two_limits_the_one_that_is_used_most_pulls():
    raw = alphas()
    cost = free_cost(raw)
    limits = {"params": cost["params"] * 4, "macs": cost["macs"] // 2}
    value, step = value_and_step(BudgetPull(1.0), limits, raw, "macs")
    assert value == pytest.approx(cost["macs"] / limits["macs"] - 1, rel=1e-4)
    assert step < 0


def test_a_limit_that_is_no_target_pulls_from_above_only():
    op_weights = {kind: a.detach().softmax(-1) for kind, a in alphas().items()}
    cost = free_cost(alphas())["flash_bytes"]
    penalties = [
        float(BudgetPull(1.0)(op_weights, objective({"flash_bytes": limit}, targets)))
        for limit, targets in ((2 * cost, ()), (cost // 2, ()), (2 * cost, ("flash_bytes",)))
    ]
    assert penalties == [0, pytest.approx(cost / (cost // 2) - 1, rel=1e-4), pytest.approx(0.5, rel=1e-4)]


def test_ram_is_pushed_below_its_limit_and_left_alone_there():
    raw = alphas()
    ram = free_cost(raw)["ram_bytes"]
    above, step = value_and_step(RamPenalty(1.0), {"ram_bytes": ram // 2}, raw, "ram_bytes")
    assert above > 0.5
    assert step < 0
    expected = objective({"ram_bytes": 2 * ram})
    assert float(RamPenalty(1.0)({kind: a.detach().softmax(-1) for kind, a in raw.items()}, expected)) == 0


def test_the_cost_penalty_gives_way_to_a_limit_on_what_it_weighs():
    op_weights = {kind: a.detach().softmax(-1) for kind, a in alphas().items()}
    penalties = [
        float(CostPenalty(1.0)(op_weights, objective(limits, measure="macs")))
        for limits in ({}, {"params": 100}, {"macs": 100})
    ]
    assert penalties[0] == penalties[1] > 0
    assert penalties[2] == 0


@pytest.mark.parametrize("penalty", [BudgetPull, RamPenalty])
def test_without_limits_there_is_nothing_to_pay(penalty):
    op_weights = {kind: a.detach().softmax(-1) for kind, a in alphas().items()}
    assert float(penalty(1.0)(op_weights, objective({}))) == 0


@pytest.mark.parametrize("penalty", [CostPenalty, BudgetPull, RamPenalty])
def test_the_weight_scales_the_penalty(penalty):
    op_weights = {kind: a.detach().softmax(-1) for kind, a in alphas().items()}
    limits = {"macs": 1_000, "ram_bytes": 100}
    expected = objective(limits)
    assert float(penalty(2.0)(op_weights, expected)) == pytest.approx(2 * float(penalty(1.0)(op_weights, expected)))
