"""Cells of a line that are values of one series, and its label."""

from pathlib import Path

import numpy as np

from nas_lightning.data.readers.text_lines import MISSING, is_number
from nas_lightning.errors import InputError

LONGEST_LINE = 1 << 28
"""A line holds a series."""

Series = tuple[np.ndarray, str]
"""Values ``[T, C]`` and the label."""


def to_numbers(path: Path, number: int, cells: list[str]) -> np.ndarray:
    """Values float64, NaN where one is missing.

    Raises:
        InputError: for a cell that is no number, naming the line.
    """
    cells = [cell.strip() for cell in cells]
    bad = next((cell for cell in cells if not is_number(cell)), None)
    if bad is not None or not cells:
        raise InputError(f"{path}: line {number} has {(bad or '')[:40]!r} among its values; allowed: numbers")
    return np.array([np.nan if cell in MISSING else float(cell) for cell in cells])


def stack(path: Path, number: int, dimensions: list[np.ndarray]) -> np.ndarray:
    """The dimensions of one series side by side, ``[T, C]``.

    Raises:
        InputError: if they differ in length, or there is none.
    """
    lengths = {len(values) for values in dimensions}
    if len(lengths) != 1:
        raise InputError(f"{path}: line {number} has dimensions of {sorted(lengths)} values; they must agree")
    return np.stack(dimensions, axis=1)


def check_label(path: Path, number: int, label: str) -> None:
    """Refuse a label that is missing; words such as ``none`` may be classes.

    Raises:
        InputError: naming the line.
    """
    if label == "?" or label.lower() in ("", "nan"):
        raise InputError(f"{path}: line {number} has the label {label!r}; each series needs one")


def whole(cell: str) -> str:
    """Whole numbers without decimals: 1.0000000e+00 is the class 1."""
    try:
        return str(int(float(cell))) if float(cell).is_integer() else cell
    except (ValueError, OverflowError):
        return cell
