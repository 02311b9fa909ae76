"""What each column of a long table is: a role, a variable, or nothing that is read."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from nas_lightning.data.readers.clock import counts, is_real, is_time, may_be_counter, may_be_time, rises
from nas_lightning.data.reading import ENDS, ROLES, VARIABLES, Findings, Reading, choose, is_named
from nas_lightning.errors import InputError, brief

_NAMELESS = ("Unnamed:", "__index_level_")


@dataclass(frozen=True)
class Columns:
    """The names of the columns of a long table that are read.

    Attributes:
        label: of the class.
        variables: of the variables, in their order.
        recording: of the name of the recording; None if there is none.
        time: of the time; None if there is none.
        group: of the group; None if there is none.
        split: of the split; None if there is none.
    """

    label: str
    variables: tuple[str, ...] = ()
    recording: str | None = None
    time: str | None = None
    group: str | None = None
    split: str | None = None

    @property
    def words(self) -> list[str]:
        """Those whose cells are words."""
        named = (self.recording, self.label, self.group, self.split)
        return list(dict.fromkeys(name for name in named if name is not None))

    @property
    def read(self) -> list[str]:
        """All, each once."""
        return list(dict.fromkeys([*self.words, *([self.time] if self.time else []), *self.variables]))


def column_of(reading: Reading, role: str) -> str:
    """The name of the column of a role, without spaces around it."""
    return str(reading.column(role)).strip()


def is_said(reading: Reading, role: str) -> bool:
    """Whether the user gives the column of a role another name than the usual one."""
    return column_of(reading, role) != role


def find_columns(
    shown: str,
    names: Sequence[str],
    look: Callable[[], pd.DataFrame],
    reading: Reading,
    findings: Findings,
    made: Collection[str] = (),
) -> Columns:
    """Decide what each column is, by its name, and by the first rows where the name leaves it open.

    Args:
        shown: the table, for messages.
        names: of its columns, without spaces around them.
        look: gives the first rows.
        reading: what the user says.
        findings: keeps what is decided here.
        made: names that the table itself does not have, for messages.

    Raises:
        InputError: if a column is missing, or there are two of one name.
    """
    twice = next((name for i, name in enumerate(names) if name and name in names[:i]), None)
    if twice is not None:
        raise InputError(f"{shown}: has two columns {brief(twice)!r}; allowed: each name once")
    wanted = [name.strip() for name in reading.variables] if is_named(reading.variables) else []
    there = [name for name in names if name not in made]
    columns = _roles(shown, names, wanted, reading, findings, there)
    named = [name for name in names if name and not name.startswith(_NAMELESS)]
    if len(named) < len(names):
        findings.decide("the column without a name is left out as an index", shown)
    free = [name for name in named if name not in columns.read]
    judged = [name for name in free if name not in wanted]
    columns, left_out = _find_clock(shown, columns, judged, look, findings)
    if columns.time is not None and not is_said(reading, "time"):
        findings.decide(f"the column {columns.time!r} is the time", shown, "`columns.time`")
    if columns.time is None and reading.recording_ends == "gap":
        raise InputError(f"{shown}: `recording_ends`=gap needs a column of times; `columns.time` names it")
    kept = [name for name in free if name not in (*left_out, columns.time)]
    variables = [name for name in named if name in kept or (name in wanted and name not in columns.words)]
    if not variables:
        raise InputError(f"{shown}: has no column besides {brief(', '.join(there))}; variables are needed")
    chosen = choose(shown, len(variables), variables, wanted or reading.variables)
    return replace(columns, variables=tuple(variables[i] for i in chosen))


def _roles(
    shown: str,
    names: Sequence[str],
    wanted: Sequence[str],
    reading: Reading,
    findings: Findings,
    there: Sequence[str],
) -> Columns:
    """The columns with a role, but for a time of another name."""
    if reading.recording_ends not in (None, *ENDS):
        allowed = ", ".join(ENDS)
        raise InputError(f"`recording_ends`: found {reading.recording_ends!r}; allowed: null, {allowed}")
    found = {role: _role(shown, role, names, reading, findings, there) for role in ROLES}
    if found["time"] in wanted and not is_said(reading, "time"):
        found["time"] = None
    return Columns(found["label"] or "", (), found["recording"], found["time"], found["group"], found["split"])


def _role(
    shown: str, role: str, names: Sequence[str], reading: Reading, findings: Findings, there: Sequence[str]
) -> str | None:
    if role == "group" and reading.has_none(role):
        return None
    name = column_of(reading, role)
    if name in names:
        return name
    other = next((other for other in names if other.lower() == name.lower()), None)
    is_needed = role == "label" or (role == "recording" and reading.recording_ends in (None, "column"))
    if role in reading.may_lack:
        return None
    if is_needed or is_said(reading, role):
        found = brief(", ".join(there)) if other is None else f"{other!r}; set `columns.{role}`={other}"
        others = ""
        if role == "recording" and other is None:
            others = (
                "`recording_ends`=label ends a recording where the label changes, `recording_ends`=gap "
                "where the times pause, and `series_per_line`=true takes each line as one; "
            )
        raise InputError(f"{shown}: has no column {name!r}, which `columns.{role}` names; {others}found {found}")
    if other is not None and role != "time":
        findings.warn(f"the column {other!r} is a variable and not the {role}", shown, f"`columns.{role}`={other}")
    return None


def _find_clock(
    shown: str, columns: Columns, free: Sequence[str], look: Callable[[], pd.DataFrame], findings: Findings
) -> tuple[Columns, list[str]]:
    """The columns with that of the time, and those that are left out, since they say nothing beside it."""
    sure = [name for name in free if is_time(name)]
    perhaps = [name for name in free if may_be_time(name) or may_be_counter(name)]
    if not perhaps and len(sure) + (columns.time is not None) < 2:
        return replace(columns, time=columns.time or next(iter(sure), None)), []
    rows = look()
    begins = _begins(rows[columns.recording or columns.label])
    course = {name: _course(rows[name], begins) for name in (*sure, *perhaps)}
    time = columns.time
    if time is None:
        clocks = [*sure, *(name for name in perhaps if may_be_time(name) and course[name] == "rises")]
        time = min(clocks, key=lambda name: _rank(name, course[name]), default=None)
    left_out = []
    for name in (*sure, *perhaps):
        why = _why_left_out(name, course[name])
        if name != time and why:
            left_out.append(name)
            findings.decide(f"the column {name!r} {why} and is left out", shown, VARIABLES)
        elif name != time and name in sure:
            findings.decide(f"the column {name!r} does not rise as a time does and is a variable", shown, VARIABLES)
    return replace(columns, time=time), left_out


def _why_left_out(name: str, course: str) -> str:
    """Why a column that is not taken as the time is no variable either; empty if it is one."""
    if course == "counts":
        return "counts the rows"
    if course == "rises" and not may_be_counter(name):
        return "rises as a second time"
    return "is a second time" if course == "text" and is_time(name) else ""


def _begins(cells: pd.Series) -> np.ndarray:
    texts = cells.astype(str).to_numpy(object)
    return np.concatenate([[0], np.flatnonzero(texts[1:] != texts[:-1]) + 1])


def _course(cells: pd.Series, begins: np.ndarray) -> str:
    """How a column goes on in the first rows: ``text``, ``counts``, ``rises``, or else."""
    if not is_real(cells) or pd.api.types.is_bool_dtype(cells):
        return "text"
    values = cells.to_numpy(np.float64, na_value=np.nan)
    return "counts" if counts(values, begins) else "rises" if rises(values, begins) else ""


def _rank(name: str, course: str) -> int:
    """The less, the more a column looks like the time; a date alone says less than the time beside it."""
    if course == "text":
        return 2 if "date" in name.lower() and "time" not in name.lower() else 1
    return 0 if course in ("rises", "counts") else 3
