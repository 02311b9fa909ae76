"""Delimited text with numbers: one row a time step, one column a variable."""

import codecs
import csv
import io
import itertools
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from nas_lightning.data.reading import Content
from nas_lightning.errors import InputError, brief

MISSING = ("", "NaN", "nan", "NAN", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "none", "?")
"""Cells that stand for a missing value."""

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_LONGEST_LINE = 1 << 20
_LOOKED_AT = 100
_SMALL = 1 << 18
_TOGETHER = 1 << 22
_PLAIN_BYTES = bytes({*range(32, 127), *b"\t\n"} - {*b'"'})


@dataclass(frozen=True)
class Layout:
    """How a text file is written.

    Attributes:
        encoding: a codec of Python.
        delimiter: between cells; None for runs of spaces.
        decimal: the sign before decimals.
        header: names of the columns, or None if the first row has values.
        num_columns: cells of a row.
    """

    encoding: str
    delimiter: str | None
    decimal: str
    header: tuple[str, ...] | None
    num_columns: int


def read_numbers(path: Path, shown: str) -> Content:
    """Values float64 and the names of the columns, without those of the time.

    A column is the time if its cell in the first row contains the word, in any case. The first row is a header if a
    cell that remains is neither a number nor a missing value.

    Args:
        path: the file.
        shown: its name in messages.

    Raises:
        InputError: naming the file and the line, what was found and what is allowed.
    """
    before = _state(path)
    layout = find_layout(path, shown)
    kept = _kept(layout)
    if not kept:
        raise InputError(f"{shown}: has only columns of time; at least one variable is needed")
    values = np.empty((0, len(kept)))
    failure: Exception | None = None
    try:
        values = _parse(path, layout, kept, 0 if layout.header is None else _lines_to_header(path, layout))
    except Exception as error:  # pandas raises its own errors, its warnings and Python's
        failure = error
    if _state(path) != before:
        raise InputError(f"{shown}: changed while it was read; read it when nothing writes into it")
    if failure is not None or np.isnan(values).any():
        _check_rows(path, shown, layout, kept)
    if failure is not None:
        raise InputError(f"{shown}: cannot be read as numbers ({one_line(failure)})") from failure
    if not len(values):
        raise InputError(f"{shown}: has a header and no row of numbers")
    return Content(values, None if layout.header is None else tuple(layout.header[i] for i in kept))


def read_many(files: Iterable[tuple[Path, str]]) -> Iterator[Content]:
    """What ``read_numbers`` gives for each of many files, in order.

    Small files of one layout in which nothing is unusual are parsed together: for a small one, looking and calling
    take far longer than its numbers.

    Args:
        files: paths, and the names in messages.

    Raises:
        InputError: as ``read_numbers``, or for a file that cannot be read.
    """
    held: list[_Plain] = []
    size = 0
    for path, shown in files:
        plain = _plain(path, shown)
        if held and (plain is None or plain.layout != held[0].layout or size >= _TOGETHER):
            yield from _parse_together(held)
            held, size = [], 0
        if plain is None:
            yield _read_alone(path, shown)
        else:
            held.append(plain)
            size += len(plain.body)
    yield from _parse_together(held)


@dataclass(frozen=True)
class _Plain:
    """A small text file in which nothing is unusual, as far as can be seen without a look at its cells.

    Attributes:
        path: the file.
        shown: its name in messages.
        layout: what ``find_layout`` finds.
        body: its rows, each with an end of line.
        num_rows: how many.
    """

    path: Path
    shown: str
    layout: Layout
    body: bytes
    num_rows: int


