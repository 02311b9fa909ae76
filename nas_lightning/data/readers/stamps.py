"""Times that are written as text: dates with times, times of day, and numbers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nas_lightning.data.reading import Findings, Reading
from nas_lightning.errors import InputError, brief

_DAY = 86400
_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""Ticks of the dates that pandas has."""

_NUMBER = r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?"
_DATE = r"(?:\d{4}[./-]\d\d?[./-]\d\d?|\d\d?[./-]\d\d?[./-](?:\d{4}|\d\d)|\d\d?[ -][A-Za-z]{3}[a-z]*[ -]\d{4})"
_SPLIT = re.compile(rf"(?P<date>{_DATE})(?:(?:[T ]|, ?)\s*(?P<clock>\S.*))?")
_CLOCK = re.compile(
    r"(?:(?P<days>\d+) days?,? )?(?P<hour>\d+):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d|60)(?:[.,:](?P<part>\d+))?)?"
    r"(?:\s*(?:(?P<half>[ap])(?:\.?m\.?)?|\.?m\.?))?\s*(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE,
)
_MINUTES = re.compile(r"(?P<minute>\d+):(?P<second>[0-5]\d)[.,](?P<part>\d+)")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_ALLOWED = "numbers, 2024-01-31 23:59:59.5, 31.01.2024 23:59:59.5, or 23:59:59.5"
_NO_DAY = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Column:
    """A column of times of R recordings, one behind the other.

    Attributes:
        shown: the source, for messages.
        names: of the R recordings.
        name: of the column.
        begins: int64 ``[R]``, the first row of each recording.
        reading: what the user says.
        findings: keeps what is decided.
    """

    shown: str
    names: Sequence[str]
    name: str
    begins: np.ndarray
    reading: Reading
    findings: Findings

    def owner(self, row: int) -> str:
        """The name of the recording that has a row."""
        return self.names[int(np.searchsorted(self.begins, row, side="right")) - 1]

    def without_a_time(self, missing: pd.Series) -> InputError:
        """What is said of a row without a time."""
        name = brief(self.owner(int(np.argmax(missing))))
        return InputError(f"{self.shown}: the recording {name!r} has a row without a time")

    def unreadable(self, row: int, found: object) -> InputError:
        """What is said of a time that cannot be read."""
        return InputError(
            f"{self.shown}: the recording {brief(self.owner(row))!r} has times that cannot be read (found "
            f"{brief(found)[:40]!r}; allowed: {_ALLOWED})"
        )


def numbers_of_text(texts: pd.Series) -> pd.Series | None:
    """Numbers, if the first is one; a decimal comma may stand in them, and what is no number is missing."""
    if not re.fullmatch(_NUMBER, str(texts.iloc[0]).strip()):
        return None
    return pd.to_numeric(texts.str.strip().str.replace(",", ".", regex=False), errors="coerce")


def seconds_of_text(column: Column, times: pd.Series) -> np.ndarray:
    """Seconds of times that are text, none of them missing, those of each recording from a point of its own.

    Raises:
        InputError: naming a recording, a time that cannot be read, and what is allowed.
    """
    first = str(times.iloc[0]).strip()
    if re.match(r"\d{4}-\d\d-\d\d", first) and (stamps := _quickly(times)) is not None:
        return since_first(stamps, column.begins)
    texts = times.str.strip()
    if re.match(_DATE, first):
        return _dated(column, texts)
    seconds, zones = _of_day(texts)
    _refuse(column, texts, np.isnan(seconds))
    _refuse_mixed(column, texts, zones)
    return _over_midnight(column, seconds)


def _quickly(times: pd.Series) -> pd.Series | None:
    """Dates of one form and with one offset or none; all else is looked at more closely."""
    try:
        stamps = pd.to_datetime(times, format="ISO8601")
    except (ValueError, OverflowError):
        return None
    return stamps if pd.api.types.is_datetime64_any_dtype(stamps) and stamps.notna().all() else None


