"""A strategy: the choices that make one differentiable search, as a record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from nas_lightning.cost.expected import ExpectedCost
from nas_lightning.errors import InputError

OpWeights = Mapping[str, Tensor]
Penalty = Callable[[OpWeights, ExpectedCost], Tensor]


class Softmax:
    """Alphas ``[E, O]`` to op weights: a softmax over the operations of each edge (DARTS, equation 2)."""

    def __call__(self, alphas: Tensor) -> Tensor:
        """Map raw alphas to weights that sum to 1 on each edge."""
        return alphas.softmax(dim=-1)


class CostPenalty:
    """``weight`` times the expected cost, as a share of the dearest network of the supernet.

    Raises:
        InputError: for a negative weight.
    """

    def __init__(self, weight: float) -> None:
        if weight < 0:
            raise InputError(f"search.penalties.cost.weight: found {weight}; allowed: 0 or more")
        self.weight = weight

    def __call__(self, op_weights: OpWeights, expected_cost: ExpectedCost) -> Tensor:
        """The penalty, a scalar."""
        return self.weight * expected_cost(op_weights) / expected_cost.largest


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
