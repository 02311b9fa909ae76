"""What the columns of a text file are: variables, the time, counters of rows, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas_lightning.data.readers.clock import is_time, may_be_counter, may_be_time
from nas_lightning.data.readers.text_layout import Layout
from nas_lightning.data.readers.text_lines import MISSING, is_number
from nas_lightning.data.readers.text_names import is_text
from nas_lightning.data.reading import VARIABLES, Findings, Reading, choose, is_named
from nas_lightning.errors import InputError, brief

LOOKED_AT = 50
"""Rows that decide what a column is."""

_TIME = "`columns.time`"
_CLIMBING = ("climbs", "rises", "counts", "returns", "text")
_CLOCKLIKE = ("rises", "counts", "returns", "text")
_RARE = 0.1


@dataclass(frozen=True)
class Columns:
    """What the columns of a text file are, by number.

    Attributes:
        kept: the chosen variables, in the order in which they are asked for.
        names: theirs, or None if the file names none.
        time: the column of the times, or None.
        empty: those at the end that hold nothing.
        decisions: what was decided, whether it is doubtful, and the key that settles it.
    """

    kept: tuple[int, ...]
    names: tuple[str, ...] | None
    time: int | None
    empty: tuple[int, ...] = ()
    decisions: tuple[tuple[str, bool, str], ...] = ()

    def say(self, shown: str, findings: Findings, count: int = 1) -> None:
        """Tell what was decided."""
        for decision, is_doubtful, key in self.decisions:
            (findings.warn if is_doubtful else findings.decide)(decision, shown, key, count)


def find_columns(shown: str, layout: Layout, reading: Reading, courses: Mapping[int, str]) -> Columns:
    """Tell what each column is, and choose.

    Args:
        shown: the file's name in messages.
        layout: of the file.
        reading: what the user says.
        courses: by number, how each of ``open_columns`` goes on in the first rows, see ``course_of``.

    Raises:
        InputError: if a column that is named is not there, or none is left.
    """
    empty = _empty_at_end(layout)
    if layout.header is None:
        return _nameless(shown, layout, reading, empty)
    time = _time(shown, layout.header, reading, courses)
    named = set(reading.variables) if is_named(reading.variables) else set()
    left, decisions = list(empty), []
    if time is not None:
        decisions.append((f"the column {layout.header[time]!r} is the time", False, _TIME))
    for i, name in enumerate(layout.header):
        said = "" if i == time or i in empty else _why_left_out(name, courses.get(i, ""), time is not None)
        if said:
            left.append(i)
        if said and not named:
            decisions.append((said, courses.get(i) != "counts" and not name, VARIABLES))
    free = [i for i in range(layout.num_columns) if i not in left and i != time]
    if named:
        _refuse_twice(shown, layout.header, named)
        kept = choose(shown, len(layout.header), layout.header, reading.variables)
    elif not free:
        raise InputError(f"{shown}: has only columns of time; at least one variable is needed")
    else:
        kept = [free[i] for i in choose(shown, len(free), [layout.header[i] for i in free], reading.variables)]
    names = tuple(layout.header[i] for i in kept)
    return Columns(tuple(kept), names, time, empty, (*decisions, *_about_empty(empty)))


def open_columns(layout: Layout, reading: Reading) -> list[int]:
    """The columns of which the names alone do not say what they are."""
    names = layout.header or ()
    times = [i for i, name in enumerate(names) if is_time(name)]
    has_several = len(times) > 1 or _named_time(reading) is not None
    return [
        i
        for i, name in enumerate(names)
        if may_be_time(name) or may_be_counter(name) or _is_nameless(name) or (has_several and i in times)
    ]


def course_of_sample(layout: Layout, number: int) -> str:
    """How a column goes on in the first rows, as they are written."""
    rows = layout.sample[:LOOKED_AT]
    if is_text(rows, number, layout.decimal):
        return "text" if len({row[number] for row in rows if number < len(row)}) > 1 else "constant"
    cells = [row[number].replace(layout.decimal, ".") if number < len(row) else "" for row in rows]
    if not cells or not all(is_number(cell) and cell not in MISSING for cell in cells):
        return ""
    return courses(np.array([float(cell) for cell in cells]), np.zeros(1, np.int64))[0]


def courses(values: np.ndarray, begins: np.ndarray) -> list[str]:
    """How numbers go on in the first rows of each recording.

    Args:
        values: float64 ``[T]``.
        begins: int64 ``[R]``, the first row of each recording.

    Returns:
        R words: ``counts``, ``rises``, ``returns`` (rises, and seldom falls), ``climbs``, ``constant`` or ``falls``; an
        empty one where rows are too few.
    """
    lengths = np.diff(begins, append=len(values))
    rows = np.arange(len(values)) - np.repeat(begins, lengths)
    with np.errstate(invalid="ignore"):  # of infinite ones
        steps = np.diff(values, prepend=values[:1])
    is_step = (rows > 0) & (rows < LOOKED_AT)
    least = np.minimum.reduceat(np.where(is_step, steps, np.inf), begins)
    most = np.maximum.reduceat(np.where(is_step, steps, -np.inf), begins)
    num_not_up = np.add.reduceat((is_step & (steps <= 0)).astype(np.int64), begins)
    is_rare = num_not_up <= _RARE * (np.minimum(lengths, LOOKED_AT) - 1)
    words = {
        "": lengths < 3,
        "counts": (least == 1) & (most == 1),
        "rises": least > 0,
        "returns": (least < 0) & is_rare,
        "falls": least < 0,
        "constant": most == 0,
        "climbs": least == 0,
    }
    return np.select(list(words.values()), list(words), "").tolist()


def refuse_text(shown: str, layout: Layout, columns: Columns, reading: Reading) -> None:
    """Refuse a column that holds text, where nobody chose it.

    Raises:
        InputError: naming the column and what it holds.
    """
    if reading.variables is not None:
        return
    for i in columns.kept:
        cells = [row[i] for row in layout.sample if i < len(row) and row[i] not in MISSING]
        if is_text(layout.sample, i, layout.decimal) and not any(
            cell[:2].strip("-+.,(")[:1].isdigit() for cell in cells
        ):
            raise InputError(
                f"{shown}: column {name_of(layout, i)} has text such as {cells[0][:40]!r}; name the columns to take by "
                f"{VARIABLES}"
            )


def _refuse_twice(shown: str, names: Sequence[str], chosen: set[str]) -> None:
    twice = next((name for name in names if name in chosen and names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{shown}: has two columns {twice!r}; give the numbers of the columns to take in {VARIABLES}")


def name_of(layout: Layout, number: int) -> str:
    """A column in a sentence: by its name, else by its number from 1."""
    return f"{brief(layout.header[number])[:40]!r}" if layout.header else str(number + 1)


def _nameless(shown: str, layout: Layout, reading: Reading, empty: tuple[int, ...]) -> Columns:
    if (wanted := _named_time(reading)) is not None:
        raise InputError(f"{shown}: does not name its columns; {_TIME} names {wanted!r}")
    free = range(layout.num_columns - len(empty))
    kept = choose(shown, len(free), None, reading.variables)
    return Columns(tuple(kept), None, None, empty, _about_empty(empty))


def _about_empty(empty: Sequence[int]) -> tuple[tuple[str, bool, str], ...]:
    return (("empty columns at the end are left out", False, VARIABLES),) if empty else ()


def _empty_at_end(layout: Layout) -> tuple[int, ...]:
    """The last columns, if they have neither names nor values."""
    rows = layout.sample
    first = layout.num_columns
    while first > 1 and rows and not (layout.header and layout.header[first - 1]):
        if any(row[first - 1] for row in rows if first - 1 < len(row)):
            break
        first -= 1
    return tuple(range(first, layout.num_columns))


def _named_time(reading: Reading) -> str | None:
    """The column of times, if the user gives another name than the usual one."""
    name = reading.columns.get("time") or "time"
    return None if name == "time" else name


def _time(shown: str, names: Sequence[str], reading: Reading, courses: Mapping[int, str]) -> int | None:
    if (wanted := _named_time(reading)) is not None:
        if wanted not in names:
            raise InputError(f"{shown}: has no column {wanted!r}, which {_TIME} names; found {brief(', '.join(names))}")
        return names.index(wanted)
    times = [i for i, name in enumerate(names) if is_time(name)]
    found = next((i for i in times if courses.get(i) in _CLIMBING), times[0] if times else None)
    if found is not None:
        return found
    maybe = (i for i, name in enumerate(names) if may_be_time(name))
    return next((i for i in maybe if courses.get(i) in _CLOCKLIKE), None)


def _why_left_out(name: str, course: str, has_time: bool) -> str:
    """Why a column is no variable; empty if it is one."""
    if _is_nameless(name):
        return (
            "a column without a name counts rows, and is left out"
            if course == "counts"
            else ("a column without a name is left out")
        )
    if is_time(name) and course != "falls":
        return f"the column {name!r} is a time beside another one, and is left out"
    if has_time and may_be_time(name) and course in _CLOCKLIKE:
        return f"the column {name!r} is a time beside another one, and is left out"
    if may_be_counter(name) and course == "counts":
        return f"the column {name!r} counts rows, and is left out"
    return ""


def _is_nameless(name: str) -> bool:
    return not name or name.startswith("Unnamed: ")
