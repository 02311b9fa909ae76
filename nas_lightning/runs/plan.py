"""A run within a given time: how long its parts may be on this machine (``run.max_minutes``)."""

import itertools
import logging
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L

from nas_lightning import progress
from nas_lightning.config.records import Config, with_values
from nas_lightning.config.settings import value_at
from nas_lightning.files import plain, read_record, write_json, write_text
from nas_lightning.progress import duration
from nas_lightning.runs.context import Run
from nas_lightning.runs.crew import num_workers
from nas_lightning.runs.fitting import fit
from nas_lightning.runs.init import fixed_network
from nas_lightning.runs.lengths import SEARCH_EPOCHS, SEARCH_STEPS, TRAINING_EPOCHS, length_of
from nas_lightning.runs.pools import pool_of
from nas_lightning.runs.searches import problem_of, search_threads
from nas_lightning.search.gradient import GradientSearch
from nas_lightning.search.loaders import search_loader
from nas_lightning.space.base import Blueprint
from nas_lightning.training.length import Length, batches_of

log = logging.getLogger("nas_lightning")

FILE = "plan.json"
"""What a run within a given time has planned; one that goes on keeps to it."""

_PROBE = 12
"""Steps of an epoch that is timed."""

_OF_SEARCH = 0.2
"""Share of the time for the search at most: what it finds differs by less than two trainings of one network."""

_EXPORT = 8.0
"""Seconds of the export, without what grows with the data."""

_COMPILATION = 30.0
"""Seconds of firmware: compiled, proved and emulated."""

_LEAST_STEPS = 300
"""Below it there are fewer trainings instead of shorter ones."""

_MOST_STEPS = 8000
"""Above it there are more trainings instead of longer ones."""

_MOST_CANDIDATES = 16

_DRAWN = 7
"""Networks of which one is timed: the arithmetic of outlines differs by a factor of ten."""

_PLANNED = (
    *("training.nas_epochs", "training.nas_steps", "training.training_epochs", "training.training_steps"),
    *("selection.candidates", "control.num_random"),
)
"""Keys that are planned where they are null, and else stay as they are."""


@dataclass(frozen=True)
class Pace:
    """How fast a fit is on this machine.

    Attributes:
        step: seconds of one step.
        epoch: seconds of what comes after the steps of an epoch: figures on val, checkpoints, logs.
    """

    step: float
    epoch: float

    def seconds(self, steps: float, epochs: float) -> float:
        """Of a whole fit."""
        return steps * self.step + epochs * self.epoch


@dataclass(frozen=True)
class Plan:
    """What a run does in its time.

    Attributes:
        nas_steps: of the search.
        training_steps: of each final training.
        candidates: how many final trainings there are.
        num_random: random networks of the control.
        seconds: that each part is expected to take.
    """

    nas_steps: int
    training_steps: int
    candidates: int
    num_random: int
    seconds: dict[str, float]

    def __post_init__(self) -> None:
        if min(self.nas_steps, self.training_steps, self.candidates) < 1 or self.num_random < 0:
            raise ValueError("it is no plan of a run")

    def applied(self, config: Config) -> Config:
        """The configuration with the numbers of the plan."""
        values = {
            "training.nas_steps": self.nas_steps,
            "training.training_steps": self.training_steps,
            "selection.candidates": self.candidates,
            "control.num_random": self.num_random,
        }
        return with_values(config, {key: value for key, value in values.items() if value_at(config, key) is None})


@dataclass(frozen=True)
class Situation:
    """What a plan is made of.

    Attributes:
        config: what was asked for.
        seconds: that are left.
        workers: how many trainings run at once.
        search: the pace of one search; None if no supernet is trained.
        training: that of a final training, while all workers train.
        batches: of ``train``; None if that is not known.
        search_batches: of an epoch of the search.
        num_seeds: searches.
        export: seconds of what comes after the trainings.
    """

    config: Config
    seconds: float
    workers: int
    search: Pace | None
    training: Pace
    batches: int | None
    search_batches: int | None
    num_seeds: int
    export: float

    def of_search(self, steps: int) -> float:
        """Seconds of all searches."""
        if self.search is None:
            return 0.0
        length = length_of(self.config.training.nas_epochs, steps, self.search_batches, SEARCH_EPOCHS)
        rounds = math.ceil(self.num_seeds / self.workers)
        return rounds * self.search.seconds(length.steps(self.search_batches) or 0, length.epochs)

    def of_trainings(self, steps: int, candidates: int) -> float:
        """Seconds of all final trainings."""
        return math.ceil(candidates / self.workers) * self._of_training(steps)

    def of_control(self, steps: int, num_random: int) -> float:
        """Seconds of the control: it has the network that was found, and one made by hand, beside random ones."""
        return (num_random + 2) / self.workers * self._of_training(steps) / 8 if num_random else 0.0

    def _of_training(self, steps: int) -> float:
        training = self.config.training
        length = length_of(training.training_epochs, training.training_steps or steps, self.batches, TRAINING_EPOCHS)
        return self.training.seconds(length.steps(self.batches) or 0, length.epochs)


