"""The searches of a run, one for each seed, and what they found."""

import logging
import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic

import torch
from lightning.pytorch.callbacks import Timer
from torch import Tensor

from nas_lightning import progress
from nas_lightning.callbacks import CollapseAlarm, GenotypeHistory, SecondRun
from nas_lightning.cost.exact import ADDITIVE
from nas_lightning.errors import DamagedFileError
from nas_lightning.files import damage, plain, read_records, read_torch, write_json
from nas_lightning.runs.checks import MODES
from nas_lightning.runs.context import Run
from nas_lightning.runs.fitting import fit
from nas_lightning.search.base import Problem, Searcher, SearchResult
from nas_lightning.search.derivation import Derivation, Found
from nas_lightning.search.gradient import End, GradientSearch
from nas_lightning.search.loaders import search_loader
from nas_lightning.search.module import SearchModule
from nas_lightning.search.prior import prior
from nas_lightning.search.random import RandomSearch
from nas_lightning.space.base import A, PricedSpace
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.cells.tables import SpaceCost
from nas_lightning.training.evaluator import Evaluator
from nas_lightning.workers.base import Pool, one_thread

log = logging.getLogger("nas_lightning")

_SMALL = 1_000_000
"""Multiply-accumulates of the dearest network of a space, below which a search has one thread."""

FILE = "searches.json"
"""The searches of a run that have ended."""


@dataclass(frozen=True)
class Searched(Generic[A]):
    """What one search found, as it stands in the file.

    Attributes:
        seed: of the search.
        seconds: of its training and its derivation.
        epochs: of its training.
        steps: of its training.
        genotypes: within the budget, the best first.
        op_weights: by table ``[rows][options]``, settled, at the end; empty without a supernet.
    """

    seed: int
    seconds: float
    epochs: int
    steps: int
    genotypes: tuple[A, ...]
    op_weights: dict[str, tuple[tuple[float, ...], ...]]

    def __post_init__(self) -> None:
        if not self.genotypes or not (math.isfinite(self.seconds) and min(self.seed, self.epochs, self.steps) >= 0):
            raise ValueError("it is not what a search finds")

    @classmethod
    def of(cls, seed: int, result: SearchResult) -> "Searched[Any]":
        """What goes into the file."""
        weights = {name: tuple(map(tuple, of_table.tolist())) for name, of_table in result.op_weights.items()}
        return cls(seed, result.seconds, result.epochs, result.steps, result.architectures, weights)

    def check(self, space: PricedSpace[A]) -> None:
        """Refuse what another space has.

        Raises:
            ValueError: saying so.
        """
        shapes = {name: (len(table.rows), len(table.options)) for name, table in space.decisions.items()}
        found = {name: tuple(self.weights(name).shape) for name in self.op_weights}
        counts = {name: len(table.of) for name, table in space.decisions.items()}
        picked = [{name: len(places) for name, places in space.picks(each).items()} for each in self.genotypes]
        if found not in ({}, shapes) or any(each != counts for each in picked):
            raise ValueError("it is of another space")

    def weights(self, name: str) -> Tensor:
        """The op weights of one table, ``[rows, options]``."""
        return torch.tensor(self.op_weights[name])


def search(
    run: Run, evaluator: Evaluator, second_run: Callable[[list[Searched[Any]]], None], pool: Pool
) -> list[Searched[Any]]:
    """Search once for each seed; what has ended in the run's folder is not run again.

    Args:
        run: with its folder.
        evaluator: of short trainings.
        second_run: called with what all have found, by the callback of the last search where one is fitted.
        pool: where several searches are done; its jobs share the run.
    """
    with progress.step("pricing the networks of the space"):
        log_space(run)  # and price it
    path, num_seeds = run.folder / FILE, run.plan.num_seeds
    kind: Any = Searched
    done: list[Searched[Any]] = read_records(path, kind[run.space.Architecture]) if path.exists() else []
    with damage(path):
        for each in done:
            each.check(run.space)
    if [each.seed for each in done] != [run.config.seed + index for index in range(min(len(done), num_seeds))]:
        raise DamagedFileError(path, "it holds searches of other seeds")

    def on_end(result: SearchResult) -> None:
        done.append(Searched.of(run.config.seed + len(done), result))
        write_json(path, plain(done))
        if len(done) == num_seeds:
            second_run(done)

    missing = range(len(done), num_seeds)
    if pool.is_parallel and num_seeds > 1:
        for result in pool.map(partial(_search_alone, index=index) for index in missing):
            on_end(result)
        return done
    for index in missing:
        with search_threads(run):
            searcher, count = _searcher(run, index, on_end), run.config.selection.trainings
            result = searcher.search(problem_of(run, index), evaluator, count)
        if len(done) == index:  # no fit has told it
            on_end(result)
    return done


