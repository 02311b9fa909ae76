"""The gradient search: a supernet is trained, and what it prefers is read off."""

import logging
import time
from collections.abc import Callable
from typing import Any, cast

import lightning as L

from nas_lightning.errors import InputError
from nas_lightning.search.base import Evaluate, Problem, SearchResult
from nas_lightning.search.loaders import search_loader
from nas_lightning.search.module import SearchModule
from nas_lightning.search.strategy import Strategy
from nas_lightning.space.base import SearchSpace, meets
from nas_lightning.training.recipe import quiet_trainer

log = logging.getLogger("nas_lightning")

End = Callable[[int, float], None]
"""Called once where a fit ends, with its epochs and seconds."""

Fit = Callable[[SearchModule, Problem, End], None]
"""Fits a search on the data of a problem."""


def fit_quietly(module: SearchModule, problem: Problem, end: End) -> None:
    """A fit that leaves nothing behind and shows nothing."""
    start = time.perf_counter()
    trainer = quiet_trainer(module.num_epochs)
    data = problem.data
    loader = search_loader(data.train_dataloader(), data.alphas_dataloader())
    trainer.fit(module, loader, data.val_dataloader())  # which is not looked at; without it Lightning warns
    end(trainer.current_epoch, time.perf_counter() - start)


class GradientSearch:
    """Trains the supernet of a space by a strategy, whose derivation then gives the architectures.

    Args:
        strategy: the choices of the search; None for first-order DARTS.
        num_epochs: of the supernet's training.
        kernels: what computes the supernet: ``native``, ``torch`` or ``auto``.
        fit: fits the module; it may keep checkpoints and logs.
        then: called with what was found where the fit ends, before ``search`` returns.
    """

    def __init__(
        self,
        strategy: Strategy | None = None,
        num_epochs: int = 10,
        *,
        kernels: str = "auto",
        fit: Fit = fit_quietly,
        then: Callable[[SearchResult], None] = lambda result: None,
    ) -> None:
        self.strategy, self.num_epochs, self.kernels = strategy or Strategy(), num_epochs, kernels
        self.fit, self.then = fit, then

    def module(self, problem: Problem) -> SearchModule:
        """A fresh supernet with what trains it; sets all seeds.

        Raises:
            InputError: for a space that has none.
        """
        if not hasattr(problem.space, "supernet"):
            raise InputError(
                f"space: found {type(problem.space).__name__}, which has no supernet; allowed: a SearchSpace, or a "
                "search by trainings such as RandomSearch"
            )
        L.seed_everything(problem.seed, workers=True, verbose=False)
        return SearchModule(
            cast(SearchSpace[Any], problem.space),
            self.strategy,
            self.num_epochs,
            constants=(problem.data.mean, problem.data.std),
            budget=problem.budget,
            measure=problem.measure,
            kernels=self.kernels,
            seed=problem.seed,
        )

    def search(self, problem: Problem, evaluate: Evaluate, count: int) -> SearchResult:
        """Up to ``count`` different architectures within the budget, the best first; nothing is evaluated.

        Raises:
            BudgetError: if no architecture meets the budget.
        """
        module = self.module(problem)
        results = []

        def end(epochs: int, seconds: float) -> None:
            results.append(_derived(module, problem, count, epochs, seconds))
            self.then(results[0])

        self.fit(module, problem, end)
        return results[0]


def _derived(module: SearchModule, problem: Problem, count: int, epochs: int, seconds: float) -> SearchResult:
    start, data = time.perf_counter(), problem.data
    architectures = module.derive(data.train_dataloader(), data.val_dataloader(), count)
    log.info("found: %s", architectures[0])
    found = module.found()
    if not meets(found.free_cost, problem.budget):
        free = ", ".join(f"{measure} {found.free_cost[measure]:,}" for measure in problem.budget)
        loss = found.free_log_weight - found.log_weight
        log.info("budget: the free choice exceeds it (%s); the best within it has %.3f less log weight", free, loss)
    seconds += time.perf_counter() - start
    return SearchResult(tuple(architectures), module.choosable(), epochs, module.num_steps, seconds)