def _plain(path: Path, shown: str) -> _Plain | None:
    """The file if it is plain: ASCII without quotes, blank lines or indents, and one kind of delimiter."""
    try:
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            content = file.read() if before.st_size <= _SMALL else b""
            after = os.fstat(file.fileno())
    except OSError:
        return None  # said by who reads it alone
    is_whole = len(content) == before.st_size == after.st_size and before.st_mtime_ns == after.st_mtime_ns
    content = content.replace(b"\r\n", b"\n")
    first, _, rest = content.partition(b"\n")
    signs = [sign for sign in b"\t;," if sign in first]
    if not is_whole or not first or len(signs) > 1 or content.translate(None, _PLAIN_BYTES):
        return None
    delimiter = bytes(signs)
    others = {b",": b"\t", b"\t": b",", b";": b",\t", b"": b", \t"}[delimiter]
    if any(sign in content for sign in others) or first[:1].isspace() or b"\n " in content or b"\n\n" in content:
        return None  # decimal commas, or cells that need a closer look
    layout = _layout_of_first(first.decode(), delimiter.decode() or None)
    body = rest if layout.header is not None else content
    body += b"" if body.endswith(b"\n") else b"\n"
    return _Plain(path, shown, layout, body, body.count(b"\n")) if body.strip() and _kept(layout) else None


@lru_cache(maxsize=64)
def _layout_of_first(first: str, delimiter: str | None) -> Layout:
    """The layout of a plain file, which its first line decides."""
    return _layout("utf-8", delimiter, ".", split_line(first, delimiter))


def _parse_together(files: list[_Plain]) -> Iterator[Content]:
    values = _values_together(files) if len(files) > 1 else None
    if values is None:
        yield from (_read_alone(file.path, file.shown) for file in files)
        return
    layout = files[0].layout
    names = None if layout.header is None else tuple(layout.header[i] for i in _kept(layout))
    start = 0
    for file in files:
        rows = values[start : start + file.num_rows]
        start += file.num_rows
        yield _read_alone(file.path, file.shown) if np.isnan(rows).any() else Content(rows, names)


def _values_together(files: list[_Plain]) -> np.ndarray | None:
    """The rows of all files; None if one of them is not what it seemed to be."""
    layout = files[0].layout
    content = b"".join(file.body for file in files)
    signs = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(signs == ord("\n"))
    delimiters = np.flatnonzero(signs == ord(layout.delimiter)) if layout.delimiter else np.empty(0)
    per_row = layout.num_columns - 1
    if len(delimiters) != per_row * len(ends) or np.any(
        np.searchsorted(delimiters, ends) != per_row * np.arange(1, len(ends) + 1)
    ):
        return None
    try:
        values = _parse(io.BytesIO(content), layout, _kept(layout), 0)
    except Exception:  # pandas raises its own errors, its warnings and Python's
        return None
    return values if len(values) == len(ends) else None


def _read_alone(path: Path, shown: str) -> Content:
    try:
        return read_numbers(path, shown)
    except OSError as error:
        raise InputError(f"{shown} cannot be read ({error.strerror or error})") from error


def _kept(layout: Layout) -> list[int]:
    """The columns that are variables; a nameless one beside named ones is the index that pandas writes."""
    names = layout.header or ("",) * layout.num_columns
    return [i for i, name in enumerate(names) if "time" not in name.lower() and (name or layout.header is None)]


def find_layout(path: Path, shown: str) -> Layout:
    """Look at the first rows of a text file.

    Raises:
        InputError: if the file is empty or not text.
    """
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if not head.strip():
        raise InputError(f"{shown}: is empty; rows of numbers are needed")
    encoding = _encoding(head)
    if encoding is None:
        raise InputError(f"{shown}: is not text; allowed: numbers separated by commas, semicolons, tabs or spaces")
    filled = (line for _, line in lines(path, shown, encoding) if line.strip())
    rows = list(itertools.islice(filled, _LOOKED_AT))
    if not rows:
        raise InputError(f"{shown}: is empty; rows of numbers are needed")
    delimiter = _delimiter(rows)
    cells = split_line(rows[0], delimiter)
    if delimiter is None and len(rows) > 1 and len(rows[1].split()) == 1:
        cells = [rows[0].strip()]  # one column, whose name has spaces
    decimal = _decimal([cell for row in rows for cell in split_line(row, delimiter)], delimiter)
    return _layout(encoding, delimiter, decimal, cells)


def _layout(encoding: str, delimiter: str | None, decimal: str, cells: list[str]) -> Layout:
    """The layout, given the cells of the first row."""
    rest = [cell for cell in cells if "time" not in cell.lower()]
    is_header = len(rest) < len(cells) or not all(is_number(cell, decimal) for cell in rest)
    return Layout(encoding, delimiter, decimal, tuple(cells) if is_header else None, len(cells))


