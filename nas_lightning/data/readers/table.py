"""Long tables: one row a time step of one recording, with columns for recording, time, label and variables."""

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas_lightning.data.readers.text import MISSING, find_layout, one_line
from nas_lightning.data.reading import ROLES, Reading
from nas_lightning.data.recordings import Block, Source
from nas_lightning.data.words import Words
from nas_lightning.errors import InputError, brief

_ROWS = 1 << 18


def read_table(path: Path, reading: Reading) -> Source:
    """Read a ``.csv`` or ``.parquet`` table in pieces; the rows of a recording stand together.

    Args:
        path: the file.
        reading: what is known of the way in which it is written.

    Raises:
        InputError: naming the file, the column or the recording, what was found and what is allowed.
    """
    columns = {role: reading.column(role) for role in ROLES}
    if path.suffix.lower() == ".parquet":
        pieces, total = _parquet_pieces(path, columns)
    else:
        pieces, total = _csv_pieces(path, columns), None
    return Source(str(path), _blocks(path, pieces, columns), total=total, unit="row")


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


def _parquet_pieces(path: Path, columns: Mapping[str, str]) -> tuple[Iterator[pd.DataFrame], int]:
    """The rows in pieces, and how many there are."""
    arrow = import_arrow(path)

    def opened(names: list[str]) -> Any:
        # As numbers of few words; and read as it is asked for, since Arrow would hold whole groups of rows.
        return arrow.parquet.ParquetFile(path, read_dictionary=names, pre_buffer=False, buffer_size=1 << 20)

    def pieces() -> Iterator[pd.DataFrame]:
        try:
            for batch in opened(words).iter_batches(_ROWS):
                batch.validate(full=True)  # Arrow trusts the file where it is damaged
                yield batch.to_pandas()
        except Exception as error:  # Arrow raises its own errors, and those of the conversion to pandas
            raise _unreadable(path, error) from error
        arrow.default_memory_pool().release_unused()

    try:
        with opened([]) as file:
            words = [field.name for field in file.schema_arrow if str(field.type) in ("string", "large_string")]
            words = [name for name in words if name in columns.values() and name != columns["time"]]
            return pieces(), file.metadata.num_rows
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read as Parquet ({one_line(error)})")


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


def _blocks(path: Path, pieces: Iterator[pd.DataFrame], columns: Mapping[str, str]) -> Iterator[Block]:
    """The recordings that end within a piece together; one that goes on in the next is held until it ends."""
    held: list[pd.DataFrame] = []
    ended: set[str] = set()
    for piece in pieces:
        _check_columns(path, piece, columns)
        if piece.empty:
            continue
        begins = _begins(path, piece[columns["recording"]])
        if held and _name(held[0], columns) == _name(piece, columns):
            first = int(begins[1]) if len(begins) > 1 else len(piece)
            held.append(piece.iloc[:first])
            if first == len(piece):
                continue
            piece, begins = piece.iloc[first:], begins[1:] - first
        if held:
            yield from _checked(path, pd.concat(held, ignore_index=True), np.zeros(1, np.int64), columns, ended)
        last = int(begins[-1])
        if last:
            yield from _checked(path, piece.iloc[:last], begins[:-1], columns, ended)
        held = [piece.iloc[last:]]
    if held:
        yield from _checked(path, pd.concat(held, ignore_index=True), np.zeros(1, np.int64), columns, ended)


def _begins(path: Path, names: pd.Series) -> np.ndarray:
    """The rows in which another recording begins than in the row before."""
    if isinstance(names.dtype, pd.CategoricalDtype):
        values = names.cat.codes.to_numpy()
        is_empty = (names.isna() | (names == "")).any() if "" in names.cat.categories else (values < 0).any()
    else:
        values = names.astype(object).to_numpy() if not pd.api.types.is_numeric_dtype(names) else names.to_numpy()
        is_empty = names.isna().any() or (values == "").any()
    if is_empty:
        raise InputError(f"{path}: the column {names.name!r} has an empty cell; every row needs a name")
    return np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])


def _name(rows: pd.DataFrame, columns: Mapping[str, str]) -> str:
    return str(rows[columns["recording"]].iloc[0])


def _checked(
    path: Path, rows: pd.DataFrame, begins: np.ndarray, columns: Mapping[str, str], ended: set[str]
) -> Iterator[Block]:
    """The recordings of ``rows`` as a block; if something is wrong, one by one, so that the first of them is named."""
    try:
        block = _block(path, rows, begins, columns)
    except InputError:
        for start, stop in itertools.pairwise([*begins.tolist(), len(rows)]):
            part = rows.iloc[start:stop]
            _refuse_apart(path, [_name(part, columns)], ended)
            yield _block(path, part, np.zeros(1, np.int64), columns)
        raise
    _refuse_apart(path, block.names, ended)
    yield block


def _refuse_apart(path: Path, names: Sequence[str], ended: set[str]) -> None:
    for name in names:
        if name in ended:
            raise InputError(
                f"{path}: the rows of the recording {brief(name)!r} do not stand together; sort the table by it"
            )
        ended.add(name)


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


