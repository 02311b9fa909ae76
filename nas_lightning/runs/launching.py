"""From Hydra to runs: one, or those of a sweep, and what is said where one ends before its time."""

import gc
import itertools
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.config.compose import conf_dir, load_config, one_sentence, register_records, to_config
from nas_lightning.config.records import Config
from nas_lightning.config.settings import check_settings
from nas_lightning.config.targets import trust_config_dir
from nas_lightning.errors import DamagedFileError, InputError, Interruption, StoppedError, UsedFolderError
from nas_lightning.files import has_ended
from nas_lightning.runs import sweep
from nas_lightning.runs.crew import warm_up_workers

if TYPE_CHECKING:
    from nas_lightning.report.results import RunResult, SweepResult

_GO_ON = "go on with: nas-lightning resume="
_NAMED = ("hydra.run.dir", "common.run_name", "++common.run_name", "+common.run_name")


def run_hydra(arguments: list[str]) -> "RunResult | SweepResult | None":
    """One run or a sweep.

    Args:
        arguments: as Hydra takes them.

    Returns:
        What it left; None if the arguments only ask Hydra for a text.

    Raises:
        InputError: for wrong input, in a sweep after all its runs.
        StoppedError: if something did not come to its end.
    """
    sys.argv[1:] = arguments
    register_records()
    launch = _Launch()
    sweep.begin()
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(launch.job)()
    except KeyboardInterrupt:
        end_interrupted(sweep.stopped() or (launch.folders[-1] if launch.folders else None))
    except Exception as error:
        if (sentence := _in_a_sentence(error, bool(launch.folders))) is None:
            raise
        raise sentence from error
    if launch.errors:
        raise launch.errors[0]
    sweep.raise_failures()
    return launch.results[0] if launch.results else sweep.ended()


class _Launch:
    """The runs that Hydra starts in this process: their folders, what a single one left, and what ended them."""

    def __init__(self) -> None:
        self.folders: list[Path] = []
        self.results: list[RunResult] = []
        self.errors: list[Exception] = []

    def job(self, composed: DictConfig) -> float | None:
        """One run; its error is raised later, in a sweep after all the others have run; returns the figure on val."""
        found = HydraConfig.get()
        for source in found.runtime.config_sources:
            if source.provider == "command-line":
                trust_config_dir(Path(source.path))  # here, because the run of a sweep may be another process
        self.folders.append(Path(found.runtime.output_dir))
        if found.mode == RunMode.MULTIRUN:
            return _run_of_sweep(composed, self.folders[-1])
        given = [*found.overrides.task, *found.overrides.hydra]
        self._run_once(composed, has_name=any(override.partition("=")[0] in _NAMED for override in given))
        return None

    def _run_once(self, composed: DictConfig, has_name: bool) -> None:
        folder = self.folders[-1]
        try:
            self._run_in_free_folder(_config(composed), has_name)
        except (InputError, StoppedError) as error:
            self.errors.append(error)
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _run_in_free_folder(self, config: Config, has_name: bool) -> None:
        """Start; if the folder's name is that of the second and another run has it, in the next one with a number."""
        folder = self.folders[-1]
        for number in itertools.count(1):
            try:
                self.results.append(run_once(config, self.folders[-1]))
                return
            except UsedFolderError:
                if has_name:
                    raise
                self.folders.append(folder.with_name(f"{folder.name}_{number}"))


def _config(composed: DictConfig) -> Config:
    return to_config(composed, HydraConfig.get().runtime.config_sources)


def _in_a_sentence(error: Exception, has_begun: bool) -> Exception | None:
    """What ended Hydra's work, for the user: a sweep with something to go on with, or a folder that cannot be made."""
    place = sweep.stopped()
    if isinstance(error, InputError | HydraException | OmegaConfBaseException):
        return None  # Hydra's "no such option" is an OSError, too
    if place is not None:
        return StoppedError(f"{place}: the sweep ended at {type(error).__name__}; {_GO_ON}{place}")
    if isinstance(error, OSError) and not has_begun:
        return InputError(f"{error.filename}: cannot be written into ({error.strerror})")
    return None


def _run_of_sweep(composed: DictConfig, folder: Path) -> float | None:
    """One run of a sweep; what ends it is left in its folder, for the table.

    What is done is not done again, and what was begun goes on: for ``resume=SWEEP``, for the same command again, or for
    a launcher that starts a lost run once more.

    Returns:
        ``testing.metric`` on val, never on test; None if there is none.
    """
    overrides = HydraConfig.get().overrides.task
    is_begun = sweep.is_begun(folder, overrides)
    if is_begun and sweep.is_done(folder):
        return _objective(folder)
    from nas_lightning.runs.claim import refuse_used

    try:
        refuse_used(folder, resume=is_begun)
        with sweep.run_of_sweep(folder, overrides):
            if not (is_begun and has_ended(folder)):
                config = load_config(folder / "config.yaml") if is_begun else _config(composed)
                run_once(config, folder, resume=is_begun)
    except (InputError, OmegaConfBaseException) as error:
        sweep.leave_failure(folder, one_sentence(error))
    except Exception as error:  # one run must not end the others
        if not isinstance(error, StoppedError):
            traceback.print_exc()
        sweep.leave_failure(folder, f"{sweep.UNEXPECTED}{type(error).__name__}: {error}")
    else:
        return _objective(folder)
    return None


def _objective(folder: Path) -> float | None:
    from nas_lightning.runs.finish import judged_split
    from nas_lightning.runs.folder import read_value

    try:
        config = load_config(folder / "config.yaml")
        return read_value(folder, judged_split(config), config.testing.metric) if has_ended(folder) else None
    except InputError:  # the table says what is damaged
        return None


def run_once(config: Config, folder: Path, resume: bool = False) -> "RunResult":
    """One run, and what it left; whatever ends it as an error of this package.

    Raises:
        KeyboardInterrupt: however it was interrupted.
        StoppedError: if the disk is full, or the folder is gone.
    """
    since = time.perf_counter()  # the imports are part of the time of a run
    check_settings(config)  # before most of the package is imported
    warm_up_workers(config)
    with _uncollected():
        from nas_lightning.runs.modes import REPLACEABLE, run

    try:
        return run(config, folder, resume=resume, since=since)
    except SystemExit as error:  # Lightning ends an interrupted fit so
        raise KeyboardInterrupt from error
    except DamagedFileError as error:
        if error.path.parent == folder and error.path.name in REPLACEABLE:
            raise InputError(f"{error}; remove it, and resume={folder} does again what it held") from error
        raise
    except OSError as error:
        places = [place for place in (folder, Path(tempfile.gettempdir())) if place.is_dir()]
        where = error.filename or min(places, key=lambda place: shutil.disk_usage(place).free)
        raise StoppedError(f"{where}: {error.strerror or error}; {_how_to_go_on(folder)}") from error


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector: what is imported stays, and to look through it takes a fifth of the imports."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _how_to_go_on(folder: Path) -> str:
    if has_ended(folder):
        return "the run had ended"
    is_begun = (folder / "config.yaml").is_file()
    return f"{_GO_ON}{folder}" if is_begun else "nothing was done yet; start it again"


def end_interrupted(folder: Path | None) -> NoReturn:
    """Say how to go on.

    Raises:
        Interruption: always.
    """
    where = "nothing was done yet" if folder is None else _how_to_go_on(folder)
    if folder is not None and sweep.is_sweep(folder):
        where = f"{_GO_ON}{folder}"
    raise Interruption(f"interrupted; {where}") from None
