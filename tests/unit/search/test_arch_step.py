"""The steps of the alphas that this project adds to DARTS: rewards and their average, worked out by hand."""

import math

import pytest
import torch
from alpha_steps import Given, alpha_loss
from torch import nn

from nas_lightning.config.compose import compose_config
from nas_lightning.cost.budget import Budget
from nas_lightning.errors import InputError
from nas_lightning.runs.build import build_strategy
from nas_lightning.search.arch_step import FirstOrder, PolicyGradient, Unrolled, log_probability
from nas_lightning.search.penalties import BudgetPull, Objective
from nas_lightning.space.base import Path
from nas_lightning.space.cells.genotype import KINDS, Genotype, Genotypes
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.cells.supernet import Supernet
from nas_lightning.tasks import Classification

OPS = ("none", "skip_connect", "conv_bn_relu_3x1")
SIZE, TASK = Size(3, 1, 1, 1, 1), Classification(1, 16, 2)
SKIPS = Genotype((("skip_connect", 0),), (("skip_connect", 0),))
CONVS = Genotype((("conv_bn_relu_3x1", 0),), (("conv_bn_relu_3x1", 0),))


@pytest.fixture
def supernet():
    """It says class 0 to everything."""
    torch.manual_seed(0)
    supernet = Supernet(SIZE, TASK, OPS, "torch")
    with torch.no_grad():
        supernet.head.weight.zero_()
        supernet.head.bias.copy_(torch.tensor([1.0, 0.0]))
    return supernet


SPACE = CellSpace(SIZE, TASK, OPS)


def at(supernet, choice, penalties=(), regularisers=(), objective=None):
    """By odds of 1 and 3 for skip and convolution."""

    def settled(alphas):
        return {kind: torch.tensor([[0.0, 0.25, 0.75]]) + 0 * alphas[kind] for kind in KINDS}

    return alpha_loss(supernet, Given(choice, settled), SPACE, penalties, regularisers, objective=objective)


def batch(num_zeros, count=10):
    return torch.randn(count, 1, 16), torch.tensor([0] * num_zeros + [1] * (count - num_zeros))


def test_the_baseline_is_the_average_of_the_rewards_before(supernet):
    """Rewards 0.5, 1.0, 0.2 with a decay of 0.75: baselines 0.5, 0.5, 0.625; then 0.51875 is kept."""
    step = PolicyGradient(0.75)
    chance = 2 * math.log(0.25)
    losses = [float(step(at(supernet, Path(SKIPS)), batch(1), batch(right))[0].detach()) for right in (5, 10, 2)]
    assert losses == pytest.approx([0, -0.5 * chance, 0.425 * chance], abs=1e-6)
    assert float(step.baseline) == pytest.approx(0.51875)
    assert int(step.num_rewards) == 3


def test_the_baseline_goes_into_a_checkpoint(supernet):
    step = PolicyGradient(0.75)
    for right in (5, 10):
        step(at(supernet, Path(SKIPS)), batch(1), batch(right))
    other = PolicyGradient(0.75)
    other.load_state_dict(step.state_dict())
    losses = [one(at(supernet, Path(SKIPS)), batch(1), batch(2))[0].detach() for one in (step, other)]
    assert losses[0] == losses[1] != 0


def test_without_decay_the_baseline_is_the_last_reward(supernet):
    step = PolicyGradient(0.0)
    for right in (5, 10, 2):
        step(at(supernet, Path(SKIPS)), batch(1), batch(right))
    assert float(step.baseline) == pytest.approx(0.2)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_the_decay_is_a_share(decay):
    text = rf"^`baseline_decay`: found {decay}; allowed: 0 to less than 1$"
    with pytest.raises(InputError, match=text):
        PolicyGradient(decay)


@pytest.mark.parametrize(("factor", "distance"), [(2.0, 0.5), (0.5, 1.0), (1.0, 0.0)])
def test_the_reward_is_absolute(supernet, factor, distance):
    """``accuracy - weight * abs(cost / limit - 1)`` at the path that was drawn, though a convolution is likelier."""
    cost = SPACE.cost(SKIPS)["params"]
    assert cost != SPACE.cost(CONVS)["params"]
    limit = int(cost * factor)
    objective = Objective(SPACE, budget=Budget({"params": limit}, frozenset({"params"})))
    step = PolicyGradient(0.5)
    step(at(supernet, Path(SKIPS), [BudgetPull(0.3)], objective=objective), batch(1), batch(7))
    assert float(step.baseline) == pytest.approx(0.7 - 0.3 * abs(cost / limit - 1), abs=1e-5)
    assert abs(cost / limit - 1) == pytest.approx(distance, abs=0.04)  # half of an odd number is rounded down


def test_the_regulariser_is_added_to_the_loss_and_not_to_the_reward(supernet):
    step = PolicyGradient(0.5)
    loss, _ = step(
        at(supernet, Path(SKIPS), regularisers=[lambda alphas, progress: torch.tensor(3.0)]), batch(1), batch(4)
    )
    assert float(loss.detach()) == pytest.approx(3)  # the first reward is its own baseline
    assert float(step.baseline) == pytest.approx(0.4)


def test_a_policy_step_reaches_the_alphas_and_no_weight(supernet):
    step = PolicyGradient(0.5)
    step(at(supernet, Path(SKIPS)), batch(1), batch(2))
    loss, logits = step(at(supernet, Path(SKIPS)), batch(1), batch(9))
    assert logits.shape == (10, 2)
    loss.backward()
    reached = {name for name, parameter in supernet.named_parameters() if parameter.grad is not None}
    assert reached == {"alphas.normal", "alphas.reduce"}


def test_a_policy_step_needs_paths():
    softmax = "search.relaxation._target_=nas_lightning.search.relaxation.Softmax"
    text = r"^search.arch_step: PolicyGradient needs a search.relaxation that draws paths$"
    with pytest.raises(InputError, match=text):
        build_strategy(compose_config(["search=tunas", softmax]))


def test_the_probability_of_a_genotype_is_the_product_over_nodes():
    weights = {
        "normal": torch.tensor([[0.0, 0.2, 0.8], [0.0, 0.1, 0.2], [0.0, 0.3, 0.4]]),
        "reduce": torch.tensor([[0.0, 0.5, 0.5], [0.0, 0.4, 0.1], [0.0, 0.2, 0.3]]),
    }
    genotype = Genotype((("conv_bn_relu_3x1", 0), ("skip_connect", 1)), (("skip_connect", 0), ("conv_bn_relu_3x1", 0)))
    assert float(log_probability(genotype, weights, Genotypes(OPS, 2))) == pytest.approx(
        math.log(0.8 * 0.3 * 0.5 * 0.1)
    )


def test_the_first_order_loss_is_cross_entropy_and_what_is_added(supernet):
    choice = {kind: torch.tensor([[0.0, 0.5, 0.5]]) for kind in KINDS}
    added = [lambda weights, objective: weights["normal"].sum()], [lambda alphas, progress: torch.tensor(2.0)]
    loss, logits = FirstOrder()(at(supernet, choice, *added), batch(1), batch(4))
    expected = nn.functional.cross_entropy(logits, batch(4)[1]) + 1 + 2
    torch.testing.assert_close(loss, expected)


def test_unrolled_replaces_a_gradient_step():
    assert isinstance(build_strategy(compose_config(["search.unrolled=true"])).arch_step, Unrolled)
    assert isinstance(build_strategy(compose_config([])).arch_step, FirstOrder)
