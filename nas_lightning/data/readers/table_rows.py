"""Rows of a table in pieces, from a file of text, a Parquet file or a data frame."""

import itertools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import pandas as pd

from nas_lightning.data.readers.text_layout import Layout, open_rows
from nas_lightning.data.readers.text_lines import MISSING, is_comment, lines, one_line, split_line
from nas_lightning.data.readers.text_rows import Uncommented
from nas_lightning.errors import InputError, said_of

_LOOKED_AT = 1000


class Frames(ABC):
    """A table whose rows are read in pieces.

    Attributes:
        names: of its columns, without spaces around them.
        total: how many rows there are, if that is known.
    """

    names: tuple[str, ...]
    total: int | None = None

    @abstractmethod
    def pieces(self, columns: Sequence[str], words: Sequence[str], rows: int) -> Iterator[pd.DataFrame]:
        """Rows that follow each other.

        Args:
            columns: names of those to read.
            words: names of those whose cells are words.
            rows: how many are in a piece, but for the last.

        Raises:
            InputError: if the table cannot be read.
        """

    def with_unit(self, name: str) -> str:
        """The name of a column, and what else is said of its unit."""
        return name

    @cached_property
    def first(self) -> pd.DataFrame:
        """The first rows, with all columns."""
        rows = next(self.pieces(self.names, (), _LOOKED_AT), None)
        return pd.DataFrame({name: [] for name in self.names}) if rows is None else rows


class CsvFrames(Frames):
    """A table of text with a line of names.

    Args:
        path: the file.
        layout: how it is written.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self.names = tuple(name.strip() for name in layout.header or ())

    def with_unit(self, name: str) -> str:
        """See ``Frames``; a row below the names may say the unit."""
        return self.layout.with_unit(self.names.index(name))

    def pieces(self, columns: Sequence[str], words: Sequence[str], rows: int) -> Iterator[pd.DataFrame]:
        """See ``Frames``; words are as they are written, since their type would be guessed anew in each piece."""
        numbers = [self.names.index(name) for name in columns]
        is_all = len(numbers) == len(self.names)
        if any(len(cells) > len(self.names) for cells in self.layout.sample) or not (is_all or self._is_regular):
            self._refuse_long_lines()  # of which the parser says nothing where it leaves columns out
        try:
            with open_rows(self.path, self.layout) as file:
                reader = pd.read_csv(self._rows_of(file), chunksize=rows, **self._how(numbers, words))
                while (piece := _next(reader)) is not None:
                    yield piece[numbers].set_axis(columns, axis=1)
        except pd.errors.EmptyDataError:  # names and no row
            return
        except Exception as error:  # pandas raises its own errors and Python's
            self._refuse_long_lines()
            raise InputError(f"{self.path}: cannot be read as a table ({one_line(error)})") from error

    def _how(self, numbers: list[int], words: Sequence[str]) -> dict[str, Any]:
        """Arguments of the parser."""
        are_words = {number for number in numbers if self.names[number] in words}
        return {
            "sep": self.layout.delimiter or r"\s+",
            "decimal": self.layout.decimal,
            "header": None,
            "names": range(len(self.names)),
            "usecols": None if len(numbers) == len(self.names) else sorted(numbers),
            "index_col": False,
            "skipinitialspace": True,
            "keep_default_na": False,
            "na_values": {number: list(MISSING) for number in numbers if number not in are_words},
            "dtype": dict.fromkeys(are_words, "category"),
            "engine": "c",
        }

    @cached_property
    def _is_regular(self) -> bool:
        """Whether the signs between cells are as many as rows of equal length have; quick."""
        rows = signs = 0
        if self.layout.delimiter is None:
            return False
        with open_rows(self.path, self.layout) as file:
            text = ""
            while more := file.read(1 << 20):
                text = more
                rows += text.count("\n")
                signs += text.count(self.layout.delimiter)
        filled = text.rstrip("\r\n")
        rows += bool(filled) - text.count("\n", len(filled))
        return signs == rows * (len(self.names) - 1)

    def _refuse_long_lines(self) -> None:
        width, sign = len(self.names), self.layout.delimiter
        for number, line in lines(self.path, str(self.path), self.layout.encoding):
            if number <= self.layout.skip or (sign is not None and line.count(sign) < width):
                continue
            count = len(split_line(line, sign))
            if count > width and not is_comment(line, sign):
                raise InputError(
                    f"{self.path}: line {number} has {count} cells and the line of names has {width}; they must agree"
                )

    def _rows_of(self, file: IO[str]) -> IO[str]:
        if not self.layout.has_comments or self._begin_as_comments():
            return file
        return Uncommented(file, self.layout.delimiter)  # type: ignore[return-value]

    def _begin_as_comments(self) -> bool:
        """Whether rows only look like comments, since names of recordings begin so."""
        delimiter = self.layout.delimiter
        first = itertools.islice(lines(self.path, str(self.path), self.layout.encoding), _LOOKED_AT)
        comments = (line for _, line in first if is_comment(line, delimiter))
        return any(len(split_line(line, delimiter)) == len(self.names) for line in comments)


def _next(pieces: Iterator[pd.DataFrame]) -> pd.DataFrame | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)  # of columns in which text begins late
        return next(pieces, None)


class ParquetFrames(Frames):
    """A Parquet file.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._arrow = import_arrow(path)
        with self._said(), self._open([]) as file:
            self._written = {field.name.strip(): field.name for field in file.schema_arrow}
            self._texts = {field.name for field in file.schema_arrow if str(field.type) in ("string", "large_string")}
            self.names = tuple(field.name.strip() for field in file.schema_arrow)
            self.total = file.metadata.num_rows

    def _open(self, words: list[str]) -> Any:
        # Read as it is asked for, since Arrow would hold whole groups of rows.
        return self._arrow.parquet.ParquetFile(self.path, read_dictionary=words, pre_buffer=False, buffer_size=1 << 20)

    def pieces(self, columns: Sequence[str], words: Sequence[str], rows: int) -> Iterator[pd.DataFrame]:
        """See ``Frames``; words are numbers of the few that there are."""
        written = [self._written[name] for name in columns]
        dictionaries = [self._written[name] for name in words if self._written[name] in self._texts]
        with self._said(), self._open(dictionaries) as file:
            for batch in file.iter_batches(rows, columns=written):
                batch.validate(full=True)  # Arrow trusts the file where it is damaged
                yield batch.to_pandas(ignore_metadata=True)[written].set_axis(columns, axis=1)
        self._arrow.default_memory_pool().release_unused()

    def _said(self) -> AbstractContextManager[None]:
        return said_of(f"{self.path}: cannot be read as Parquet")


