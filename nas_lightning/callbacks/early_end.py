"""The end of a training that gains nothing any more."""

import math
from typing import Any

import lightning as L


class EarlyEnd(L.Callback):
    """Ends a fit in whose second half no epoch has been better for too long.

    The first half is not judged: a cosine gains the most in its last third.

    Args:
        monitor: what is logged under this name; the smaller the better.
        epochs: of the whole fit.
        patience: share of the epochs without a better one.
    """

    def __init__(self, monitor: str, epochs: int, patience: float) -> None:
        self.monitor, self.first, self.wait = monitor, epochs // 2, max(1, math.ceil(patience * epochs))
        self.least, self.best_epoch, self.has_ended = math.inf, self.first, False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """A fit that had ended, and goes on, is over."""
        trainer.should_stop = trainer.should_stop or self.has_ended

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look at the loss, and end the fit if it is time."""
        epoch = trainer.current_epoch
        if trainer.sanity_checking or epoch < self.first:
            return
        value = float(trainer.callback_metrics[self.monitor])
        if value < self.least:
            self.least, self.best_epoch = value, epoch
        elif epoch - self.best_epoch >= self.wait:
            self.has_ended = trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """What it has seen goes into the checkpoint."""
        return {"least": self.least, "best_epoch": self.best_epoch, "has_ended": self.has_ended}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.least, self.best_epoch = state_dict["least"], state_dict["best_epoch"]
        self.has_ended = state_dict["has_ended"]
