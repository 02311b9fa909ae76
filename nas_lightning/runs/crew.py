"""How many workers a run has; they begin to start before this process has loaded PyTorch."""

import sys

from nas_lightning.config.records import Config
from nas_lightning.workers.server import cores, is_worker, warm_up

GB_OF_WORKER = 0.4
"""What a worker takes that no other shares: measured with xl at batches of 64."""

NEEDED = "nas_lightning.runs.trainings"
"""What all workers import, once."""

_SHORT = 20
"""Epochs up to which no worker is started before it has something to do."""

_OF_FILES = ("TensorBoardLogger", "CSVLogger")
"""Loggers whose files of a fit can be opened again by another process."""


def warm_up_workers(config: Config) -> None:
    """Begin to start workers, where there may be some, beside the imports of this process."""
    is_long = config.training.training_epochs is None or config.training.training_epochs > _SHORT
    if config.run.backend == "processes" and config.training.enable and is_long and num_workers(config) > 1:
        warm_up(NEEDED)


def num_workers(config: Config) -> int:
    """How many jobs run at once where there are enough of them."""
    if is_worker() or config.run.backend == "here" or why_here(config) is not None:
        return 1
    return count_of(config)


def why_here(config: Config) -> str | None:
    """What keeps all work in this process; None if nothing does."""
    if config.trainer.get("accelerator", "cpu") != "cpu":
        return f"trainer.accelerator is {config.trainer['accelerator']}"
    loggers = [config.logger] if "_target_" in config.logger else [*config.logger.values()]
    targets = [str(logger["_target_"]) for logger in loggers if isinstance(logger, dict) and "_target_" in logger]
    if own := [target for target in targets if not target.endswith(_OF_FILES)]:
        return f"{own[0].rpartition('.')[2]} keeps its run in this process"
    return None


def count_of(config: Config) -> int:
    """Workers as asked for, within the memory."""
    count = config.run.workers or cores()
    if config.run.max_memory_gb is None:
        return count
    return max(1, min(count, int((config.run.max_memory_gb - _own_gb()) / GB_OF_WORKER)))


def _own_gb() -> float:
    """The most memory that this process has had."""
    try:
        import resource
    except ImportError:  # Windows
        return GB_OF_WORKER
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (1e9 if sys.platform == "darwin" else 1e6)
