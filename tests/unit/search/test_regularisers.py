"""Regularisers of the alphas: values and gradients worked out by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from nas_lightning.config.compose import compose_config
from nas_lightning.errors import InputError
from nas_lightning.runs.build import build_strategy
from nas_lightning.search.arch_step import AlphaLoss
from nas_lightning.search.moment import Moment
from nas_lightning.search.penalties import BetaDecay, ConcentrationAnchor, beta_loss


def alphas(*rows):
    return torch.tensor(rows, dtype=torch.float64)


NORMAL = alphas([0.0, math.log(2), math.log(3)], [math.log(4), math.log(5), math.log(6)])
REDUCE = alphas([math.log(7), math.log(8), math.log(9)], [0.0, 0.0, 0.0])
BOTH = {"normal": NORMAL, "reduce": REDUCE}


def test_the_beta_loss_by_hand():
    """The rows' exponentials sum to 6, 15, 24 and 3."""
    assert float(beta_loss(NORMAL)) == pytest.approx(math.log(6 * 15) / 2)
    assert float(beta_loss([NORMAL, REDUCE])) == pytest.approx(math.log(6 * 15 * 24 * 3) / 4)


def test_the_beta_loss_of_a_list_is_that_of_the_stack():
    assert float(beta_loss([NORMAL, REDUCE])) == float(beta_loss(torch.cat([NORMAL, REDUCE])))
    assert float(beta_loss([NORMAL])) == float(beta_loss(NORMAL))
    assert float(beta_loss(iter([NORMAL, REDUCE]))) == float(beta_loss([NORMAL, REDUCE]))


def test_the_gradient_of_the_beta_loss_is_the_softmax():
    raw = NORMAL.clone().requires_grad_()
    beta_loss([raw, REDUCE]).backward()
    expected = torch.tensor([[1 / 6, 2 / 6, 3 / 6], [4 / 15, 5 / 15, 6 / 15]], dtype=torch.float64) / 4
    torch.testing.assert_close(raw.grad, expected)


@pytest.mark.parametrize("progress", [0.0, 0.25, 1.0])
def test_beta_decay_grows_with_the_search(progress):
    expected = 50 * progress * math.log(6 * 15 * 24 * 3) / 4
    more = BOTH | {"normal_edges": torch.ones(2)}  # alphas of another kind are left alone
    assert float(BetaDecay(50.0)(more, progress)) == pytest.approx(expected)


def test_the_anchor_by_hand():
    """``elu(a)`` is a above zero and ``exp(a) - 1`` below: distances of 2, 0, -1/2 and -3/4, and of 1."""
    raw = {
        "normal": alphas([2.0, 0.0], [math.log(0.5), math.log(0.25)]).requires_grad_(),
        "reduce": alphas([1.0, 0.0], [0.0, 0.0]),
    }
    loss = ConcentrationAnchor(0.1)(raw, 0.3)
    assert float(loss.detach()) == pytest.approx(0.1 * (4 + 0.25 + 0.5625 + 1))
    loss.backward()
    slopes = [[2 * 2 * 1, 0], [2 * -0.5 * 0.5, 2 * -0.75 * 0.25]]
    torch.testing.assert_close(raw["normal"].grad, 0.1 * torch.tensor(slopes, dtype=torch.float64))


@pytest.mark.parametrize("make", [BetaDecay, ConcentrationAnchor])
def test_weights_are_not_negative(make):
    with pytest.raises(InputError, match=r"^`weight`: found -1; allowed: 0 or more$"):
        make(-1)
    assert float(make(0)(BOTH, 1.0)) == 0


def test_a_strategy_adds_all_its_regularisers():
    anchor = "{_target_: nas_lightning.search.penalties.ConcentrationAnchor, weight: 0.5}"
    both = build_strategy(compose_config(["search=beta_darts", f"+search.regularisers.anchor={anchor}"]))
    supernet = SimpleNamespace(alphas=BOTH)
    for strategy in (both, build_strategy(compose_config([]))):
        at = AlphaLoss(supernet, None, None, [], strategy.regularisers.values(), None, Moment(0.5, None, None), None)
        expected = BetaDecay(50.0)(BOTH, 0.5) + ConcentrationAnchor(0.5)(BOTH, 0.5) if strategy is both else 0.0
        assert float(at.regulariser()) == pytest.approx(float(expected))
