"""The callback that remembers the figures of every epoch, whatever logger there is."""

import math
from typing import Any

import lightning as L

MOST_EPOCHS = 200
"""Of a fit that are remembered; longer ones are thinned out evenly."""

LEVELS = ("train", "val", "weights", "alphas")
"""What the names of figures of batches begin with."""

Row = dict[str, float | None]
"""An epoch, the first is 1, under ``epoch``, and what was logged by its end; None for what is not finite."""


class FigureHistory(L.Callback):
    """Remembers what was logged under ``STAGE/LEVEL_...`` by the end of each epoch.

    What a module logs when the epoch ends comes later, and stands here as it was an epoch ago; so it is left out. All
    of it lies in the checkpoints of the fit, so a fit that goes on has it as an unbroken one. It takes a few bytes a
    figure: of long fits every second, fourth, ... epoch stays, and the last one.

    Args:
        stage: what comes before the slash in the names of the figures.
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.every, self.rows = 1, list[Row]()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add this epoch."""
        epoch = trainer.current_epoch + 1
        row: Row = {"epoch": epoch}
        has_val = epoch % (trainer.check_val_every_n_epoch or 1) == 0  # else that of an epoch before is still there
        for name, value in trainer.callback_metrics.items():
            stage, _, figure = name.partition("/")
            level = figure.partition("_")[0]
            if stage == self.stage and level in LEVELS and (level != "val" or has_val):
                row[figure] = _rounded(float(value))
        self.add(row)

    def add(self, row: Row) -> None:
        """Keep a row, and of the others those that are due.

        >>> history = FigureHistory("training")
        >>> for epoch in range(1, 1000):
        ...     history.add({"epoch": epoch})
        >>> len(history.rows), history.every, history.rows[-1]
        (126, 8, {'epoch': 999})
        """
        if self.rows and not self._is_due(self.rows[-1]):
            self.rows.pop()
        self.rows.append(row)
        if len(self.rows) > MOST_EPOCHS:
            self.every *= 2
            self.rows = [each for each in self.rows[:-1] if self._is_due(each)] + [row]

    def _is_due(self, row: Row) -> bool:
        return (int(row["epoch"] or 0) - 1) % self.every == 0

    def state_dict(self) -> dict[str, Any]:
        """The history goes into the checkpoint."""
        return {"every": self.every, "rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.every, self.rows = state_dict["every"], state_dict["rows"]


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
