"""Times that are written as text: dates with times, times of day, and numbers."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from nas_lightning.data.reading import Findings, Reading
from nas_lightning.errors import InputError, brief

_DAY = 86400
_NUMBER = r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?"
_DATE = r"(?:\d{4}[./-]\d\d?[./-]\d\d?|\d\d?[./-]\d\d?[./-](?:\d{4}|\d\d)|\d\d?[ -][A-Za-z]{3}[a-z]*[ -]\d{4})"
_SPLIT = re.compile(rf"(?P<date>{_DATE})(?:(?:[T ]|, ?)\s*(?P<clock>\S.*))?")
_CLOCK = re.compile(
    r"(?:(?P<days>\d+) days?,? )?(?P<hour>\d+):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d|60)(?:[.,:](?P<part>\d+))?)?"
    r"\s*(?P<half>[ap])?(?:\.?m\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE,
)
_MINUTES = re.compile(r"(?P<minute>\d+):(?P<second>[0-5]\d)[.,](?P<part>\d+)")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_ALLOWED = "numbers, 2024-01-31 23:59:59.5, 31.01.2024 23:59:59.5, or 23:59:59.5"


def numbers_of_text(texts: pd.Series) -> pd.Series | None:
    """Numbers, if the first is one; a decimal comma may stand in them, and what is no number is missing."""
    if not re.fullmatch(_NUMBER, str(texts.iloc[0]).strip()):
        return None
    return pd.to_numeric(texts.astype(str).str.strip().str.replace(",", ".", regex=False), errors="coerce")


def instants(
    shown: str,
    names: Sequence[str],
    column: str,
    times: pd.Series,
    begins: np.ndarray,
    reading: Reading,
    findings: Findings,
) -> np.ndarray:
    """Seconds of times that are text, those of each recording from a point of its own, float64 ``[T]``.

    Args:
        shown: the source, for messages.
        names: of the R recordings.
        column: the name of the column.
        times: T texts, none of them missing.
        begins: int64 ``[R]``, the first row of each recording.
        reading: what the user says.
        findings: keeps what is decided here.

    Raises:
        InputError: naming a recording, a time that cannot be read, and what is allowed.
    """  # fmt: skip
    first = str(times.iloc[0])
    if re.match(r"\d{4}-\d\d-\d\d", first):
        try:
            stamps = pd.to_datetime(times, format="ISO8601")
        except (ValueError, OverflowError):
            stamps = times  # looked at one by one below
        if (
            isinstance(stamps.dtype, np.dtype | pd.DatetimeTZDtype)
            and stamps.dtype.kind == "M"
            and stamps.notna().all()
        ):
            return since_first(stamps, begins)
    texts = times.astype(str).str.strip()
    if re.match(_DATE, first.strip()):
        return _dated(shown, names, column, texts, begins, reading, findings)
    seconds, zones = _of_day(texts)
    _refuse(shown, names, texts, begins, np.isnan(seconds))
    _refuse_mixed(shown, names, texts, begins, zones)
    return _over_midnight(column, seconds, names, begins, findings)


def since_first(stamps: pd.Series, begins: np.ndarray) -> np.ndarray:
    """Seconds of dates, each recording from its first."""
    if isinstance(stamps.dtype, pd.DatetimeTZDtype):
        stamps = stamps.dt.tz_convert("UTC").dt.tz_localize(None)
    ticks = stamps.to_numpy()
    unit = np.timedelta64(1, np.datetime_data(ticks.dtype)[0])
    per_second = float(np.timedelta64(1, "s") / unit)
    return from_first(ticks.astype(np.int64), begins) / per_second


def from_first(ticks: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Whole numbers of any size from the first of each recording, before they lose digits as float64."""
    firsts = np.repeat(ticks[begins], np.diff(begins, append=len(ticks)))
    return (ticks - firsts).astype(np.float64)


def name_of(names: Sequence[str], begins: np.ndarray, row: int) -> str:
    """The recording that has a row, as a part of a sentence."""
    return f"{brief(names[int(np.searchsorted(begins, row, side='right')) - 1])!r}"


def refuse_time(shown: str, names: Sequence[str], begins: np.ndarray, row: int, found: object) -> InputError:
    """What is said of a time that cannot be read."""
    return InputError(
        f"{shown}: the recording {name_of(names, begins, row)} has times that cannot be read (found "
        f"{brief(found)[:40]!r}; allowed: {_ALLOWED})"
    )


def _refuse(shown: str, names: Sequence[str], texts: pd.Series, begins: np.ndarray, wrong: np.ndarray) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise refuse_time(shown, names, begins, row, texts.iloc[row])


