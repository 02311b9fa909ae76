"""Where the searches and trainings of a run are done."""

import contextlib
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nas_lightning.config.records import Config
from nas_lightning.config.targets import trust_config_dir, trusted_config_dirs
from nas_lightning.runs.crew import NEEDED, count_of, why_here
from nas_lightning.runs.logs import quiet_lightning
from nas_lightning.workers.base import Here, Pool
from nas_lightning.workers.parcel import UnshareableError
from nas_lightning.workers.processes import Processes
from nas_lightning.workers.server import is_worker, warm_up
from nas_lightning.workers.worker import Setting

log = logging.getLogger("nas_lightning")

_WORTH = 1000
"""Steps of all trainings together from which on it pays to start workers."""


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


def _pool(config: Config, shared: Any, jobs: int, steps: float, says: bool) -> Pool:
    if is_worker() or config.run.backend == "here" or jobs < 2 or steps < _WORTH:
        return Here(shared)
    if (reason := why_here(config)) is not None:
        log.info("workers: none, because %s", reason)
        return Here(shared)
    setting = Setting(partial(_begin, trusted_config_dirs()), quiet_lightning, says)
    try:
        if config.run.backend == "ray":
            from nas_lightning.workers.cluster import Cluster

            return Cluster(shared, setting, config.run.ray_address, config.run.workers, "run.ray_address")
        if (count := min(count_of(config), jobs)) < 2:
            return Here(shared)
        log.info("workers: %d processes", count)
        warm_up(NEEDED)
        return Processes(shared, setting, count)
    except UnshareableError as error:
        log.warning("workers: none, because the run cannot be sent to another process (%s)", error)
        return Here(shared)


def _begin(config_dirs: list[str]) -> None:
    for folder in config_dirs:
        trust_config_dir(Path(folder))
