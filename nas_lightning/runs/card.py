"""``nas-lightning card RUN``: the model card of a run, from the files of its folder alone."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from nas_lightning.errors import InputError, brief
from nas_lightning.files import damage, has_ended, read_as, read_record, write_text

if TYPE_CHECKING:
    from nas_lightning.report.costs import CostReport
    from nas_lightning.report.results import RunMetrics

NAME = "MODEL_CARD.md"
"""In ``deploy.zip``."""

README = "README.md"
"""In a run folder, as the hub wants it."""

_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")


def card_text(folder: Path, metrics: "RunMetrics", cost: "CostReport", licence: str | None = None) -> str:
    """The card of a run.

    Args:
        folder: of the run.
        metrics: the content of its ``metrics.json``.
        cost: the content of its ``cost.json``.
        licence: an identifier of the hub; None for an unknown one.

    Raises:
        InputError: if a file is missing or damaged.
    """
    from msgspec import convert

    from nas_lightning.data.annotations import FOLDER  # here and below at need, so that mistakes are answered at once
    from nas_lightning.export.contract import InputDescription
    from nas_lightning.report.card import UNKNOWN, Card, SplitReport

    path = folder / "input.json"
    if not path.is_file():
        raise InputError(f"{folder}: has no input.json; give the folder of a run of this version that ended")
    description = read_as(path, InputDescription.from_dict)
    report = folder / FOLDER / "report.json"
    splits = read_as(report, lambda content: convert(content, dict[str, SplitReport])) if report.is_file() else {}
    card = Card(metrics=metrics, cost=cost, description=description, splits=splits, licence=licence or UNKNOWN)
    with damage(folder / "metrics.json"):
        return card.text()


def write_card(folder: Path, out: Path | None = None, licence: str | None = None) -> Path:
    """Write the card of a run that ended; a file that holds something else is not written over.

    Args:
        folder: of the run.
        out: the file; None for ``README.md`` in the folder.
        licence: an identifier of the hub; None for an unknown one.

    Returns:
        The file.

    Raises:
        InputError: if the folder is not one of a run that ended, a file in it is damaged, or the card cannot be
            written where it is asked for.
    """
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise InputError(
            f"license: found {brief(licence)}; allowed: an identifier of Hugging Face's hub, such as apache-2.0, mit, "
            "other or unknown"
        )
    if not has_ended(folder):
        raise InputError(f"card: {folder} holds no run that ended; give the folder of one")
    from nas_lightning.report.costs import CostReport
    from nas_lightning.report.results import RunMetrics

    metrics, cost = read_record(folder / "metrics.json", RunMetrics), read_record(folder / "cost.json", CostReport)
    text, path = card_text(folder, metrics, cost, licence), out or folder / README
    try:
        if path.exists() and path.read_bytes() != text.encode():
            raise InputError(
                f"out: {path} is there, with another content; allowed: a file that is not there yet; remove it to make "
                "the card anew"
            )
        write_text(path, text)
    except OSError as error:
        raise InputError(f"out: {path} cannot be written ({error.strerror})") from error
    return path
