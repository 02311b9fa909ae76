"""The end of a multirun: one table, and the runs that failed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from nas_lightning.errors import InputError
from nas_lightning.files import write_text
from nas_lightning.report.tables import OVERRIDES, write_sweep_table

failures: list[InputError] = []
"""What ``SweepTable`` found; Hydra keeps what a callback raises to itself, so the command line looks here."""


def leave_failure(run_folder: Path, error: InputError) -> None:
    """Keep the error in the run's folder: with a parallel launcher the run is another process."""
    write_text(run_folder / "error.txt", f"{error}\n")


def leave_overrides(run_folder: Path, overrides: Sequence[str]) -> None:
    """Keep what was set for a run of a sweep, for the table."""
    write_text(run_folder / OVERRIDES, "".join(f"{override}\n" for override in overrides))


class SweepTable(Callback):
    """Writes ``table.csv`` and ``table.md`` into the sweep's folder, prints the table and collects ``failures``."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Look at the folders of all runs."""
        folder = Path(config.hydra.sweep.dir)
        write_sweep_table(folder)
        texts = {path.parent.name: path.read_text(encoding="utf-8").strip() for path in folder.glob("*/error.txt")}
        failures[:] = [InputError(f"run {name} of the sweep: {text}") for name, text in sorted(texts.items())]
