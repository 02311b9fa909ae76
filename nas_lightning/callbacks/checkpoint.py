"""Checkpoints of the best and of the newest epoch, from which a stopped run goes on, wherever its folder is by then."""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from nas_lightning.files import write_torch

_MOST = 20


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints beside their target, as all other files; Lightning's pass through the temporary folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint whole; its folder is there, or the run's folder has vanished.

        Raises:
            OSError: if it cannot be written.
        """
        write_torch(Path(path), checkpoint)


class _MovableCheckpoint(ModelCheckpoint):
    """Knows its files again in a folder that was moved or renamed, where Lightning would forget what is best."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state with all paths in the folder as it is now."""
        own = str(Path(self.dirpath or "") / f"{self.filename}.ckpt")  # whatever else the file says: it gets removed

        def moved(path: str) -> str:
            return own if path else path

        paths = {
            name: moved(state_dict[name]) for name in ("best_model_path", "kth_best_model_path", "last_model_path")
        }
        models = {moved(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(state_dict | paths | {"best_k_models": models, "dirpath": self.dirpath})


class BestCheckpoint(_MovableCheckpoint):
    """Keeps ``best.ckpt``, of the epoch in the second half of a fit with the smallest value of ``monitor``.

    A few samples of ``val`` can call an epoch of the first half the best, before the network has learned much; see
    docs/decisions/kept_epoch.md. A fit that ends before its half keeps the best so far.

    Args:
        folder: of the file.
        monitor: what is logged under this name.
        epochs: of the whole fit.
    """

    def __init__(self, folder: Path, monitor: str, epochs: int) -> None:
        super().__init__(folder, "best", monitor, auto_insert_metric_name=False, enable_version_counter=False)
        self.epochs = epochs

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forget the first half where the second begins."""
        if trainer.current_epoch == self.epochs // 2:
            self.best_k_models, self.kth_best_model_path, self.best_model_score = {}, "", None


class NewestCheckpoint(_MovableCheckpoint):
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
        is_last = done == self.epochs or trainer.should_stop
        if is_last or done % max(1, self.epochs // _MOST) == 0:
            super().on_train_epoch_end(trainer, pl_module)
