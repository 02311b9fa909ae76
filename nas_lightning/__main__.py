"""The command line: overrides in, exit status out."""

import _thread
import itertools
import os
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.config.compose import (
    PLACES,
    compose_config,
    conf_dir,
    device_cards,
    load_config,
    moved,
    one_sentence,
    register_records,
    to_config,
)
from nas_lightning.config.keys import guide_overrides, merge_overrides
from nas_lightning.config.records import Config
from nas_lightning.config.targets import trust_config_dir
from nas_lightning.config.typed import plain
from nas_lightning.errors import BudgetError, DamagedFileError, InputError, StoppedError, UsedFolderError, printable
from nas_lightning.export.onnx import ParityError
from nas_lightning.files import has_ended
from nas_lightning.report.tables import print_devices
from nas_lightning.runs import sweep
from nas_lightning.runs.claim import refuse_used
from nas_lightning.runs.finish import judged_split
from nas_lightning.runs.folder import read_value
from nas_lightning.runs.inspection import inspect
from nas_lightning.runs.modes import REPLACEABLE, run
from nas_lightning.runs.verify import verify

_RUN_DIR = "hydra.run.dir="
_GO_ON = "go on with: nas-lightning resume="
_NAMED = ("hydra.run.dir", "common.run_name", "++common.run_name", "+common.run_name")


def main() -> None:
    """Run the command line; exit status 0 done, 2 wrong input or configuration, 3 nothing meets the budget, 1 else."""
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on instead of ending the process
    try:
        with _hooks():
            _run_command(sys.argv[1:])
    except (InputError, HydraException, OmegaConfBaseException, StoppedError) as error:
        if wants_traceback:
            raise
        print(f"error: {printable(one_sentence(error))}", file=sys.stderr)
        sys.exit(3 if isinstance(error, BudgetError) else 1 if isinstance(error, StoppedError) else 2)


@contextmanager
def _hooks() -> Iterator[None]:
    """SIGTERM interrupts as Ctrl-C does, and neither is lost in a callback of C code, where Python would drop it.

    A full disk is said once: TensorBoard's thread keeps the error for whoever writes next, and raises it as well.
    """

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    def unraisable(found: Any) -> None:
        if found.exc_type is KeyboardInterrupt:
            _thread.interrupt_main()
        else:
            sys.__unraisablehook__(found)

    def in_thread(found: Any) -> None:
        if not isinstance(found.exc_value, OSError):
            threading.__excepthook__(found)

    before = signal.signal(signal.SIGTERM, interrupt), sys.unraisablehook, threading.excepthook
    sys.unraisablehook, threading.excepthook = unraisable, in_thread
    try:
        yield
    finally:
        handler, sys.unraisablehook, threading.excepthook = before
        signal.signal(signal.SIGTERM, handler)


def _run_command(arguments: list[str]) -> None:
    first, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if first == "devices":
        if rest:
            raise InputError(f"devices: takes no setting, found {rest}")
        print_devices(device_cards())
    elif first == "verify":
        archives = [argument for argument in rest if argument != "--trust"]
        if len(archives) != 1:
            raise InputError(f"verify: takes one deploy.zip, and --trust to compile C files of others; found {rest}")
        _verify(Path(archives[0]), trust="--trust" in rest)
    elif first == "inspect":
        _inspect(rest)
    elif resumed := [argument for argument in arguments if argument.startswith("resume=")]:
        others = [argument for argument in arguments if argument not in resumed]
        _resume(Path(plain(resumed[0].partition("=")[2])), others)
    else:
        defaults, arguments = _with_first_word(arguments)
        _run_hydra(merge_overrides(defaults, arguments))


