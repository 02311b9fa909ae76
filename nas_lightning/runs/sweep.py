"""A sweep: what a run leaves for the table, the table at its end, however it ends, and what is left to do of one."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from nas_lightning.config.typed import quoted
from nas_lightning.errors import InputError, StoppedError, brief
from nas_lightning.files import ERROR, OVERRIDES, damage, read_yaml, write_text

if TYPE_CHECKING:
    from nas_lightning.report.results import SweepResult

SWEEP = "multirun.yaml"
"""The file in which Hydra writes down what a sweep was asked for."""

UNEXPECTED = "unexpected "
"""How the text of an error begins that is not one of input."""

_SUBDIR = "${hydra.job.num}"
_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"

# Hydra makes the callback, and keeps what it raises to itself, so the command line looks here.
_open: list[Path] = []
_failures: list[str] = []
_ended: "list[SweepResult]" = []


def begin() -> None:
    """Forget what an earlier command of this process left."""
    _open.clear()
    _failures.clear()
    _ended.clear()


def leave_failure(run_folder: Path, text: str) -> None:
    """Keep what ended a run in its folder, if it can be kept: with a parallel launcher the run is another process."""
    with suppress(OSError):
        write_text(run_folder / ERROR, f"{text}\n")


@contextmanager
def run_of_sweep(run_folder: Path, overrides: Sequence[str]) -> Iterator[None]:
    """Keep what is set for a run, for the table; until the run is through, there is a reason why it has no result."""
    write_text(run_folder / ERROR, "has not ended\n")
    write_text(run_folder / OVERRIDES, _text(overrides))
    yield
    (run_folder / ERROR).unlink()


def is_begun(run_folder: Path, overrides: Sequence[str]) -> bool:
    """Whether the folder holds a part of a run of a sweep with the same settings."""
    path = run_folder / OVERRIDES
    is_same = path.is_file() and path.read_text(encoding="utf-8", errors="replace") == _text(overrides)
    return is_same and (run_folder / "config.yaml").is_file()


def is_done(run_folder: Path) -> bool:
    """Whether a run of a sweep that was begun is through."""
    return not (run_folder / ERROR).is_file()


def _text(overrides: Sequence[str]) -> str:
    return "".join(f"{override}\n" for override in overrides)


class SweepTable(Callback):
    """Writes ``table.csv`` and ``table.md`` into the sweep's folder, and prints the table."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the folder, for a sweep that is stopped."""
        _open[:] = [Path(config.hydra.sweep.dir).absolute()]

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Look at the folders of all runs."""
        _end(Path(config.hydra.sweep.dir))


def stopped() -> Path | None:
    """The folder of the sweep that was stopped before its end, with a table of what had ended; None without one."""
    place = _open[0] if _open else None
    if place is not None and place.is_dir():
        with suppress(OSError):
            _end(place)
    return place


def _end(place: Path) -> None:
    # At need, because Hydra makes the callback for --help, too.
    from nas_lightning.report.results import SweepResult
    from nas_lightning.report.tables import write_sweep_table
    from nas_lightning.runs.page import end_sweep_with_page

    _open.clear()
    rows = write_sweep_table(place)
    _ended[:] = [SweepResult(place, tuple(rows))]
    end_sweep_with_page(place, rows)
    _failures[:] = [f"run {row['folder']}: {row['error']}" for row in rows if row["error"]]


def ended() -> "SweepResult | None":
    """What the sweep of this command left; None if there was none."""
    return _ended[0] if _ended else None


def raise_failures() -> None:
    """Say all that went wrong in the runs of a sweep that went through.

    Raises:
        InputError: if all that went wrong is input.
        StoppedError: if there is anything else.
    """
    if not _failures:
        return
    text = f"{len(_failures)} runs of the sweep have no result: " + "; ".join(_failures)
    has_unexpected = any(f": {UNEXPECTED}" in failure for failure in _failures)
    raise (StoppedError if has_unexpected else InputError)(text)


def is_sweep(place: Path) -> bool:
    """Whether this is the folder of a sweep."""
    return (place / SWEEP).is_file()


def overrides_of(place: Path) -> list[str]:
    """The overrides with which a sweep began, to be given again.

    Only what is set for its runs is taken from the file, which may be a stranger's; how they are launched is not.

    Raises:
        InputError: if the file is damaged, or says what cannot be done again.
    """
    path = place / SWEEP
    content = read_yaml(path)
    with damage(path):
        asked = content["hydra"]
        sweeper, subdir = asked["sweeper"]["_target_"], str(asked["sweep"]["subdir"])
        tasks, began = [str(task) for task in asked["overrides"]["task"]], Path(asked["runtime"]["cwd"])
    if link := next((child for child in place.iterdir() if child.is_symlink()), None):
        raise InputError(f"{link}: is a link; allowed in the folder of a sweep: files and folders")
    if sweeper != _SWEEPER:
        raise InputError(f"resume: {place} was drawn by {sweeper}, which cannot draw the same again; start it anew")
    if began.is_dir() and not began.samefile(Path.cwd()):
        raise InputError(f"resume: the sweep was started in {began}, where its paths hold; call it from there")
    if other := [task for task in tasks if not _is_setting(task)]:
        raise InputError(f"{path}: sets {brief(other[0])}; allowed: settings of runs, without interpolations")
    if subdir != _SUBDIR:  # whatever else may lead out of the sweep's folder
        raise InputError(f"{path}: sets hydra.sweep.subdir to {brief(subdir)}; allowed to go on: {_SUBDIR}")
    return [f"hydra.sweep.dir={quoted(str(place.absolute()))}", *tasks]


def _is_setting(task: str) -> bool:
    """Whether a word sets a key of a run, and nothing in it is an interpolation."""
    is_key = re.fullmatch(r"(\+{0,2}[a-z_]\w*(\.\w+)*=.*|~[a-z_]\w*(\.\w+)*)", task, re.DOTALL) is not None
    if not is_key or task.lstrip("+~").startswith("hydra"):
        return False
    value = task.partition("=")[2]
    is_quoted = re.fullmatch(r"'[^']*'", value) is not None
    return "${" not in value or (is_quoted and not re.search(r"(?<!\\)(\\\\)*\$\{", value))
