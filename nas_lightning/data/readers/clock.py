"""Clocks: which column is the time, in which unit, how fast it runs, and where it stops or falls back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from nas_lightning.data.readers.falls import Falls, medians
from nas_lightning.data.readers.stamps import (
    from_first,
    instants,
    name_of,
    numbers_of_text,
    refuse_time,
    since_first,
)
from nas_lightning.data.reading import TIME_UNITS, Findings, Reading, no_rows
from nas_lightning.errors import InputError

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

_UNIX = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_UNIX_RANGE = (946_684_800, 2_208_988_800)  # 2000 to 2040
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


def seconds_of(
    shown: str,
    names: Sequence[str],
    column: str,
    times: pd.Series,
    begins: np.ndarray,
    reading: Reading,
    findings: Findings,
) -> np.ndarray:
    """The times of all rows in seconds, those of each recording from a point of its own, float64 ``[T]``.

    Args:
        shown: the source, for messages.
        names: of the R recordings.
        column: the name of the column; it can say the unit.
        times: the column ``[T]``: numbers, dates, durations or text.
        begins: int64 ``[R]``, the first row of each recording.
        reading: what the user says.
        findings: keeps what is decided here.

    Raises:
        InputError: naming the recording and what cannot be read, or the key that settles what is open.
    """  # fmt: skip
    if times.isna().any():
        raise _without_a_time(shown, names, begins, int(np.argmax(times.isna())))
    kind = times.dtype.kind if isinstance(times.dtype, np.dtype) else ""
    if kind == "b":
        raise refuse_time(shown, names, begins, 0, times.iloc[0])
    if kind == "m":
        return times.dt.total_seconds().to_numpy(np.float64)
    if pd.api.types.is_datetime64_any_dtype(times):
        return since_first(
            times.astype("datetime64[ns, UTC]") if kind != "M" and not _has_zone(times) else times, begins
        )
    if pd.api.types.is_numeric_dtype(times):
        return _of_numbers(column, _plain(times), names, begins, reading, findings)
    times = times.astype(str)
    if (times.str.strip() == "").any():
        raise _without_a_time(shown, names, begins, int(np.argmax(times.str.strip() == "")))
    numbers = numbers_of_text(times)
    if numbers is None:
        return instants(shown, names, column, times, begins, reading, findings)
    if numbers.isna().any():
        row = int(np.argmax(numbers.isna()))
        raise refuse_time(shown, names, begins, row, times.iloc[row])
    return _of_numbers(column, _plain(numbers), names, begins, reading, findings)


def _has_zone(times: pd.Series) -> bool:
    return isinstance(times.dtype, pd.DatetimeTZDtype)


def _without_a_time(shown: str, names: Sequence[str], begins: np.ndarray, row: int) -> InputError:
    return InputError(f"{shown}: the recording {name_of(names, begins, row)} has a row without a time")


def _plain(times: pd.Series) -> np.ndarray:
    """As int64 or float64; a counter without a sign keeps its differences."""
    is_whole = pd.api.types.is_integer_dtype(times)
    values = (
        times.to_numpy() if isinstance(times.dtype, np.dtype) else times.to_numpy(np.int64 if is_whole else np.float64)
    )
    return values.astype(np.int64) if is_whole else values.astype(np.float64)


def _of_numbers(
    column: str, ticks: np.ndarray, names: Sequence[str], begins: np.ndarray, reading: Reading, findings: Findings
) -> np.ndarray:
    unit, is_guess = _unit(column, ticks, names, begins, reading, findings)
    values = from_first(ticks, begins) if ticks.dtype.kind == "i" else ticks
    per_second = _UNIX.get(unit)
    seconds = values / per_second if per_second else values * _SECONDS[unit]
    if is_guess:
        _ask_if_slow(column, seconds, names, begins, unit, findings)
    return seconds


def _unit(
    column: str, ticks: np.ndarray, names: Sequence[str], begins: np.ndarray, reading: Reading, findings: Findings
) -> tuple[str, bool]:
    """The unit of numbers, and whether it is a guess."""
    if reading.time_unit is not None:
        return reading.time_unit, False
    key, count = "dataset.time_unit", len(begins)
    if (unit := unit_in(column)) is not None:
        findings.decide(f"the times in {column!r} are in {unit}, as the name says", names[0], key, count)
        return unit, False
    low, high = float(ticks.min()), float(ticks.max())
    for unit, scale in _UNIX.items():
        if _UNIX_RANGE[0] * scale <= low and high < _UNIX_RANGE[1] * scale:
            findings.decide(f"the times in {column!r} are Unix times in {unit}, by their size", names[0], key, count)
            return unit, True
    findings.decide(f"the times in {column!r} are taken as seconds", names[0], key, count)
    return "s", True


def _ask_if_slow(
    column: str, seconds: np.ndarray, names: Sequence[str], begins: np.ndarray, unit: str, findings: Findings
) -> None:
    steps = _inner_steps(seconds, begins)
    step = float(np.median(np.abs(steps))) if len(steps) else 0.0
    if step > 1:
        smaller = {"s": "milliseconds", "ms": "microseconds", "us": "nanoseconds"}.get(unit, "of another unit")
        findings.warn(
            f"the times in {column!r}, read in {unit}, say less than 1 Hz; are they {smaller}?",
            f"{names[0]}: {1 / step:.3g} Hz",
            "dataset.time_unit",
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


def look(
    shown: str,
    names: Sequence[str],
    column: str,
    seconds: np.ndarray,
    begins: np.ndarray,
    reading: Reading,
    findings: Findings,
) -> Clocks:
    """How fast the clocks of recordings run, where they fall back, and where they pause.

    Args:
        shown: the source, for messages.
        names: of the R recordings.
        column: the name of the column.
        seconds: float64 ``[T]``, see ``seconds_of``.
        begins: int64 ``[R]``, the first row of each recording.
        reading: what the user says.
        findings: keeps what is decided here.

    Raises:
        InputError: where times fall back in a way that does not say which order is right.
    """  # fmt: skip
    steps = np.diff(seconds, prepend=seconds[:1])
    steps[begins] = np.nan
    order, ends = None, no_rows()
    if (steps < 0).any():
        unit = reading.time_unit or unit_in(column) or "s"
        falls = Falls(shown, names, column, _SECONDS[unit], reading, findings)
        order, ends = falls.settle(seconds, steps, begins)
    lengths = np.diff(begins, append=len(seconds))
    middle = medians(steps, begins, lengths)
    with np.errstate(divide="ignore", over="ignore"):
        rates = np.where(middle > 0, 1 / middle, np.nan)
    pauses = _pauses(names, column, steps, middle, rates, begins, lengths, reading, findings)
    return Clocks(order, rates, np.union1d(ends, pauses))


def _pauses(
    names: Sequence[str],
    column: str,
    steps: np.ndarray,
    middle: np.ndarray,
    rates: np.ndarray,
    begins: np.ndarray,
    lengths: np.ndarray,
    reading: Reading,
    findings: Findings,
) -> np.ndarray:
    """Rows behind a pause, unless steps are uneven anyway; the rates of such recordings become NaN."""  # fmt: skip
    limits = np.repeat(np.where(middle > 0, middle, np.inf), lengths)
    rows = np.flatnonzero(steps > _UNEVEN * limits)
    if not len(rows):
        return no_rows()
    owners = np.searchsorted(begins, rows, side="right") - 1
    is_uneven = np.bincount(owners, minlength=len(begins)) > np.maximum(1, _COMMON * (lengths - 1))
    if is_uneven.any():
        number = int(np.argmax(is_uneven))
        findings.warn(
            f"the times in {column!r} come in bursts or unevenly, and say no rate; "
            "data_processing_feature_extraction.sampling_rate gives one",
            names[number],
            count=int(is_uneven.sum()),
        )
        rates[is_uneven] = np.nan
    rows = rows[(steps[rows] > _GAP * limits[rows]) & ~is_uneven[owners]]
    if not len(rows):
        return no_rows()
    longest = int(rows[np.argmax(steps[rows])])
    example = f"{name_of(names, begins, longest)[1:-1]}: {steps[longest]:.3g} s"
    count = len(np.unique(np.searchsorted(begins, rows, side="right")))
    if reading.gaps == "keep":
        findings.decide(f"windows reach over pauses in {column!r}", example, "dataset.gaps=cut", count)
        return no_rows()
    findings.warn(f"there are pauses in {column!r}, at which windows end", example, "dataset.gaps=keep", count)
    return rows
