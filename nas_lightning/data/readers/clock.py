"""Clocks: which column is the time, in which unit, how fast it runs, and where it stops or falls back."""

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from nas_lightning.data.readers.falls import Falls, medians
from nas_lightning.data.readers.stamps import Column, from_first, numbers_of_text, seconds_of_text, since_first
from nas_lightning.data.reading import TIME_UNITS, Content, no_rows

_UNITS = {
    "s": "s sec secs second seconds sek sekunde sekunden",
    "ms": "ms msec msecs milli millis millisecond milliseconds millisekunden",
    "us": "us \u00b5s \u03bcs usec usecs micro micros microsecond microseconds mikrosekunden",
    "ns": "ns nsec nsecs nano nanos nanosecond nanoseconds nanosekunden",
    "min": "min mins minute minutes minuten",
    "h": "h hr hrs hour hours stunden",
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_SECONDS = {**TIME_UNITS, "min": 60.0, "h": 3600.0}
_TIME_WORDS = frozenset(
    re.findall(
        r"\w+",
        "time times timestamp timestamps datetime date datum zeit zeitstempel uhrzeit epoch elapsed millis micros "
        "nanos unixtime hora fecha heure",
    )
)
_MAYBE_TIME = frozenset(("t", "ts", "tick", "ticks", "clock", "clk", "timer", "tstamp", "stamp", "utc"))
_MAYBE_COUNTER = frozenset(
    re.findall(r"\w+", "index idx sample samples n i row rows frame frames no nr seq counter timestep step")
)

_UNIT_KEY = "`time_unit`"
_UNIX = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_UNIX_RANGE = (946_684_800, 2_208_988_800)  # 2000 to 2040
_DAYS = ((36_526, 73_050), (730_486, 767_010))  # 2000 to 2100, as spreadsheets and MATLAB count days
_GAP = 5.0
_COMMON = 0.05
_UNEVEN = 2.5


def is_time(name: str) -> bool:
    """Whether a name of a column is that of a time: one of its words is.

    >>> [is_time(name) for name in ("time_ms", "Time (s)", "sensorTimestamp", "altimeter", "runtime")]
    [True, True, True, False, False]
    """
    return any(word in _TIME_WORDS for word in _words(name))


def may_be_time(name: str) -> bool:
    """Whether a name of a column is that of a time or of a counter of rows, but could be that of a variable too.

    >>> [may_be_time(name) for name in ("t", "t_ms", "ts", "ms", "T2M", "pressure")]
    [True, True, True, True, False, False]
    """
    words = _words(name)
    rest = [word for word in words if word not in _UNIT_OF]
    return bool(words) and not is_time(name) and (not rest or (len(rest) == 1 and rest[0] in _MAYBE_TIME))


def may_be_counter(name: str) -> bool:
    """Whether a name of a column is that of a counter of rows, but could be that of a variable too.

    >>> [may_be_counter(name) for name in ("index", "Sample", "sample_no", "n", "encoder")]
    [True, True, True, True, False]
    """
    words = _words(name)
    return bool(words) and all(word in _MAYBE_COUNTER for word in words)


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


def unit_in(name: str) -> str | None:
    """The unit that a name of a column of times says: one of ``TIME_UNITS``, ``min`` or ``h``.

    >>> [unit_in(name) for name in ("time_ms", "Time [us]", "seconds_elapsed", "millis", "time")]
    ['ms', 'us', 's', 'ms', None]
    """
    return next((_UNIT_OF[word] for word in reversed(_words(name)) if word in _UNIT_OF), None)


def is_real(cells: pd.Series) -> bool:
    """Whether a column has numbers by its type, and no complex ones."""
    return pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_complex_dtype(cells)


def rises(values: np.ndarray, begins: np.ndarray) -> bool:
    """Whether a column rises in every row of every recording, as a clock does.

    Args:
        values: numbers ``[T]``.
        begins: int64 ``[R]``, the first row of each recording.
    """
    steps = _inner_steps(values, begins)
    return len(steps) >= 2 and bool((steps > 0).all())


def counts(values: np.ndarray, begins: np.ndarray) -> bool:
    """Whether a column rises by one in every row of every recording; arguments as in ``rises``."""
    steps = _inner_steps(values, begins)
    return len(steps) >= 2 and bool((steps == 1).all())


def _inner_steps(values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    return np.delete(np.diff(values), begins[1:] - 1)


def seconds_of(column: Column, times: pd.Series) -> np.ndarray:
    """The times of all rows in seconds, those of each recording from a point of its own, float64 ``[T]``.

    Args:
        column: what is known of it; its name can say the unit.
        times: ``[T]``, numbers, dates, durations or text.

    Raises:
        InputError: naming the recording and what cannot be read, or the key that settles what is open.
    """
    if times.isna().any():
        raise column.without_a_time(times.isna())
    if pd.api.types.is_bool_dtype(times):
        raise column.unreadable(0, times.iloc[0])
    if pd.api.types.is_timedelta64_dtype(times):
        return times.dt.total_seconds().to_numpy(np.float64)
    if pd.api.types.is_datetime64_any_dtype(times):
        return since_first(times, column.begins)
    if is_real(times):
        return _of_numbers(column, _plain(times))
    texts = times.astype(str)
    if (is_empty := texts.str.strip() == "").any():
        raise column.without_a_time(is_empty)
    numbers = numbers_of_text(texts)
    if numbers is None:
        return seconds_of_text(column, texts)
    if numbers.isna().any():
        row = int(np.argmax(numbers.isna()))
        raise column.unreadable(row, texts.iloc[row])
    return _of_numbers(column, _plain(numbers))


def _plain(times: pd.Series) -> np.ndarray:
    """As int64 or float64; a counter without a sign keeps its differences."""
    if not pd.api.types.is_integer_dtype(times):
        return times.to_numpy(np.float64)
    return times.to_numpy(np.uint64 if pd.api.types.is_unsigned_integer_dtype(times) else np.int64).view(np.int64)


def _of_numbers(column: Column, ticks: np.ndarray) -> np.ndarray:
    if (is_wrong := ~np.isfinite(ticks)).any():
        row = int(np.argmax(is_wrong))
        raise column.unreadable(row, ticks[row])
    unit, is_guess = _unit(column, ticks)
    values = from_first(ticks, column.begins) if ticks.dtype.kind == "i" else ticks
    seconds = values / _UNIX[unit] if unit in _UNIX else values * _SECONDS[unit]
    if is_guess:
        _ask_if_odd(column, seconds, unit)
    return seconds


def _unit(column: Column, ticks: np.ndarray) -> tuple[str, bool]:
    """The unit of numbers, and whether it is a guess."""
    if column.reading.time_unit is not None:
        return column.reading.time_unit, False
    said = unit_in(column.name)
    low, high = float(ticks.min()), float(ticks.max())
    by_size = [unit for unit, n in _UNIX.items() if _UNIX_RANGE[0] * n <= low and high < _UNIX_RANGE[1] * n]
    unit = said or next(iter(by_size), "s")
    how = (
        f"in {unit}, as the name says" if said else f"Unix times in {unit}, by their size" if by_size else "taken as s"
    )
    column.findings.decide(f"the times in {column.name!r} are {how}", column.names[0], _UNIT_KEY, len(column.names))
    return unit, said is None


def _ask_if_odd(column: Column, seconds: np.ndarray, unit: str) -> None:
    steps = _inner_steps(seconds, column.begins)
    if (steps < 0).any():
        owners = np.repeat(np.arange(len(column.begins)), np.diff(column.begins, append=len(seconds)))
        steps = _inner_steps(seconds[np.lexsort((seconds, owners))], column.begins)
    step = float(np.median(steps)) if len(steps) else 0.0
    if step > 1:
        smaller = {"s": "ms", "ms": "us", "us": "ns"}.get(unit, "of another unit")
        column.findings.warn(
            f"the times in {column.name!r}, read in {unit}, say less than 1 Hz; are they {smaller}?",
            f"{column.names[0]}: {1 / step:.3g} Hz",
            _UNIT_KEY,
        )
    low, high = float(seconds.min()), float(seconds.max())
    if 0 < step < 1e-3 and any(first <= low and high < last for first, last in _DAYS):
        column.findings.warn(
            f"the times in {column.name!r}, read in {unit}, look like dates in days, so that the rate is wrong",
            f"{column.names[0]}: {1 / step:.3g} Hz",
            "`sampling_rate`",
        )


@dataclass(frozen=True)
class Clocks:
    """What the times of R recordings, one behind the other, say.

    Attributes:
        order: int64 ``[T]``, the rows in their order in time; None if they are in it.
        rates: float64 ``[R]``, Hz; NaN where the times do not say it.
        breaks: int64 ``[B]``, rows (in that order) before which time does not go on as elsewhere, in rising order.
    """

    order: np.ndarray | None
    rates: np.ndarray
    breaks: np.ndarray = field(default_factory=no_rows)

    def content(self, number: int, start: int, values: np.ndarray, channels: tuple[str, ...] | None = None) -> Content:
        """What a recording holds, in the order of its times.

        Args:
            number: of the recording.
            start: its first row among those of all.
            values: its rows ``[T, C]``.
            channels: their names.
        """
        stop, rate = start + len(values), float(self.rates[number])
        if self.order is not None:
            values = values[self.order[start:stop] - start]
        inner = slice(*np.searchsorted(self.breaks, (start + 1, stop)))
        return Content(values, channels, None if np.isnan(rate) else rate, self.breaks[inner] - start)


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # of times at the ends of float64
def look(column: Column, seconds: np.ndarray) -> Clocks:
    """How fast the clocks of recordings run, where they fall back, and where they pause.

    Args:
        column: what is known of it.
        seconds: float64 ``[T]``, see ``seconds_of``.

    Raises:
        InputError: where times fall back in a way that does not say which order is right.
    """
    steps = np.diff(seconds, prepend=seconds[:1])
    steps[column.begins] = np.nan
    order, ends = None, no_rows()
    if (steps < 0).any():
        unit = column.reading.time_unit or unit_in(column.name) or "s"
        order, ends = Falls(column, _SECONDS[unit]).settle(seconds, steps)
    lengths = np.diff(column.begins, append=len(seconds))
    middle = medians(steps, column.begins, lengths)
    rates = np.where(middle > 0, 1 / middle, np.nan)
    rows = np.flatnonzero(steps > _UNEVEN * np.repeat(np.where(middle > 0, middle, np.inf), lengths))
    if not len(rows):
        return Clocks(order, rates, ends)
    owners = np.searchsorted(column.begins, rows, side="right") - 1
    is_uneven = np.bincount(owners, minlength=len(lengths)) > np.maximum(1, _COMMON * (lengths - 1))
    if is_uneven.any():
        _warn_of_uneven(column, is_uneven)
        rates[is_uneven] = np.nan
    rows = rows[(steps[rows] > _GAP * middle[owners]) & ~is_uneven[owners]]
    return Clocks(order, rates, np.union1d(ends, _pauses(column, steps, rows)))


def _warn_of_uneven(column: Column, is_uneven: np.ndarray) -> None:
    column.findings.warn(
        f"the times in {column.name!r} come in bursts or unevenly, and say no rate; `sampling_rate` gives one",
        column.names[int(np.argmax(is_uneven))],
        count=int(is_uneven.sum()),
    )


def _pauses(column: Column, steps: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The rows behind pauses at which windows end."""
    if not len(rows):
        return no_rows()
    longest = int(rows[np.argmax(steps[rows])])
    example = f"{column.owner(longest)}: {steps[longest]:.3g} s"
    count = len(np.unique(np.searchsorted(column.begins, rows, side="right")))
    if column.reading.gaps == "keep":
        column.findings.decide(f"windows reach over pauses in {column.name!r}", example, "`gaps`=cut", count)
        return no_rows()
    column.findings.warn(f"there are pauses in {column.name!r}, at which windows end", example, "`gaps`=keep", count)
    return rows