def plan_of(found: Situation) -> Plan:
    """The plan that uses the time best: a search of a fifth at most, then trainings as long as they gain.

    Where time is short there are fewer trainings and no control, instead of trainings that are too short; where it is
    plenty, more trainings instead of longer ones. What the configuration gives stays as it is.
    """
    config, left = found.config, found.seconds - found.export
    nas_steps = config.training.nas_steps or _most(
        lambda steps: found.of_search(steps) <= _OF_SEARCH * left, SEARCH_STEPS
    )
    rest = left - found.of_search(nas_steps)

    def steps_of(candidates: int, num_random: int) -> int:
        def fits(steps: int) -> bool:
            return found.of_trainings(steps, candidates) + found.of_control(steps, num_random) <= rest

        return _most(fits, _MOST_STEPS)

    candidates, num_random, steps = 1, 0, 0
    for candidates, num_random in _choices(config, found.workers):
        if (steps := steps_of(candidates, num_random)) >= _LEAST_STEPS:
            break
    while config.selection.candidates is None and candidates < _MOST_CANDIDATES and steps >= _LEAST_STEPS:
        more = min(_MOST_CANDIDATES, (candidates // found.workers + 1) * found.workers)  # no worker is left without one
        if (longer := steps_of(more, num_random)) < min(steps, _MOST_STEPS):
            break
        candidates, steps = more, longer
    seconds = {
        "search": found.of_search(nas_steps),
        "trainings": found.of_trainings(steps, candidates),
        "control": found.of_control(steps, num_random),
        "export": found.export,
    }
    return Plan(nas_steps, config.training.training_steps or steps, candidates, num_random, seconds)


def _most(fits: Callable[[int], bool], most: int) -> int:
    """The largest number from 1 to ``most`` that fits, where all below one that fits do; 1 if none does."""
    least = 1
    while least < most:
        middle = (least + most + 1) // 2
        if fits(middle):
            least = middle
        else:
            most = middle - 1
    return least


def _choices(config: Config, workers: int) -> list[tuple[int, int]]:
    """Numbers of trainings and of random networks, the most first; those that are not given are fewer and fewer."""
    most, networks = config.selection.trainings, config.control.networks
    fewer = [count for count in range(most - 1, 0, -1) if count % workers == 0 or count == 1]
    counts = [most, *(fewer if config.selection.candidates is None else [])]
    controls = [networks, *([0] if config.control.num_random is None else [])]
    return [(count, num_random) for num_random in controls for count in counts]


def planned(config: Config, run: Run, since: float) -> Run:
    """The run with a plan for its time; that of its folder, if there is one.

    Args:
        config: of the run, as it was given.
        run: that has begun.
        since: when it began, by ``time.perf_counter``.
    """
    path = run.folder / FILE
    if path.exists():
        plan = read_record(path, Plan)
    else:
        plan = plan_of(_situation(config, run, since))
        write_json(path, plain(plan))
    own = Run(plan.applied(config), run.data, run.folder, run.warm_start)
    total = time.perf_counter() - since + sum(plan.seconds.values())
    _say(own, plan, total)
    if total > 60 * own.config.run.max_minutes:  # type: ignore[operator] # the caller asks
        log.warning("%s", _too_long(config, total))
    return own


def _say(run: Run, plan: Plan, total: float) -> None:
    minutes = run.config.run.max_minutes
    search, training = run.lengths.search, run.lengths.training
    loaders = [run.data.train_dataloader(), run.data.alphas_dataloader()]
    batches = [batches_of(loader) for loader in loaders]
    most = max(filter(None, batches)) if all(batches) else None  # both go in step, and the longest counts
    trainings = "1 training" if plan.candidates == 1 else f"{plan.candidates} trainings"
    parts = {
        f"a search of {_length(search, most)}": plan.seconds["search"],
        f"{trainings} of up to {_length(training, batches[0])}": plan.seconds["trainings"],
        f"a control of {plan.num_random} random networks": plan.seconds["control"],
        "export": plan.seconds["export"],
    }
    listed = ", ".join(f"{what} ({duration(seconds)})" for what, seconds in parts.items() if seconds)
    text = f"plan for {minutes:g} {'minute' if minutes == 1 else 'minutes'}: {listed}; {duration(total)} in all"
    log.info("%s", text)
    progress.say(text)


def _length(length: Length, batches: int | None) -> str:
    """In words: steps, or epochs where nobody knows how many steps they have."""
    steps = length.steps(batches)
    count, unit = (length.epochs, "epoch") if steps is None else (steps, "step")
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def _too_long(config: Config, total: float) -> str:
    """What is said where even the plan does not fit, with what was given and stays as it is."""
    given = {key: value_at(config, key) for key in _PLANNED}
    said = ", ".join(f"{key}={value}" for key, value in given.items() if value is not None)
    reason = f"{said} stay as they are given" if said else "the shortest search and training take that"
    found = f"{config.run.max_minutes:g}"
    return f"run.max_minutes: found {found}, and the run takes about {duration(total)}, because {reason}"


def _situation(config: Config, run: Run, since: float) -> Situation:
    """Time a few steps of both fits; trainings in all workers at once."""
    assert config.run.max_minutes is not None  # nosec B101 # for mypy: the caller asks
    workers, data = num_workers(config), run.data
    blueprint = _typical(run)
    with progress.step("timing some steps of search and training"), _in_silence():
        with pool_of(config, run, workers, math.inf) as pool:
            paces = list(pool.map([partial(time_training, blueprint=blueprint)] * workers))
        search = time_search(run) if config.training.nas_enabled and run.plan.trains else None
    loaders = [data.train_dataloader(), data.alphas_dataloader()]
    batches = [batches_of(loader) for loader in loaders]
    samples = sum(data.sizes[split] for split in data.sizes if split != "train")
    export = _EXPORT + _COMPILATION * config.compilation.enable
    export += 3 * samples / max(data.sizes["val"], 1) * paces[0].epoch  # float, float64, int8 and ONNX files
    if config.export.int8 and "finetune" in config.export.int8_remedies:
        export += 2 * paces[0].seconds(run.lengths.finetuning.steps(batches[0]) or 0, 0)
    return Situation(
        config=config,
        seconds=60 * config.run.max_minutes - (time.perf_counter() - since),
        workers=workers,
        search=search,
        training=Pace(*(max(getattr(pace, name) for pace in paces) for name in ("step", "epoch"))),
        batches=batches[0],
        search_batches=max(filter(None, batches)) if all(batches) else None,
        num_seeds=run.plan.num_seeds,
        export=export,
    )


@contextmanager
def _in_silence() -> Iterator[None]:
    """What is only timed neither shows bars nor writes to the log."""
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with progress.using(lambda *_: progress.Bar()):
            yield
    finally:
        log.setLevel(level)


def _typical(run: Run) -> Blueprint:
    """A network as those that are trained: of some random ones that of middling arithmetic, or the one made by hand."""
    if not run.config.training.nas_enabled:
        return fixed_network(run.config, run.task)
    drawn = sorted(run.draw(_DRAWN), key=lambda architecture: run.space.cost(architecture)["macs"])
    return run.blueprint(drawn[len(drawn) // 2])


def time_training(run: Run, blueprint: Blueprint) -> Pace:
    """The pace of a final training, from a few steps of one."""
    module = run.recipe.module(blueprint, run.data, run.config.seed)
    return _timed(run, "training", module, run.data.train_dataloader())


def time_search(run: Run) -> Pace:
    """The pace of a search, from a few steps of one."""
    search = GradientSearch(run.strategy, run.lengths.search.epochs, kernels=run.config.training.nas_kernels)
    module = search.module(problem_of(run, 0))
    loader = search_loader(run.data.train_dataloader(), run.data.alphas_dataloader())
    with search_threads(run):
        return _timed(run, "search", module, loader)


def _timed(run: Run, stage: str, module: L.LightningModule, loader: Any) -> Pace:
    with tempfile.TemporaryDirectory() as name:
        own = replace(run, folder=Path(name))
        write_text(own.folder / "config.yaml", "")
        fit(own, stage, Length(3, _PROBE), [clock := _Clock()], module, loader)
    return clock.pace()


class _Clock(L.Callback):
    """Notes when each step of each epoch has ended."""

    def __init__(self) -> None:
        self.ends: list[list[float]] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """A new epoch."""
        self.ends.append([])

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """The end of a step."""
        self.ends[-1].append(time.perf_counter())

    def pace(self) -> Pace:
        """From the second epoch on: the first one has what is done once."""
        _, *epochs = self.ends
        steps = [later - earlier for epoch in epochs for earlier, later in itertools.pairwise(epoch)]
        between = [later[0] - earlier[-1] for earlier, later in itertools.pairwise(self.ends)]
        step = statistics.median(steps) if steps else min(between) / 2
        return Pace(step, max(0.0, statistics.median(between) - step))
