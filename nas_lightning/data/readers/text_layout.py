"""How a text file of numbers is written: what stands before the table, its delimiter, decimals, names and units."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from nas_lightning.data.readers.text_lines import (
    find_encoding,
    has_decimal_comma,
    is_comment,
    is_number,
    lines,
    split_line,
)
from nas_lightning.data.readers.text_names import count_by_one, has_names, has_units, is_text, unit_of
from nas_lightning.data.reading import DECIMALS, DELIMITERS, Findings, Reading
from nas_lightning.errors import InputError, brief

UNSAID = Reading()
"""Nothing is known of the way in which a file is written."""

_LOOKED_AT = 100
_CELLS = 200_000
_SIGNS = "\t;,|"
_SAID = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars", None: "spaces"}
_SKIP, _HEADER, _DELIMITER = "`skip_rows`", "`header`", "`delimiter`"


@dataclass(frozen=True)
class Layout:
    """How a text file is written.

    Attributes:
        encoding: a codec of Python.
        delimiter: between cells; None for runs of spaces.
        decimal: the sign before decimals.
        header: names of the columns as they are written, or None if the first row has values.
        num_columns: cells of a row.
        skip: lines before the first row of values: comments, other lines before the table, names and units.
        units: what a row below the names says of each column, or None.
        doubt: what to say if the first row can be names or values, and it matters which.
        has_comments: whether there are comments among the first lines.
        sample: the cells of the first rows of values.
    """

    encoding: str
    delimiter: str | None
    decimal: str
    header: tuple[str, ...] | None
    num_columns: int
    skip: int = 0
    units: tuple[str, ...] | None = None
    doubt: str | None = None
    has_comments: bool = False
    sample: tuple[tuple[str, ...], ...] = field(default=(), compare=False, repr=False)

    def with_unit(self, number: int) -> str:
        """The name of a column, with what the row of units says of it: ``t [ms]``."""
        name = self.header[number] if self.header else f"column {number + 1}"
        unit = unit_of(self.units[number]) if self.units and number < len(self.units) else ""
        return f"{name} [{unit}]" if unit not in ("", "-") else name


def find_layout(path: Path, shown: str, reading: Reading = UNSAID, findings: Findings | None = None) -> Layout:
    """Look at the first rows of a text file.

    Args:
        path: the file.
        shown: its name in messages.
        reading: what is known of the way in which it is written.
        findings: gets what was decided.

    Raises:
        InputError: if the file is empty or not text, or what is known of it cannot be.
    """
    findings = Findings() if findings is None else findings
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if not head.strip():
        raise InputError(f"{shown}: is empty; rows of numbers are needed")
    encoding = find_encoding(head)
    if encoding is None:
        raise InputError(f"{shown}: is not text; allowed: numbers separated by commas, semicolons, tabs or spaces")
    if encoding not in ("utf-8", "utf-8-sig"):
        findings.decide(f"text is read as {encoding}", shown)
    top = _read_top(path, shown, encoding, reading, findings)
    layout = _layout(top, shown, encoding, reading, findings)
    say_delimiter(layout, shown, findings)
    if layout.decimal == ",":
        findings.decide("decimals stand behind a comma", shown, "`decimal`")
    if layout.doubt is None:
        say_header(layout, shown, findings)
    return layout


def say_delimiter(layout: Layout, shown: str, findings: Findings, count: int = 1) -> None:
    """Tell what is between cells."""
    if layout.num_columns > 1:
        sign = layout.delimiter
        findings.decide(f"cells are separated by {_SAID.get(sign, repr(sign))}", shown, _DELIMITER, count)


def say_header(layout: Layout, shown: str, findings: Findings, count: int = 1) -> None:
    """Tell whether there are names."""
    said = "the first row has values; no row names the columns" if layout.header is None else "a row names the columns"
    findings.decide(said, shown, _HEADER, count)


def open_rows(path: Path, layout: Layout) -> IO[str]:
    """A file, open at its first row of values."""
    file = path.open(encoding=layout.encoding, newline="")
    try:
        for _ in range(layout.skip):
            file.readline()
    except UnicodeError:
        file.close()
        raise
    return file


@dataclass(frozen=True)
class _Line:
    """A line that is neither blank nor a comment, and the comment before it, if one is."""

    number: int
    text: str
    comment: tuple[int, str] | None


@dataclass(frozen=True)
class _Top:
    """The first rows of a table, names and units among them.

    Attributes:
        rows: the lines.
        cells: their cells, of as many rows as are looked at.
        delimiter: between cells, None for runs of spaces.
        decimal: the sign before decimals.
    """

    rows: list[_Line]
    cells: list[list[str]]
    delimiter: str | None
    decimal: str


def _read_top(path: Path, shown: str, encoding: str, reading: Reading, findings: Findings) -> _Top:
    """The first rows of a table, behind what stands before it."""
    skip, delimiter = checked_skip(reading), _checked_delimiter(reading)
    rows = _first_lines(path, shown, encoding, skip)
    if rows and (sign := _sign_of(rows[0].text)) is not None:
        findings.decide("a line names the sign between cells", f"{shown}: line {rows[0].number}", _DELIMITER)
        delimiter, rows = delimiter or sign, rows[1:]
    if not rows:
        what = f"{_SKIP}: found {skip}; {shown} has no row behind them" if skip else f"{shown}: is empty"
        raise InputError(f"{what}; rows of numbers are needed")
    texts = _Lines([row.text for row in rows])
    found, start = _find_table(texts, reading) if delimiter is None else _behind_preamble(texts, _sign(delimiter))
    if start:
        example = f"{shown}: {start} from line {rows[0].number} on, {brief(rows[0].text)[:40]!r}"
        findings.decide("lines before the table are skipped", example, _SKIP)
    rows = rows[start:]
    if (comment := next((row.comment for row in rows if row.comment), None)) is not None:
        findings.decide("comments are skipped", f"{shown}: line {comment[0]}, {brief(comment[1])[:40]!r}", _SKIP)
    cells = _sample(texts.cells(found)[start:], rows[0].text, found)
    decimal = _checked_decimal(reading, found) or _decimal(cells, found)
    return _Top(rows, cells, found, decimal)


def _first_lines(path: Path, shown: str, encoding: str, skip: int) -> list[_Line]:
    rows: list[_Line] = []
    comment = None
    for number, text in lines(path, shown, encoding):
        if number <= skip or not text.strip():
            continue
        if is_comment(text, ";"):
            comment = number, text
            continue
        rows.append(_Line(number, text, comment))
        comment = None
        if len(rows) == _LOOKED_AT:
            break
    others = [row for row in rows if not row.text.startswith(";")]
    if len(others) == len(rows) or not others or any(";" in row.text for row in others):
        return rows
    semicolons = {b.number: (a.number, a.text) for a, b in itertools.pairwise(rows) if a not in others}
    return [replace(row, comment=row.comment or semicolons.get(row.number)) for row in others]


def _sample(cells: Sequence[list[str]], first: str, delimiter: str | None) -> list[list[str]]:
    """The cells of the rows, until they are many."""
    totals = itertools.accumulate(len(row) for row in cells)
    found = [row for number, (row, total) in enumerate(zip(cells, totals, strict=True)) if total < _CELLS or number < 4]
    if delimiter is None and len(found) > 1 and len(found[1]) == 1:
        found[0] = [first.strip()]  # one column, whose name has spaces
    return found


def checked_skip(reading: Reading) -> int:
    """How many lines to skip.

    Raises:
        InputError: if that is no number of lines.
    """
    skip = reading.skip_rows
    if skip is not None and (type(skip) is not int or skip < 0):
        raise InputError(f"{_SKIP}: found {skip!r}; allowed: null or a whole number from 0")
    return skip or 0


def _checked_delimiter(reading: Reading) -> str | None:
    if reading.delimiter is None:
        return None
    if reading.delimiter not in DELIMITERS:
        raise InputError(f"{_DELIMITER}: found {reading.delimiter!r}; allowed: null, {', '.join(DELIMITERS)}")
    return DELIMITERS[reading.delimiter]


def _sign(delimiter: str) -> str | None:
    return None if delimiter == " " else delimiter


def _checked_decimal(reading: Reading, delimiter: str | None) -> str | None:
    if reading.decimal is None:
        return None
    if reading.decimal not in DECIMALS:
        raise InputError(f"`decimal`: found {reading.decimal!r}; allowed: null, {', '.join(DECIMALS)}")
    if DECIMALS[reading.decimal] == delimiter:
        raise InputError(f"`decimal`: found {reading.decimal}, which is between the cells; {_DELIMITER} can be another")
    return DECIMALS[reading.decimal]


def _sign_of(line: str) -> str | None:
    """The sign that a first line ``sep=;`` names, as spreadsheets write it."""
    text = line.strip(' \r\n"')
    sign = text[4:] if text[:4].lower() == "sep=" else ""
    return sign if len(sign) == 1 else "\t" if sign == "\\t" else None


class _Lines:
    """Lines that are divided by one sign or another, each once."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self._cells: dict[str | None, list[list[str]]] = {}

    def cells(self, delimiter: str | None) -> list[list[str]]:
        """The cells of each line."""
        if delimiter not in self._cells:
            self._cells[delimiter] = [split_line(text, delimiter) for text in self.texts]
        return self._cells[delimiter]


