"""The command line: overrides in, exit status out."""

import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.config.compose import (
    compose_config,
    conf_dir,
    device_cards,
    load_config,
    one_sentence,
    register_records,
    to_config,
)
from nas_lightning.config.keys import guide_overrides, merge_overrides
from nas_lightning.config.records import Config
from nas_lightning.config.sweep import failures, leave_failure, leave_overrides
from nas_lightning.errors import BudgetError, InputError
from nas_lightning.files import has_ended
from nas_lightning.inspection import inspect
from nas_lightning.report.tables import print_devices
from nas_lightning.runs import run
from nas_lightning.verify import verify

_RUN_DIR = "hydra.run.dir="


def main() -> None:
    """Run the command line; exit status 0 done, 2 wrong input or configuration, 3 nothing meets the budget, 1 else."""
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on instead of ending the process
    try:
        _run_hydra(sys.argv[1:])
    except (InputError, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            raise
        print(f"error: {one_sentence(error)}", file=sys.stderr)
        sys.exit(3 if isinstance(error, BudgetError) else 2)


def _run_hydra(arguments: list[str]) -> None:
    if arguments[:1] == ["devices"]:
        if arguments[1:]:
            raise InputError(f"devices: takes no setting, found {arguments[1:]}")
        print_devices(device_cards())
        return
    if arguments[:1] == ["verify"]:
        if len(arguments) != 2:
            raise InputError(f"verify: takes one deploy.zip, found {arguments[1:]}")
        verify(Path(arguments[1]))
        return
    if arguments[:1] == ["inspect"]:
        _inspect(arguments[1:])
        return
    resumed = [argument for argument in arguments if argument.startswith("resume=")]
    if resumed:
        if len(arguments) > 1:
            raise InputError(f"resume: takes no other setting, found {[a for a in arguments if a not in resumed]}")
        _resume(Path(resumed[0].partition("=")[2]))
        return
    defaults: dict[str, str] = {}
    if arguments and not arguments[0].startswith("-") and "=" not in arguments[0]:
        first, *arguments = arguments
        defaults = _read_first_word(first)
    sys.argv[1:] = merge_overrides(defaults, arguments)
    register_records()
    folders: list[Path] = []
    errors: list[InputError] = []
    failures.clear()

    def job(composed: DictConfig) -> None:
        """One run; its error is raised below, in a sweep after all the others have run."""
        folder = Path(HydraConfig.get().runtime.output_dir)
        folders.append(folder)
        try:
            _run(to_config(composed), folder)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                leave_overrides(folder, HydraConfig.get().overrides.task)
        except InputError as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                leave_failure(folder, error)
                return
            errors.append(error)
            if not any(folder.iterdir()):
                folder.rmdir()

    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(job)()
    except OSError as error:
        if folders or isinstance(error, HydraException):  # Hydra's "no such option" is an OSError too
            raise
        raise InputError(f"hydra: cannot write into {error.filename} ({error.strerror})") from error
    if errors or failures:
        raise (errors or failures)[0]


def _read_first_word(word: str) -> dict[str, str]:
    if Path(word).suffix not in (".yaml", ".yml"):
        raise InputError(f"{word!r}: is neither a .yaml file nor key=value; see nas-lightning --help")
    return guide_overrides(Path(word))


def _inspect(arguments: list[str]) -> None:
    defaults: dict[str, str] = {}
    if arguments and "=" not in arguments[0]:
        first, *arguments = arguments
        defaults = _read_first_word(first)
    folders = [argument.removeprefix(_RUN_DIR) for argument in arguments if argument.startswith(_RUN_DIR)]
    others = [argument for argument in arguments if not argument.startswith(_RUN_DIR)]
    config = compose_config(merge_overrides(defaults, others))
    inspect(config, Path(folders[-1]) if folders else Path("outputs") / config.common.run_name)


def _resume(folder: Path) -> None:
    config = load_config(folder / "config.yaml")
    if has_ended(folder):
        raise InputError(f"resume: {folder} is the folder of a run that ended")
    _run(config, folder, resume=True)


def _run(config: Config, folder: Path, resume: bool = False) -> None:
    try:
        run(config, folder, resume=resume)
    except (KeyboardInterrupt, SystemExit):  # Lightning ends an interrupted fit by SystemExit
        if (folder / "config.yaml").is_file():
            print(f"\ninterrupted; go on with: nas-lightning resume={folder}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
