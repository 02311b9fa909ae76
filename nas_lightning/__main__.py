"""The command line: overrides in, exit status out."""

import _thread
import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from nas_lightning import progress
from nas_lightning.config.compose import (
    PLACES,
    compose_config,
    conf_dir,
    device_cards,
    load_config,
    moved,
    one_sentence,
    with_size,
)
from nas_lightning.config.keys import guide_overrides, merge_overrides
from nas_lightning.config.records import Config
from nas_lightning.config.targets import trust_config_dir
from nas_lightning.config.typed import plain
from nas_lightning.errors import BudgetError, InputError, Interruption, ParityError, StoppedError, printable
from nas_lightning.files import has_ended
from nas_lightning.files import plain as plain_record
from nas_lightning.report.answers import asked, check_output, kept_stdout, print_answer
from nas_lightning.report.devices import print_devices
from nas_lightning.report.help import help_text
from nas_lightning.runs import sweep
from nas_lightning.runs.card import write_card
from nas_lightning.runs.launching import end_interrupted, run_hydra, run_once

Answer = dict[str, Any]
"""What ``output=json`` prints of a command; None where the arguments only ask for a text."""

_RUN_DIR = "hydra.run.dir="
_SENTENCES = (InputError, HydraException, OmegaConfBaseException, StoppedError)
"""What ends a command in one sentence."""

atexit.register(gc.freeze)  # else the end looks for cycles through all that was imported, which takes a second or two


def main() -> None:
    """Run the command line; exit status 0 done, 2 wrong input or configuration, 3 nothing meets the budget, 1 else."""
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # before PyTorch is loaded, see docs/architecture.md
    output, arguments = asked(sys.argv[1:])
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on instead of ending the process
    try:
        with _hooks():
            check_output(output)
            (_answer if output == "json" else _run_command)(arguments)
    except _SENTENCES as error:
        is_interrupted = isinstance(error, Interruption)
        if wants_traceback and not is_interrupted:
            raise
        progress.clear()
        print(("\n" if is_interrupted else "error: ") + _text(error), file=sys.stderr)
        sys.exit(_status(error))


def _text(error: BaseException) -> str:
    """What ended a command, in words."""
    if isinstance(error, _SENTENCES):
        return printable(one_sentence(error))
    if isinstance(error, SystemExit):
        return f"ended with status {error.code}, and stderr says why"
    return printable(f"unexpected {type(error).__name__}: {error}")


def _status(error: BaseException) -> int:
    """The exit status that goes with it."""
    if isinstance(error, BudgetError):
        return 3
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return 2 if isinstance(error, _SENTENCES) and not isinstance(error, StoppedError) else 1


def _answer(arguments: list[str]) -> None:
    """Run a command for a program: one JSON object on stdout, also where it fails; all else goes to stderr."""
    try:
        with kept_stdout():
            found = _run_command(arguments)
        if found is None:
            raise InputError("output: found json; allowed for arguments that only ask for a text: text")
    except BaseException as error:
        print_answer({"error": _text(error), "status": _status(error)})
        raise
    print_answer(found)


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


def _run_command(arguments: list[str]) -> Answer | None:
    first, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if first in _COMMANDS:
        return _COMMANDS[first](rest)
    if {"--help", "-h"} & {*arguments}:
        print(help_text([conf_dir(), *_without_config_dir(arguments)[0]]))
        return None
    if resumed := [argument for argument in arguments if argument.startswith("resume=")]:
        others = [argument for argument in arguments if argument not in resumed]
        return _resume(Path(plain(resumed[0].partition("=")[2])), others)
    defaults, arguments = _with_first_word(arguments)
    _without_config_dir(arguments)  # Hydra would take an empty one for the current folder
    return _run(with_size(merge_overrides(defaults, arguments)))


def _run(arguments: list[str]) -> Answer | None:
    found = run_hydra(arguments)
    return None if found is None else found.to_dict()


def _devices(arguments: list[str]) -> Answer:
    config_dirs, others = _without_config_dir(arguments)
    if others:
        raise InputError(f"devices: takes --config-dir alone, found {others}")
    cards = device_cards(tuple(map(str, config_dirs)))
    print_devices(cards)
    return {"devices": [asdict(card) for card in cards]}