def _block(path: Path, rows: pd.DataFrame, begins: np.ndarray, columns: Mapping[str, str]) -> Block:
    names = tuple(str(name) for name in rows[columns["recording"]].iloc[begins])
    words = {role: _words(path, names, rows, begins, columns[role]) for role in ("label", "group", "split")}
    labels, splits = words["label"], words["split"]
    if labels is None or (labels.numbers < 0).any():
        name = names[0] if labels is None else names[int(np.argmin(labels.numbers))]
        raise InputError(f"{path}: the recording {brief(name)!r} has no label")
    for split in sorted(set() if splits is None else splits.present - {"train", "val", "test"}):
        assert splits is not None  # nosec B101 # tells the type checker
        name = names[int(np.argmax(splits.are(split)))]
        raise InputError(
            f"{path}: the recording {brief(name)!r} has the split {brief(split)!r}; allowed: train, val, test"
        )
    lengths = np.diff(begins, append=len(rows))
    rates = None
    if columns["time"] in rows.columns:
        seconds = _seconds(path, names, rows[columns["time"]], begins)
        owners = np.repeat(np.arange(len(begins)), lengths)
        if ((np.diff(seconds) < 0) & (np.diff(owners) == 0)).any():
            order = np.lexsort((seconds, owners))
            rows, seconds = rows.iloc[order], seconds[order]
        rates = _rates(seconds, begins, lengths)
    values = _values(path, names, rows, begins, columns)
    channels = tuple(str(column) for column in _variables(rows, columns))
    return Block(names, values, lengths, labels, words["group"], splits, rates, channels)


def _values(
    path: Path, names: Sequence[str], rows: pd.DataFrame, begins: np.ndarray, columns: Mapping[str, str]
) -> np.ndarray:
    """The variables ``[T, C]``."""
    variables = rows[_variables(rows, columns)]
    for column in [column for column in variables if not pd.api.types.is_numeric_dtype(variables[column])]:
        numbers = pd.to_numeric(variables[column], errors="coerce")
        wrong = (numbers.isna() & variables[column].notna()).to_numpy()
        if wrong.any():
            row = int(np.argmax(wrong))
            name = names[int(np.searchsorted(begins, row, side="right")) - 1]
            example = str(variables[column].iloc[row])[:40]
            raise InputError(
                f"{path}: the column {brief(column)!r} of the recording {brief(name)!r} has text such as {example!r}; "
                "allowed: numbers"
            )
        variables = variables.assign(**{str(column): numbers})
    is_single = all(dtype == np.float32 for dtype in variables.dtypes)
    return variables.to_numpy(np.float32 if is_single else np.float64, na_value=np.nan)


def _variables(piece: pd.DataFrame, columns: Mapping[str, str]) -> list[str]:
    """Columns without a role, but for times and for the nameless index that pandas writes."""
    free = [column for column in piece.columns if column not in columns.values()]
    return [c for c in free if "time" not in str(c).lower() and not str(c).startswith("Unnamed:") and str(c).strip()]


def _words(path: Path, names: Sequence[str], rows: pd.DataFrame, begins: np.ndarray, column: str) -> Words | None:
    """What a column says of each recording."""
    if column not in rows.columns:
        return None
    if isinstance(rows[column].dtype, pd.CategoricalDtype):
        numbers, values = rows[column].cat.codes.to_numpy(), pd.Series(rows[column].cat.categories)
    else:
        numbers, found = pd.factorize(rows[column])
        values = pd.Series(found)
    texts = [str(text) for text in values.astype(str)]
    words = sorted({*texts} - {""})
    places = {word: place for place, word in enumerate(words)}
    numbers = np.array([*(places.get(text, -1) for text in texts), -1])[numbers]
    most = np.maximum.reduceat(numbers, begins)
    least = np.minimum.reduceat(np.where(numbers < 0, len(words), numbers), begins)
    several = (most >= 0) & (least != most)
    if several.any():
        number = int(np.argmax(several))
        stop = begins[number + 1] if number + 1 < len(begins) else len(rows)
        own = [words[i] for i in dict.fromkeys(numbers[begins[number] : stop].tolist()) if i >= 0]
        raise InputError(
            f"{path}: the recording {brief(names[number])!r} has {len(own)} values of {column!r}, among them "
            f"{own[0][:40]!r} and {own[1][:40]!r}; allowed: one"
        )
    return Words(most, words)


def _rates(seconds: np.ndarray, begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """One over the median step of each recording, Hz; NaN where there is none above 0."""
    rates = np.full(len(begins), np.nan)
    for length in np.unique(lengths[lengths > 1]):
        own = np.flatnonzero(lengths == length)
        steps = np.median(np.diff(seconds[begins[own, None] + np.arange(length)], axis=1), axis=1)
        with np.errstate(divide="ignore", over="ignore"):
            rates[own] = np.where(steps > 0, 1 / steps, np.nan)
    return rates


def _is_iso(times: pd.Series) -> bool:
    return bool(times.astype(str).str.match(r"\d{4}-\d\d-\d\d").all())


def _seconds(path: Path, names: Sequence[str], times: pd.Series, begins: np.ndarray) -> np.ndarray:
    """The times of all rows, those of each recording from a point of its own."""
    if not pd.api.types.is_numeric_dtype(times) and len(begins) > 1 and not _is_iso(times):
        # The format of such times is guessed, for each recording by itself.
        bounds = itertools.pairwise([*begins.tolist(), len(times)])
        parts = [
            _seconds(path, [name], times.iloc[start:stop], np.zeros(1, np.int64))
            for name, (start, stop) in zip(names, bounds, strict=True)
        ]
        return np.concatenate(parts)
    try:
        if pd.api.types.is_numeric_dtype(times):
            seconds = times.to_numpy(np.float64, na_value=np.nan)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of times whose format pandas has to guess one by one
                stamps = pd.to_datetime(times, format="ISO8601" if _is_iso(times) else None)
            firsts = stamps.iloc[np.repeat(begins, np.diff(begins, append=len(times)))]
            seconds = (stamps.array - firsts.array).total_seconds().astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"{path}: the recording {brief(names[0])!r} has times that cannot be read ({one_line(error)})"
        ) from error
    if np.isnan(seconds).any():
        name = names[int(np.searchsorted(begins, int(np.argmax(np.isnan(seconds))), side="right")) - 1]
        raise InputError(f"{path}: the recording {brief(name)!r} has a row without a time")
    return seconds