def _with_first_word(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """What a YAML before the other arguments sets, and the others."""
    if not arguments or arguments[0].startswith("-") or "=" in arguments[0]:
        return {}, arguments
    word = arguments[0]
    if Path(word).suffix not in (".yaml", ".yml"):
        raise InputError(f"{word!r}: is neither a .yaml file nor key=value; see nas-lightning --help")
    return guide_overrides(Path(word)), arguments[1:]


def _without_config_dir(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """The folder of ``--config-dir``, whose targets are trusted from here on, and the other arguments."""
    found, others, left = None, [], iter(arguments)
    for argument in left:
        name, separator, value = argument.partition("=")
        if name in ("--config-dir", "-cd"):
            found = Path(value if separator else next(left, ""))
        else:
            others.append(argument)
    if found is not None:
        if not found.is_dir():
            raise InputError(f"--config-dir: there is no folder {found}")
        trust_config_dir(found)
    return found, others


def _verify(path: Path, trust: bool) -> None:
    try:
        verify(path, trust)
    except ParityError as error:
        raise StoppedError(f"{path}: {error}") from error
    except OSError as error:
        raise StoppedError(f"{error.filename or path}: {error.strerror or error}") from error


def _inspect(arguments: list[str]) -> None:
    config_dir, arguments = _without_config_dir(arguments)
    defaults, arguments = _with_first_word(arguments)
    folders = [plain(argument.removeprefix(_RUN_DIR)) for argument in arguments if argument.startswith(_RUN_DIR)]
    others = [argument for argument in arguments if not argument.startswith(_RUN_DIR)]
    if flags := [argument for argument in others if argument.startswith("-")]:
        raise InputError(f"inspect: takes key=value and --config-dir alone, found {flags}")
    config = compose_config(merge_overrides(defaults, others, sweeps=False), config_dir)
    inspect(config, Path(folders[-1]) if folders else Path("outputs") / config.common.run_name)


def _resume(folder: Path, arguments: list[str]) -> None:
    """Go on with a run or a sweep.

    A sweep takes settings that say how its runs are launched, and a run where its data lie now.
    """
    if sweep.is_sweep(folder):
        launching = [a for a in arguments if not a.lstrip("+").startswith(("hydra/launcher=", "hydra.launcher."))]
        if others := _without_config_dir(launching)[1]:
            raise InputError(f"resume: of a sweep takes hydra/launcher and --config-dir alone, found {others}")
        overrides = merge_overrides({}, sweep.overrides_of(folder), sweeps=True)
        _run_hydra(["-m", *arguments, *overrides])
        return
    _, others = _without_config_dir(arguments)
    places = {key: plain(value) for key, found, value in (other.partition("=") for other in others) if found}
    if len(places) < len(others) or not places.keys() <= PLACES.keys():
        allowed = " and ".join(PLACES)
        raise InputError(f"resume: takes {allowed} alone, for data that were moved, found {others}")
    config = load_config(folder / "config.yaml")
    for key, place in places.items():
        config = moved(config, key, place)
    try:
        if has_ended(folder):
            raise InputError(f"resume: {folder} is the folder of a run that ended")
        _refuse_gone(config, folder)
        _run(config, folder, resume=True)
    except KeyboardInterrupt:
        _end_interrupted(folder)


def _refuse_gone(config: Config, folder: Path) -> None:
    """Say how to go on where the data of a run are no longer where they were."""
    for key in PLACES:
        place = getattr(config.dataset, key.rpartition(".")[2])
        if place and not Path(place).exists():
            raise InputError(
                f"{key}: there is no {place}; if it was moved, go on with: nas-lightning resume={folder} {key}=PLACE"
            )


def _run_hydra(arguments: list[str]) -> None:
    """One run or a sweep."""
    sys.argv[1:] = arguments
    register_records()
    folders: list[Path] = []
    errors: list[Exception] = []

    def job(composed: DictConfig) -> float | None:
        """One run; its error is raised below, in a sweep after all the others have run; returns the figure on val."""
        for source in HydraConfig.get().runtime.config_sources:
            if source.provider == "command-line":
                trust_config_dir(Path(source.path))  # here, because the run of a sweep may be another process
        folder = Path(HydraConfig.get().runtime.output_dir)
        folders.append(folder)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return _run_of_sweep(composed, folder)
        try:
            given = [*HydraConfig.get().overrides.task, *HydraConfig.get().overrides.hydra]
            has_name = any(override.partition("=")[0] in _NAMED for override in given)
            _run_in_free_folder(partial(_run, to_config(composed)), folder, has_name, folders)
        except (InputError, StoppedError) as error:
            errors.append(error)
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        return None

    sweep.begin()
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(job)()
    except KeyboardInterrupt:
        _end_interrupted(sweep.stopped() or (folders[-1] if folders else None))
    except Exception as error:
        if (sentence := _in_a_sentence(error, bool(folders))) is None:
            raise
        raise sentence from error
    if errors:
        raise errors[0]
    sweep.raise_failures()


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


def _run_in_free_folder(start: Any, folder: Path, has_name: bool, folders: list[Path]) -> None:
    """Start in ``folder``; if the name is that of the second and another run has it, in the next one with a number."""
    for number in itertools.count(1):
        try:
            start(folders[-1])
            return
        except UsedFolderError:
            if has_name:
                raise
            folders.append(folder.with_name(f"{folder.name}_{number}"))


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
    try:
        refuse_used(folder, resume=is_begun)
        with sweep.run_of_sweep(folder, overrides):
            if not (is_begun and has_ended(folder)):
                config = load_config(folder / "config.yaml") if is_begun else to_config(composed)
                _run(config, folder, resume=is_begun)
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
    config = load_config(folder / "config.yaml")
    return read_value(folder, judged_split(config), config.testing.metric) if has_ended(folder) else None


def _run(config: Config, folder: Path, resume: bool = False) -> None:
    """One run.

    Raises:
        KeyboardInterrupt: however it was interrupted.
        StoppedError: if the disk is full, or the folder is gone.
    """
    try:
        run(config, folder, resume=resume)
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


def _how_to_go_on(folder: Path) -> str:
    if has_ended(folder):
        return "the run had ended"
    is_begun = (folder / "config.yaml").is_file()
    return f"{_GO_ON}{folder}" if is_begun else "nothing was done yet; start it again"


def _end_interrupted(folder: Path | None) -> None:
    where = "nothing was done yet" if folder is None else _how_to_go_on(folder)
    if folder is not None and sweep.is_sweep(folder):
        where = f"{_GO_ON}{folder}"
    print(f"\ninterrupted; {where}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