def since_first(stamps: pd.Series, begins: np.ndarray) -> np.ndarray:
    """Seconds of dates, each recording from its first."""
    if stamps.dt.tz is not None:
        stamps = stamps.dt.tz_convert("UTC").dt.tz_localize(None)
    if not isinstance(stamps.dtype, np.dtype):
        stamps = stamps.astype("datetime64[ns]")  # of another library
    ticks = stamps.to_numpy()
    unit, count = np.datetime_data(ticks.dtype)
    return from_first(ticks.astype(np.int64), begins) / (_PER_SECOND[unit] / count)


def from_first(ticks: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Whole numbers of any size from the first of each recording, before they lose digits as float64."""
    firsts = np.repeat(ticks[begins], np.diff(begins, append=len(ticks)))
    return (ticks - firsts).astype(np.float64)


def _refuse(column: Column, texts: pd.Series, wrong: np.ndarray) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise column.unreadable(row, texts.iloc[row])


def _refuse_mixed(column: Column, texts: pd.Series, zones: np.ndarray) -> None:
    without = np.isnan(zones)
    if without.any() and not without.all():
        row = int(np.argmax(without != without[0]))
        raise InputError(
            f"{column.shown}: the recording {brief(column.owner(row))!r} has times with and without an offset from UTC "
            f"(found {texts.iloc[0][:40]!r} and {texts.iloc[row][:40]!r}); allowed: all or none"
        )


def _dated(column: Column, texts: pd.Series) -> np.ndarray:
    parts = texts.str.extract(rf"^{_SPLIT.pattern}$")
    codes, dates = pd.factorize(parts["date"])
    _refuse(column, texts, codes < 0)
    days = _days(column, [str(date) for date in dates], _changes(codes, column.begins))
    _refuse(column, texts, days[codes] == _NO_DAY)
    seconds, zones = _of_day(parts["clock"].fillna("00:00"))
    _refuse(column, texts, np.isnan(seconds))
    _refuse_mixed(column, texts, zones)
    return from_first(days[codes], column.begins) * _DAY + seconds - np.nan_to_num(zones)


def _changes(codes: np.ndarray, begins: np.ndarray) -> bool:
    """Whether a recording has several dates."""
    return not np.isin(np.flatnonzero(np.diff(codes)) + 1, begins).all()


def is_open_date(cell: object) -> bool:
    """Whether a time is text that begins with day and month as numbers."""
    return re.match(r"\s*\d\d?[./-]\d\d?[./-]\d", str(cell)) is not None


def find_day_first(name: str, times: pd.Series, findings: Findings) -> bool | None:
    """What dates say of their order, day or month first; None if all their days can be months.

    Args:
        name: of the column.
        times: its cells.
        findings: keeps what they say.
    """
    dates = times.astype(str).str.strip().str.extract(r"^(\d\d?[./-]\d\d?[./-]\d+)")[0].dropna().unique()
    found = [(date, _order(date)) for date in map(str, dates)]
    example, order = next(((date, order) for date, order in found if order is not None), ("", None))
    if order is not None:
        _say_order(name, order, example, findings)
    return order


def _say_order(name: str, is_day_first: bool, example: str, findings: Findings) -> None:
    which = "day" if is_day_first else "month"
    findings.decide(f"dates in {name!r} have the {which} first", example, "`day_first`")


def _order(date: str) -> bool | None:
    """Whether the day is first; None if both numbers can be days and months, or none can."""
    one, two = map(int, re.split(r"[./-]", date)[:2])
    return None if (one > 12) == (two > 12) else one > 12


def _days(column: Column, dates: list[str], matters: bool) -> np.ndarray:
    """Days since 1970 of different dates; ``_NO_DAY`` for one that there is not."""
    day_first = column.reading.day_first
    open_dates = [date for date in dates if is_open_date(date)]
    if open_dates and day_first is None:
        orders = {date: order for date in open_dates if (order := _order(date)) is not None}
        if len({*orders.values()}) > 1:
            examples = [next(date for date, order in orders.items() if order is first) for first in (True, False)]
            raise InputError(
                f"{column.shown}: the dates in the column {column.name!r} have day and month in different order (found "
                f"{examples[0]!r} and {examples[1]!r}); allowed: one order"
            )
        day_first = next(iter(orders.values()), True if all("." in date for date in open_dates) else None)
        if day_first is None and matters:
            raise InputError(
                f"{column.shown}: the dates in the column {column.name!r} can be read with the day or with the month "
                f"first (found {dates[0]!r}); say `day_first`=true or `day_first`=false"
            )
        if day_first is not None:
            _say_order(column.name, day_first, open_dates[0], column.findings)
    return np.array([_day(re.split(r"[./ -]", date), day_first is not False) for date in dates], dtype=np.int64)


def _day(parts: list[str], day_first: bool) -> int:
    if not parts[1].isdigit():
        day, month, year = int(parts[0]), _month(parts[1]), int(parts[2])
    elif len(parts[0]) == 4:
        year, month, day = map(int, parts)
    else:
        day, month, year = int(parts[0]), int(parts[1]), int(parts[2])
        day, month = (day, month) if day_first else (month, day)
        year += 2000 if len(parts[2]) == 2 else 0
    try:
        return int(np.datetime64(f"{year:04d}-{month:02d}-{day:02d}", "D").astype(np.int64))
    except ValueError:  # there is no such day
        return int(_NO_DAY)


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1 if name[:3].lower() in _MONTHS else 0


def _of_day(texts: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since midnight, and those of the offset from UTC, each NaN where there is none."""
    minutes = bool(_MINUTES.fullmatch(str(texts.iloc[0])))
    pattern = _MINUTES if minutes else _CLOCK
    parts = texts.str.extract(rf"^(?i:{pattern.pattern})$")

    def number(name: str) -> np.ndarray:
        return pd.to_numeric(parts[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)

    seconds = number("minute") * 60 + np.nan_to_num(number("second"))
    if parts["part"].notna().any():
        part = pd.to_numeric("0." + parts["part"], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        seconds = seconds + np.nan_to_num(part)
    if minutes:
        return seconds, np.full(len(texts), np.nan)
    hours = number("hour")
    if parts["half"].notna().any():
        half = parts["half"].str.lower()
        hours = np.where(half.notna(), hours % 12 + 12 * (half == "p").to_numpy(bool, na_value=False), hours)
    seconds = seconds + hours * 3600
    if parts["days"].notna().any():
        seconds = seconds + np.nan_to_num(number("days")) * _DAY
    return seconds, _offsets(parts["zone"])


def _offsets(zones: pd.Series) -> np.ndarray:
    codes, found = pd.factorize(zones)
    return np.array([*(_offset(str(zone)) for zone in found), np.nan])[codes]


def _offset(zone: str) -> float:
    if zone.isalpha():
        return 0.0
    digits = zone[1:].replace(":", "")
    return float(zone[0] + "1") * (int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60)


def _over_midnight(column: Column, seconds: np.ndarray) -> np.ndarray:
    """Times of day that go on after midnight, which is a fall by more than half a day."""
    steps = np.diff(seconds, prepend=seconds[:1])
    steps[column.begins] = 0
    falls = (steps < -_DAY / 2) & (seconds < _DAY)
    if not falls.any():
        return seconds
    example, count = column.owner(int(np.argmax(falls))), int(falls.sum())
    column.findings.decide(f"times of day in {column.name!r} go on over midnight", example, count=count)
    days = np.cumsum(falls, dtype=np.int64)
    days -= np.repeat(days[column.begins], np.diff(column.begins, append=len(seconds)))
    return seconds + days * float(_DAY)
