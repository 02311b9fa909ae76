"""What is added to the loss of the alphas: penalties on the expected cost, and regularisers of the alphas."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.cost.budget import Budget
from nas_lightning.cost.exact import ADDITIVE
from nas_lightning.errors import InputError
from nas_lightning.search.moment import Alphas
from nas_lightning.space.base import OpWeights, SearchSpace
from nas_lightning.space.choices import one_hot, strongest


@dataclass(frozen=True)
class Objective:
    """What a search wants of costs.

    Attributes:
        space: that knows them.
        measure: what becomes cheaper where no budget limits it.
        budget: what the network found must not exceed, and should come near to where it is a target.
    """

    space: SearchSpace[Any]
    measure: str = "params"
    budget: Budget = field(default_factory=lambda: Budget({}))

    def expected(self, op_weights: OpWeights, measure: str) -> Tensor:
        """The expectation of a measure, a scalar."""
        return self.space.expected(op_weights, measure)

    def straight_through(self, op_weights: OpWeights) -> dict[str, Tensor]:
        """Op weights with the values of the network that they describe now, and the gradient of their own."""
        hard = one_hot(strongest(op_weights, self.space), self.space)
        return {name: hard[name].to(w.device, w.dtype) + w - w.detach() for name, w in op_weights.items()}


Penalty = Callable[[OpWeights, Objective], Tensor]
"""Op weights, and what is wanted of their cost, to a scalar."""

Regulariser = Callable[[Alphas, float], Tensor]
"""Alphas, and the progress of the search from 0 to 1, to a scalar."""


class CostPenalty:
    """``weight`` times the expected cost of what is chosen, as a share of that of the dearest network of the space.

    What every network has is left out, so that the weight means the same for parameters and for MACs.

    It weighs what ``training.nas_optimization_mode`` names, unless the budget limits that: then ``BudgetPull`` does.

    Raises:
        InputError: for a negative weight.
    """

    def __init__(self, weight: float = 0.1) -> None:
        self.weight = _not_negative(weight)

    def __call__(self, op_weights: OpWeights, objective: Objective) -> Tensor:
        """The penalty, a scalar."""
        measure, fixed = objective.measure, objective.space.fixed[objective.measure]
        if measure in objective.budget.targets:
            return torch.zeros(())
        of_choices = objective.expected(op_weights, measure) - fixed
        return self.weight * of_choices / (objective.space.largest(measure) - fixed)


class BudgetPull:
    """A pull to the budget from both sides: ``weight * abs(max_m(cost_m / limit_m) - 1)``.

    As the absolute reward of TuNAS (arXiv 2008.06120, section 3.1), with two changes. The cost is that of the network
    which the op weights describe now, and its gradient that of the expected cost (a straight-through estimate), because
    the expectation of a soft mixture says little about the network that is derived from it. And of several limits
    the one that is used most counts, so that they do not pull against each other. Limits on parameters, MACs and flash
    count; those that are the size of a chip, and nobody's target, only from above.

    Raises:
        InputError: for a negative weight.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = _not_negative(weight)

    def __call__(self, op_weights: OpWeights, objective: Objective) -> Tensor:
        """The penalty, a scalar; zero without limits."""
        limits = {measure: limit for measure, limit in objective.budget.items() if measure in ADDITIVE}
        if not limits:
            return torch.zeros(())
        weights = objective.straight_through(op_weights)
        shares = {measure: objective.expected(weights, measure) / limit for measure, limit in limits.items()}
        largest = torch.stack(list(shares.values())).max()
        if largest > 1:
            return self.weight * (largest - 1)
        targets = [share for measure, share in shares.items() if measure in objective.budget.targets]
        return self.weight * (1 - torch.stack(targets).max()) if targets else torch.zeros(())


class RamPenalty:
    """``weight`` times the share by which the smooth peak RAM exceeds its limit; nothing below it, and without one.

    Raises:
        InputError: for a negative weight.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = _not_negative(weight)

    def __call__(self, op_weights: OpWeights, objective: Objective) -> Tensor:
        """The penalty, a scalar."""
        limit = objective.budget.get("ram_bytes")
        if limit is None:
            return torch.zeros(())
        weights = objective.straight_through(op_weights)
        return self.weight * (objective.expected(weights, "ram_bytes") / limit - 1).relu()


class BetaDecay:
    """``weight * progress`` times the mean of ``logsumexp(alpha)`` over all edges (beta-DARTS, arXiv 2203.01665).

    Equation 15: it keeps the op weights from growing apart. The published weight rises from 0 to 50 over 100 epochs, by
    ``50 * epoch / 100``; here over the search's own length.

    Raises:
        InputError: for a negative weight.
    """

    def __init__(self, weight: float = 50.0) -> None:
        self.weight = _not_negative(weight)

    def __call__(self, alphas: Alphas, progress: float) -> Tensor:
        """The loss, a scalar."""
        return self.weight * progress * beta_loss(_of_tables(alphas))


def beta_loss(alphas: Tensor | Iterable[Tensor]) -> Tensor:
    """The mean of ``logsumexp`` over edges, of one tensor ``[E, O]`` or of several together.

    >>> beta_loss(torch.zeros(3, 1))
    tensor(0.)
    """
    rows = alphas if isinstance(alphas, Tensor) else torch.cat(list(alphas))
    return rows.logsumexp(-1).mean()


class ConcentrationAnchor:
    """``weight`` times the squared distance of the concentrations ``elu(alpha) + 1`` from 1 (DrNAS, equation 7).

    arXiv 2006.10355, section 3.2, with the Euclidean distance: it keeps the distribution of op weights spread out.

    Raises:
        InputError: for a negative weight.
    """

    def __init__(self, weight: float = 0.001) -> None:
        self.weight = _not_negative(weight)

    def __call__(self, alphas: Alphas, progress: float) -> Tensor:
        """The loss, a scalar."""
        return self.weight * torch.stack([F.elu(of_table).square().sum() for of_table in _of_tables(alphas)]).sum()


def _of_tables(alphas: Alphas) -> list[Tensor]:
    """Those of tables ``[rows, options]``; what a relaxation adds are vectors."""
    return [of_table for of_table in alphas.values() if of_table.dim() == 2]


def _not_negative(weight: float) -> float:
    if weight < 0:
        raise InputError(f"`weight`: found {weight}; allowed: 0 or more")
    return weight
