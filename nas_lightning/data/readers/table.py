"""Long tables: one row a time step of one recording, with columns for recording, time, label and variables."""

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas_lightning.data.readers.clock import is_real, look, seconds_of
from nas_lightning.data.readers.stamps import Column, find_day_first, is_open_date
from nas_lightning.data.readers.table_columns import Columns, find_columns
from nas_lightning.data.readers.table_cuts import Cutter, Marks, marks_of, refuse_names
from nas_lightning.data.readers.table_rows import CsvFrames, DataFrames, Frames, ParquetFrames
from nas_lightning.data.readers.table_unlabelled import Unlabelled
from nas_lightning.data.readers.table_wide import find_wide, read_wide
from nas_lightning.data.readers.text_layout import find_layout
from nas_lightning.data.readers.text_lines import MISSING
from nas_lightning.data.reading import VARIABLES, Findings, Reading
from nas_lightning.data.recordings import Block, Source
from nas_lightning.data.words import Words
from nas_lightning.errors import InputError, brief

_ROWS = 1 << 18
_SPLITS = ("train", "val", "test")


def read_table(path: Path, reading: Reading) -> Source:
    """Read a ``.csv`` or ``.parquet`` table in pieces; the rows of a recording stand together.

    A ``.csv`` file can also have one series a line; see ``wide``.

    Args:
        path: the file.
        reading: what is known of the way in which it is written.

    Raises:
        InputError: naming the file, the column or the recording, what was found and what is allowed.
    """
    findings = Findings()
    if path.suffix.lower() == ".parquet":
        if reading.series_per_line:
            raise InputError(f"`series_per_line`: found true; {path} has no lines: allowed for .csv files")
        return _source(str(path), ParquetFrames(path), reading, findings)
    layout = find_layout(path, str(path), reading, findings)
    if layout.doubt is not None:
        raise InputError(layout.doubt)
    wide = find_wide(path, layout, reading, findings)
    if wide is not None:
        return Source(
            str(path),
            read_wide(path, layout, wide, reading.is_labelled),
            findings=findings,
            is_chosen=reading.variables is not None,
        )
    if layout.header is None:
        raise InputError(
            f"{path}: has no names of columns in its first line; a long table needs them "
            "(`header`=true says that they are there), and `series_per_line`=true takes each line as one "
            "recording and its label"
        )
    return _source(str(path), CsvFrames(path, layout), reading, findings)


def read_frame(frame: Any, reading: Reading, shown: str = "the data frame") -> Source:
    """Read a long table from a data frame of pandas, or of what has ``to_pandas()``; see ``read_table``.

    Args:
        frame: one row a time step; the rows of a recording stand together.
        reading: what is known of the way in which it is written.
        shown: its name in messages.

    Raises:
        InputError: as ``read_table``.
    """
    return _source(shown, DataFrames(frame, shown), reading, Findings())


def _source(shown: str, frames: Frames, reading: Reading, findings: Findings) -> Source:
    made: Collection[str] = ()
    if not reading.is_labelled:
        frames, reading = Unlabelled(frames, reading), replace(reading, recording_ends=_without_labels(reading))
        made = frames.made
    columns = find_columns(shown, frames.names, lambda: frames.first, reading, findings, made)
    reading = _with_day_first(frames, columns, reading, findings)
    table = _Table(shown, frames, columns, reading, findings)
    return Source(
        shown,
        table.blocks(),
        total=frames.total,
        unit="row",
        findings=findings,
        is_chosen=reading.variables is not None,
    )


def _without_labels(reading: Reading) -> str | None:
    """What ends a recording where no label does."""
    return None if reading.recording_ends == "label" else reading.recording_ends


