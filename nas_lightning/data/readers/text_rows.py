"""The rows of a text file: parsed, and looked at one by one where something is wrong or missing."""

import io
import itertools
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from nas_lightning.data.readers.text_columns import Columns
from nas_lightning.data.readers.text_layout import Layout, find_layout, open_rows
from nas_lightning.data.readers.text_lines import (
    MISSING,
    has_comments,
    has_decimal_comma,
    have_equal_rows,
    is_blank,
    is_comment,
    is_number,
    lines,
    split_line,
)
from nas_lightning.data.readers.text_names import is_text
from nas_lightning.data.reading import VARIABLES, Reading
from nas_lightning.errors import InputError

_LOOKED_AT = 20
_NO_SIGN = "; commas between cells and before decimals cannot be told apart"


@dataclass(frozen=True)
class Plan:
    """How the rows of a file are parsed.

    Attributes:
        layout: of the file.
        columns: what the columns are.
        has_text_times: whether times are text.
        has_comments: whether comments stand between the rows.
        num_empty: rows of empty cells at the end.
    """

    layout: Layout
    columns: Columns
    has_text_times: bool = False
    has_comments: bool = False
    num_empty: int = 0

    @property
    def types(self) -> dict[int, Any]:
        """What is parsed, by column; variables and numeric times as numbers."""
        time = self.columns.time
        types: dict[int, Any] = {} if self.layout.header else dict.fromkeys(self.columns.empty, str)
        if time is not None:
            types[time] = str if self.has_text_times else np.float64
        return types | dict.fromkeys(self.columns.kept, np.float64)


def parse(path: Path, plan: Plan) -> pd.DataFrame:
    """The columns that a plan names; the others too where rows may be too short or too long."""
    types, layout = plan.types, plan.layout
    if len(types) < layout.num_columns and not _have_equal_rows(path, layout):
        types = dict.fromkeys(range(layout.num_columns), str) | types
    with open_rows(path, layout) as file:
        rows: Any = Uncommented(file, layout.delimiter) if plan.has_comments else file
        return parse_rows(rows, layout, types)


def _have_equal_rows(path: Path, layout: Layout) -> bool:
    if layout.delimiter is None or not layout.delimiter.isascii() or layout.encoding.startswith("utf-16"):
        return False
    with path.open("rb") as file:
        for _ in range(layout.skip):
            if b"\r" in file.readline().rstrip(b"\r\n"):
                return False
        return have_equal_rows(file, layout.delimiter, layout.num_columns)


def parse_rows(file: IO[Any], layout: Layout, types: dict[int, Any]) -> pd.DataFrame:
    """Columns of rows, by number, with the type of each."""
    more = {"dtype": types, "na_values": list(MISSING), "encoding": layout.encoding}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # it says that cells were thrown away
        return pd.read_csv(file, **how_to_parse(layout, types), **more)


def how_to_parse(layout: Layout, columns: Collection[int]) -> dict[str, Any]:
    """Arguments of ``pandas.read_csv`` for some columns of rows without their names, by number."""
    return {
        "sep": layout.delimiter or r"\s+",
        "decimal": layout.decimal,
        "header": None,
        "names": range(layout.num_columns),
        "usecols": None if len(columns) == layout.num_columns else sorted(columns),
        "index_col": False,
        "skipinitialspace": True,
        "keep_default_na": False,
        "engine": "c",
    }


class Uncommented(io.TextIOBase):
    """Rows without the comments between them."""

    def __init__(self, file: IO[str], delimiter: str | None) -> None:
        self._lines = (line for line in file if not is_comment(line, delimiter))

    def readable(self) -> bool:
        """Always."""
        return True

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return self._lines

    def read(self, size: int | None = -1) -> str:
        """The next lines, of about as many characters."""
        found, length = [], 0
        for line in self._lines:
            found.append(line)
            length += len(line)
            if size is not None and 0 <= size <= length:
                break
        return "".join(found)


def is_odd(path: Path, plan: Plan, table: pd.DataFrame) -> bool:
    """Whether rows have to be looked at one by one: values are missing, or rows may be none."""
    layout, width = plan.layout, plan.layout.num_columns
    if np.isnan(table[list(plan.columns.kept)].to_numpy()).any():
        return True
    is_stray = any(table[i].notna().any() for i in plan.columns.empty if i in plan.types)
    is_short = width - 1 in table and width - 1 not in plan.types and table[width - 1].isna().any()
    if is_stray or is_short:
        return True
    may_hide = plan.types.get(0) is not np.float64 and not plan.has_comments
    return may_hide and has_comments(path, layout.encoding, layout.delimiter, layout.skip)