def _with_first_word(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """What a YAML before the other arguments sets, and the others."""
    if not arguments or arguments[0].startswith("-") or "=" in arguments[0]:
        return {}, arguments
    word = arguments[0]
    if Path(word).suffix not in (".yaml", ".yml"):
        raise InputError(f"{word!r}: is neither a .yaml file nor key=value; see nas-lightning --help")
    return guide_overrides(Path(word)), arguments[1:]


def _without_config_dir(arguments: list[str]) -> tuple[list[Path], list[str]]:
    """The folder of ``--config-dir``, whose targets are trusted from here on, and the other arguments."""
    found: list[Path] = []
    others, left = [], iter(arguments)
    for argument in left:
        name, separator, value = argument.partition("=")
        if name in ("--config-dir", "-cd"):
            value = value if separator else next(left, "")
            if not value:
                raise InputError("--config-dir: found nothing; give the path of a folder")
            found = [Path(value)]
        else:
            others.append(argument)
    for folder in found:
        if not folder.is_dir():
            raise InputError(f"--config-dir: there is no folder {folder}")
        trust_config_dir(folder)
    return found, others


def _verify(arguments: list[str]) -> Answer:
    from nas_lightning.runs.verify import verify  # here and below at need, so that mistakes are answered at once

    archives = [argument for argument in arguments if argument != "--trust"]
    if len(archives) != 1:
        raise InputError(f"verify: takes one deploy.zip, and --trust to compile C files of others; found {arguments}")
    path = Path(archives[0])
    if path.is_dir():
        if not (path / "deploy.zip").is_file():
            raise InputError(
                f"verify: {path} holds no deploy.zip, which a run with compilation.enable=true writes; give that file "
                "or the folder that holds it"
            )
        path /= "deploy.zip"
    try:
        with _files_said(path):
            return {"archive": str(path.absolute()), "tests": verify(path, trust="--trust" in arguments)}
    except ParityError as error:
        raise StoppedError(f"{path}: {error}") from error


def _predict(arguments: list[str]) -> Answer:
    config_dirs, arguments = _without_config_dir(arguments)
    from nas_lightning.use.asked import parse
    from nas_lightning.use.predicting import predict
    from nas_lightning.use.tables import ENDINGS

    words = parse("predict", arguments, ENDINGS)
    with _files_said():
        return predict(words, *config_dirs)


def _evaluate(arguments: list[str]) -> Answer:
    config_dirs, arguments = _without_config_dir(arguments)
    from nas_lightning.use.asked import parse
    from nas_lightning.use.evaluating import evaluate

    words = parse("evaluate", arguments, (".json",))
    with _files_said():
        return plain_record(evaluate(words, *config_dirs))


@contextmanager
def _files_said(path: Path | None = None) -> Iterator[None]:
    """A file that cannot be written, on a full disk for example, is said in one sentence."""
    try:
        yield
    except OSError as error:
        raise StoppedError(f"{error.filename or path}: {error.strerror or error}") from error


def _inspect(arguments: list[str]) -> Answer:
    config_dirs, arguments = _without_config_dir(arguments)
    defaults, arguments = _with_first_word(arguments)
    folders = [plain(argument.removeprefix(_RUN_DIR)) for argument in arguments if argument.startswith(_RUN_DIR)]
    others = [argument for argument in arguments if not argument.startswith(_RUN_DIR)]
    if flags := [argument for argument in others if argument.startswith("-")]:
        raise InputError(f"inspect: takes key=value and --config-dir alone, found {flags}")
    config = compose_config(merge_overrides(defaults, others, sweeps=False), config_dirs)
    from nas_lightning.runs.inspection import inspect

    folder = Path(folders[-1]) if folders else Path("outputs") / config.common.run_name
    return {"folder": str(folder.absolute()), **inspect(config, folder)}


def _card(arguments: list[str]) -> Answer:
    given = {name: plain(value) for name, found, value in (each.partition("=") for each in arguments) if found}
    folders = [argument for argument in arguments if "=" not in argument and not argument.startswith("-")]
    if len(folders) != 1 or len(given) + 1 != len(arguments) or not given.keys() <= {"out", "license"}:
        raise InputError(f"card: takes the folder of one run, and out= and license= alone; found {arguments}")
    path = write_card(Path(folders[0]), Path(given["out"]) if "out" in given else None, given.get("license"))
    print(f"card: {path}")
    return {"card": str(path.absolute())}


def _resume(folder: Path, arguments: list[str]) -> Answer | None:
    """Go on with a run or a sweep.

    A sweep takes settings that say how its runs are launched, and a run where its data lie now.
    """
    if sweep.is_sweep(folder):
        launching = [a for a in arguments if not a.lstrip("+").startswith(("hydra/launcher=", "hydra.launcher."))]
        if others := _without_config_dir(launching)[1]:
            raise InputError(f"resume: of a sweep takes hydra/launcher and --config-dir alone, found {others}")
        overrides = merge_overrides({}, sweep.overrides_of(folder), sweeps=True)
        return _run(["-m", *arguments, *overrides])
    _, others = _without_config_dir(arguments)
    if (folder / "config.yaml").is_file() and has_ended(folder):
        more = " ".join(["nas-lightning", f"init_from={folder}", *others])
        raise InputError(
            f"resume: {folder} is the folder of a run that ended; to go on training its network, in another run: {more}"
        )
    places = {key: plain(value) for key, found, value in (other.partition("=") for other in others) if found}
    if len(places) < len(others) or not places.keys() <= PLACES.keys():
        allowed = " and ".join(PLACES)
        raise InputError(f"resume: takes {allowed} alone, for data that were moved, found {others}")
    config = load_config(folder / "config.yaml")
    for key, place in places.items():
        config = moved(config, key, place)
    try:
        _refuse_gone(config, folder)
        return run_once(config, folder, resume=True).to_dict()
    except KeyboardInterrupt:
        end_interrupted(folder)


def _refuse_gone(config: Config, folder: Path) -> None:
    """Say how to go on where the data of a run are no longer where they were."""
    for key in PLACES:
        place = getattr(config.dataset, key.rpartition(".")[2])
        if place and not Path(place).exists():
            raise InputError(
                f"{key}: there is no {place}; if it was moved, go on with: nas-lightning resume={folder} {key}=PLACE"
            )


def _report(arguments: list[str]) -> Answer:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise InputError(f"report: takes the folder of a run or of a sweep, found {arguments}")
    from nas_lightning.runs.page import report

    with _files_said(Path(arguments[0])):
        path = report(Path(arguments[0]))
    print(path)
    return {"report": str(path.absolute())}


_COMMANDS: dict[str, Callable[[list[str]], Answer]] = {
    "card": _card,
    "devices": _devices,
    "evaluate": _evaluate,
    "inspect": _inspect,
    "predict": _predict,
    "report": _report,
    "verify": _verify,
}
"""By the first word; every other one begins a run. Each prints for people, and returns its answer to a program."""

if __name__ == "__main__":
    main()
