"""The progress bar: one line per stage."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar

from nas_lightning import progress


class StageBar(ProgressBar):
    """One bar over all steps of a stage, with the epoch and the last figures on ``val``."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = progress.Bar()
        self._is_shown = True

    def disable(self) -> None:
        """Lightning calls this where nothing may be printed."""
        self._is_shown = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar; a resumed stage starts where it was."""
        steps, epochs = int(trainer.num_training_batches), trainer.max_epochs or 0
        stage = getattr(pl_module, "stage", type(pl_module).__name__)
        if self._is_shown:
            self._bar = progress.bar(str(stage), steps * epochs, "step", steps * trainer.current_epoch)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One step on."""
        self._bar.update()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the loss and the metric of the task on ``val``."""
        figures = {k.split("/")[1]: f"{float(v):.3f}" for k, v in trainer.progress_bar_metrics.items() if "/val_" in k}
        self._bar.note(epoch=f"{trainer.current_epoch + 1}/{trainer.max_epochs}", **figures)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Close the bar."""
        self._bar.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Close the bar, so that the message behind it stands on a line of its own."""
        self.on_train_end(trainer, pl_module)
