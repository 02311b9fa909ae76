"""``history.json``: the figures of every epoch, by fit and figure; what learning curves are drawn from."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import convert

from nas_lightning.files import read_as

FILE = "history.json"

_MOST_EPOCHS = 10_000  # those that are written here have 201

MOST_FITS = 8
"""Whose figures are kept."""

Columns = dict[str, list[float | None]]
"""The values of each figure, one an epoch, and the epochs under ``epoch``; None for what is not known or not finite."""


def as_columns(rows: Sequence[dict[str, float | None]]) -> Columns:
    """Rows of epochs as columns.

    >>> as_columns([{"epoch": 1, "loss": 0.5}, {"epoch": 2}])
    {'epoch': [1, 2], 'loss': [0.5, None]}
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def read_history(path: Path) -> dict[str, Columns]:
    """The fits by name, in their order.

    Raises:
        DamagedFileError: if it is something else.
    """
    return read_as(path, _checked)


def _checked(content: object) -> dict[str, Columns]:
    found = convert(content, dict[str, Columns])
    for columns in found.values():
        if len(columns["epoch"]) > _MOST_EPOCHS:
            raise ValueError(f"it has more than {_MOST_EPOCHS:,} epochs")
        if len({len(column) for column in columns.values()}) != 1 or None in columns["epoch"]:
            raise ValueError("its columns differ in length, or an epoch is not known")
    return dict(list(found.items())[:MOST_FITS])
