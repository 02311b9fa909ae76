"""Where pictures go: to every logger of a Trainer that takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from matplotlib.figure import Figure


class Logs(Protocol):
    """What has loggers: a Trainer, or what is left of one.

    Attributes:
        loggers: of a fit.
        global_step: where it stands.
    """

    @property
    def loggers(self) -> Sequence[Logger]:
        """Of a fit."""

    @property
    def global_step(self) -> int:
        """Where it stands."""


@dataclass(frozen=True)
class Loggers:
    """What is left of a Trainer."""

    loggers: Sequence[Logger]
    global_step: int


def boards_of(trainer: Logs) -> list[Logger]:
    """The loggers of a Trainer that take pictures: TensorBoard, MLflow, Weights & Biases."""
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger | MLFlowLogger | WandbLogger)]


def add_picture(trainer: Logs, name: str, picture: Figure, step: int = 0) -> None:
    """Give a picture to all of them."""
    for logger in boards_of(trainer):
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_figure(name, picture, step, close=False)
        elif isinstance(logger, MLFlowLogger):
            logger.experiment.log_figure(logger.run_id, picture, f"{name}/{step:06}.png")
        elif isinstance(logger, WandbLogger):
            logger.log_image(name, [picture], trainer.global_step)  # of its axis


def add_result(trainer: Logs, settings: dict[str, object], figures: dict[str, float]) -> None:
    """Give them what a run was, and what came of it."""
    for logger in boards_of(trainer):
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(settings, figures)
            logger.save()
            logger.experiment.flush()  # what cannot be written is said before the run counts as ended
        else:
            logger.log_hyperparams(settings)
            logger.log_metrics(figures)
