"""Checkpoints of the newest epoch, from which a stopped run goes on."""

from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint

_MOST = 20


class NewestCheckpoint(ModelCheckpoint):
    """Saves ``last.ckpt`` after the last epoch, and now and then before it.

    To save a small network takes longer than to train it for an epoch, so there are at most some twenty of them; a
    stopped run repeats what came after.

    Args:
        folder: of the file.
        epochs: of the whole fit.
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        super().__init__(
            folder, "last", auto_insert_metric_name=False, enable_version_counter=False, save_on_train_epoch_end=True
        )
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save, if it is due."""
        done = trainer.current_epoch + 1
        if done % max(1, self.epochs // _MOST) == 0 or done == self.epochs:
            super().on_train_epoch_end(trainer, pl_module)
