"""Random search: what every other way of searching is held against."""

import logging
import time
from collections.abc import Callable

from nas_lightning.errors import InputError
from nas_lightning.search.base import Evaluate, Problem, SearchResult
from nas_lightning.search.derivation import draw_within
from nas_lightning.search.moment import Moment, generator_of
from nas_lightning.space.base import Blueprint

log = logging.getLogger("nas_lightning")


class RandomSearch:
    """Architectures drawn with equal probability from all within the budget (Li and Talwalkar, arXiv 1902.07638).

    Args:
        num_evaluated: how many are drawn and compared by short trainings; 0 compares none, and keeps their order.
        epochs: of a short training.
        then: called with what was found, before ``search`` returns.

    Raises:
        InputError: for fewer than 0 networks or 1 epoch.
    """

    def __init__(
        self, num_evaluated: int = 0, epochs: int = 1, then: Callable[[SearchResult], None] = lambda result: None
    ) -> None:
        if num_evaluated < 0 or epochs < 1:
            raise InputError(f"RandomSearch: found {num_evaluated} networks and {epochs} epochs; allowed: 0, 1 or more")
        self.num_evaluated, self.epochs, self.then = num_evaluated, epochs, then

    def search(self, problem: Problem, evaluate: Evaluate, count: int) -> SearchResult:
        """In the order in which they are drawn, or by their metric on ``val``, of equal ones by their loss."""
        start, space = time.perf_counter(), problem.space
        moment = Moment(1.0, generator_of(problem.seed, 0, 2), space)
        drawn = draw_within(moment, problem.budget, max(count, self.num_evaluated))
        if self.num_evaluated:

            def rank(blueprint: Blueprint) -> tuple[float, float]:
                figures = evaluate(blueprint, self.epochs)
                return -figures[blueprint.task.monitor], figures["loss"]

            drawn.sort(key=lambda architecture: rank(space.blueprint(architecture)))
        result = SearchResult(tuple(drawn[:count]), seconds=time.perf_counter() - start)
        log.info("found: %s", result.architectures[0])
        self.then(result)
        return result
