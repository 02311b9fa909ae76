"""The callbacks that read the genotype off the search, and that start the second run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L

from nas_lightning.errors import InputError
from nas_lightning.files import plain, write_json
from nas_lightning.search.module import SearchModule


class GenotypeHistory(L.Callback):
    """Writes the genotype of every epoch to a file.

    Args:
        path: a JSON list with one entry per epoch, rewritten whole each epoch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history: list[dict[str, Any]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Append this epoch's genotype."""
        if not isinstance(pl_module, SearchModule):
            raise InputError(f"GenotypeHistory: found a {type(pl_module).__name__}; allowed: a SearchModule")
        found = plain(pl_module.found().architecture)
        found = found if isinstance(found, dict) else {"architecture": found}
        self.history.append({"epoch": trainer.current_epoch, **found})
        write_json(self.path, self.history)

    def state_dict(self) -> dict[str, Any]:
        """The history goes into the checkpoint."""
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the history back."""
        self.history = state_dict["history"]


class SecondRun(L.Callback):
    """Calls a function when the search has ended, which may start another ``Trainer.fit``.

    Args:
        start: gets the number of epochs.
    """

    def __init__(self, start: Callable[[int], None]) -> None:
        self.start = start

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Call it."""
        self.start(trainer.current_epoch)
