"""How good an architecture is after a short training.

All networks are trained by the recipe of the final training, played in fewer epochs, and compared on ``val``. No test
sample is read. Results can lie in a file, so that a run that was stopped trains none twice.
"""

import logging
import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nas_lightning import progress
from nas_lightning.data.protocol import TrainingData
from nas_lightning.files import damage, plain, read_records, write_json
from nas_lightning.space.base import Blueprint
from nas_lightning.tasks import Figures, best_first
from nas_lightning.training.evaluate import predict
from nas_lightning.training.recipe import Recipe
from nas_lightning.training.shared import kept_of
from nas_lightning.workers.base import Here, Pool

log = logging.getLogger("nas_lightning")


@dataclass(frozen=True)
class ShortTraining:
    """A row of the file: the network as ``Blueprint.to_dict`` describes it, and its figures on ``val``."""

    epochs: int
    network: dict[str, Any]
    val: Figures
    seconds: float


@dataclass(frozen=True)
class Course:
    """What short trainings share.

    Attributes:
        recipe: of the final training.
        data: on which.
    """

    recipe: Recipe
    data: TrainingData


class Evaluator:
    """Short trainings, each done once.

    Args:
        recipe: of the final training.
        data: on which.
        metric: that ``value`` and ``rank`` look at; None for that of the task.
        path: a JSON file of what was trained so far; None to keep it in memory.
        pool: where they are done, whose jobs share something that has ``recipe`` and ``data``; None for here.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: TrainingData,
        metric: str | None = None,
        path: Path | None = None,
        pool: Pool | None = None,
    ) -> None:
        self.recipe, self.data, self.metric, self.path = recipe, data, metric, path
        self.pool = pool or Here(Course(recipe, data))
        self.rows = read_records(path, ShortTraining) if path is not None and path.exists() else []

    def __call__(self, blueprint: Blueprint, epochs: int) -> Figures:
        """All figures on ``val`` after a training of so many epochs."""
        return self.figures([blueprint], epochs)[0]

    def figures(self, blueprints: Sequence[Blueprint], epochs: int, text: str = "short trainings") -> list[Figures]:
        """All figures on ``val`` of several networks, each after a training of so many epochs.

        Args:
            blueprints: of the networks.
            epochs: of each training.
            text: what a bar says meanwhile.
        """
        descriptions = [plain(blueprint.to_dict()) for blueprint in blueprints]  # as the file has them
        new: list[tuple[Blueprint, dict[str, Any]]] = []
        for blueprint, description in zip(blueprints, descriptions, strict=True):
            if self._row(description, epochs) is None and description not in [each for _, each in new]:
                new.append((blueprint, description))
        trained = self.pool.map(partial(train_shortly, blueprint=blueprint, epochs=epochs) for blueprint, _ in new)
        for (_, description), (found, seconds) in zip(
            new, progress.track(trained, text, len(new), "network"), strict=True
        ):
            self.rows.append(ShortTraining(epochs, description, found, seconds))
            if self.path is not None:
                write_json(self.path, plain(self.rows))
        return [self._checked(*pair, epochs) for pair in zip(blueprints, descriptions, strict=True)]

    def _row(self, description: dict[str, Any], epochs: int) -> ShortTraining | None:
        return next((row for row in self.rows if (row.epochs, row.network) == (epochs, description)), None)

    def _checked(self, blueprint: Blueprint, description: dict[str, Any], epochs: int) -> Figures:
        row = self._row(description, epochs)
        assert row is not None  # nosec B101 # for mypy: all were trained
        with damage(self.path) if self.path is not None else nullcontext():
            blueprint.task.check_figures(row.val)
        return row.val

    def value(self, blueprint: Blueprint, epochs: int) -> float:
        """The metric on ``val`` after a training of so many epochs."""
        return self(blueprint, epochs)[self._metric_of(blueprint)]

    def seconds(self, blueprints: Sequence[Blueprint], epochs: int) -> float:
        """That their trainings took, also those that an earlier process did."""
        networks = [plain(blueprint.to_dict()) for blueprint in blueprints]
        return sum(row.seconds for row in self.rows if row.epochs == epochs and row.network in networks)

    def rank(self, blueprints: Sequence[Blueprint], epochs: int) -> list[tuple[float, int]]:
        """Value and index of each, the best first; of equal ones that of the smaller loss.

        A small ``val`` knows few different accuracies.
        """
        found = zip(self.figures(blueprints, epochs), blueprints, strict=True)
        keys = [best_first(figures, self._metric_of(blueprint)) for figures, blueprint in found]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return [(self.value(blueprints[i], epochs), i) for i in order]

    def _metric_of(self, blueprint: Blueprint) -> str:
        return self.metric or blueprint.task.monitor


def train_shortly(course: Course, blueprint: Blueprint, epochs: int) -> tuple[Figures, float]:
    """Train from scratch, from the seed of the first final training.

    Returns:
        the figures on ``val``, the worst if it diverged, and the seconds that it took.
    """
    start, recipe, data = time.perf_counter(), course.recipe, course.data
    module = recipe.module(blueprint, data, recipe.seed, recipe.epochs / epochs)
    trainer = recipe.short_trainer(epochs)
    trainer.fit(module, data.train_dataloader(), data.val_dataloader())
    _, network = kept_of(module, blueprint, data.val_dataloader())
    found = blueprint.task.figures(*predict(network, data.val_dataloader()))
    if not math.isfinite(found["loss"]):
        log.warning("contest: a training of %d epochs diverged", epochs)
        found = blueprint.task.worst_figures()
    return found, time.perf_counter() - start
