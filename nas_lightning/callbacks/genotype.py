"""The callback that reads the genotype off the search and starts the second run."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L

from nas_lightning.cost.projection import Projected
from nas_lightning.files import write_json
from nas_lightning.search.module import SearchModule


class GenotypeCallback(L.Callback):
    """Writes the genotype of every epoch to a history file, and hands the last one on when the search ends.

    The genotype of the last epoch is kept. The rule looks at no data at all: choosing the epoch by accuracy on ``val``
    would judge the alphas on what they learned from.

    Args:
        history_path: a JSON list with one entry per epoch, rewritten whole each epoch.
        on_found: called once, after the fit, with the kept genotype and its cost; it may start another ``Trainer.fit``.
    """

    def __init__(self, history_path: Path, on_found: Callable[[Projected, SearchModule, L.Trainer], None]) -> None:
        self.history_path, self.on_found = history_path, on_found
        self.history: list[dict[str, Any]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Append this epoch's genotype."""
        genotype = _search(pl_module).found().genotype
        cells = {kind: [list(node) for node in nodes] for kind, nodes in asdict(genotype).items()}
        self.history.append({"epoch": trainer.current_epoch, **cells})
        write_json(self.history_path, self.history)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Hand the last genotype on."""
        self.on_found(_search(pl_module).found(), _search(pl_module), trainer)

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
