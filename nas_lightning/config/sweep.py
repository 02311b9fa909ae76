"""The Hydra callback that ends a multirun with one table."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from nas_lightning.report.tables import write_sweep_table


class SweepTable(Callback):
    """Writes ``table.csv`` and ``table.md`` into the sweep's folder and prints the table."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Collect the runs that ended."""
        write_sweep_table(Path(config.hydra.sweep.dir))
