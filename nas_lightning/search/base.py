"""What every searcher gets and gives, whatever it searches by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from nas_lightning.cost.budget import Budget
from nas_lightning.data.protocol import TrainingData
from nas_lightning.space.base import Blueprint, PricedSpace
from nas_lightning.tasks import Figures

Evaluate = Callable[[Blueprint, int], Figures]
"""The figures on ``val`` of a network after a training of so many epochs; a ``training.evaluator.Evaluator`` is one."""


@dataclass(frozen=True)
class Problem:
    """What is searched, and for what.

    Attributes:
        space: that is searched.
        data: on which.
        budget: what the network found must not exceed.
        measure: what becomes cheaper where no budget limits it.
        seed: of all that is drawn.
    """

    space: PricedSpace[Any]
    data: TrainingData
    budget: Budget = field(default_factory=lambda: Budget({}))
    measure: str = "params"
    seed: int = 0


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        architectures: different ones within the budget, the best first.
        op_weights: by table ``[rows, options]``, settled, at the end; empty without a supernet.
        epochs: of its training.
        steps: of its training.
        seconds: of its training and of what came after.
    """

    architectures: tuple[Any, ...]
    op_weights: Mapping[str, Tensor] = field(default_factory=dict)
    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0


class Searcher(Protocol):
    """A way to search a space."""

    def search(self, problem: Problem, evaluate: Evaluate, count: int) -> SearchResult:
        """Up to ``count`` different architectures within the budget, the best first.

        Raises:
            BudgetError: if no architecture meets the budget.
        """
