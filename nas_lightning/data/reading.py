"""How a source is read: what the user says of it, what readers decided by themselves, and what a file holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np

from nas_lightning.errors import InputError, brief, printable

ROLES = ("recording", "time", "label", "group", "split")
"""What a column of a table can be besides a variable."""

LEVELS = ("split", "class", "group", "any")
"""What the folders of one level can be; ``any`` says nothing."""

TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Seconds of each unit."""

GAP_POLICIES = ("cut", "keep")
"""What a pause in the times does: windows end at it, or reach over it."""

CLOCK_POLICIES = ("rows", "sort")
"""What holds where times fall back: the order of the rows, or that of the times."""

ENDS = ("column", "label", "gap")
"""What ends a recording of a long table: another name, another label, or a pause in the times."""

SIMILAR_POLICIES = ("merge", "keep")
"""Labels that differ by case, spaces or the form of a number only: they are one class, or several."""

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " ", "pipe": "|"}
"""What can stand between the cells of a text file."""

DECIMALS = {"point": ".", "comma": ","}
"""What can stand before the decimals of a number."""

AXES = ("time_first", "channels_first")
"""The order of the two axes of one recording in an array."""

UNLABELLED = "-"
"""The class of recordings whose class is not looked at."""

VARIABLES = "`variables`"
"""The argument that chooses channels, in messages."""


@dataclass(frozen=True)
class Reading:
    """What the user says of the way in which a source is written; None: what it looks like, and that is said.

    Attributes:
        columns: of tables, the name of the column for each of ``ROLES``; None for ``label`` or ``group`` says that
            there is none.
        variables: the channels to read: None for all, n for the first n, a list of numbers from 0 or of names.
        levels: what the folders of each level below the path are, each one of ``LEVELS``.
        label_pattern: a regular expression whose first group (or whole match) in a recording's name is its class.
        labels: a table of names of files and their labels.
        series_per_line: whether a line of a ``.csv`` file is one series and its label.
        recording_ends: one of ``ENDS``.
        header: whether the first line of a text file names the columns.
        skip_rows: lines before the first that counts.
        delimiter: between cells, one of ``DELIMITERS``.
        decimal: the sign before decimals, one of ``DECIMALS``.
        time_unit: one of ``TIME_UNITS``, of times that are numbers.
        day_first: whether 01.02.2024 is in February.
        clock: one of ``CLOCK_POLICIES``.
        gaps: one of ``GAP_POLICIES``.
        axes: one of ``AXES``.
        npy_time: whether the first column of a 2-D ``.npy`` array is the time.
        array: the name of the array in ``.mat`` and HDF5 files that hold several.
        similar_labels: one of ``SIMILAR_POLICIES``.
        offset: what is subtracted from the channels before they become float32, a number or one a channel; None: a
            constant where float32 would lose the signal.
        is_labelled: whether each recording has a class; False: nothing is looked at that could say it.
        is_for_use: whether a trained network takes the recordings: what says nothing of their kind of source is then
            not refused, because it was said for the training, and a file that is one of a pair is read alone.
        unknown: the label of recordings that are of no class; None if all are of one.
        may_lack: roles whose column may be absent, because its name was said of other recordings.
    """

    columns: Mapping[str, str | None] = field(default_factory=dict)
    variables: Any = None
    levels: list[str] | None = None
    label_pattern: str | None = None
    labels: str | None = None
    series_per_line: bool | None = None
    recording_ends: str | None = None
    header: bool | None = None
    skip_rows: int | None = None
    delimiter: str | None = None
    decimal: str | None = None
    time_unit: str | None = None
    day_first: bool | None = None
    clock: str | None = None
    gaps: str = "cut"
    axes: str | None = None
    npy_time: bool | None = None
    array: str | None = None
    similar_labels: str | None = None
    offset: float | list[float] | None = None
    is_labelled: bool = True
    is_for_use: bool = False
    unknown: str | None = None
    may_lack: tuple[str, ...] = ()

    def column(self, role: str) -> str:
        """The name of the column of a role."""
        name = self.columns.get(role)
        return role if name is None else name

    @property
    def has_no_label(self) -> bool:
        """Whether the user says that nothing in the file is a label."""
        return self.has_none("label")

    def has_none(self, role: str) -> bool:
        """Whether the user says that there is no column of a role."""
        return self.columns.get(role, role) is None


