"""Excel sheets: the first one of a file, as text with cells would be read, or as a long table."""

import csv
import datetime
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from nas_lightning.data.archive import checked_members
from nas_lightning.data.readers.levels import names_of
from nas_lightning.data.readers.stored_arrays import import_extra
from nas_lightning.data.readers.text import read_numbers
from nas_lightning.data.readers.text_layout import checked_skip
from nas_lightning.data.readers.text_lines import MISSING
from nas_lightning.data.reading import Content, Findings, Reading
from nas_lightning.errors import InputError, said_of

_LARGEST_UNZIPPED = 1 << 28
_MOST_CELLS = 1 << 26
_WIDEST = 1 << 12
_MOST_ROWS, _LONGEST_CELL = 1 << 20, (1 << 15) - 1  # as Excel has them

Row = list[Any]
"""The cells of a row up to the last that holds something."""


def read_sheet(path: Path, shown: str, reading: Reading, findings: Findings) -> Content:
    """The recording of the first sheet: a row a time step, as in a file of text.

    Args:
        path: the file.
        shown: its name in messages.
        reading: what is known of it.
        findings: keeps what is decided here.

    Raises:
        InputError: if it is damaged, or as for text; lines are rows of the sheet.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "sheet.csv"
        with copy.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(
                [_text(cell) for cell in row] for row in _filled(_rows(path, shown, findings))
            )
        as_written = replace(reading, delimiter="comma", decimal="point")
        return read_numbers(copy, shown, as_written, findings)


def read_frame_of_sheet(path: Path, reading: Reading, findings: Findings) -> pd.DataFrame:
    """The first sheet with the names in its first row that holds something, behind those that are to be skipped.

    Raises:
        InputError: if it is damaged, or its rows are longer than the first.
    """
    skip = checked_skip(reading)
    rows = [(number, row) for number, row in enumerate(_rows(path, str(path), findings), start=1) if row]
    rows = [(number, row) for number, row in rows if number > skip]
    if not rows:
        behind = f" behind row {skip}" if skip else ""
        raise InputError(f"{path}: its first sheet is empty{behind}; allowed: a table with names in its first row")
    names = ["" if cell is None else str(cell).strip() for cell in rows[0][1]]
    for number, row in rows:
        if len(row) > len(names):
            raise InputError(
                f"{path}: row {number} has {len(row)} cells and the first has {len(names)}; they must agree"
                + (f"; `skip_rows`={number - 1} skips what stands before a table" if _are_names(row) else "")
            )
    cells = [
        [None if cell in MISSING else cell for cell in row] + [None] * (len(names) - len(row)) for _, row in rows[1:]
    ]
    return pd.DataFrame(cells, columns=names, dtype=object).infer_objects()


def _are_names(row: Row) -> bool:
    return all(isinstance(cell, str) for cell in row)


def _rows(path: Path, shown: str, findings: Findings) -> Iterator[Row]:
    """The rows of the first sheet, also empty ones, without those at the end."""
    openpyxl = import_extra(shown, "openpyxl", "excel")
    with said_of(f"{shown}: cannot be read as .xlsx"):
        with zipfile.ZipFile(path) as archive:
            checked_members(path, archive, _LARGEST_UNZIPPED, shown)
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # of styles and the like
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            yield from _rows_of(book, shown, findings)


def _rows_of(book: Any, shown: str, findings: Findings) -> Iterator[Row]:
    sheets = book.worksheets
    if not sheets:
        raise InputError(f"{shown}: has no sheet; allowed: a table in the first sheet")
    if len(sheets) > 1:
        findings.warn("the first sheet of an Excel file is read, and no other", f"{shown}: {names_of(book.sheetnames)}")
    sheets[0].reset_dimensions()  # a file may say that its rows are longer than they are
    count, letters, empty = 0, 0, 0
    for number, cells in enumerate(sheets[0].iter_rows(values_only=True), start=1):
        row = list(cells)
        while row and row[-1] in (None, ""):
            row.pop()
        letters += _letters(shown, number, row)
        count += len(row) + 1
        if len(row) > _WIDEST or count > _MOST_CELLS:
            raise InputError(
                f"{shown}: row {number} has {len(row):,} cells, of {count:,} so far; allowed: {_WIDEST:,} in a row and "
                f"{_MOST_CELLS:,} in all"
            )
        if letters > _LARGEST_UNZIPPED:
            raise InputError(f"{shown}: its texts have more than {_LARGEST_UNZIPPED:,} letters; allowed: numbers")
        if not row:
            empty += 1
            continue
        yield from ([] for _ in range(empty))
        empty = 0
        yield row


def _letters(shown: str, number: int, row: Row) -> int:
    """The letters of a row, of which a small file can name one text any number of times, or a row far below.

    Raises:
        InputError: for what Excel cannot write.
    """
    lengths = [len(cell) for cell in row if isinstance(cell, str)]
    if number > _MOST_ROWS:
        raise InputError(f"{shown}: has more than {_MOST_ROWS:,} rows; allowed: a sheet as Excel writes it")
    if max(lengths, default=0) > _LONGEST_CELL:
        raise InputError(f"{shown}: row {number} has a text of more than {_LONGEST_CELL:,} letters; allowed: numbers")
    return sum(lengths)


def _filled(rows: Iterator[Row]) -> Iterator[Row]:
    """Rows of one length: a sheet does not hold the empty cells at the end of a row."""
    width = 0
    for row in rows:
        width = width or len(row)
        yield row + [None] * (width - len(row)) if row else row


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, float | int):
        return repr(cell)
    if isinstance(cell, datetime.datetime | datetime.date | datetime.time):
        return cell.isoformat(" ") if isinstance(cell, datetime.datetime) else cell.isoformat()
    return "" if cell is None else " ".join(str(cell).split())