def _refuse_mixed(shown: str, names: Sequence[str], texts: pd.Series, begins: np.ndarray, zones: np.ndarray) -> None:
    without = np.isnan(zones)
    if without.any() and not without.all():
        row = int(np.argmax(without != without[0]))
        raise InputError(
            f"{shown}: the recording {name_of(names, begins, row)} has times with and without an offset from UTC "
            f"(found {texts.iloc[0][:40]!r} and {texts.iloc[row][:40]!r}); allowed: all or none"
        )


def _dated(
    shown: str, names: Sequence[str], column: str, texts: pd.Series, begins: np.ndarray, reading: Reading,
    findings: Findings,
) -> np.ndarray:  # fmt: skip
    parts = texts.str.extract(rf"^{_SPLIT.pattern}$")
    codes, dates = pd.factorize(parts["date"])
    _refuse(shown, names, texts, begins, codes < 0)
    is_open = _changes(codes, begins)
    days = _days(shown, column, [str(date) for date in dates], is_open, reading, findings)
    _refuse(shown, names, texts, begins, days[codes] == _NO_DAY)
    seconds, zones = _of_day(parts["clock"].fillna("00:00"))
    _refuse(shown, names, texts, begins, np.isnan(seconds))
    _refuse_mixed(shown, names, texts, begins, zones)
    return from_first(days[codes], begins) * _DAY + seconds - np.nan_to_num(zones)


def _changes(codes: np.ndarray, begins: np.ndarray) -> bool:
    """Whether a recording has several dates."""
    changes = np.flatnonzero(np.diff(codes)) + 1
    return not np.isin(changes, begins).all()


_NO_DAY = np.iinfo(np.int64).min


def _days(shown: str, column: str, dates: list[str], matters: bool, reading: Reading, findings: Findings) -> np.ndarray:
    """Days since 1970 of different dates; ``_NO_DAY`` for one that there is not."""
    fields = [re.split(r"[./ -]", date) for date in dates]
    day_first = reading.day_first
    if any(_is_open(parts) for parts in fields):
        found = _day_first(shown, column, dates, fields)
        if day_first is None and found is None and matters:
            raise InputError(
                f"{shown}: the dates in the column {column!r} can be read with the day or with the month first (found "
                f"{dates[0]!r}); say dataset.day_first=true or dataset.day_first=false"
            )
        if day_first is not None and found not in (None, day_first) and "." not in dates[0]:
            raise InputError(
                f"{shown}: the dates in the column {column!r} have the {'day' if found else 'month'} first; "
                f"allowed: dataset.day_first={str(found).lower()} or null"
            )
        if day_first is None and found is not None:
            which = "day" if found else "month"
            findings.decide(f"dates in {column!r} have the {which} first", dates[0], "dataset.day_first")
        day_first = found if day_first is None else day_first
    return np.array([_day(parts, day_first is not False) for parts in fields], dtype=np.int64)


def _is_open(parts: list[str]) -> bool:
    """Whether a date has day and month as numbers, before the year."""
    return len(parts[0]) < 4 and parts[1].isdigit()


def _day_first(shown: str, column: str, dates: list[str], fields: list[list[str]]) -> bool | None:
    """What all dates say together; dots say it where the numbers do not."""
    pairs = [(int(parts[0]), int(parts[1]), date) for parts, date in zip(fields, dates, strict=True) if _is_open(parts)]
    first = next((date for one, _, date in pairs if one > 12), None)
    second = next((date for _, two, date in pairs if two > 12), None)
    if first and second:
        raise InputError(
            f"{shown}: the dates in the column {column!r} have day and month in different order (found {first!r} and "
            f"{second!r}); allowed: one order"
        )
    if first or second:
        return first is not None
    return True if all("." in date for _, _, date in pairs) else None


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


def _over_midnight(
    column: str, seconds: np.ndarray, names: Sequence[str], begins: np.ndarray, findings: Findings
) -> np.ndarray:
    """Times of day that go on after midnight, which is a fall by more than half a day."""
    steps = np.diff(seconds, prepend=seconds[:1])
    steps[begins] = 0
    falls = (steps < -_DAY / 2) & (seconds < _DAY)
    if not falls.any():
        return seconds
    example = name_of(names, begins, int(np.argmax(falls)))
    findings.decide(f"times of day in {column!r} go on over midnight", example, "", int(falls.sum()))
    days = np.cumsum(falls)
    days -= np.repeat(days[begins], np.diff(begins, append=len(seconds)))
    return seconds + days * float(_DAY)
