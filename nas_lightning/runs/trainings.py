"""The final trainings: of each candidate from scratch, and which of them is kept."""

import logging
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.loggers import Logger
from torch import nn

from nas_lightning.callbacks import EarlyEnd
from nas_lightning.config.records import Config
from nas_lightning.errors import InputError
from nas_lightning.report.results import FinalTraining, Selection, TrainingSummary
from nas_lightning.runs.build import build_averaging, build_rate
from nas_lightning.runs.context import Run
from nas_lightning.runs.costs import cost_report
from nas_lightning.runs.fitting import fit, read_checkpoint
from nas_lightning.space.base import Blueprint, in_words
from nas_lightning.tasks import Figures, Task, best_first
from nas_lightning.training.evaluate import predict
from nas_lightning.training.shared import kept_of
from nas_lightning.workers.base import Pending, Pool

log = logging.getLogger("nas_lightning")


@dataclass(frozen=True)
class Trained:
    """The epoch of one final training that is kept.

    Attributes:
        blueprint: of the network.
        params: of the network as it is deployed.
        network: with the weights of that epoch.
        val: its figures; the loss is not finite if the training diverged.
        name: of its checkpoints and logs.
        seconds: of the training.
        epochs: of the training.
        steps: of the training.
        best_epoch: the first is 1.
        loggers: as the training left them; None if it was done in another process.
    """

    blueprint: Blueprint
    params: int
    network: nn.Module
    val: Figures
    name: str
    seconds: float
    epochs: int
    steps: int
    best_epoch: int
    loggers: tuple[Logger, ...] | None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "loggers": None}

    @property
    def has_converged(self) -> bool:
        """Whether it came to an end with finite numbers."""
        return math.isfinite(self.val["loss"])

    def value(self, metric: str) -> float | None:
        """A figure on val; None if the training diverged."""
        return self.val[metric] if self.has_converged else None


@dataclass(frozen=True)
class Kept:
    """The best of all final trainings, and what is told of them."""

    best: Trained
    selection: Selection
    summary: TrainingSummary


class FinalTrainings:
    """The final trainings of a run; each is done once.

    There are ``selection.candidates``, each from its own seed; if there are fewer networks, some of them are trained
    again.

    Args:
        run: whose networks are trained.
        pool: where; its jobs share the run.
    """

    def __init__(self, run: Run, pool: Pool) -> None:
        self.run, self.pool = run, pool
        self._begun: list[Pending[Trained]] = []
        self._candidates: list[Blueprint] = []

    def begin(self, candidates: Sequence[Blueprint]) -> None:
        """Do the first training, or start all of them if they run beside what comes next."""
        jobs, self._candidates = self._jobs(candidates), list(candidates)
        self._begun = [self.pool.submit(job) for job in (jobs if self.pool.is_parallel else jobs[:1])]

    def train(self, candidates: Sequence[Blueprint]) -> Kept:
        """Do all others, and choose.

        Args:
            candidates: the networks; trainings that have begun with others are given up.

        Raises:
            BudgetError: if a candidate exceeds a limit.
            InputError: if all trainings diverge.
        """
        config = self.run.config
        if self._candidates != list(candidates):
            self._begun = []
        others = self.pool.map(self._jobs(candidates)[len(self._begun) :])
        done = [*(pending.result() for pending in self._begun), *others]
        score = score_of(config, self.run.task)
        kept = best_of(done, score)
        if kept is None:
            raise _diverged(config, candidates[0])
        return Kept(
            best=done[kept],
            selection=_selection(done, config, score, len(candidates), kept),
            summary=TrainingSummary(
                seconds=sum(trained.seconds for trained in done),
                epochs=done[kept].epochs,
                best_epoch=done[kept].best_epoch,
            ),
        )

    def _jobs(self, candidates: Sequence[Blueprint]) -> list[Callable[[Run], Trained]]:
        return [
            partial(train_one, blueprint=candidates[index % len(candidates)], index=index)
            for index in range(self.run.config.selection.trainings)
        ]


def best_of(trainings: Sequence[Trained], score: str) -> int | None:
    """The index of the best on ``val`` by a metric or the loss, see ``best_first``; None if all diverged."""
    ended = [i for i, trained in enumerate(trainings) if trained.has_converged]
    return min(ended, key=lambda i: best_first(trainings[i].val, score), default=None)


def score_of(config: Config, task: Task) -> str:
    """The figure on val by which the best final training is kept: ``loss``, or that which counts."""
    by_loss = config.searches_outlines and config.testing.metric == task.monitor
    chosen = config.selection.score or ("loss" if by_loss else "metric")
    return "loss" if chosen == "loss" else config.testing.metric


def _selection(trainings: Sequence[Trained], config: Config, score: str, num_candidates: int, kept: int) -> Selection:
    rows = [
        FinalTraining(
            network=i % num_candidates,
            params=trained.params,
            value=trained.value(config.testing.metric),
            seconds=trained.seconds,
            loss=trained.value("loss"),
            words=in_words(trained.blueprint),
        )
        for i, trained in enumerate(trainings)
    ]
    return Selection(metric=config.testing.metric, trainings=tuple(rows), kept=kept, score=score)


def _diverged(config: Config, blueprint: Blueprint) -> InputError:
    rate, given = build_rate(config, blueprint.build()), config.training.learning_rate
    key = "training.learning_rate" if config.optimizer["lr"] == given else "optimizer.lr"
    return InputError(f"{key}: the training diverged at {rate:.4g}; lower it")


def _early_end(run: Run) -> list[L.Callback]:
    """What ends a training before its time, unless its epochs are given."""
    patience = run.config.training.patience
    if patience is None or not run.is_open:
        return []
    return [EarlyEnd("training/val_loss", run.lengths.training.epochs, patience)]


def train_one(run: Run, blueprint: Blueprint, index: int) -> Trained:
    """One final training; the epoch of its second half with the smallest loss on ``val``.

    Raises:
        BudgetError: if the network exceeds a limit.
    """
    config, seed = run.config, run.config.seed + index
    name, length = f"training_{index}" if index else "training", run.lengths.training
    checkpoints, best = run.folder / "checkpoints" / name, None
    while best is None:
        module = run.recipe.module(blueprint, run.data, seed)
        log.info("training: seed %d, %d epochs from rate %.4g", seed, length.epochs, build_rate(config, module.network))
        callbacks = [timer := Timer(), *build_averaging(config), *_early_end(run)]
        trainer = fit(run, name, length, callbacks, module, run.data.train_dataloader())
        best = read_checkpoint(checkpoints / "best.ckpt", module)
        if best is None:  # damaged since it was written: the same fit from its beginning gives the same
            shutil.rmtree(checkpoints)
    module.load_state_dict(best["state_dict"])
    kept, network = kept_of(module, blueprint, run.data.val_dataloader())
    network, params = network.cpu().float(), cost_report(run, kept.build()).params
    trained = Trained(
        blueprint=kept,
        params=params,
        network=network,
        val=run.task.figures(*predict(network, run.data.val_dataloader(), "figures on val")),
        name=name,
        seconds=timer.time_elapsed("train"),
        epochs=trainer.current_epoch,
        steps=trainer.global_step,
        best_epoch=best["epoch"] + 1,
        loggers=tuple(trainer.loggers),
    )
    value, metric = trained.value(config.testing.metric), config.testing.metric
    shown = "diverged" if value is None else f"{value:.4f}"
    log.info("selection: %s on val %s with %d parameters", metric, shown, params)
    return trained
