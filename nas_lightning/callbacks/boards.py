"""Where pictures go: to every TensorBoard that listens."""

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure


def boards_of(trainer: L.Trainer) -> list[TensorBoardLogger]:
    """The loggers of a Trainer that take pictures."""
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def add_picture(trainer: L.Trainer, name: str, picture: Figure, step: int = 0) -> None:
    """Give a picture to all of them."""
    for logger in boards_of(trainer):
        logger.experiment.add_figure(name, picture, step, close=False)
