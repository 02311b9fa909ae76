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
from pathlib import Path
from typing import Any

from nas_lightning.data.protocol import TrainingData
from nas_lightning.files import damage, plain, read_records, write_json
from nas_lightning.space.base import Blueprint
from nas_lightning.tasks import Figures, best_first
from nas_lightning.training.evaluate import predict
from nas_lightning.training.recipe import Recipe

log = logging.getLogger("nas_lightning")


@dataclass(frozen=True)
class ShortTraining:
    """A row of the file: the network as ``Blueprint.to_dict`` describes it, and its figures on ``val``."""

    epochs: int
    network: dict[str, Any]
    val: Figures
    seconds: float


class Evaluator:
    """Short trainings, each done once.

    Args:
        recipe: of the final training.
        data: on which.
        metric: that ``value`` and ``rank`` look at; None for that of the task.
        path: a JSON file of what was trained so far; None to keep it in memory.
    """

    def __init__(self, recipe: Recipe, data: TrainingData, metric: str | None = None, path: Path | None = None) -> None:
        self.recipe, self.data, self.metric, self.path = recipe, data, metric, path
        self.rows = read_records(path, ShortTraining) if path is not None and path.exists() else []

    def __call__(self, blueprint: Blueprint, epochs: int) -> Figures:
        """All figures on ``val`` after a training of so many epochs."""
        description = plain(blueprint.to_dict())  # as the file has it
        for row in self.rows:
            if (row.epochs, row.network) == (epochs, description):
                with damage(self.path) if self.path is not None else nullcontext():
                    blueprint.task.check_figures(row.val)
                return row.val
        start = time.perf_counter()
        found = self._train(blueprint, epochs)
        self.rows.append(ShortTraining(epochs, description, found, time.perf_counter() - start))
        if self.path is not None:
            write_json(self.path, plain(self.rows))
        return found

    def value(self, blueprint: Blueprint, epochs: int) -> float:
        """The metric on ``val`` after a training of so many epochs."""
        return self(blueprint, epochs)[self._metric_of(blueprint)]

    @property
    def seconds(self) -> float:
        """Of all trainings so far."""
        return sum(row.seconds for row in self.rows)

    def rank(self, blueprints: Sequence[Blueprint], epochs: int) -> list[tuple[float, int]]:
        """Value and index of each, the best first; of equal ones that of the smaller loss.

        A small ``val`` knows few different accuracies.
        """
        keys = [best_first(self(blueprint, epochs), self._metric_of(blueprint)) for blueprint in blueprints]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return [(self.value(blueprints[i], epochs), i) for i in order]

    def _metric_of(self, blueprint: Blueprint) -> str:
        return self.metric or blueprint.task.monitor

    def _train(self, blueprint: Blueprint, epochs: int) -> Figures:
        """From scratch, from the seed of the first final training; 0 if it diverged."""
        module = self.recipe.module(blueprint, self.data, self.recipe.seed, self.recipe.epochs / epochs)
        trainer = self.recipe.short_trainer(epochs)
        trainer.fit(module, self.data.train_dataloader(), self.data.val_dataloader())
        found = blueprint.task.figures(*predict(module.network, self.data.val_dataloader()))
        if math.isfinite(found["loss"]):
            return found
        log.warning("contest: a training of %d epochs diverged", epochs)
        return blueprint.task.worst_figures()
