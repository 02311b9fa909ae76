"""Random search: what every other way of searching is held against."""

import logging
import time
from collections.abc import Callable
from typing import Any

from nas_lightning.errors import InputError
from nas_lightning.search.base import Evaluate, Problem, SearchResult
from nas_lightning.search.derivation import draw_from
from nas_lightning.search.moment import generator_of
from nas_lightning.space.base import Blueprint, OpWeights, PricedSpace
from nas_lightning.tasks import best_first

log = logging.getLogger("nas_lightning")


class RandomSearch:
    """Architectures drawn from all within the budget (Li and Talwalkar, arXiv 1902.07638).

    Args:
        num_evaluated: how many are drawn and compared by short trainings; 0 compares none, and keeps their order.
        epochs: of a short training.
        metric: by which they are compared; None for that of the task.
        weights: of a space, by table, in proportion to which they are drawn; None for equal ones.

    Raises:
        InputError: for fewer than 0 networks or 1 epoch.
    """

    def __init__(
        self,
        num_evaluated: int = 0,
        epochs: int = 1,
        metric: str | None = None,
        weights: Callable[[PricedSpace[Any]], OpWeights] | None = None,
    ) -> None:
        if num_evaluated < 0 or epochs < 1:
            raise InputError(
                f"RandomSearch: found {num_evaluated} networks and {epochs} epochs; allowed: 0 or more, and 1 or more"
            )
        self.num_evaluated, self.epochs, self.metric, self.weights = num_evaluated, epochs, metric, weights

    def search(self, problem: Problem, evaluate: Evaluate, count: int) -> SearchResult:
        """In the order in which they are drawn, or by the metric on ``val``, of equal ones by their loss."""
        start, space = time.perf_counter(), problem.space
        generator = generator_of(problem.seed, 0, 2)
        weights = None if self.weights is None else self.weights(space)
        drawn = draw_from(space, generator, problem.budget, max(count, self.num_evaluated), weights)
        if self.num_evaluated:

            def rank(blueprint: Blueprint) -> tuple[float, float]:
                return best_first(evaluate(blueprint, self.epochs), self.metric or blueprint.task.monitor)

            drawn.sort(key=lambda architecture: rank(space.blueprint(architecture)))
        log.info("found: %s", drawn[0])
        return SearchResult(tuple(drawn[:count]), seconds=time.perf_counter() - start)