def look_at_rows(path: Path, shown: str, plan: Plan, reading: Reading) -> Plan:
    """The plan with what the rows say; slow, for files in which something is wrong or missing.

    Raises:
        InputError: naming the first line that is no row of numbers.
    """
    layout, num_empty, found = plan.layout, 0, False
    for number, line in lines(path, shown, layout.encoding):
        if number <= layout.skip or is_blank(line, layout.delimiter):
            continue
        if is_comment(line, layout.delimiter):
            found = True
            continue
        cells = split_line(line, layout.delimiter)
        num_empty = 0 if any(cells) else num_empty + 1
        if num_empty:
            continue
        if len(cells) != layout.num_columns and not _only_last_is_missing(line, cells, layout):
            raise InputError(
                f"{shown}: line {number} has {len(cells)} cells and the first has {layout.num_columns}; they must agree"
                + (_NO_SIGN if _are_decimals(cells, layout) else _offer(path, shown, layout, reading))
            )
        for i in () if layout.header else plan.columns.empty:
            if i < len(cells) and cells[i]:
                what = f"{shown}: line {number}, column {i + 1} is {cells[i][:40]!r}"
                raise InputError(f"{what}; allowed: nothing, as in the rows above")
        wrong = next((i for i in plan.columns.kept if i < len(cells) and not is_number(cells[i], layout.decimal)), None)
        if wrong is None:
            continue
        if _is_late_comma(cells[wrong], layout, reading):
            return replace(plan, layout=replace(layout, decimal=","))
        raise InputError(f"{shown}: line {number}, {_what_is_wrong(path, shown, wrong, cells[wrong], plan, reading)}")
    return replace(plan, has_comments=found, num_empty=num_empty)


def _is_late_comma(cell: str, layout: Layout, reading: Reading) -> bool:
    """Whether a decimal comma comes after rows in which nothing told the sign."""
    return reading.decimal is None and layout.decimal == "." and layout.delimiter != "," and has_decimal_comma(cell)


def _what_is_wrong(path: Path, shown: str, number: int, cell: str, plan: Plan, reading: Reading) -> str:
    """What is said of a cell that is no number."""
    layout = plan.layout
    said = f"column {number + 1} is {cell[:40]!r}; allowed: numbers"
    if layout.decimal == "," and is_number(cell):
        return f"{said} with a decimal comma, as elsewhere in the file; `decimal` says which sign is right"
    offer = _offer(path, shown, layout, reading)
    if offer or reading.variables is not None or not is_text(layout.sample, number, layout.decimal):
        return said + offer
    return f"{said}; or name the columns to take by {VARIABLES}"


def _offer(path: Path, shown: str, layout: Layout, reading: Reading) -> str:
    """How many lines to skip so that the rest is a table, if only text stands in them."""
    for number, line in itertools.islice(lines(path, shown, layout.encoding), _LOOKED_AT):
        if all(is_number(cell, layout.decimal) for cell in split_line(line, layout.delimiter)) and line.strip():
            break
        try:
            rest = find_layout(path, shown, replace(reading, skip_rows=number))
        except InputError:
            break
        has_other_width = rest.num_columns != layout.num_columns
        if _is_table(rest) and not rest.doubt and (rest.header or has_other_width):
            return f"; `skip_rows`={number} skips what stands before a table"
    return ""


def _are_decimals(cells: list[str], layout: Layout) -> bool:
    """Whether a row has twice as many cells as there are names, since each number has a comma in it."""
    is_twice = layout.header and layout.delimiter == "," and len(cells) == 2 * layout.num_columns
    return bool(is_twice) and all(cell.lstrip("+-").isdecimal() for cell in cells)


def _is_table(layout: Layout) -> bool:
    rows, names = layout.sample, layout.header or ()
    if len({*names}) < len(names) or any(re.match(r"[-+.,(]*\d", name) for name in names):
        return False
    return (
        len(rows) > 1
        and all(len(row) == layout.num_columns and any(is_number(cell, layout.decimal) for cell in row) for row in rows)
        and not all(is_text(rows, i, layout.decimal) for i in range(layout.num_columns))
    )


def _only_last_is_missing(line: str, cells: list[str], layout: Layout) -> bool:
    return len(cells) == layout.num_columns - 1 and line.rstrip(" \r\n").endswith(layout.delimiter or " ")