def search_threads(run: Run) -> AbstractContextManager[None]:
    """The threads of a search: one of several, and of a small supernet, which gains nothing by more."""
    is_alone = run.plan.num_seeds > 1 or not isinstance(run.space, CellSpace) or run.space.largest("macs") < _SMALL
    return one_thread() if is_alone else nullcontext()


def problem_of(run: Run, index: int) -> Problem:
    """That of the search of this number."""
    measure = MODES[run.config.training.nas_optimization_mode.lower()]
    return Problem(run.space, run.data, run.limits, measure, run.config.seed + index)


def _search_alone(run: Run, index: int) -> SearchResult:
    """One of several searches, in a worker."""
    evaluator = Evaluator(run.recipe, run.data, run.config.testing.metric)
    searcher = _searcher(run, index, lambda result: None)
    return searcher.search(problem_of(run, index), evaluator, run.config.selection.trainings)


def _searcher(run: Run, index: int, on_end: Callable[[SearchResult], None]) -> Searcher:
    training = run.config.training
    if not run.plan.trains:
        log.info("search: %s, which trains no supernet", run.strategy.name)
        return RandomSearch(weights=prior if run.plan.prior else None)
    own_fit = partial(_fit, run, f"_{index}" if index else "")
    strategy = replace(run.strategy, derivation=_shown(run.strategy.derivation))
    return GradientSearch(strategy, run.lengths.search.epochs, kernels=training.nas_kernels, fit=own_fit, then=on_end)


def _shown(derivation: Derivation) -> Derivation:
    def derive(found: Found, count: int) -> list[Any]:
        with progress.step("choosing the architectures"):
            return derivation(found, count)

    return derive


def _fit(run: Run, suffix: str, module: SearchModule, problem: Problem, end: End) -> None:
    """A fit with checkpoints and logs, from the supernet of the search of this name that this one starts from."""
    name, timer = f"search{suffix}", Timer()
    path = run.warm_start / name / "last.ckpt" if run.warm_start else None
    if path is not None and path.is_file():
        content = read_torch(path)
        with damage(path):
            module.load_state_dict(content["state_dict"])
    callbacks = [
        timer,
        CollapseAlarm(run.plan.on_collapse, problem.data.val_dataloader()),
        GenotypeHistory(run.folder / f"genotype_history{suffix}.json"),
        SecondRun(lambda epochs: end(epochs, timer.time_elapsed("train"))),
    ]
    loader = search_loader(problem.data.train_dataloader(), problem.data.alphas_dataloader())
    fit(run, name, run.lengths.search, callbacks, module, loader)


def log_space(run: Run) -> None:
    """Say what the limits are, which size was chosen for them, and what an NPU changed before the search."""
    config, space = run.config, run.space
    if run.budget:
        limits = ", ".join(f"{measure} {limit:,}" for measure, limit in run.budget.items())
        log.info("budget: %s (device %s)", limits, config.device.name)
    if isinstance(space, CellSpace):
        _log_cells(run, space)
    else:
        log.info("outlines: %s", "; ".join(f"{name} {_listed(values)}" for name, values in space.factors.items()))


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _log_cells(run: Run, space: CellSpace) -> None:
    config = run.config
    if run.size_share is not None:
        text = "size: %d layers and %d initial channels; an average network of this size uses %.0f %% of the budget"
        log.info(text, space.size.layers, space.size.init_channels, 100 * run.size_share)
    if config.space.shape == "wide":
        log.info(
            "size: %d layers and %d initial channels, by space.shape=wide", space.size.layers, space.size.init_channels
        )
    larger = "a larger nas_model_size" if config.space.shape == "wide" else "nas_model_size=auto"
    for measure in sorted(run.budget.targets & set(ADDITIVE)):
        share = space.largest(measure) / run.limits[measure]
        if share < 1 and run.size_share is None:
            text = "budget: the dearest network of this size has %.0f %% of %s; %s uses more of it"
            log.info(text, 100 * share, f"{measure} {run.limits[measure]:,}", larger)
    if config.device.npu_profile is None:
        return
    pruned = [op for op in config.space.ops if op not in space.ops]
    asked = config.training.nas_init_channels
    if run.size_share is not None or config.space.shape == "wide":
        rounded = "channels chosen from those it can use"
    elif asked != space.size.init_channels:
        before = SpaceCost(replace(space.size, init_channels=asked), run.task, space.ops, run.numbers)
        factor = space.largest("params") / before.largest("params")
        rounded = f"init_channels {asked} -> {space.size.init_channels}, up to {factor:.1f} times the parameters"
    else:
        rounded = "channels as they are"
    log.info("NPU rules %s: %s; pruned: %s", config.device.npu_profile, rounded, ", ".join(pruned) or "nothing")
