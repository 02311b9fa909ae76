"""Predictions written to a file part by part, whole or not at all."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from nas_lightning.files import whole_file
from nas_lightning.use.outcomes import Outcomes

BY = ("window", "recording")
"""What a row of a file of predictions can be of."""

COLUMNS = ("recording", "time", "class", "score", "accepted")
"""A row a window; the time is in seconds, and empty where no sampling rate is known."""

ALONE = ("window_class", "window_score")
"""What follows where several windows decide together: the class and the score of the window alone."""

OF_RECORDINGS = ("recording", "windows", "class", "score", "accepted")
"""A row a recording."""

ENDINGS = (".csv", ".parquet")
"""Of such a file."""


def columns_of(by: str, are_together: bool) -> tuple[str, ...]:
    """The columns of a file.

    Args:
        by: one of ``BY``.
        are_together: whether several windows decide together.
    """
    if by == "recording":
        return OF_RECORDINGS
    return (*COLUMNS, *ALONE) if are_together else COLUMNS


def rows_of(columns: Sequence[str], found: Outcomes, windows: np.ndarray) -> list[Sequence[Any]]:
    """The cells of some outcomes, column by column.

    Args:
        columns: that are asked for.
        found: of N windows or recordings.
        windows: int64 ``[N]``, how many windows each has.
    """
    classes = np.array(found.classes, dtype=object)
    cells = {
        "recording": lambda: found.names,
        "time": lambda: found.seconds,
        "windows": lambda: windows,
        "class": lambda: found.labels,
        "score": lambda: found.best,
        "accepted": lambda: found.accepted,
        "window_class": lambda: classes[found.numbers],
        "window_score": lambda: found.scores.max(1),
    }
    return [cells[column]() for column in columns]


class Writer(ABC):
    """Writes rows."""

    columns: tuple[str, ...]

    def write(self, found: Outcomes, windows: np.ndarray) -> None:
        """A row for each; see ``rows_of``."""
        self._write(rows_of(self.columns, found, windows))

    @abstractmethod
    def _write(self, cells: list[Sequence[Any]]) -> None: ...


@contextmanager
def writing(path: Path, columns: tuple[str, ...]) -> Iterator[Writer]:
    """A file of predictions, by the ending of its name.

    Raises:
        OSError: if it cannot be written; then nothing is left of it.
    """
    with whole_file(path) as temporary:
        if path.suffix == ".parquet":
            with _parquet(temporary, columns) as file:
                yield _Parquet(file, columns)
        else:
            with temporary.open("x", encoding="utf-8", newline="") as text:
                yield _Csv(text, columns)


class _Csv(Writer):
    def __init__(self, file: TextIO, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self._rows = csv.writer(file, lineterminator="\n")
        self._rows.writerow(columns)

    def _write(self, cells: list[Sequence[Any]]) -> None:
        texts = (_texts(name, column) for name, column in zip(self.columns, cells, strict=True))
        self._rows.writerows(zip(*texts, strict=True))


def _texts(name: str, cells: Sequence[Any]) -> Sequence[Any]:
    match name:
        case "time":
            return ["" if np.isnan(second) else f"{second:.6g}" for second in cells]
        case "score" | "window_score":
            return [f"{score:.6f}" for score in cells]
        case "accepted":
            return ["true" if each else "false" for each in cells]
        case _:
            return cells


@contextmanager
def _parquet(path: Path, columns: tuple[str, ...]) -> Iterator[Any]:
    from nas_lightning.data.readers.table_rows import import_arrow  # at need

    arrow = import_arrow(path)
    numbers = dict.fromkeys(("time", "score", "window_score"), arrow.float64())
    kinds = numbers | {"accepted": arrow.bool_(), "windows": arrow.int64()}
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in columns])
    with arrow.parquet.ParquetWriter(path, schema) as file:
        yield file


class _Parquet(Writer):
    def __init__(self, file: Any, columns: tuple[str, ...]) -> None:
        self._file, self.columns = file, columns

    def _write(self, cells: list[Sequence[Any]]) -> None:
        import pyarrow as pa

        columns = zip(cells, self._file.schema.types, strict=True)
        arrays = [pa.array(list(column), from_pandas=True, type=kind) for column, kind in columns]
        self._file.write_table(pa.table(arrays, schema=self._file.schema))