def _find_table(rows: _Lines, reading: Reading) -> tuple[str | None, int]:
    """The delimiter, and the number of the row in which the table begins."""
    last = rows.texts[-1]
    signs = [sign for sign in _SIGNS if not (sign == "," and (reading.decimal == "comma" or _are_decimals(last)))]
    usual = _behind_preamble(rows, _delimiter(rows.texts, signs))
    if not _fits(rows, *usual):
        for sign in ";\t|" if has_decimal_comma(last.strip()) else signs:
            other = _behind_preamble(rows, sign)
            if other[1] and _fits(rows, *other):
                return other
    return usual


def _are_decimals(line: str) -> bool:
    """Whether a line is numbers with decimal commas and spaces between them."""
    cells = line.split()
    return len(cells) > 1 and all(has_decimal_comma(cell) or is_number(cell) for cell in cells) and "," in line


def _delimiter(texts: Sequence[str], signs: Sequence[str]) -> str | None:
    """The sign that divides the first two rows into as many cells, else the first that is there."""
    there = [sign for sign in signs if sign in texts[0]]
    agree = [sign for sign in there if len({len(split_line(text, sign)) for text in texts[:2]}) == 1]
    return next(iter([*agree, *there]), None)


def _fits(rows: _Lines, delimiter: str | None, start: int) -> bool:
    """Whether all rows of a table have as many cells."""
    return len({len(cells) for cells in rows.cells(delimiter)[start:]}) == 1


