"""``report.html``, at the end of a run and by ``nas-lightning report``."""

import logging
from pathlib import Path

from nas_lightning.errors import InputError, brief, said_of
from nas_lightning.files import plain, write_json, write_text
from nas_lightning.report.page.files import PAGE, read_run
from nas_lightning.report.results import RunMetrics
from nas_lightning.report.tables import Row, sweep_rows

log = logging.getLogger("nas_lightning")

_NOT_MADE = "%s: could not be made (%s: %s); nas-lightning report %s tries again"


def end_with_page(folder: Path, metrics: RunMetrics) -> None:
    """Write the page of a run, and ``metrics.json``, which comes last.

    A page that cannot be made is a warning and not the end of the run, which has done all else by now; only a file that
    cannot be written ends it, as everywhere. An older page does not stay in its place.

    Raises:
        OSError: if a file cannot be written.
    """
    (folder / PAGE).unlink(missing_ok=True)
    try:
        write_page(folder, metrics)
    except OSError:
        raise
    except Exception as error:  # what draws and what fills templates raise whatever they like
        log.warning(_NOT_MADE, PAGE, type(error).__name__, brief(error), folder)
    write_json(folder / "metrics.json", plain(metrics))


def write_page(folder: Path, metrics: RunMetrics | None = None) -> Path:
    """Write ``report.html`` from the files of a run folder, and return its path.

    Args:
        folder: of a run that ended with a training.
        metrics: where ``metrics.json`` is not written yet.

    Raises:
        InputError: if it is no such folder, or a file of it is damaged.
    """
    files = read_run(folder, metrics)
    from nas_lightning.report.page.render import run_page  # at need, as what it draws and fills with

    write_text(folder / PAGE, run_page(files))
    return folder / PAGE


def report(folder: Path) -> Path:
    """Write the page of a run or of a sweep, and return its path.

    Raises:
        InputError: if the folder is that of neither, or a file is damaged.
    """
    if not folder.is_dir():
        raise InputError(f"report: there is no folder {folder}; give that of a run or of a sweep")
    with said_of(f"{folder}: no page can be made of what lies in it"):  # which a stranger may have written
        if (folder / "config.yaml").is_file() or (folder / "metrics.json").is_file():
            return write_page(folder)
        return write_sweep_page(folder, sweep_rows(folder))


def write_sweep_page(folder: Path, rows: list[Row]) -> Path:
    """Write ``report.html`` into the folder of a sweep, and return its path.

    Args:
        folder: of the sweep.
        rows: a row a run.

    Raises:
        InputError: if there is no run in the folder.
    """
    if not rows:
        raise InputError(f"{folder}: holds neither a run nor runs of a sweep; give the folder of one of them")
    from nas_lightning.report.page.sweep import sweep_page

    write_text(folder / PAGE, sweep_page(folder, rows))
    return folder / PAGE


def end_sweep_with_page(folder: Path, rows: list[Row]) -> None:
    """The same at the end of a sweep, whose result is its table: a page that cannot be made is said and no more."""
    try:
        if rows:
            write_sweep_page(folder, rows)
    except OSError:
        raise
    except Exception as error:
        log.warning(_NOT_MADE, PAGE, type(error).__name__, brief(error), folder)
