"""Means over the samples of an epoch, and the LightningModule that logs them."""

from typing import Any

import lightning as L
from torch import Tensor


class Means:
    """Means of figures over the samples of an epoch, which a LightningModule logs once at its end.

    To log a figure in each step takes Lightning about as long as a step of a small network takes.

    >>> import torch
    >>> means = Means()
    >>> means.add({"loss": torch.tensor(1.0)}, 3)
    >>> means.add({"loss": torch.tensor(2.0)}, 1)
    >>> means.take()
    {'loss': tensor(1.2500)}
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: dict[str, Tensor], count: int) -> None:
        """Count the means of a batch of ``count`` samples."""
        for name, value in values.items():
            own = value.detach().float() * count
            self._sums[name] = self._sums[name] + own if name in self._sums else own
            self._counts[name] = self._counts.get(name, 0) + count

    def take(self) -> dict[str, Tensor]:
        """The means since the last call."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means


class CountingModule(L.LightningModule):
    """Logs what the batches of a split gave once, when all of them are counted.

    A subclass counts batches in ``means["train"]`` and ``means["val"]``.
    """

    off_the_bar: tuple[str, ...] = ()
    """What stands in the names of figures that no bar shows."""

    stage = "fit"
    """What a bar calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.means = {"train": Means(), "val": Means()}

    def on_fit_start(self) -> None:
        """Forget what a fit that was stopped has left."""
        self.means = {split: Means() for split in self.means}

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log behind the last batch, so that callbacks see it when the epoch ends."""
        if self.trainer.is_last_batch:
            self._log_means("train")

    def on_validation_epoch_end(self) -> None:
        """Log what the batches of ``val`` gave."""
        self._log_means("val")

    def _log_means(self, split: str) -> None:
        for name, value in self.means[split].take().items():
            is_shown = not any(part in name for part in self.off_the_bar)
            self.log(name, value, prog_bar=is_shown, on_step=False, on_epoch=True, batch_size=1)
