"""The callback that reads the genotype off the search and starts the second run."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L

from nas_lightning.files import write_json
from nas_lightning.search.module import SearchModule


class GenotypeCallback(L.Callback):
    """Writes the genotype of every epoch to a history file, and goes on with the run when the search ends.

    Args:
        history_path: a JSON list with one entry per epoch, rewritten whole each epoch.
        on_found: called once, after the fit, with the number of epochs; it may start another ``Trainer.fit``.
    """

    def __init__(self, history_path: Path, on_found: Callable[[int], None]) -> None:
        self.history_path, self.on_found = history_path, on_found
        self.history: list[dict[str, Any]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Append this epoch's genotype."""
        genotype = _search(pl_module).found().genotype
        cells = {kind: [list(node) for node in nodes] for kind, nodes in asdict(genotype).items()}
        self.history.append({"epoch": trainer.current_epoch, **cells})
        write_json(self.history_path, self.history)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Go on with the run."""
        self.on_found(trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        """The history goes into the checkpoint."""
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the history back."""
        self.history = state_dict["history"]


def _search(module: L.LightningModule) -> SearchModule:
    if not isinstance(module, SearchModule):
        raise TypeError(f"GenotypeCallback: needs a SearchModule, found {type(module).__name__}")
    return module