def _delimiter(rows: list[str]) -> str | None:
    """The sign that divides the first two rows into as many cells, else the first that is there."""
    there = [sign for sign in "\t;," if sign in rows[0]]
    agree = [sign for sign in there if len({len(split_line(row, sign)) for row in rows[:2]}) == 1]
    return next(iter([*agree, *there]), None)


def split_line(line: str, delimiter: str | None) -> list[str]:
    """The cells of a line, without the spaces around them and without an empty one after a last delimiter."""
    if delimiter is None:
        return line.split()
    text = line.strip(" \r\n")
    try:
        cells = [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter), [])]
    except csv.Error:  # a cell beyond its limit
        cells = text.split(delimiter)
    return cells[:-1] if len(cells) > 1 and not cells[-1] else cells


def is_number(cell: str, decimal: str = ".") -> bool:
    """Whether a cell is a number or stands for a missing one."""
    return cell in MISSING or _NUMBER.fullmatch(cell.replace(decimal, ".") if decimal != "." else cell) is not None


def one_line(error: BaseException) -> str:
    """What an error of a library says, as a part of a sentence."""
    return brief(error) or type(error).__name__


def _parse(file: Path | IO[bytes], layout: Layout, kept: list[int], skip: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # it says that cells were thrown away
        table = pd.read_csv(
            file,
            sep=layout.delimiter or r"\s+",
            decimal=layout.decimal,
            header=None,
            names=list(range(layout.num_columns)),
            index_col=False,
            skiprows=skip,
            dtype={i: np.float64 if i in kept else str for i in range(layout.num_columns)},
            keep_default_na=False,
            na_values=list(MISSING),
            encoding=layout.encoding,
            skipinitialspace=True,
            engine="c",
        )
    return table[kept].to_numpy(np.float64)


def _lines_to_header(path: Path, layout: Layout) -> int:
    return next(number for number, line in lines(path, "", layout.encoding) if line.strip())


def lines(path: Path, shown: str, encoding: str, longest: int = _LONGEST_LINE) -> Iterator[tuple[int, str]]:
    """Numbers from 1 and texts of the lines."""
    number = 0
    try:
        with path.open(encoding=encoding, newline=None) as file:
            while line := file.readline(longest):
                number += 1
                if len(line) == longest:
                    raise InputError(
                        f"{shown}: line {number} has {longest:,} characters or more; allowed: rows of numbers"
                    )
                yield number, line
    except UnicodeError as error:
        raise InputError(f"{shown}: is not text in {encoding} after line {number}; save it as UTF-8") from error


def _encoding(head: bytes) -> str | None:
    """By the mark of the file, UTF-8, or the code page of Western spreadsheets; None for what is not text."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    if any(byte < 9 or 13 < byte < 32 for byte in head):
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _decimal(cells: list[str], delimiter: str | None) -> str:
    has_comma = delimiter != "," and any(re.fullmatch(r"[+-]?\d*,\d+([eE][+-]?\d+)?", cell) for cell in cells)
    return "," if has_comma else "."


def _check_rows(path: Path, shown: str, layout: Layout, kept: list[int]) -> None:
    """Name the first line that is no row of numbers; slow, for files in which something is wrong or missing."""
    is_first = layout.header is not None
    for number, line in lines(path, shown, layout.encoding):
        if not line.strip():
            continue
        if is_first:
            is_first = False
            continue
        cells = split_line(line, layout.delimiter)
        if len(cells) != layout.num_columns and not _only_last_is_missing(line, cells, layout):
            raise InputError(
                f"{shown}: line {number} has {len(cells)} cells and the first has {layout.num_columns}; they must agree"
            )
        for i in kept:
            if i < len(cells) and not is_number(cells[i], layout.decimal):
                raise InputError(f"{shown}: line {number}, column {i + 1} is {cells[i][:40]!r}; allowed: numbers")


def _only_last_is_missing(line: str, cells: list[str], layout: Layout) -> bool:
    return len(cells) == layout.num_columns - 1 and line.rstrip(" \r\n").endswith(layout.delimiter or " ")


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
