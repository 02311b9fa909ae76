"""Arrays of single recordings: which axis is the time, and whether the first column is its clock."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nas_lightning.data.readers.axes import KEY as AXES_KEY
from nas_lightning.data.readers.axes import ask
from nas_lightning.data.readers.clock import counts, look, seconds_of
from nas_lightning.data.readers.stamps import Column
from nas_lightning.data.readers.text_lines import one_line
from nas_lightning.data.reading import Content, Findings, Reading, choose
from nas_lightning.errors import InputError, brief

_TIME_KEY = "`npy_time`"
_COLUMN = "first column"
_ONE = np.zeros(1, dtype=np.int64)
_TOGETHER = 1 << 20
_SMALL = 1 << 18
_MOST_FALLS = 0.01
_FEWEST_RISES = 0.1

Named = tuple[str, np.ndarray]
"""The name of a recording, and its array as it is stored."""


def load_npy(path: Path, shown: str) -> np.ndarray:
    """A NumPy array; a large one is mapped into memory.

    Raises:
        InputError: if it is damaged, or holds Python objects.
    """
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")
        return mapped if mapped.size > _SMALL else np.array(mapped)
    except OSError:
        raise
    except Exception as error:  # NumPy raises whatever its look at the header meets
        raise InputError(f"{shown}: cannot be read as .npy without pickled objects ({one_line(error)})") from error


@dataclass(frozen=True)
class _Held:
    """A recording that waits for the look at its clock: its name, its variables ``[T, C]`` and its times."""

    name: str
    values: np.ndarray
    times: np.ndarray | None


@dataclass(frozen=True)
class _Waiting:
    """An array ``[T, C]``, before it is known what its first column is."""

    name: str
    rows: np.ndarray
    may_have_time: bool


class Arrays:
    """Brings the arrays of a source to ``[T, C]``, in one and the same way.

    Args:
        source: for messages.
        reading: what is known of them.
        findings: keeps what is decided here.
    """

    def __init__(self, source: str, reading: Reading, findings: Findings) -> None:
        self._source, self._reading, self._findings = source, reading, findings
        self._has_time = reading.npy_time
        self._first = ""

    def check_axes(self, shapes: Iterable[tuple[str, tuple[int, ...]]]) -> None:
        """Ask if no array has more rows than columns; the shapes are looked at up to the first that has.

        Raises:
            InputError: naming the first array.
        """
        if self._reading.axes is not None:
            return
        first = None
        for name, shape in shapes:
            if len(shape) != 2 or shape[0] < 1 or max(shape) == 1 or shape[0] == 1:
                continue
            if shape[0] > shape[1]:
                self._findings.decide("rows of an array are time steps, and columns are variables", name, AXES_KEY)
                return
            first = first or (name, shape)
        if first is not None:
            name, shape = first
            raise ask(f"{self._source}: {brief(name)}", shape, "time_first")

    def contents(self, arrays: Iterable[Named]) -> Iterator[Content]:
        """What each array holds.

        Raises:
            InputError: naming the recording, what was found and what is allowed.
        """
        held: list[_Held] = []
        waiting: list[_Waiting] = []
        size = 0
        for name, values in arrays:
            one = _Waiting(name, self._turned(name, values), values.ndim == 2)
            if one.may_have_time:
                self._look_at_time(one)
            waiting.append(one)
            size += one.rows.size
            if self._has_time is None and size < _TOGETHER and any(one.may_have_time for one in waiting):
                continue  # too few rows to say what the first column is; the next array may
            held += [self._without_time(one) for one in waiting]
            waiting = []
            if size >= _TOGETHER:
                yield from self._timed(held)
                held, size = [], 0
        yield from self._timed(held + [self._without_time(one) for one in waiting])

    def _turned(self, name: str, values: np.ndarray) -> np.ndarray:
        """Rows are time steps, columns are variables."""
        if values.ndim not in (1, 2) or values.dtype.kind not in "fiub":
            raise InputError(
                f"{self._source}: {brief(name)}: has shape {list(values.shape)} and type {values.dtype}; allowed: "
                "numbers of shape [time] or [time, 1 + variables]"
            )
        if values.ndim == 1:
            return values[:, None]
        if self._reading.axes == "channels_first":
            return values.T
        if self._reading.axes is None and values.shape[0] == 1 < values.shape[1]:
            self._findings.decide("an array of one row is one channel", name, f"{AXES_KEY}=time_first")
            return values.T
        if values.shape[1] > values.shape[0] > 0 and self._reading.axes is None:
            self._findings.warn("an array has more channels than time steps, unlike others", name, AXES_KEY)
        return values

    def _look_at_time(self, one: _Waiting) -> None:
        """Decide whether the first column is the time, for all arrays alike."""
        shown = f"{self._source}: {brief(one.name)}"
        found = self._has_time if self._reading.npy_time is not None else self._looks_timed(shown, one.rows)
        if found and one.rows.shape[1] < 2:
            raise InputError(
                f"{shown}: has 1 column, which is the time; allowed: [time] or [time, 1 + variables], or "
                f"{_TIME_KEY}=false"
            )
        if found is None or found == self._has_time:
            return
        if self._has_time is not None:
            raise InputError(
                f"{shown}: its first column {_says(found)}, and that of {self._first} {_says(not found)}; "
                f"{_TIME_KEY}=true takes it as the time in all, {_TIME_KEY}=false as a variable"
            )
        self._has_time, self._first = found, brief(one.name)

    def _without_time(self, one: _Waiting) -> _Held:
        """The variables of an array, and its times apart."""
        rows, times = one.rows, None
        if one.may_have_time:
            found = self._has_time is not False and rows.shape[1] > 1  # if nothing says it: what is documented
            if self._reading.npy_time is None:
                text = "is the time" if found else "does not rise, and is a variable"
                key = f"{_TIME_KEY}={str(not found).lower()}"
                self._findings.decide(f"the first column of an array {text}", one.name, key)
            if found:
                times, rows = rows[:, 0], rows[:, 1:]
        if self._reading.variables is not None:
            shown = f"{self._source}: {one.name}"
            rows = rows[:, choose(shown, rows.shape[1], None, self._reading.variables)]
        return _Held(one.name, rows, times)

    def _looks_timed(self, shown: str, rows: np.ndarray) -> bool | None:
        """Whether the first column rises in every row; None if there are too few of them."""
        column = np.asarray(rows[:, 0])
        steps = len(column) - 1
        if steps < 2:
            return None
        rises = int((column[1:] > column[:-1]).sum())
        falls = int((column[1:] < column[:-1]).sum())
        if rises == steps:
            return True
        if (
            rows.shape[1] > 1
            and rises >= _FEWEST_RISES * steps
            and falls <= max(1, _MOST_FALLS * steps)
            and steps >= 10
        ):
            raise InputError(
                f"{shown}: its first column rises in {rises} rows and falls in {falls}, as a time does that starts "
                f"again or stands still; {_TIME_KEY}=true takes it as the time, {_TIME_KEY}=false as a variable"
            )
        return False

    def _timed(self, held: list[_Held]) -> Iterator[Content]:
        """The contents, with what their clocks say."""
        is_timed = [self._has_clock(one) for one in held]
        timed = [one for one, has_clock in zip(held, is_timed, strict=True) if has_clock]
        clocks = iter(self._by_clock(timed) if timed else [])
        for one, has_clock in zip(held, is_timed, strict=True):
            yield next(clocks) if has_clock else Content(one.values)

    def _has_clock(self, one: _Held) -> bool:
        """Whether the first column is more than a counter of rows."""
        if one.times is None or not len(one.times):
            return False
        if counts(one.times, _ONE):
            self._findings.decide("the first column of an array counts its rows, and says no rate", one.name)
            return False
        return True

    def _by_clock(self, held: list[_Held]) -> Iterator[Content]:
        names = [one.name for one in held]
        begins = np.cumsum([0, *(len(one.values) for one in held)])
        times = pd.Series(np.concatenate([np.asarray(one.times) for one in held]))
        column = Column(self._source, names, _COLUMN, begins[:-1], self._reading, self._findings)
        clocks = look(column, seconds_of(column, times))
        for i, one in enumerate(held):
            yield clocks.content(i, int(begins[i]), one.values)


def _says(rises: bool) -> str:
    return "rises in every row, as a time does" if rises else "does not"
