"""Lines and cells of delimited text."""

import codecs
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from nas_lightning.errors import InputError, brief

MISSING = ("", "NaN", "nan", "NAN", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "none", "?")
"""Cells that stand for a missing value."""

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_SPACED = re.compile(r'"[^"]*"|\S+')
_LONGEST_LINE = 1 << 20
_COMMENT_SIGNS = ("#", "%", "//")


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


def split_line(line: str, delimiter: str | None) -> list[str]:
    """The cells of a line, without the spaces around them and without an empty one after a last delimiter."""
    if delimiter is None:
        return [cell.strip('"') for cell in _SPACED.findall(line)] if '"' in line else line.split()
    text = line.strip(" \r\n")
    try:
        cells = [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter), [])]
    except csv.Error:  # a cell beyond its limit
        cells = text.split(delimiter)
    return cells[:-1] if len(cells) > 1 and not cells[-1] else cells


def is_number(cell: str, decimal: str = ".") -> bool:
    """Whether a cell is a number or stands for a missing one."""
    if decimal != ".":
        cell = cell.replace(".", "x").replace(decimal, ".") if cell not in MISSING else cell
    return cell in MISSING or _NUMBER.fullmatch(cell) is not None


def has_decimal_comma(cell: str) -> bool:
    """Whether a cell is a number with a comma before its decimals, or could be one."""
    return _DECIMAL_COMMA.fullmatch(cell) is not None


def is_blank(line: str, delimiter: str | None) -> bool:
    """Whether a line is no row at all; one of tabs between empty cells is a row."""
    return not line.strip(" \r\n" if delimiter == "\t" else None)


def is_comment(line: str, delimiter: str | None) -> bool:
    """Whether a line begins with the sign of a comment; as a spreadsheet writes it, in quotes."""
    text = line.lstrip(' \t"')
    signs = _COMMENT_SIGNS if delimiter == ";" else (*_COMMENT_SIGNS, ";")
    return text.startswith(signs) and not text.startswith("#N/A")


def has_comments(path: Path, encoding: str, delimiter: str | None, skip: int) -> bool:
    """Whether a line behind the first ones is a comment; quick where no sign of one is in the file."""
    signs = "#%/" if delimiter == ";" else "#%/;"
    with path.open(encoding=encoding, errors="replace") as file:
        while text := file.read(1 << 20):
            if any(sign in text for sign in signs):
                rows = (line for number, line in lines(path, str(path), encoding) if number > skip)
                return any(is_comment(line, delimiter) for line in rows)
    return False


def have_equal_rows(file: IO[bytes], delimiter: str, num_columns: int) -> bool:
    """Whether all lines have as many delimiters, and none is in quotes: quick, for what no parser looks at."""
    rest = b""
    while chunk := file.read(1 << 20):
        text, _, rest = (rest + chunk).replace(b"\r\n", b"\n").rpartition(b"\n")
        if len(rest) > _LONGEST_LINE or not _are_equal(text + b"\n" if text else b"", delimiter, num_columns):
            return False
    return _are_equal(rest + b"\n" if rest else b"", delimiter, num_columns)


def _are_equal(text: bytes, delimiter: str, num_columns: int) -> bool:
    signs = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(signs == ord("\n"))
    counts = np.diff(np.searchsorted(np.flatnonzero(signs == ord(delimiter)), ends), prepend=0)
    return b'"' not in text and b"\r" not in text and bool((counts == num_columns - 1).all())


def find_encoding(head: bytes) -> str | None:
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


def one_line(error: BaseException) -> str:
    """What an error of a library says, as a part of a sentence."""
    return brief(error) or type(error).__name__
