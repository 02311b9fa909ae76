"""Long tables: one row a time step of one recording, with columns for recording, time, label and variables."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas_lightning.data.readers.text import MISSING, find_layout, one_line
from nas_lightning.data.recordings import Recording, Source
from nas_lightning.errors import InputError, brief

ROLES = ("recording", "time", "label", "group", "split")
"""What a column can be besides a variable; ``recording`` and ``label`` are needed."""

_ROWS = 1 << 18


def read_table(path: Path, columns: Mapping[str, str]) -> Source:
    """Read a ``.csv`` or ``.parquet`` table in pieces; the rows of a recording stand together.

    Args:
        path: the file.
        columns: the name of the column for each of ``ROLES``; every other column is a variable.

    Raises:
        InputError: naming the file, the column or the recording, what was found and what is allowed.
    """
    pieces = _parquet_pieces(path) if path.suffix.lower() == ".parquet" else _csv_pieces(path, columns)
    return Source(str(path), _recordings(path, pieces, columns))


def _csv_pieces(path: Path, columns: Mapping[str, str]) -> Iterator[pd.DataFrame]:
    layout = find_layout(path, str(path))
    how: dict[str, Any] = {
        "sep": layout.delimiter or r"\s+",
        "decimal": layout.decimal,
        "encoding": layout.encoding,
        "skipinitialspace": True,
        "index_col": False,
        "keep_default_na": False,
    }
    try:
        names = pd.read_csv(path, nrows=0, **how).columns
        words = [columns[role] for role in ROLES if role != "time"]
        missing = {name: list(MISSING) for name in names if name not in words}
        # As they are written: pandas would guess the type of such a column anew in each piece.
        yield from pd.read_csv(path, dtype=dict.fromkeys(words, str), na_values=missing, chunksize=_ROWS, **how)
    except Exception as error:  # pandas raises its own errors and Python's
        raise InputError(f"{path}: cannot be read as a table ({one_line(error)})") from error


def _parquet_pieces(path: Path) -> Iterator[pd.DataFrame]:
    arrow = import_arrow(path)
    try:
        for batch in arrow.parquet.ParquetFile(path).iter_batches(_ROWS):
            batch.validate(full=True)  # Arrow trusts the file where it is damaged
            yield batch.to_pandas()
    except Exception as error:  # Arrow raises its own errors, and those of the conversion to pandas
        raise InputError(f"{path}: cannot be read as Parquet ({one_line(error)})") from error


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


def _recordings(path: Path, pieces: Iterator[pd.DataFrame], columns: Mapping[str, str]) -> Iterator[Recording]:
    held: list[pd.DataFrame] = []
    ended: set[str] = set()
    for piece in pieces:
        _check_columns(path, piece, columns)
        if piece.empty:
            continue
        names = piece[columns["recording"]].astype(object)
        if names.isna().any() or (names == "").any():
            raise InputError(f"{path}: the column {columns['recording']!r} has an empty cell; every row needs a name")
        begins = np.flatnonzero((names != names.shift()).to_numpy())
        for start, stop in zip(begins, [*begins[1:], len(piece)], strict=True):
            part = piece.iloc[start:stop]
            if held and str(held[0][columns["recording"]].iloc[0]) != str(names.iloc[start]):
                yield _recording(path, held, columns, ended)
                held = []
            held.append(part)
    if held:
        yield _recording(path, held, columns, ended)


def _check_columns(path: Path, piece: pd.DataFrame, columns: Mapping[str, str]) -> None:
    if not piece.columns.is_unique:
        twice = piece.columns[piece.columns.duplicated()][0]
        raise InputError(f"{path}: has two columns {brief(twice)!r}; allowed: each name once")
    for role, name in columns.items():
        if name not in piece.columns and (role in ("recording", "label") or name != role):
            raise InputError(
                f"{path}: has no column {name!r}, which dataset.columns.{role} names; found "
                f"{brief(', '.join(map(str, piece.columns)))}"
            )
    if not _variables(piece, columns):
        raise InputError(
            f"{path}: has no column besides {brief(', '.join(map(str, piece.columns)))}; variables are needed"
        )


def _recording(path: Path, parts: list[pd.DataFrame], columns: Mapping[str, str], ended: set[str]) -> Recording:
    rows = pd.concat(parts, ignore_index=True)
    name = str(rows[columns["recording"]].iloc[0])
    if name in ended:
        raise InputError(
            f"{path}: the rows of the recording {brief(name)!r} do not stand together; sort the table by it"
        )
    ended.add(name)
    single = {role: _single(path, name, rows, columns[role]) for role in ("label", "group", "split")}
    if single["label"] is None:
        raise InputError(f"{path}: the recording {brief(name)!r} has no label")
    if single["split"] not in (None, "train", "val", "test"):
        raise InputError(
            f"{path}: the recording {brief(name)!r} has the split {brief(single['split'])!r}; allowed: train, val, test"
        )
    rate = None
    if columns["time"] in rows.columns:
        seconds = _seconds(path, name, rows[columns["time"]])
        order = np.argsort(seconds, kind="stable")
        rows, steps = rows.iloc[order], np.diff(seconds[order])
        rate = float(1 / np.median(steps)) if len(steps) and np.median(steps) > 0 else None
    variables = rows[_variables(rows, columns)]
    text = [column for column in variables if not pd.api.types.is_numeric_dtype(variables[column])]
    for column in list(text):
        numbers = pd.to_numeric(variables[column], errors="coerce")
        wrong = numbers.isna() & variables[column].notna()
        if not wrong.any():
            text.remove(column)
            variables = variables.assign(**{str(column): numbers})
            continue
        example = str(variables[column][wrong].iloc[0])[:40]
        raise InputError(
            f"{path}: the column {brief(column)!r} of the recording {brief(name)!r} has text such as {example!r}; "
            "allowed: numbers"
        )
    channels = tuple(str(column) for column in variables)
    values = variables.to_numpy(np.float64, na_value=np.nan)
    return Recording(name, values, single["label"], single["group"], single["split"], rate, channels)


def _variables(piece: pd.DataFrame, columns: Mapping[str, str]) -> list[str]:
    """Columns without a role, but for times and for the nameless index that pandas writes."""
    free = [column for column in piece.columns if column not in columns.values()]
    return [c for c in free if "time" not in str(c).lower() and not str(c).startswith("Unnamed:") and str(c).strip()]


def _single(path: Path, name: str, rows: pd.DataFrame, column: str) -> str | None:
    if column not in rows.columns:
        return None
    found = rows[column].dropna().astype(str).unique()
    found = found[found != ""]
    if len(found) > 1:
        raise InputError(
            f"{path}: the recording {brief(name)!r} has {len(found)} values of {column!r}, among them "
            f"{str(found[0])[:40]!r} and {str(found[1])[:40]!r}; allowed: one"
        )
    return str(found[0]) if len(found) else None


def _is_iso(times: pd.Series) -> bool:
    return bool(times.astype(str).str.match(r"\d{4}-\d\d-\d\d").all())


def _seconds(path: Path, name: str, times: pd.Series) -> np.ndarray:
    try:
        if pd.api.types.is_numeric_dtype(times):
            seconds = times.to_numpy(np.float64)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of times whose format pandas has to guess one by one
                stamps = pd.to_datetime(times, format="ISO8601" if _is_iso(times) else None)
            seconds = (stamps - stamps.iloc[0]).dt.total_seconds().to_numpy(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"{path}: the recording {brief(name)!r} has times that cannot be read ({one_line(error)})"
        ) from error
    if np.isnan(seconds).any():
        raise InputError(f"{path}: the recording {brief(name)!r} has a row without a time")
    return seconds
