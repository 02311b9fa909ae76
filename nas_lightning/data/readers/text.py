"""Delimited text with numbers: one row a time step, one column a variable."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nas_lightning.data.readers import clock
from nas_lightning.data.readers.stamps import Column
from nas_lightning.data.readers.text_columns import Columns, course_of_sample, find_columns, open_columns, refuse_text
from nas_lightning.data.readers.text_layout import UNSAID, Layout, find_layout
from nas_lightning.data.readers.text_lines import is_number, one_line
from nas_lightning.data.readers.text_many import Group, Plain, Plains
from nas_lightning.data.readers.text_rows import Plan, is_odd, look_at_rows, parse
from nas_lightning.data.reading import Content, Findings, Reading
from nas_lightning.errors import InputError

_TOGETHER = 1 << 22
_MOST_LOOKS = 4
_SKIP, _RATE = "`skip_rows`", "`sampling_rate`"


def read_numbers(
    path: Path,
    shown: str,
    reading: Reading = UNSAID,
    findings: Findings | None = None,
) -> Content:
    """The chosen variables of a file as float64, their names, and what its times say.

    Args:
        path: the file.
        shown: its name in messages.
        reading: what is known of the way in which it is written.
        findings: gets what was decided.

    Raises:
        InputError: naming the file and the line, what was found and what is allowed.
    """
    findings = Findings() if findings is None else findings
    before = _state(path)
    layout = find_layout(path, shown, reading, findings)
    if layout.doubt is not None:
        raise InputError(layout.doubt)
    courses = {i: course_of_sample(layout, i) for i in open_columns(layout, reading)}
    columns = find_columns(shown, layout, reading, courses)
    refuse_text(shown, layout, columns, reading)
    columns.say(shown, findings)
    plan, table = _parsed(path, shown, Plan(layout, columns, _has_text_times(layout, columns)), reading, before)
    _say_of_rows(shown, layout, plan, findings)
    table = table.iloc[: len(table) - plan.num_empty]
    if not len(table):
        raise InputError(f"{shown}: has a header and no row of numbers")
    values = table[list(columns.kept)].to_numpy(np.float64)
    content = Content(values, columns.names)
    return (
        content if columns.time is None else _with_clock(shown, content, plan, table[columns.time], reading, findings)
    )


def _say_of_rows(shown: str, layout: Layout, plan: Plan, findings: Findings) -> None:
    """Tell what only the rows behind the first ones show."""
    if plan.num_empty:
        findings.decide("rows of empty cells at the end are left out", shown)
    if plan.has_comments and not layout.has_comments:
        findings.decide("comments are skipped", shown, _SKIP)
    if plan.layout.decimal != layout.decimal:
        findings.decide("decimals stand behind a comma", shown, "`decimal`")


def _parsed(path: Path, shown: str, plan: Plan, reading: Reading, before: tuple[int, int]) -> tuple[Plan, pd.DataFrame]:
    """The parsed rows, and the plan as a closer look at them made it."""
    for _ in range(_MOST_LOOKS):
        table, failure = None, None
        try:
            table = parse(path, plan)
        except Exception as error:  # pandas raises its own errors, its warnings and Python's
            failure = error
        if _state(path) != before:
            raise InputError(f"{shown}: changed while it was read; read it when nothing writes into it")
        if table is not None and not is_odd(path, plan, table):
            return plan, table
        better = look_at_rows(path, shown, plan, reading)
        if table is not None and replace(better, num_empty=plan.num_empty) == plan:
            return better, table
        if better == plan and plan.columns.time is not None and not plan.has_text_times:
            better = replace(plan, has_text_times=True)
        if better == plan:
            break
        plan = better
    assert failure is not None  # nosec B101 # tells the type checker
    raise InputError(f"{shown}: cannot be read as numbers ({one_line(failure)})") from failure


def _has_text_times(layout: Layout, columns: Columns) -> bool:
    cells = [row[columns.time] for row in layout.sample[:1] if columns.time is not None and columns.time < len(row)]
    return any(not is_number(cell, layout.decimal) for cell in cells)


def _with_clock(
    shown: str, content: Content, plan: Plan, times: pd.Series, reading: Reading, findings: Findings
) -> Content:
    """The content in the order of its times, with its rate and the rows before which time does not go on."""
    source, _, own = shown.rpartition(": ")
    assert plan.columns.time is not None  # nosec B101 # tells the type checker
    name, found = plan.layout.with_unit(plan.columns.time), Findings()
    column = Column(source or shown, [own], name, np.zeros(1, np.int64), reading, found)
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            seconds = clock.seconds_of(column, times)
        if not np.isfinite(seconds).all():
            raise InputError(f"{column.shown}: the recording {own!r} has a time that is infinite")
    except InputError as error:
        if _is_asked_for(reading):
            raise
        findings.warn(f"the times in {name!r} cannot be read, and say no sampling rate", str(error), _RATE)
        return content
    clocks = clock.look(column, seconds)
    findings.take(found)
    return clocks.content(0, 0, content.values, content.channels)


def _is_asked_for(reading: Reading) -> bool:
    """Whether the user says something of the times, so that they have to be read."""
    settings = (reading.time_unit, reading.day_first, reading.clock)
    return any(setting is not None for setting in settings) or reading.columns.get("time") not in (None, "time")


def read_many(
    files: Iterable[tuple[Path, str]],
    reading: Reading = UNSAID,
    findings: Findings | None = None,
) -> Iterator[Content]:
    """What ``read_numbers`` gives for each of many files, in order.

    Small files of one layout in which nothing is unusual are parsed together: for a small one, looking and calling
    take far longer than its numbers.

    Args:
        files: paths, and the names in messages.
        reading: what is known of the way in which they are written.
        findings: gets what was decided.

    Raises:
        InputError: as ``read_numbers``, or for a file that cannot be read.
    """
    findings = Findings() if findings is None else findings
    plains, held, size = Plains(reading), list[Plain](), 0
    for path, shown in files:
        plain = plains.look_at(path, shown)
        if held and (plain is None or plain.layout is not held[0].layout or size >= _TOGETHER):
            yield from _read_group(held, reading, findings)
            held, size = [], 0
        if plain is None:
            yield _read_alone(path, shown, reading, findings)
        else:
            held.append(plain)
            size += len(plain.body)
    yield from _read_group(held, reading, findings)


def _read_group(files: list[Plain], reading: Reading, findings: Findings) -> Iterator[Content]:
    found = Findings()
    contents = Group(files, reading).contents(found) if len(files) > 1 else None
    if contents is None:
        yield from (_read_alone(file.path, file.shown, reading, findings) for file in files)
        return
    findings.take(found)
    for file, content in zip(files, contents, strict=True):
        yield _read_alone(file.path, file.shown, reading, findings) if content is None else content


def _read_alone(path: Path, shown: str, reading: Reading, findings: Findings) -> Content:
    try:
        return read_numbers(path, shown, reading, findings)
    except OSError as error:
        raise InputError(f"{shown} cannot be read ({error.strerror or error})") from error


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