def _behind_preamble(rows: _Lines, delimiter: str | None) -> tuple[str | None, int]:
    """The delimiter and the first row with a cell in each column, if those before it cannot be names or values."""
    cells = rows.cells(delimiter)
    counts = [_num_filled(row) for row in cells]
    start = counts.index(max(counts))
    before = cells[:start]
    if not start or max(counts) < 2 or any(not row[0] or is_number(row[0], ",") or is_number(row[0]) for row in before):
        return delimiter, 0
    names_follow = not any(is_number(cell) or has_decimal_comma(cell) for cell in cells[start])
    return delimiter, start if names_follow or counts[start - 1] == 1 else 0


def _num_filled(cells: Sequence[str]) -> int:
    """The cells of a row without empty ones at its end."""
    return next((i + 1 for i in reversed(range(len(cells))) if cells[i]), 0)


def _decimal(cells: Sequence[Sequence[str]], delimiter: str | None) -> str:
    return "," if delimiter != "," and any(has_decimal_comma(cell) for row in cells for cell in row) else "."


def _layout(top: _Top, shown: str, encoding: str, reading: Reading, findings: Findings) -> Layout:
    """The names, the units, and where the values begin."""
    cells, num_above = top.cells, 0
    names = reading.header
    if names is None:
        names = has_names([row.text for row in top.rows[: len(cells)]], cells, top.decimal)
    header = tuple(cells[0]) if names else _names_in_comment(top, shown, reading, findings)
    doubt = _doubt(top, shown) if names is None and header is None else None
    if header is None and reading.delimiter is None and top.delimiter == "," and _may_be_decimals(cells):
        raise InputError(
            f"{shown}: line {top.rows[0].number} is {brief(top.rows[0].text.strip())[:40]!r}, whole numbers or "
            f"decimals; {_DELIMITER}=comma or `decimal`=comma says which"
        )
    if header is not None and names:
        num_above = 1
        if all(len(row) == len(header) + 1 for row in cells[1:]) and len(cells) > 1 and _has_row_names(cells[1:]):
            findings.decide("the first column has numbers of rows and no name", shown, _HEADER)
            header = ("", *header)
    units = None
    if header is not None and has_units(header, cells[num_above:], top.decimal):
        units = tuple(cells[num_above])
        example = f"{shown}: line {top.rows[num_above].number}, {brief(', '.join(units))[:40]!r}"
        findings.decide("a row of units below the names is skipped", example, _SKIP)
        num_above += 1
    is_end = num_above >= len(top.rows)
    skip = top.rows[-1].number if is_end else top.rows[num_above].number - 1
    has_comments = any(row.comment for row in top.rows)
    sample = tuple(tuple(row) for row in cells[num_above:])
    width = len(cells[0]) if header is None else len(header)
    return Layout(encoding, top.delimiter, top.decimal, header, width, skip, units, doubt, has_comments, sample)


def _may_be_decimals(cells: Sequence[Sequence[str]]) -> bool:
    """Whether every second cell has digits alone, in some of them behind a 0, as they stand behind a decimal comma."""
    behind = [cell for row in cells for cell in row[1::2]]
    return (
        all(len(row) % 2 == 0 for row in cells)
        and all(cell.isdecimal() for cell in behind)
        and any(len(cell) > 1 and cell[0] == "0" for cell in behind)
        and all(cell.lstrip("+-").isdecimal() for row in cells for cell in row[::2])
    )


def _doubt(top: _Top, shown: str) -> str:
    found = brief(", ".join(top.cells[0]))[:60]
    return f"{shown}: line {top.rows[0].number} is {found}, names or values; {_HEADER}=true or false says which"


def _has_row_names(rows: Sequence[Sequence[str]]) -> bool:
    return count_by_one([row[0] for row in rows]) or is_text(rows, 0, ".")


def _names_in_comment(top: _Top, shown: str, reading: Reading, findings: Findings) -> tuple[str, ...] | None:
    """The names, if they stand in the last comment before the values."""
    comment = top.rows[0].comment
    if comment is None or reading.header is not None:
        return None
    names = split_line(comment[1].lstrip(' \t"#%/;'), top.delimiter)
    if len(names) != len(top.cells[0]) or len(names) < 2 or any(is_number(name, top.decimal) for name in names[1:]):
        return None
    findings.decide("the names of the columns are taken from a comment", f"{shown}: line {comment[0]}", _HEADER)
    return tuple(names)
