"""Rows of a table in pieces, from a file of text, a Parquet file or a data frame."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nas_lightning.data.readers.text import MISSING, Layout, lines, one_line, split_line
from nas_lightning.errors import InputError

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

    def look(self) -> pd.DataFrame:
        """The first rows."""
        rows = next(iter(self.pieces(self.names, (), _LOOKED_AT)), None)
        return pd.DataFrame({name: [] for name in self.names}) if rows is None else rows.iloc[:_LOOKED_AT]


class CsvFrames(Frames):
    """A table of text with a line of names.

    Args:
        path: the file.
        layout: how it is written.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self.names = tuple(name.strip() for name in layout.header or ())

    def pieces(self, columns: Sequence[str], words: Sequence[str], rows: int) -> Iterator[pd.DataFrame]:
        """See ``Frames``; words are as they are written, since their type would be guessed anew in each piece."""
        numbers = [self.names.index(name) for name in columns]
        are_words = {number for number in numbers if self.names[number] in words}
        how: dict[str, Any] = {
            "sep": self.layout.delimiter or r"\s+",
            "decimal": self.layout.decimal,
            "encoding": self.layout.encoding,
            "skiprows": _rows_above(self.path, self.layout),
            "header": None,
            "names": range(len(self.names)),
            "usecols": sorted(numbers),
            "index_col": False,
            "skipinitialspace": True,
            "keep_default_na": False,
            "na_values": {number: list(MISSING) for number in numbers if number not in are_words},
            "dtype": dict.fromkeys(are_words, "category"),
        }
        try:
            with pd.read_csv(self.path, chunksize=rows, **how) as reader:
                for piece in reader:
                    yield piece[numbers].set_axis(columns, axis=1)
        except pd.errors.EmptyDataError:  # names and no row
            return
        except Exception as error:  # pandas raises its own errors and Python's
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> InputError:
        if isinstance(error, InputError):
            return error
        width = len(self.names)
        for number, line in lines(self.path, str(self.path), self.layout.encoding):
            count = len(split_line(line, self.layout.delimiter))
            if count > width:
                return InputError(f"{self.path}: line {number} has {count} cells and there are {width} columns")
        return InputError(f"{self.path}: cannot be read as a table ({one_line(error)})")


def _rows_above(path: Path, layout: Layout) -> int:
    """Lines above the first row of values."""
    return next(number for number, line in lines(path, "", layout.encoding) if line.strip())


class ParquetFrames(Frames):
    """A Parquet file.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._arrow = import_arrow(path)
        try:
            with self._open([]) as file:
                self._written = {field.name.strip(): field.name for field in file.schema_arrow}
                self._texts = {
                    field.name for field in file.schema_arrow if str(field.type) in ("string", "large_string")
                }
                self.names = tuple(field.name.strip() for field in file.schema_arrow)
                self.total = file.metadata.num_rows
        except Exception as error:
            raise self._unreadable(error) from error

    def _open(self, words: list[str]) -> Any:
        # Read as it is asked for, since Arrow would hold whole groups of rows.
        return self._arrow.parquet.ParquetFile(self.path, read_dictionary=words, pre_buffer=False, buffer_size=1 << 20)

    def pieces(self, columns: Sequence[str], words: Sequence[str], rows: int) -> Iterator[pd.DataFrame]:
        """See ``Frames``; words are numbers of the few that there are."""
        written = [self._written[name] for name in columns]
        dictionaries = [self._written[name] for name in words if self._written[name] in self._texts]
        try:
            with self._open(dictionaries) as file:
                for batch in file.iter_batches(rows, columns=written):
                    batch.validate(full=True)  # Arrow trusts the file where it is damaged
                    yield batch.to_pandas(ignore_metadata=True)[written].set_axis(columns, axis=1)
        except Exception as error:  # Arrow raises its own errors, and those of the conversion to pandas
            raise self._unreadable(error) from error
        self._arrow.default_memory_pool().release_unused()

    def _unreadable(self, error: Exception) -> InputError:
        return InputError(f"{self.path}: cannot be read as Parquet ({one_line(error)})")


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
