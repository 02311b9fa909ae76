"""How good an architecture is after a short training.

All networks are trained by the recipe of the final training, played in fewer epochs, and compared on ``val``. No test
sample is read. Results lie in ``contest.json``, so that a run that was stopped trains none twice.
"""

import logging
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas_lightning.config.records import Config
from nas_lightning.files import plain, read_records, write_json
from nas_lightning.runs.build import build_short_trainer
from nas_lightning.runs.context import Run
from nas_lightning.runs.fitting import train_module
from nas_lightning.space.blueprint import Blueprint, SearchedBlueprint
from nas_lightning.space.genotype import Genotype
from nas_lightning.tasks import Figures
from nas_lightning.tasks.classification import METRICS
from nas_lightning.training.evaluate import predict

log = logging.getLogger("nas_lightning")

FILE = "contest.json"
"""The short trainings of a run."""


@dataclass(frozen=True)
class ShortTraining:
    """A row of the file: the network as ``Blueprint.to_dict`` describes it, and its figures on ``val``."""

    epochs: int
    network: dict[str, Any]
    val: Figures
    seconds: float

    def __post_init__(self) -> None:
        if not all(0 <= self.val[name] <= 1 for name in METRICS) or "loss" not in self.val:
            raise ValueError("a figure is none from 0 to 1")


class Evaluator:
    """The short trainings of one run.

    Args:
        run: with its recipe, its data and its folder.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.metric, self.path = run, run.config.testing.metric, run.folder / FILE
        self.rows = read_records(self.path, ShortTraining) if self.path.exists() else []

    def value(self, blueprint: Blueprint, epochs: int) -> float:
        """``testing.metric`` on ``val`` after a training of so many epochs."""
        return self.figures(blueprint, epochs)[self.metric]

    def figures(self, blueprint: Blueprint, epochs: int) -> Figures:
        """All figures on ``val`` after a training of so many epochs."""
        description = blueprint.to_dict()
        for row in self.rows:
            if (row.epochs, row.network) == (epochs, description):
                return row.val
        start = time.perf_counter()
        found = _train(self.run, blueprint, epochs)
        self.rows.append(ShortTraining(epochs, description, found, time.perf_counter() - start))
        write_json(self.path, plain(self.rows))
        return found

    @property
    def seconds(self) -> float:
        """Of all trainings so far."""
        return sum(row.seconds for row in self.rows)

    def blueprint(self, genotype: Genotype) -> SearchedBlueprint:
        """The network of a genotype in this run."""
        return SearchedBlueprint(genotype, self.run.size, self.run.task)

    def rank(self, genotypes: Sequence[Genotype], epochs: int) -> list[tuple[float, Genotype]]:
        """Value and genotype, the best first; of equal ones that of the smaller loss.

        A small ``val`` knows few different accuracies.
        """
        found = [self.figures(self.blueprint(genotype), epochs) for genotype in genotypes]
        order = sorted(range(len(found)), key=lambda i: (-found[i][self.metric], found[i]["loss"]))
        return [(found[i][self.metric], genotypes[i]) for i in order]


def control_epochs(config: Config) -> int:
    """Of a short training: ``control.epochs``, or what stands for it."""
    return config.control.epochs or max(1, config.training.training_epochs // 8)


def _train(run: Run, blueprint: Blueprint, epochs: int) -> Figures:
    """The figures on ``val`` after a training from scratch, from the seed of the first final one; 0 if it diverged."""
    module = train_module(run, blueprint, run.config.seed, run.config.training.training_epochs / epochs)
    trainer = build_short_trainer(run.config, run.folder, epochs)
    trainer.fit(module, run.data.train_dataloader(), run.data.val_dataloader())
    found = run.task.figures(*predict(module.network, run.data.val_dataloader()))
    if math.isfinite(found["loss"]):
        return found
    log.warning("contest: a training of %d epochs diverged", epochs)
    return dict.fromkeys(found, 0.0) | {"loss": sys.float_info.max}  # JSON has no infinity