class Findings:
    """What readers decided where nothing was said: each decision once, with how often it was made and an example."""

    def __init__(self) -> None:
        self._found: dict[tuple[bool, str, str], tuple[int, str]] = {}

    def decide(self, decision: str, example: str = "", key: str = "", count: int = 1) -> None:
        """Keep a decision.

        Args:
            decision: what was decided, the same words for the same decision.
            example: where, for the first time.
            key: the key that settles it, with its value where only one does; it ends the line in brackets.
            count: how often.
        """
        self._keep(False, decision, example, key, count)

    def warn(self, decision: str, example: str = "", key: str = "", count: int = 1) -> None:
        """Keep a decision that may well be wrong, or that the user should know of; arguments as in ``decide``."""
        self._keep(True, decision, example, key, count)

    def take(self, others: "Findings") -> None:
        """Keep what others hold, behind what is here."""
        for (is_doubtful, decision, key), (count, example) in others._found.items():
            self._keep(is_doubtful, decision, example, key, count)

    def _keep(self, is_doubtful: bool, decision: str, example: str, key: str, count: int) -> None:
        before, first = self._found.get((is_doubtful, decision, key), (0, example))
        self._found[is_doubtful, decision, key] = before + count, first

    @property
    def decisions(self) -> list[str]:
        """A line for each decision, in the order in which they were made."""
        return self._lines(False)

    @property
    def warnings(self) -> list[str]:
        """A line for each that may well be wrong."""
        return self._lines(True)

    def _lines(self, is_doubtful: bool) -> list[str]:
        found = ((key, value) for key, value in self._found.items() if key[0] == is_doubtful)
        return [_line(decision, key, count, example) for (_, decision, key), (count, example) in found]


def _line(decision: str, key: str, count: int, example: str) -> str:
    times = f"{count:,} times, first in" if count > 1 else "in"
    where = f" ({times} {brief(example)})" if example else f" ({count:,} times)" if count > 1 else ""
    return printable(decision) + where + (f" [{key}]" if key else "")


def no_rows() -> np.ndarray:
    """No rows, int64 ``[0]``."""
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Content:
    """What one file of a recording holds.

    Attributes:
        values: ``[T, C]``, one row a time step; NaN is a missing value.
        channels: names of the C columns, if the file says them.
        sampling_rate: Hz, if the file says it.
        breaks: int64 ``[B]``, rows before which time does not go on as elsewhere, in rising order; no window reaches
            over one.
        unit: what a value is, if the reader made it from what the file holds, for example ``samples / 32768``.
    """

    values: np.ndarray
    channels: tuple[str, ...] | None = None
    sampling_rate: float | None = None
    breaks: np.ndarray = field(default_factory=no_rows)
    unit: str | None = None


def choose(shown: str, num_channels: int, channels: Sequence[str] | None, variables: Any) -> list[int]:
    """The numbers of the columns that ``variables`` names, in its order.

    Args:
        shown: the recording or file, for messages.
        num_channels: how many columns there are.
        channels: their names, if they have some.
        variables: see ``Reading``.

    Raises:
        InputError: if there is no such column.
    """
    if variables is None:
        return list(range(num_channels))
    if is_named(variables):
        return _by_name(shown, channels, variables)
    chosen = list(range(min(variables, num_channels + 1))) if type(variables) is int else variables
    is_list = isinstance(chosen, list) and all(type(channel) is int for channel in chosen)
    if not is_list or not chosen or min(chosen) < 0 or max(chosen) >= num_channels:
        raise InputError(
            f"{VARIABLES}: found {variables}; {shown} has {num_channels} channels: allowed are 1 to "
            f"{num_channels}, a list of numbers from 0 to {num_channels - 1}, or a list of names"
        )
    return list(chosen)


def is_named(variables: Any) -> TypeGuard[list[str]]:
    """Whether variables are chosen by their names."""
    return isinstance(variables, list) and bool(variables) and all(isinstance(name, str) for name in variables)


def _by_name(shown: str, channels: Sequence[str] | None, chosen: list[str]) -> list[int]:
    if channels is None:
        raise InputError(f"{VARIABLES}: found {chosen}; {shown} does not name its channels: use numbers")
    unknown = [name for name in chosen if name not in channels]
    if unknown:
        raise InputError(f"{VARIABLES}: found {unknown}; {shown} has the channels {brief(', '.join(channels))}")
    return [channels.index(name) for name in chosen]
