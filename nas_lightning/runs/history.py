"""``history.json``: the figures of every epoch of the fits of a run, from their checkpoints."""

import logging

from nas_lightning.callbacks.history import FigureHistory
from nas_lightning.errors import InputError
from nas_lightning.files import damage, read_torch, write_json
from nas_lightning.report.history import FILE, MOST_FITS, as_columns
from nas_lightning.runs.context import Run

log = logging.getLogger("nas_lightning")


def write_history(run: Run, kept: str) -> None:
    """Write the file: searches first, then the training that is kept, then others, few enough for one page.

    Args:
        run: whose folder has the checkpoints.
        kept: the name of the training that is kept.
    """
    searches = [f"search_{index}" if index else "search" for index in range(run.plan.num_seeds)]
    trainings = [f"training_{index}" if index else "training" for index in range(run.config.selection.trainings)]
    names = [*searches[: MOST_FITS // 2], kept, *(name for name in trainings if name != kept)]
    if not run.config.training.nas_enabled:
        names = names[names.index(kept) :]
    found = {name: columns for name in names[:MOST_FITS] if (columns := _columns(run, name)) is not None}
    write_json(run.folder / FILE, found)


def _columns(run: Run, name: str) -> dict[str, list[float | None]] | None:
    """What a fit remembers, by figure; None without a checkpoint, and for one of an older version."""
    path = run.folder / "checkpoints" / name / "last.ckpt"
    if not path.is_file():
        return None
    try:
        content = read_torch(path)
        with damage(path):
            state = content["callbacks"].get(FigureHistory.__qualname__)
            return None if state is None else as_columns(state["rows"])
    except InputError as error:
        log.warning("%s; the page of the run does without its curves", error)
        return None
