"""A strategy: the choices that make one differentiable search, as a record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from nas_lightning.cost.exact import ADDITIVE
from nas_lightning.cost.expected import ExpectedCost, OpWeights
from nas_lightning.errors import InputError
from nas_lightning.space.genotype import derive, one_hot

Penalty = Callable[[OpWeights, ExpectedCost], Tensor]


class Softmax:
    """Alphas ``[E, O]`` to op weights: a softmax over the operations of each edge (DARTS, equation 2)."""

    def __call__(self, alphas: Tensor) -> Tensor:
        """Map raw alphas to weights that sum to 1 on each edge."""
        return alphas.softmax(dim=-1)


class CostPenalty:
    """``weight`` times the expected cost of the cells' nodes, as a share of that of the dearest network of the space.

    What every network has is left out, so that the weight means the same for parameters and for MACs.

    It weighs what ``training.nas_optimization_mode`` names, unless the budget limits that: then ``BudgetPull`` does.

    Raises:
        InputError: for a negative weight.
    """

    def __init__(self, weight: float) -> None:
        self.weight = _not_negative("search.penalties.cost.weight", weight)

    def __call__(self, op_weights: OpWeights, expected_cost: ExpectedCost) -> Tensor:
        """The penalty, a scalar."""
        measure = expected_cost.measure
        if measure in expected_cost.targets:
            return torch.zeros(())
        of_nodes = expected_cost(op_weights, measure) - expected_cost.space_cost.fixed[measure]
        return self.weight * of_nodes / expected_cost.dearest[measure]


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

    def __init__(self, weight: float) -> None:
        self.weight = _not_negative("search.penalties.budget.weight", weight)

    def __call__(self, op_weights: OpWeights, expected_cost: ExpectedCost) -> Tensor:
        """The penalty, a scalar; zero without limits."""
        limits = {measure: limit for measure, limit in expected_cost.limits.items() if measure in ADDITIVE}
        if not limits:
            return torch.zeros(())
        weights = _straight_through(op_weights, expected_cost)
        shares = {measure: expected_cost(weights, measure) / limit for measure, limit in limits.items()}
        largest = torch.stack(list(shares.values())).max()
        if largest > 1:
            return self.weight * (largest - 1)
        targets = [share for measure, share in shares.items() if measure in expected_cost.targets]
        return self.weight * (1 - torch.stack(targets).max()) if targets else torch.zeros(())


class RamPenalty:
    """``weight`` times the share by which the smooth peak RAM exceeds its limit; nothing below it, and without one.

    Raises:
        InputError: for a negative weight.
    """

    def __init__(self, weight: float) -> None:
        self.weight = _not_negative("search.penalties.ram.weight", weight)

    def __call__(self, op_weights: OpWeights, expected_cost: ExpectedCost) -> Tensor:
        """The penalty, a scalar."""
        limit = expected_cost.limits.get("ram_bytes")
        if limit is None:
            return torch.zeros(())
        weights = _straight_through(op_weights, expected_cost)
        return self.weight * (expected_cost(weights, "ram_bytes") / limit - 1).relu()


def _not_negative(key: str, weight: float) -> float:
    if weight < 0:
        raise InputError(f"{key}: found {weight}; allowed: 0 or more")
    return weight


def _straight_through(op_weights: OpWeights, expected_cost: ExpectedCost) -> dict[str, Tensor]:
    """Op weights with the values of the network that they describe now, and the gradient of their own."""
    genotype = derive(op_weights, expected_cost.ops, expected_cost.size.nodes_per_layer)
    hard = one_hot(genotype, expected_cost.ops)
    return {kind: hard[kind].to(w.device, w.dtype) + w - w.detach() for kind, w in op_weights.items()}


@dataclass
class Strategy:
    """What a search does with alphas and weights; a file of ``conf/search`` is one call of this constructor.

    Attributes:
        name: goes into ``metrics.json``.
        relaxation: raw alphas ``[E, O]`` to op weights ``[E, O]``.
        unrolled: second-order alpha steps if true, else first-order.
        penalties: added to the loss of the alpha step, by name.
        weight_optimizer: makes the optimizer of the weights from their parameters; SGD for ``unrolled``.
        weight_scheduler: makes its scheduler, stepped once an epoch.
        alpha_optimizer: makes the optimizer of the alphas.
        clip_norm: largest norm of the weights' gradient.
    """

    name: str
    relaxation: Callable[[Tensor], Tensor]
    unrolled: bool
    penalties: dict[str, Penalty]
    weight_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    weight_scheduler: Callable[[Optimizer], LRScheduler]
    alpha_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    clip_norm: float

    def __post_init__(self) -> None:
        if self.clip_norm <= 0:
            raise InputError(f"search.clip_norm: found {self.clip_norm}; allowed: more than 0")
        made_by: Any = getattr(self.weight_optimizer, "func", self.weight_optimizer)
        if self.unrolled and made_by is not torch.optim.SGD:
            raise InputError(
                f"search.unrolled: needs search.weight_optimizer to be torch.optim.SGD, found {made_by.__name__}"
            )

    def op_weights(self, alphas: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The alphas of both kinds of cell, relaxed."""
        return {kind: self.relaxation(raw) for kind, raw in alphas.items()}

    def penalty(self, op_weights: OpWeights, expected_cost: ExpectedCost) -> Tensor:
        """The sum of all penalties, a scalar."""
        return sum((term(op_weights, expected_cost) for term in self.penalties.values()), torch.zeros(()))
