"""Where one recording of a long table ends and the next begins."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from nas_lightning.data.readers.clock import seconds_of
from nas_lightning.data.readers.stamps import Column as Times
from nas_lightning.data.readers.table_columns import Columns
from nas_lightning.data.readers.text_lines import MISSING
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.errors import InputError, brief

_NO_WORD = frozenset(("", "nan", "NaN", "<NA>", "NaT"))
NO_LABEL = frozenset((*MISSING, *_NO_WORD)) - {"none"}
"""Cells that stand for a missing label; ``none`` is a class like any other."""
_PAUSE = 5.0
_COMMON = 0.25


@dataclass(frozen=True)
class Marks:
    """The words of a column, without the spaces around them.

    Attributes:
        codes: int64 ``[T]``, the place of each cell's word, -1 for none.
        words: the words, in order.
    """

    codes: np.ndarray
    words: list[str]

    @property
    def changes(self) -> np.ndarray:
        """Whether a row has another word than the row before, bool ``[T - 1]``."""
        return self.codes[1:] != self.codes[:-1]


def marks_of(cells: pd.Series, is_label: bool = False) -> Marks:
    """The words of a column; what stands for a missing label is none."""
    if isinstance(cells.dtype, pd.CategoricalDtype):
        codes, found = cells.cat.codes.to_numpy(), cells.cat.categories
    else:
        try:
            codes, found = pd.factorize(cells)
        except TypeError:  # lists and the like
            codes, found = pd.factorize(cells.astype(str))
    is_there = np.zeros(len(found) + 1, dtype=bool)  # a piece of a file can know the words of all pieces
    is_there[codes] = True
    used = np.flatnonzero(is_there[:-1])
    texts = [str(text).strip() for text in np.asarray(found[used], dtype=object)]
    words = sorted({*texts} - (NO_LABEL if is_label else _NO_WORD))
    places = {word: place for place, word in enumerate(words)}
    numbers = np.full(len(is_there), -1)
    numbers[used] = [places.get(text, -1) for text in texts]
    return Marks(numbers[codes], words)


@dataclass(frozen=True)
class Runs:
    """The recordings, or parts of them, that a piece of a table holds.

    Attributes:
        rows: the piece, without empty rows.
        begins: int64 ``[R]``, the first row of each.
        names: of the R recordings.
        goes_on: whether the first is the one with which the piece before ended.
    """

    rows: pd.DataFrame
    begins: np.ndarray
    names: Sequence[str]
    goes_on: bool


@dataclass(frozen=True)
class _Last:
    """The last row of the piece before."""

    recording: str | None
    label: str | None
    row: pd.DataFrame
    number: int


@dataclass
class Cutter:
    """Cuts a table, piece by piece; what runs on is kept from one piece to the next.

    Attributes:
        shown: the table, for messages.
        columns: what its columns are.
        reading: what the user says; ``recording_ends`` is what this is about.
        findings: keeps what is decided.
    """

    shown: str
    columns: Columns
    reading: Reading
    findings: Findings
    _last: _Last | None = field(default=None, init=False)
    _pause: float | None = field(default=None, init=False)

    @property
    def is_numbered(self) -> bool:
        """Whether recordings are numbered, since something else than their name ends them."""
        return self.reading.recording_ends in ("label", "gap")

    def cut(self, piece: pd.DataFrame) -> Runs | None:
        """The recordings of a piece; None if there are none in it.

        Raises:
            InputError: if a row has no name, or the times do not say where they pause.
        """
        recording = self.columns.recording
        marks = None if recording is None else marks_of(piece[recording])
        sparse = marks or marks_of(piece[self.columns.label])
        if (sparse.codes < 0).any():
            piece, left = self._filled(piece), len(piece)
            if len(piece) < left:
                return self.cut(piece) if len(piece) else None
        if marks is not None and (marks.codes < 0).any():
            raise InputError(f"{self.shown}: the column {recording!r} has an empty cell; every row needs a name")
        if piece.empty:
            return None
        return self._runs(piece, marks)

    def _filled(self, piece: pd.DataFrame) -> pd.DataFrame:
        """The rows with at least one cell that is not empty."""
        is_empty = np.logical_and.reduce([_are_empty(piece[name]) for name in piece.columns])
        if is_empty.any():
            self.findings.decide("empty rows are left out", self.shown, count=int(is_empty.sum()))
        return piece[~is_empty]

    def _runs(self, piece: pd.DataFrame, marks: Marks | None) -> Runs:
        last = self._last
        first, end = (None, None) if marks is None else (marks.words[marks.codes[i]] for i in (0, -1))
        ends = np.zeros(len(piece), dtype=bool)
        ends[0] = last is None or last.recording != first
        ends[1:] = False if marks is None else marks.changes
        is_other = ends.copy()  # another recording by its name
        label = None
        if self.reading.recording_ends == "label":
            labels = marks_of(piece[self.columns.label], is_label=True)
            words = [*labels.words, None]
            ends[1:] |= labels.changes
            ends[0] |= last is None or last.label != words[labels.codes[0]]
            label = words[labels.codes[-1]]
        if self.reading.recording_ends == "gap":
            ends |= self._pauses(piece, is_other)
        goes_on = not ends[0]
        begins = np.flatnonzero(ends)
        begins = np.concatenate([[0], begins]) if goes_on else begins
        if self.is_numbered:
            names, number = self._numbered(begins, is_other, marks, goes_on)
        else:
            assert marks is not None  # nosec B101 # ``find_columns`` sees to it
            names, number = [marks.words[code] for code in marks.codes[begins]], 0
        self._last = _Last(end, label, piece.iloc[-1:].copy(), number)
        return Runs(piece, begins, names, goes_on)

    def _numbered(
        self, begins: np.ndarray, is_other: np.ndarray, marks: Marks | None, goes_on: bool
    ) -> tuple[list[str], int]:
        """``NAME/0``, ``NAME/1``, ... in each recording, or ``0``, ``1``, ... where there is no name; and the last."""
        names, number = [], -1 if self._last is None else self._last.number
        for i, begin in enumerate(begins.tolist()):
            starts_anew = marks is not None and is_other[begin]
            number = 0 if starts_anew else number + (0 if goes_on and i == 0 else 1)
            names.append(f"{number}" if marks is None else f"{marks.words[marks.codes[begin]]}/{number}")
        return names, number

    def _pauses(self, piece: pd.DataFrame, is_other: np.ndarray) -> np.ndarray:
        """Whether the clock paused or fell back before a row."""
        column = self.columns.time
        assert column is not None  # nosec B101 # ``find_columns`` sees to it
        before = piece.iloc[:1] if self._last is None else self._last.row
        times = pd.concat([before[column], piece[column]], ignore_index=True)
        about = Times(self.shown, ["its rows"], column, np.zeros(1, np.int64), self.reading, Findings())
        seconds = seconds_of(about, times)
        steps = np.diff(seconds)
        if self._pause is None:
            self._pause = self._longest_step(column, steps[1:], is_other[1:])
        return (steps > self._pause) | (steps < 0)

    def _longest_step(self, column: str, steps: np.ndarray, is_other: np.ndarray) -> float:
        """The longest step that is no pause."""
        inner = steps[(steps > 0) & ~is_other]
        longest = _PAUSE * float(np.median(inner)) if len(inner) else 0.0
        is_end = (steps > longest) | (steps < 0)
        if not longest or is_end.sum() > max(1, _COMMON * len(steps)):
            raise InputError(
                f"{self.shown}: the times in the column {column!r} pause or fall back in {int(is_end.sum())} of the "
                f"first {len(steps) + 1} rows; `recording_ends`=gap needs times that mostly run on"
            )
        self.findings.decide(
            f"a recording ends where {column!r} pauses for more than {longest:.3g} s, or falls back",
            self.shown,
            "`recording_ends`",
        )
        return longest


def _are_empty(cells: pd.Series) -> np.ndarray:
    empty = cells.isna().to_numpy(bool)
    if pd.api.types.is_numeric_dtype(cells):
        return empty
    return empty | (cells.astype(str).str.strip() == "").to_numpy(bool)


def refuse_names(shown: str, names: Sequence[str]) -> None:
    """Lists of splits hold a name a line, and tabs behind it.

    Raises:
        InputError: for a name with a tab or an end of line in it.
    """
    if len("\v".join(names).splitlines()) == len(names) and not any("\t" in name for name in names):
        return
    name = next(name for name in names if "\t" in name or len(name.splitlines()) > 1)
    raise InputError(
        f"{shown}: the name of the recording {brief(name)!r} has a tab or an end of line in it, which the lists of "
        "splits cannot hold; give it another name"
    )
