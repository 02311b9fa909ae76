"""Where the searches and trainings of a run are done."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nas_lightning.config.records import Config
from nas_lightning.config.targets import trust_config_dir, trusted_config_dirs
from nas_lightning.runs.logs import quiet_lightning
from nas_lightning.workers.base import Here, Pool
from nas_lightning.workers.parcel import UnshareableError
from nas_lightning.workers.processes import Processes, cores, warm_up
from nas_lightning.workers.worker import Setting, is_worker

log = logging.getLogger("nas_lightning")

GB_OF_WORKER = 0.4
"""What a worker takes that no other shares: measured with xl at batches of 64."""

_NEEDED = "nas_lightning.runs.trainings"
"""What all workers import, once."""

_WORTH = 1000
"""Steps of all trainings together from which on it pays to start workers."""

_SHORT = 20
"""Epochs up to which nothing is started before the data have been read."""

_OF_FILES = ("TensorBoardLogger", "CSVLogger")
"""Loggers whose files of a fit can be opened again by another process."""


@contextlib.contextmanager
def pool_of(config: Config, shared: Any, jobs: int, steps: float, says: bool = True) -> Iterator[Pool]:
    """The pool that the configuration asks for, until the ``with`` ends.

    Args:
        config: its section ``run``.
        shared: what the jobs get.
        jobs: how many there will be at once, at most.
        steps: of training, of all of them.
        says: whether what jobs log is said here; not if they are runs with logs of their own.
    """
    pool = _pool(config, shared, jobs, steps, says)
    try:
        yield pool
    finally:
        pool.close()


def warm_up_workers(config: Config) -> None:
    """Begin to start workers, where there may be some, beside the reading of the data."""
    is_long = config.training.training_epochs is None or config.training.training_epochs > _SHORT
    if config.run.backend == "processes" and is_long and num_workers(config) > 1:
        warm_up(_NEEDED)


def _pool(config: Config, shared: Any, jobs: int, steps: float, says: bool) -> Pool:
    if is_worker() or config.run.backend == "here" or jobs < 2 or steps < _WORTH:
        return Here(shared)
    if (reason := _why_here(config)) is not None:
        log.info("workers: none, because %s", reason)
        return Here(shared)
    setting = Setting(partial(_begin, trusted_config_dirs()), quiet_lightning, says)
    try:
        if config.run.backend == "ray":
            from nas_lightning.workers.cluster import Cluster

            return Cluster(shared, setting, config.run.ray_address, config.run.workers, "run.ray_address")
        if (count := min(_count(config), jobs)) < 2:
            return Here(shared)
        log.info("workers: %d processes", count)
        warm_up(_NEEDED)
        return Processes(shared, setting, count)
    except UnshareableError as error:
        log.warning("workers: none, because the run cannot be sent to another process (%s)", error)
        return Here(shared)


def _why_here(config: Config) -> str | None:
    if config.trainer.get("accelerator", "cpu") != "cpu":
        return f"trainer.accelerator is {config.trainer['accelerator']}"
    loggers = [config.logger] if "_target_" in config.logger else [*config.logger.values()]
    targets = [str(logger["_target_"]) for logger in loggers if isinstance(logger, dict) and "_target_" in logger]
    if own := [target for target in targets if not target.endswith(_OF_FILES)]:
        return f"{own[0].rpartition('.')[2]} keeps its run in this process"
    return None


def _begin(config_dirs: list[str]) -> None:
    for folder in config_dirs:
        trust_config_dir(Path(folder))


def num_workers(config: Config) -> int:
    """How many jobs run at once where there are enough of them."""
    if is_worker() or config.run.backend == "here" or _why_here(config) is not None:
        return 1
    return _count(config)


def _count(config: Config) -> int:
    """Of processes: as asked for, within the memory."""
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
