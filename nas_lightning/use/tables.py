"""Predictions written to a file part by part, whole or not at all."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from nas_lightning.files import whole_file
from nas_lightning.use.outcomes import Outcomes

COLUMNS = ("recording", "time", "class", "score", "accepted")
"""Of a file of predictions, a row a window; the time is in seconds, and empty where no sampling rate is known."""

ENDINGS = (".csv", ".parquet")
"""Of such a file."""


class Writer(ABC):
    """Writes rows."""

    @abstractmethod
    def write(self, windows: Outcomes) -> None:
        """A row for each window."""


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """A file of predictions, by the ending of its name.

    Raises:
        OSError: if it cannot be written; then nothing is left of it.
    """
    with whole_file(path) as temporary:
        if path.suffix == ".parquet":
            with _parquet(temporary) as file:
                yield _Parquet(file)
        else:
            with temporary.open("x", encoding="utf-8", newline="") as text:
                yield _Csv(text)


class _Csv(Writer):
    def __init__(self, file: TextIO) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def write(self, windows: Outcomes) -> None:
        times = ["" if np.isnan(second) else f"{second:.6g}" for second in windows.seconds.tolist()]
        scores = [f"{score:.6f}" for score in windows.best.tolist()]
        accepted = ["true" if each else "false" for each in windows.accepted.tolist()]
        self._rows.writerows(zip(windows.names, times, windows.labels, scores, accepted, strict=True))


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    from nas_lightning.data.readers.table_rows import import_arrow  # at need

    arrow = import_arrow(path)
    kinds = (arrow.string(), arrow.float64(), arrow.string(), arrow.float64(), arrow.bool_())
    with arrow.parquet.ParquetWriter(path, arrow.schema(list(zip(COLUMNS, kinds, strict=True)))) as file:
        yield file


class _Parquet(Writer):
    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, windows: Outcomes) -> None:
        import pyarrow as pa

        values = (list(windows.names), windows.seconds, windows.labels.tolist(), windows.best, windows.accepted)
        columns = zip(values, self._file.schema.types, strict=True)
        arrays = [pa.array(column, from_pandas=True, type=kind) for column, kind in columns]
        self._file.write_table(pa.table(arrays, schema=self._file.schema))
