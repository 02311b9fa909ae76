"""Many small text files in which nothing is unusual, parsed together."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nas_lightning.data.readers import clock
from nas_lightning.data.readers.stamps import Column
from nas_lightning.data.readers.text_columns import Columns, courses, find_columns, open_columns
from nas_lightning.data.readers.text_layout import Layout, say_delimiter, say_header
from nas_lightning.data.readers.text_lines import have_equal_rows, is_number, split_line
from nas_lightning.data.readers.text_names import may_count
from nas_lightning.data.readers.text_rows import parse_rows
from nas_lightning.data.reading import Content, Findings, Reading

_SMALL = 1 << 18
_MOST_COLUMNS = 1000
_MOST_LAYOUTS = 64
_PLAIN_BYTES = bytes({*range(32, 127), *b"\t\n"} - {*b'"|#%'})
_UNIX = 9e8


@dataclass(frozen=True)
class Plain:
    """A small text file in which nothing is unusual, as far as can be seen without a look at its cells.

    Attributes:
        path: the file.
        shown: its name in messages.
        layout: what ``find_layout`` finds.
        body: its rows, each with an end of line.
        num_rows: how many.
    """

    path: Path
    shown: str
    layout: Layout
    body: bytes
    num_rows: int


class Plains:
    """Tells which files are plain: ASCII without quotes, comments, blank lines or indents, and one kind of delimiter.

    Args:
        reading: what the user says.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._layouts: dict[tuple[bytes, bytes], Layout | None] = {}
        self._is_told = any(one is not None for one in (reading.skip_rows, reading.delimiter, reading.decimal))

    def look_at(self, path: Path, shown: str) -> Plain | None:
        """The file if it is plain."""
        if self._is_told:
            return None
        try:
            with path.open("rb", buffering=0) as file:
                before = os.fstat(file.fileno())
                content = file.read() if before.st_size <= _SMALL else b""
                after = os.fstat(file.fileno())
        except OSError:
            return None  # said by who reads it alone
        is_whole = len(content) == before.st_size == after.st_size and before.st_mtime_ns == after.st_mtime_ns
        content = content.replace(b"\r\n", b"\n")
        first, _, rest = content.partition(b"\n")
        signs = [sign for sign in b"\t;," if sign in first]
        if not is_whole or not first or len(signs) > 1 or content.translate(None, _PLAIN_BYTES):
            return None
        delimiter = bytes(signs)
        others = {b",": b"\t", b"\t": b",", b";": b",\t", b"": b", \t"}[delimiter]
        if any(sign in content for sign in others) or first[:1].isspace() or b"\n " in content or b"\n\n" in content:
            return None  # decimal commas, or cells that need a closer look
        if b"//" in content or b"\n;" in content or content[:1] == b";":
            return None  # comments
        layout = self._layout(first, delimiter)
        if layout is None:
            return None
        body = rest if layout.header is not None else content
        body += b"" if body.endswith(b"\n") else b"\n"
        return Plain(path, shown, layout, body, body.count(b"\n")) if body.strip() else None

    def _layout(self, first: bytes, delimiter: bytes) -> Layout | None:
        key = first, delimiter
        if key not in self._layouts:
            if len(self._layouts) >= _MOST_LAYOUTS:
                self._layouts.clear()
            self._layouts[key] = _layout_of_first(first.decode(), delimiter.decode() or None, self._reading.header)
        return self._layouts[key]


def _layout_of_first(first: str, delimiter: str | None, is_header: bool | None) -> Layout | None:
    """The layout of a plain file, if its first line decides it."""
    cells = split_line(first, delimiter)
    if is_header is None:
        num_numbers = sum(is_number(cell) for cell in cells if cell)
        is_header = num_numbers == 0 and any(cells)
        if num_numbers and (num_numbers < len(cells) or may_count(cells)):
            return None
    if first.lower().startswith("sep=") or not all(cells[1:]) or len(cells) > _MOST_COLUMNS:
        return None
    header = tuple(cells) if is_header else None
    return Layout("utf-8", delimiter, ".", header, len(cells), int(is_header))


