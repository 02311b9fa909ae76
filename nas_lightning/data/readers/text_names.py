"""Whether the first row of a table in text names its columns, and whether the second has their units."""

import itertools
import re
from collections.abc import Sequence

from nas_lightning.data.readers.text_lines import MISSING, is_number

_WHOLE = re.compile(r"\d+")
_ENOUGH_ROWS = 5
_LONGEST_UNIT = 24
_UNITS = frozenset(
    re.findall(
        r"\S+",
        "s sec secs second seconds min minutes h hr hours m g n pa bar v a w hz rad deg degree degrees grad c k f j "
        "l lx lux cd mol db dba dbm rpm ppm psi dps lsb count counts raw gauss gs ohm bit bits bool adc ticks bpm "
        "mmhg inch in ft lb unit units unitless utc iso \u00b0 \u00b0c \u00b0f \u03c9 \u2126 %",
    )
)
_PREFIXES = "numcdhkMGp\u00b5\u03bc"
_NO_UNIT = ("", "-", "--", "1")

Rows = Sequence[Sequence[str]]
"""The cells of some rows."""


def has_names(lines: Sequence[str], rows: Rows, decimal: str) -> bool | None:
    """Whether the first row names the columns; None where it can be both.

    Names are text, or numbers as libraries write them that name columns by counting.

    Args:
        lines: the first rows as they are written.
        rows: their cells.
        decimal: the sign before decimals.
    """
    first, rest = rows[0], rows[1:]
    texts = [i for i, cell in enumerate(first) if not is_number(cell, decimal)]
    numbers = [i for i in range(len(first)) if i not in texts]
    if texts and not (numbers and rest and all(is_text(rest, i, decimal) for i in texts)):
        return True
    filled = [i for i in numbers if first[i] not in MISSING]
    if rest and filled and _are_quoted(lines[0], first, filled) and '"' not in "".join(lines[1:]):
        return True
    return _number_columns(first, rest, filled, decimal)


def may_count(first: Sequence[str]) -> bool:
    """Whether numbers of a first row may be names, from a look at this row alone."""
    return not all(first) or count_by_one([cell.removesuffix(".0") for cell in first])


def count_by_one(cells: Sequence[str]) -> bool:
    """Whether cells are whole numbers, each one more than the one before it."""
    return all(_WHOLE.fullmatch(cell) and len(cell) < 16 for cell in cells) and all(
        int(after) - int(before) == 1 for before, after in itertools.pairwise(cells)
    )


def column_of(rows: Rows, number: int) -> list[str]:
    """The cells of a column that hold something."""
    return [row[number] for row in rows if number < len(row) and row[number] not in MISSING]


def is_text(rows: Rows, column: int, decimal: str) -> bool:
    """Whether a column holds something, and no number."""
    cells = column_of(rows, column)
    return bool(cells) and not any(is_number(cell, decimal) for cell in cells)


def _are_quoted(line: str, cells: Sequence[str], numbers: Sequence[int]) -> bool:
    return all(f'"{cells[i]}"' in line for i in numbers)


def _number_columns(first: Sequence[str], rest: Rows, filled: Sequence[int], decimal: str) -> bool | None:
    """Whether the numbers of the first row count the columns."""
    names = [first[i] for i in filled]
    wholes = [name.removesuffix(f"{decimal}0") for name in names]
    if not names or not count_by_one(wholes):
        return False
    start, is_bare = int(wholes[0]), wholes == names
    if not first[0]:  # as the column of an index is named
        counts = len(rest) > 1 and count_by_one([row[0] if row else "" for row in rest])
        return True if counts or (start == 0 and is_bare and len(names) > 1) else None
    if not is_bare:
        return None if start == 0 and len(names) > 2 else False
    return _count_from(start, [column_of(rest, i) for i in filled], decimal)


def _count_from(start: int, below: Rows, decimal: str) -> bool | None:
    """Whether a row of the whole numbers from ``start`` on is no row like those below it, whose columns are given."""
    numbers = [[cell for cell in cells if is_number(cell, decimal)] for cells in below]
    is_written_alike = any(_WHOLE.fullmatch(cell.lstrip("+-")) for cells in numbers for cell in cells)
    if not is_written_alike and all(numbers):
        may_be_either = start == 0 or (start == 1 and len(below) == 2 and len(below[0]) >= _ENOUGH_ROWS)
        return True if len(below) > 2 else None if may_be_either else False
    if start == 0 and len(below) > 1 and all(numbers):
        return None
    is_odd = [_is_far(start + i, cells, decimal) for i, cells in enumerate(below)]
    return None if (start == 0 or len(below) > 2) and sum(is_odd) * 2 > len(below) else False


def _is_far(number: int, cells: Sequence[str], decimal: str) -> bool:
    """Whether a number lies further from others than they do from each other."""
    others = [float(cell.replace(decimal, ".")) for cell in cells if is_number(cell, decimal)]
    if len(others) < _ENOUGH_ROWS:
        return False
    reach = max(others) - min(others)
    return number < min(others) - reach or number > max(others) + reach


def has_units(names: Sequence[str], rows: Rows, decimal: str) -> bool:
    """Whether the first row below the names has units, and those below it have numbers.

    Args:
        names: of the columns.
        rows: the cells of the rows below the names.
        decimal: the sign before decimals.
    """
    if len(rows) < 2 or len(rows[0]) > len(names):
        return False
    units = [i for i, cell in enumerate(rows[0]) if cell not in _NO_UNIT]
    return (
        not any(is_number(name, decimal) for name in names if name)
        and any(_is_unit(rows[0][i]) for i in units)
        and not any(is_number(rows[0][i], decimal) or len(rows[0][i]) > _LONGEST_UNIT for i in units)
        and list(rows[0]) != list(names)
        and not any(is_text(rows[1:], i, decimal) for i in units if not _is_unit(rows[0][i]))
        and any(not is_text(rows[1:], i, decimal) for i in units)
    )


def unit_of(cell: str) -> str:
    """A unit without the brackets around it."""
    return cell.strip("[](){}<> ")


def _is_unit(cell: str) -> bool:
    """Whether a cell is a unit such as ``m/s^2``, ``[g]`` or ``kHz``."""
    if cell[:1] in "[(" and cell[-1:] in "])":
        return len(cell) > 2
    atoms = [atom for atom in re.split(r"[\s/*\u00b7^\u00b2\u00b3\d.()-]+", cell) if atom]
    return bool(atoms) and all(_is_atom(atom) for atom in atoms)


def _is_atom(atom: str) -> bool:
    return atom.lower() in _UNITS or (atom[0] in _PREFIXES and atom[1:].lower() in _UNITS)
