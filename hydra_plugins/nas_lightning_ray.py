"""A Hydra launcher for Ray, on Ray's own API: ``hydra/launcher=ray``.

The package hydra-ray-launcher needs cloudpickle < 3, and ends a sweep with the first worker that it loses. Here a run
that was lost goes on in its folder, and one that is lost for good is a run that failed: the others and the table come
all the same. Hydra looks for launchers in ``hydra_plugins`` only, and imports all of them whenever it starts; so Ray
and ``nas_lightning`` are imported where they are needed.
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


@dataclass(frozen=True)
class _Run:
    """One run of a sweep, as it travels to a worker.

    Attributes:
        config: with the section ``hydra``.
        singletons: Hydra's state in the process that launches.
        losses: how often the run's process or machine was lost.
    """

    context: HydraContext
    task_function: TaskFunction
    config: DictConfig
    singletons: dict[Any, Any]
    losses: int = 0

    @property
    def number(self) -> int:
        return self.config.hydra.job.num

    @property
    def folder(self) -> Path:
        HydraConfig.instance().set_config(self.config)  # the names of folders may refer to it
        return Path(self.config.hydra.sweep.dir, str(self.config.hydra.sweep.subdir))


class RayLauncher(Launcher):
    """Runs of a sweep as tasks on Ray.

    Args:
        address: ``local``, ``auto`` or another one that ``ray.init`` takes.
        num_cpus: of each run.
        num_gpus: of each run.
        retries: how often a run goes on after its process or machine was lost.
    """

    def __init__(self, address: str, num_cpus: float, num_gpus: float, retries: int) -> None:
        self.address, self.num_cpus, self.num_gpus, self.retries = address, num_cpus, num_gpus, retries

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what a run needs."""
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all, and return what each of them returned, in their order.

        Raises:
            InputError: for a key that is out of range, or a Ray that cannot be reached.
        """
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        for key in ("num_cpus", "num_gpus", "retries"):
            _check_number(key, getattr(self, key))
        runs = [self._run(list(overrides), initial_job_idx + i) for i, overrides in enumerate(job_overrides)]
        from nas_lightning.workers.cluster import connect

        ray = connect(self.address, "hydra.launcher.address", "hydra/launcher=ray")
        try:
            self._check_machines(ray)
            Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
            return self._collect(ray, runs)
        finally:
            ray.shutdown()

    def _run(self, overrides: list[str], number: int) -> _Run:
        config = self.context.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(config):
            config.hydra.job.id = f"{config.hydra.job.name}_{number}"
            config.hydra.job.num = number
        return _Run(self.context, self.task_function, config, Singleton.get_state())

    def _check_machines(self, ray: Any) -> None:
        """Ray waits without a word for a machine that is large enough; a cluster may get one, this machine stays."""
        for name, key in (("CPU", "num_cpus"), ("GPU", "num_gpus")):
            asked, most = getattr(self, key), max(node["Resources"].get(name, 0) for node in ray.nodes())
            if asked > most and self.address == "local":
                raise _wrong(key, f"found {asked:g}; allowed: up to {most:g}, which this machine has")
            if asked > most:
                print(
                    f"waiting for a machine with {name}s for hydra.launcher.{key}={asked:g}; now the most are {most:g}"
                )

    def _collect(self, ray: Any, runs: Sequence[_Run]) -> list[JobReturn]:
        task = ray.remote(num_cpus=self.num_cpus, num_gpus=self.num_gpus, max_retries=0)(_execute)
        pending = {task.remote(run): run for run in runs}
        ended: dict[int, JobReturn] = {}
        while pending:
            (ready,), _ = ray.wait(list(pending))
            run = pending.pop(ready)
            try:
                result = ray.get(ready)
            except ray.exceptions.RayTaskError as error:  # raised by Hydra: a run's own errors are in its result
                result = JobReturn(status=JobStatus.FAILED, _return_value=error.cause)
            except ray.exceptions.RayError as error:
                print(f"run {run.number} of the sweep: {_what_was_lost(error)}")
                if run.losses < self.retries:
                    again = replace(run, losses=run.losses + 1)
                    pending[task.remote(again)] = again
                    continue
                result = _give_up(run, error)
            ended[run.number] = result
            print(f"run {run.number} of the sweep ended, {len(ended)} of {len(runs)}", flush=True)
        return [ended[run.number] for run in runs]


def _execute(run: _Run) -> JobReturn:
    """In a worker: what Hydra does for a run."""
    setup_globals()
    Singleton.set_state(run.singletons)
    _enter(run.config.hydra.runtime.cwd)
    return run_job(
        task_function=run.task_function,  # of a run that was lost it goes on in its folder
        config=run.config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
        hydra_context=run.context,
    )


def _enter(folder: str) -> None:
    """Go to where the sweep was started: paths may be relative to it."""
    from nas_lightning.errors import InputError

    try:
        os.chdir(folder)
    except OSError as error:
        why = f"{socket.gethostname()} cannot enter {folder} ({error.strerror})"
        raise InputError(
            f"hydra/launcher=ray: {why}; all machines need the folder that the sweep was started in"
        ) from None


def _give_up(run: _Run, error: Exception) -> JobReturn:
    """Leave the loss in the run's folder, as any failure; a failed result would end the sweep without its table."""
    from nas_lightning.runs.sweep import leave_failure

    run.folder.mkdir(parents=True, exist_ok=True)
    leave_failure(run.folder, _what_was_lost(error))
    return JobReturn(status=JobStatus.COMPLETED)


def _what_was_lost(error: Exception) -> str:
    return f"its process or machine was lost ({type(error).__name__})"


def _check_number(key: str, found: object) -> None:
    if isinstance(found, bool) or not isinstance(found, int | float) or found < 0:
        raise _wrong(key, f"found {found}; allowed: a number from 0 up")


def _wrong(key: str, text: str) -> Exception:
    from nas_lightning.errors import InputError

    return InputError(f"hydra.launcher.{key}: {text}")