def _with_day_first(frames: Frames, columns: Columns, reading: Reading, findings: Findings) -> Reading:
    """What the dates of the whole table say of their form, since those of a recording may leave it open."""
    if columns.time is None or reading.day_first is not None:
        return reading
    first = frames.first[columns.time]
    if first.empty or not is_open_date(first.iloc[0]):
        return reading
    for piece in frames.pieces([columns.time], [], _ROWS):
        found = find_day_first(columns.time, piece[columns.time], findings)
        if found is not None:
            return replace(reading, day_first=found)
    return reading


@dataclass
class _Table:
    """A long table, and what was read of it so far.

    Attributes:
        shown: its name in messages.
        frames: its rows.
        columns: what its columns are.
        reading: what is known of the way in which it is written.
        findings: keeps what is decided.
        ended: the names of the recordings that ended.
    """

    shown: str
    frames: Frames
    columns: Columns
    reading: Reading
    findings: Findings
    ended: set[str] = field(default_factory=set)

    def blocks(self) -> Iterator[Block]:
        """The recordings that end within a piece together; one that goes on in the next is held until it ends."""
        cutter = Cutter(self.shown, self.columns, self.reading, self.findings)
        held: list[pd.DataFrame] = []
        name = ""
        for piece in self.frames.pieces(self.columns.read, self.columns.words, _ROWS):
            runs = cutter.cut(piece)
            if runs is None:
                continue
            bounds = [*runs.begins.tolist(), len(runs.rows)]
            if runs.goes_on:
                held.append(runs.rows.iloc[: bounds[1]])
                bounds = bounds[1:]
            if len(bounds) == 1:  # all of the piece
                continue
            if held:
                yield from self._checked(_joined(held), np.zeros(1, np.int64), [name])
            names = runs.names[-len(bounds) + 1 :]
            first, last = bounds[0], bounds[-2]
            if last > first:
                begins = np.array(bounds[:-2]) - first
                yield from self._checked(runs.rows.iloc[first:last], begins, names[:-1])
            held, name = [runs.rows.iloc[last:]], names[-1]
        if held:
            yield from self._checked(_joined(held), np.zeros(1, np.int64), [name])

    def _checked(self, rows: pd.DataFrame, begins: np.ndarray, names: Sequence[str]) -> Iterator[Block]:
        """Recordings as a block; if something is wrong, one by one, so that the first of them is named."""
        try:
            block = self._block(rows, begins, names)
        except InputError:
            for number, (start, stop) in enumerate(itertools.pairwise([*begins.tolist(), len(rows)])):
                self._refuse_apart(names[number : number + 1])
                yield self._block(rows.iloc[start:stop], np.zeros(1, np.int64), names[number : number + 1])
            raise
        self._refuse_apart(names)
        yield block

    def _refuse_apart(self, names: Sequence[str]) -> None:
        refuse_names(self.shown, names)
        for name in names:
            if name in self.ended:
                raise InputError(
                    f"{self.shown}: the rows of the recording {brief(name)!r} do not stand together; sort the table by "
                    "it"
                )
            self.ended.add(name)

    def _block(self, rows: pd.DataFrame, begins: np.ndarray, names: Sequence[str]) -> Block:
        labels = self._labels(rows, begins, names)
        splits = self._words(rows, begins, names, self.columns.split)
        for split in sorted(set() if splits is None else splits.present - {*_SPLITS}):
            assert splits is not None  # nosec B101 # tells the type checker
            name = names[int(np.argmax(splits.are(split)))]
            raise InputError(
                f"{self.shown}: the recording {brief(name)!r} has the split {brief(split)!r}; allowed: train, val, test"
            )
        group = self.columns.group
        if group is None and self.reading.recording_ends in ("label", "gap"):
            group = self.columns.recording  # whose parts belong together
        groups = self._words(rows, begins, names, group)
        lengths = np.diff(begins, append=len(rows))
        block = Block(tuple(names), np.empty(0), lengths, labels, groups, splits, channels=self.columns.variables)
        if self.columns.time is not None:
            name = self.frames.with_unit(self.columns.time)
            column = Column(self.shown, names, name, begins, self.reading, self.findings)
            clocks = look(column, seconds_of(column, rows[self.columns.time]))
            rows = rows if clocks.order is None else rows.iloc[clocks.order]
            block = replace(block, sampling_rates=clocks.rates, breaks=clocks.breaks)
        return replace(block, values=self._values(rows, begins, names))

    def _labels(self, rows: pd.DataFrame, begins: np.ndarray, names: Sequence[str]) -> Words:
        column = self.columns.label
        labels = self._words(rows, begins, names, column)
        assert labels is not None  # nosec B101 # ``find_columns`` sees to it
        if (labels.numbers < 0).any():
            number = int(np.argmax(labels.numbers < 0))
            cell = rows[column].iloc[begins[number]]
            found = f" (found {str(cell).strip()!r}, which stands for a missing one)" if str(cell).strip() else ""
            raise InputError(f"{self.shown}: the recording {brief(names[number])!r} has no label{found}")
        return labels

    def _words(self, rows: pd.DataFrame, begins: np.ndarray, names: Sequence[str], column: str | None) -> Words | None:
        """What a column says of each recording."""
        if column is None:
            return None
        is_label = column == self.columns.label
        marks = marks_of(rows[column], is_label)
        numbers, words = marks.codes, marks.words
        most = np.maximum.reduceat(numbers, begins)
        least = np.minimum.reduceat(np.where(numbers < 0, len(words), numbers), begins)
        several = (most >= 0) & (least != most)
        if several.any():
            number = int(np.argmax(several))
            stop = begins[number + 1] if number + 1 < len(begins) else len(rows)
            raise self._several(column, Marks(numbers[begins[number] : stop], words), names[number])
        if is_label and (
            num_empty := int((np.repeat(most, np.diff(begins, append=len(rows))) >= 0)[numbers < 0].sum())
        ):
            self.findings.warn("rows without a label take that of their recording", self.shown, count=num_empty)
        return Words(most, words)

    def _several(self, column: str, marks: Marks, name: str) -> InputError:
        own = [marks.words[i] for i in dict.fromkeys(marks.codes.tolist()) if i >= 0]
        way = "; `recording_ends`=label ends a recording where it changes" if column == self.columns.label else ""
        return InputError(
            f"{self.shown}: the recording {brief(name)!r} has {len(own)} values of {column!r}, among them "
            f"{own[0][:40]!r} and {own[1][:40]!r}; allowed: one{way}"
        )

    def _values(self, rows: pd.DataFrame, begins: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """The variables ``[T, C]``."""
        variables = rows[list(self.columns.variables)]
        for column in [column for column in variables if not is_real(variables[column])]:
            numbers, wrong = _numbers(variables[column])
            if wrong.any():
                row = int(np.argmax(wrong))
                name = names[int(np.searchsorted(begins, row, side="right")) - 1]
                example = str(variables[column].iloc[row])[:40]
                raise InputError(
                    f"{self.shown}: the column {brief(column)!r} of the recording {brief(name)!r} has text such as "
                    f"{example!r}; allowed: numbers; {VARIABLES} names the columns to take"
                )
            variables = variables.assign(**{column: numbers})
        is_single = all(dtype == np.float32 for dtype in variables.dtypes)
        return variables.to_numpy(np.float32 if is_single else np.float64, na_value=np.nan)


def _joined(held: list[pd.DataFrame]) -> pd.DataFrame:
    return held[0] if len(held) == 1 else pd.concat(held, ignore_index=True)


def _numbers(cells: pd.Series) -> tuple[pd.Series, np.ndarray]:
    """The numbers of a column of text, and which cells are none."""
    texts = cells.astype(str).str.strip()
    numbers = pd.to_numeric(texts, errors="coerce")
    return numbers, (numbers.isna() & cells.notna() & ~texts.isin(MISSING)).to_numpy(bool)