class Group:
    """Plain files of one layout.

    Args:
        files: at least one.
        reading: what the user says.
    """

    def __init__(self, files: Sequence[Plain], reading: Reading) -> None:
        self._files, self._reading = files, reading
        self._layout = files[0].layout
        self._lengths = np.array([file.num_rows for file in files])
        self._begins = np.cumsum(self._lengths) - self._lengths
        self._content = b"".join(file.body for file in files)
        self._first = split_line(files[0].body.partition(b"\n")[0].decode(), self._layout.delimiter)

    def contents(self, findings: Findings) -> list[Content | None] | None:
        """What the files hold, None for one that needs a closer look; None if that is any of them.

        Args:
            findings: gets what was decided of the others.
        """
        try:
            sign, width = self._layout.delimiter, self._layout.num_columns
            is_even = width == 1 or (sign is not None and have_equal_rows(io.BytesIO(self._content), sign, width))
            columns = self._columns() if is_even else []
            return self._divided(columns, findings) if columns else None
        except Exception:  # pandas raises its own errors, its warnings and Python's; alone, a file says what is wrong
            return None

    def _parse(self, types: dict[int, type]) -> pd.DataFrame:
        """Columns of all files."""
        table = parse_rows(io.BytesIO(self._content), self._layout, types)
        if len(table) != self._lengths.sum():
            raise ValueError("a line is no row")
        return table

    def _columns(self) -> list[tuple[Columns, list[int]]]:
        """What the columns are, with the files in which that was found; nothing where it differs."""
        opens = open_columns(self._layout, self._reading)
        numbers = [i for i in opens if is_number(self._first[i])]
        if any(self._layout.header and self._layout.header[i] for i in opens if i not in numbers):
            return []  # text in a column that can be a time
        words = [["text"] * len(self._files) for _ in opens]
        if numbers:
            table = self._parse(dict.fromkeys(numbers, float))
            for i in numbers:
                words[opens.index(i)] = courses(table[i].to_numpy(), self._begins)
        alike: dict[tuple[str, ...], list[int]] = {}
        for number in range(len(self._files)):
            alike.setdefault(tuple(word[number] for word in words), []).append(number)
        found = [
            (find_columns("", self._layout, self._reading, dict(zip(opens, word, strict=True))), own)
            for word, own in alike.items()
        ]
        is_same = len({(columns.kept, columns.time) for columns, _ in found}) == 1
        return found if is_same else []

    def _divided(self, found: list[tuple[Columns, list[int]]], findings: Findings) -> list[Content | None] | None:
        """What each file holds."""
        columns = found[0][0]
        kept, time = list(columns.kept), columns.time
        types: dict[int, type] = {} if time is None else {time: float if is_number(self._first[time]) else str}
        table = self._parse(types | dict.fromkeys(kept, float))
        values = table[kept].to_numpy(np.float64)
        is_whole = np.add.reduceat(np.isnan(values).any(axis=1), self._begins, dtype=np.int64) == 0
        files = [file for file, one in zip(self._files, is_whole, strict=True) if one]
        if not is_whole.all():
            values, table = values[np.repeat(is_whole, self._lengths)], table[np.repeat(is_whole, self._lengths)]
        if not files:
            return None
        whole = _with_clocks(files, columns, values, None if time is None else table[time], self._reading, findings)
        if whole is None:
            return None
        self._say(found, is_whole, findings)
        contents = iter(whole)
        return [next(contents) if one else None for one in is_whole]

    def _say(self, found: list[tuple[Columns, list[int]]], is_whole: np.ndarray, findings: Findings) -> None:
        shown, count = self._files[int(np.argmax(is_whole))].shown, int(is_whole.sum())
        say_delimiter(self._layout, shown, findings, count)
        say_header(self._layout, shown, findings, count)
        for columns, own in found:
            own = [number for number in own if is_whole[number]]
            if own:
                columns.say(self._files[own[0]].shown, findings, len(own))


def _with_clocks(
    files: Sequence[Plain],
    columns: Columns,
    values: np.ndarray,
    times: pd.Series | None,
    reading: Reading,
    findings: Findings,
) -> list[Content] | None:
    """The content of each file in the order of its times; None if the times do not say it together."""
    lengths = np.array([file.num_rows for file in files])
    stops = np.cumsum(lengths)
    begins = stops - lengths
    clocks = clock.Clocks(None, np.full(len(files), np.nan))
    if times is not None:
        if not _are_alike(times, begins):
            return None
        shown = [file.shown.rpartition(": ") for file in files]
        name, names = files[0].layout.with_unit(columns.time or 0), [own for _, _, own in shown]
        column = Column(shown[0][0] or shown[0][2], names, name, begins, reading, findings)
        with np.errstate(invalid="ignore", over="ignore"):
            seconds = clock.seconds_of(column, times)
        if not np.isfinite(seconds).all():
            return None
        clocks = clock.look(column, seconds)
    bounds = enumerate(zip(begins.tolist(), stops.tolist(), strict=True))
    return [clocks.content(i, start, values[start:stop], columns.names) for i, (start, stop) in bounds]


def _are_alike(times: pd.Series, begins: np.ndarray) -> bool:
    """Whether times that are read together are read as each file's alone: one unit of Unix times, or ISO dates."""
    firsts = times.iloc[begins]
    if pd.api.types.is_numeric_dtype(times):
        sizes = np.where(firsts > _UNIX, np.log10(np.maximum(firsts, 1)).astype(int), 0)
        return bool((sizes == sizes[0]).all())
    return bool(firsts.str.match(r"\d{4}-\d\d-\d\d").all())