def import_arrow(path: Path) -> Any:
    """The package pyarrow.

    Raises:
        InputError: if it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(f"{path}: needs the package pyarrow; install it with: pip install pyarrow") from error
    return pyarrow


class DataFrames(Frames):
    """A data frame of pandas, or one that can become it.

    Args:
        frame: the rows; an index with a name, or of times, is a column too.
        shown: for messages.
    """

    def __init__(self, frame: Any, shown: str) -> None:
        if not isinstance(frame, pd.DataFrame):
            if not hasattr(frame, "to_pandas"):
                raise InputError(f"{shown}: is {type(frame).__name__}; allowed: a data frame of pandas or polars")
            frame = frame.to_pandas()
        if isinstance(frame.index, pd.DatetimeIndex) and frame.index.name is None:
            frame = frame.rename_axis("time")
        if any(name is not None for name in frame.index.names):
            frame = frame.reset_index()
        if frame.columns.nlevels > 1:
            raise InputError(f"{shown}: has names of columns of {frame.columns.nlevels} levels; allowed: one")
        self._frame = frame
        self.names = tuple(str(name).strip() for name in frame.columns)
        self.total = len(frame)

    def pieces(self, columns: Sequence[str], words: Sequence[str], rows: int) -> Iterator[pd.DataFrame]:
        """See ``Frames``."""
        numbers = [self.names.index(name) for name in columns]
        for start in range(0, len(self._frame), rows):
            yield self._frame.iloc[start : start + rows, numbers].set_axis(columns, axis=1)
