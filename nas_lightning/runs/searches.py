"""The searches of a run, one for each seed, and what they found."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import lightning as L
import torch
from lightning.pytorch.callbacks import Timer
from torch import Tensor

from nas_lightning.callbacks import CollapseAlarm, GenotypeHistory, SecondRun
from nas_lightning.cost.exact import ADDITIVE
from nas_lightning.cost.projection import meets
from nas_lightning.cost.tables import SpaceCost
from nas_lightning.errors import DamagedFileError
from nas_lightning.files import damage, plain, read_records, read_torch, write_json
from nas_lightning.runs.build import build_strategy
from nas_lightning.runs.checks import MODES
from nas_lightning.runs.context import Run
from nas_lightning.runs.fitting import fit
from nas_lightning.search.loaders import search_loader
from nas_lightning.search.module import SearchModule
from nas_lightning.space.genotype import Genotype

log = logging.getLogger("nas_lightning")

FILE = "searches.json"
"""The searches of a run that have ended."""


@dataclass(frozen=True)
class Searched:
    """What one search found.

    Attributes:
        seed: of the search.
        seconds: of its training and its derivation.
        epochs: of its training.
        steps: of its training.
        genotypes: within the budget, the best first.
        op_weights: per kind of cell ``[E][O]``, settled, at the end.
    """

    seed: int
    seconds: float
    epochs: int
    steps: int
    genotypes: tuple[Genotype, ...]
    op_weights: dict[str, tuple[tuple[float, ...], ...]]

    def __post_init__(self) -> None:
        if not self.genotypes or not (math.isfinite(self.seconds) and min(self.seed, self.epochs, self.steps) >= 0):
            raise ValueError("it is not what a search finds")

    def weights(self, kind: str) -> Tensor:
        """The op weights of one kind of cell, ``[E, O]``."""
        return torch.tensor(self.op_weights[kind])


def search(run: Run, num_candidates: int, second_run: Callable[[list[Searched]], None]) -> list[Searched]:
    """Search once for each seed; what has ended in the run's folder is not run again.

    Args:
        run: with its folder.
        num_candidates: how many genotypes each search is asked for.
        second_run: called with what all have found by the callback of the last search, when its fit has ended.
    """
    log_space(run)  # and price it, which draws random numbers for modules that are not in a cache yet
    path = run.folder / FILE
    num_seeds = run.config.search["num_seeds"]
    done = read_records(path, Searched) if path.exists() else []
    if [each.seed for each in done] != [run.config.seed + index for index in range(min(len(done), num_seeds))]:
        raise DamagedFileError(path, "it holds searches of other seeds")

    def on_end(searched: Searched) -> None:
        done.append(searched)
        write_json(path, plain(done))
        if len(done) == num_seeds:
            second_run(done)

    for index in range(len(done), num_seeds):
        _search_once(run, index, num_candidates, on_end)
    return done


def _search_once(run: Run, index: int, num_candidates: int, on_end: Callable[[Searched], None]) -> None:
    """One search, from its seed to its genotypes."""
    config, seed = run.config, run.config.seed + index
    L.seed_everything(seed, workers=True, verbose=False)
    suffix = f"_{index}" if index else ""
    name = f"search{suffix}"
    module = _module(run, seed, name)
    timer = Timer()

    def on_found(epochs: int) -> None:
        start = time.perf_counter()
        genotypes = module.derive(run.data.train_dataloader(), run.data.val_dataloader(), num_candidates)
        _log_found(run, module, genotypes[0])
        seconds = timer.time_elapsed("train") + time.perf_counter() - start
        weights = {kind: tuple(map(tuple, of_kind.tolist())) for kind, of_kind in module.choosable().items()}
        on_end(Searched(seed, seconds, epochs, module.num_steps, tuple(genotypes), weights))

    if not module.strategy.trains:
        log.info("search: %s, which trains no supernet", module.strategy.name)
        on_found(0)
        return
    history = run.folder / f"genotype_history{suffix}.json"
    alarm = CollapseAlarm(module.strategy.on_collapse, run.data.val_dataloader())
    callbacks: list[L.Callback] = [timer, alarm, GenotypeHistory(history), SecondRun(on_found)]
    loader = search_loader(run.data.train_dataloader(), run.data.alphas_dataloader())
    fit(run, name, config.training.nas_epochs, callbacks, module, loader)


def _module(run: Run, seed: int, name: str) -> SearchModule:
    """A fresh supernet, or that of the search of this name that this one starts from."""
    config, strategy = run.config, build_strategy(run.config)
    module = SearchModule.of_space(
        run.space_cost,
        strategy,
        config.training.nas_epochs,
        constants=(run.data.mean, run.data.std),
        budget=run.limits,
        measure=MODES[config.training.nas_optimization_mode.lower()],
        kernels=config.training.nas_kernels,
        seed=seed,
    )
    path = run.warm_start / name / "last.ckpt" if run.warm_start else None
    if path is not None and path.is_file():
        content = read_torch(path)
        with damage(path):
            module.load_state_dict(content["state_dict"])
    return module


def _log_found(run: Run, module: SearchModule, genotype: Genotype) -> None:
    log.info("genotype: %s", genotype)
    found = module.found()
    if not meets(found.free_cost, run.limits):
        free = ", ".join(f"{measure} {found.free_cost[measure]:,}" for measure in run.limits)
        loss = found.free_log_weight - found.log_weight
        log.info("budget: the free choice exceeds it (%s); the best within it has %.3f less log weight", free, loss)


def log_space(run: Run) -> None:
    """Say what the limits are, which size was chosen for them, and what an NPU changed before the search."""
    config, space_cost = run.config, run.space_cost
    if run.size_share is not None:
        text = "size: %d layers and %d initial channels; an average network of this size uses %.0f %% of the budget"
        log.info(text, run.size.layers, run.size.init_channels, 100 * run.size_share)
    if config.space.shape == "wide":
        log.info(
            "size: %d layers and %d initial channels, by space.shape=wide", run.size.layers, run.size.init_channels
        )
    if run.budget:
        limits = ", ".join(f"{measure} {limit:,}" for measure, limit in run.budget.items())
        log.info("budget: %s (device %s)", limits, config.device.name)
    larger = "a larger nas_model_size" if config.space.shape == "wide" else "nas_model_size=auto"
    for measure in sorted(run.budget.targets & set(ADDITIVE)):
        share = space_cost.largest(measure) / run.limits[measure]
        if share < 1 and run.size_share is None:
            text = "budget: the dearest network of this size has %.0f %% of %s; %s uses more of it"
            log.info(text, 100 * share, f"{measure} {run.limits[measure]:,}", larger)
    if config.device.npu_profile is None:
        return
    pruned = [op for op in config.space.ops if op not in space_cost.ops]
    asked = config.training.nas_init_channels
    if run.size_share is not None or config.space.shape == "wide":
        rounded = "channels chosen from those it can use"
    elif asked != space_cost.size.init_channels:
        before = SpaceCost(replace(space_cost.size, init_channels=asked), run.task, space_cost.ops, run.numbers)
        factor = space_cost.largest("params") / before.largest("params")
        rounded = f"init_channels {asked} -> {space_cost.size.init_channels}, up to {factor:.1f} times the parameters"
    else:
        rounded = "channels as they are"
    log.info("NPU rules %s: %s; pruned: %s", config.device.npu_profile, rounded, ", ".join(pruned) or "nothing")
