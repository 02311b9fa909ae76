"""The progress bar: one line per stage."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm


class StageBar(ProgressBar):
    """One bar over all steps of a stage, with the epoch and the last figures on ``val``."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm | None = None

    def disable(self) -> None:
        """Lightning calls this where nothing may be printed."""
        self._bar = tqdm(disable=True)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar; a resumed stage starts where it was."""
        steps, epochs = int(trainer.num_training_batches), trainer.max_epochs or 0
        stage = type(pl_module).__name__.removesuffix("Module").lower()
        self._bar = tqdm(total=steps * epochs, initial=steps * trainer.current_epoch, desc=stage, unit="step")

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One step on."""
        if self._bar is not None:
            self._bar.update()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the loss and the metric of the task on ``val``."""
        if self._bar is not None:
            figures = {
                k.split("/")[1]: f"{float(v):.3f}" for k, v in trainer.progress_bar_metrics.items() if "/val_" in k
            }
            self._bar.set_postfix(epoch=f"{trainer.current_epoch + 1}/{trainer.max_epochs}", **figures)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Close the bar, so that the message behind it stands on a line of its own."""
        self.on_train_end(trainer, pl_module)
