"""Text with one series a line: its values and its label, as tools for small devices write and read it."""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas_lightning.data.readers.cells import to_numbers
from nas_lightning.data.readers.clock import is_time
from nas_lightning.data.readers.table_columns import column_of, is_said
from nas_lightning.data.readers.table_cuts import NO_LABEL, refuse_names
from nas_lightning.data.readers.text_layout import Layout
from nas_lightning.data.readers.text_lines import is_comment, is_number, lines, split_line
from nas_lightning.data.reading import ROLES, UNLABELLED, Findings, Reading, choose
from nas_lightning.data.recordings import Recording
from nas_lightning.errors import InputError, brief

_LONGEST_LINE = 1 << 28
_LOOKED_AT = 20
_FEWEST = 16
_KEY = "`series_per_line`"


@dataclass(frozen=True)
class Wide:
    """Where in a line something stands.

    Attributes:
        label: the place of the label; negative from the end. None if there is none.
        values: the first place of the values and the one behind the last, or None for the end of the line.
        recording: the place of the name; None if there is none.
        group: that of the group.
        split: that of the split.
    """

    label: int | None
    values: slice
    recording: int | None = None
    group: int | None = None
    split: int | None = None


def find_wide(path: Path, layout: Layout, reading: Reading, findings: Findings) -> Wide | None:
    """Where the label and the values of a series stand in its line; None for a table of time steps.

    Args:
        path: the file.
        layout: how it is written.
        reading: what the user says.
        findings: keeps what is decided.

    Raises:
        InputError: if lines are series and nothing says which cell is the label.
    """
    if reading.series_per_line is False or (reading.series_per_line is None and not is_evident(path, layout, reading)):
        return None
    names = [name.strip() for name in layout.header] if layout.header else []
    if reading.header is None and sum(map(_is_fraction, names)) * 2 > len(names):
        raise InputError(f"{path}: its first line can be names or values; `header`=true or false says which")
    places = {role: _place(names, layout, reading, role) for role in ("recording", "group", "split")}
    label = _label_place(path, layout, names, reading, [place for place in places.values() if place is not None])
    if label is None:
        findings.warn("no column is the label, so all others are values", str(path))
    choose(str(path), 1, None, reading.variables)
    places["index"] = _index(path, layout, names, {label, *places.values()}, findings)
    wide = _counted(path, layout.num_columns, label, places)
    if reading.series_per_line is None and label is not None:
        what = repr(names[label]) if names else "the first cell" if label == 0 else "the last cell"
        findings.decide(f"a line is a series, and {what} its label", str(path), "`series_per_line`=false")
    return wide


def _label_place(
    path: Path, layout: Layout, names: Sequence[str], reading: Reading, others: Sequence[int]
) -> int | None:
    """The column of the label; None if there is none, and none is needed."""
    needs_none = not reading.is_labelled
    if needs_none and (reading.has_no_label or (names and column_of(reading, "label") not in names)):
        texts = [place for place in _text_places(path, layout) if place not in others]
        return texts[0] if len(texts) == 1 and not reading.has_no_label else None
    label = _place(names, layout, reading, "label")
    return _only_text(path, layout, others, needs_none) if label is None else label


def _counted(path: Path, num_columns: int, label: int | None, others: Mapping[str, int | None]) -> Wide:
    """The places, those behind the values counted from the end of a line."""
    taken = sorted({place for place in (label, *others.values()) if place is not None})
    first = next((i for i in range(num_columns) if i not in taken), num_columns)
    behind = [place for place in taken if place > first]
    if len(taken) == num_columns or behind != list(range(num_columns - len(behind), num_columns)):
        raise InputError(
            f"{path}: its values do not stand side by side; allowed: labels and names before or behind them"
        )

    def counted(place: int) -> int:
        return place if place < first else place - num_columns

    places = {role: None if place is None else counted(place) for role, place in others.items() if role != "index"}
    return Wide(None if label is None else counted(label), slice(first, -len(behind) or None), **places)


def _index(
    path: Path, layout: Layout, names: Sequence[str], taken: Collection[int | None], findings: Findings
) -> int | None:
    """The column before the values, if it is none of them: a number of the line, or what its name sets apart."""
    free = [i for i in range(layout.num_columns) if i not in taken]
    if len(free) < 2:
        return None
    first = free[0]
    rest = [names[i] for i in free[1:]] if names else []
    is_apart = bool(rest) and all(name.isdecimal() for name in rest) and not names[first].isdecimal()
    if not is_apart and (not names or names[first]) and not _counts_lines(path, layout, first):
        return None
    shown = repr(names[first]) if names and names[first] else str(first + 1)
    findings.decide(f"the column {shown} stands before the values of the series, and is left out", str(path))
    return first


def _counts_lines(path: Path, layout: Layout, place: int) -> bool:
    """Whether a column rises by one from line to line."""
    cells = [cells[place] if place < len(cells) else "" for _, cells in _rows(path, layout, _LOOKED_AT)]
    if len(cells) < 3 or not all(cell.isdecimal() for cell in cells):
        return False
    return all(int(after) - int(before) == 1 for before, after in itertools.pairwise(cells))


def is_evident(path: Path, layout: Layout, reading: Reading) -> bool:
    """Whether lines can be nothing but series: many columns that are counted, or no names and a label at an end."""
    if reading.recording_ends is not None:
        return False
    if layout.header is None:
        return layout.num_columns > 1 and _text_places(path, layout) in ([0], [layout.num_columns - 1])
    names = [name.strip() for name in layout.header]
    roles = {role: column_of(reading, role) for role in ROLES}
    if roles["label"] not in names or roles["recording"] in names:
        return False
    free = [name for name in names if name not in roles.values()]
    are_counted = all(name.isdecimal() for name in free) and not any(is_time(name) for name in names)
    return are_counted and len(free) >= _FEWEST and list(map(int, free)) == list(range(int(free[0]), int(free[-1]) + 1))


def _place(names: Sequence[str], layout: Layout, reading: Reading, role: str) -> int | None:
    """The number of the column of a role; a column without a name is said by its number, from the end if negative."""
    if role == "group" and reading.has_none(role):
        return None
    name = column_of(reading, role)
    if name in names:
        return names.index(name)
    if not is_said(reading, role) or (role in reading.may_lack and names):
        return None
    if not names and re.fullmatch(r"-?\d+", name) and -layout.num_columns <= int(name) < layout.num_columns:
        return int(name) % layout.num_columns
    found = f"found {brief(', '.join(names))}" if names else "allowed: its number from 0, or -1 for the last"
    raise InputError(f"`columns.{role}`: there is no column {name!r}; {found}")


def _only_text(path: Path, layout: Layout, others: Sequence[int], needs_none: bool) -> int:
    texts = [place for place in _text_places(path, layout) if place not in others]
    if len(texts) == 1:
        return texts[0]
    shown = "no column has" if not texts else f"{len(texts)} columns have"
    ways = "its name" if layout.header else "0 for the first or -1 for the last"
    ways += ", null where there is none" * needs_none
    raise InputError(f"{path}: {shown} text, so that nothing says which is the label; `columns.label`={ways}")


def _is_fraction(name: str) -> bool:
    return is_number(name) and bool(name) and not name.isdecimal()


def _text_places(path: Path, layout: Layout) -> list[int]:
    """The columns that have text in most of the first lines; the last cell of a short line is in the last column."""
    rows = [cells for _, cells in _rows(path, layout, _LOOKED_AT)]
    counts = Counter(
        layout.num_columns - 1 if place == len(cells) - 1 else place
        for cells in rows
        for place, cell in enumerate(cells)
        if not is_number(cell, layout.decimal)
    )
    return sorted(place for place, count in counts.items() if 2 * count > len(rows))


def _rows(path: Path, layout: Layout, most: int | None = None) -> Iterator[tuple[int, list[str]]]:
    """Numbers and cells of the lines with values."""
    filled = (
        (number, line)
        for number, line in lines(path, str(path), layout.encoding, _LONGEST_LINE)
        if number > layout.skip and line.strip() and not is_comment(line, layout.delimiter)
    )
    sign, is_usual = layout.delimiter, None
    for number, line in itertools.islice(filled, most):
        cells, is_open = split_line(line, sign), sign is not None and line.rstrip(" \r\n").endswith(sign)
        is_usual = is_open if is_usual is None else is_usual
        if is_open and not is_usual:
            cells.append("")  # the last cell is empty, and not only closed by a sign
        if any(cells):
            yield number, cells


def read_wide(path: Path, layout: Layout, wide: Wide, is_labelled: bool) -> Iterator[Recording]:
    """The series of a file, one channel each; missing values at the end of one are no part of it.

    Args:
        path: the file.
        layout: how it is written.
        wide: where in a line something stands.
        is_labelled: whether labels are looked at.

    Raises:
        InputError: naming the line, what was found and what is allowed.
    """
    for number, cells in _rows(path, layout):
        if len(cells) <= wide.values.start - (wide.values.stop or 0):
            raise InputError(f"{path}: line {number} has {len(cells)} cells, and a series needs more")
        label = UNLABELLED if wide.label is None or not is_labelled else cells[wide.label]
        name = f"line {number}" if wide.recording is None else cells[wide.recording]
        if label in NO_LABEL:
            raise InputError(f"{path}: line {number} has no label")
        values = to_numbers(path, number, [cell.replace(layout.decimal, ".") for cell in cells[wide.values]])
        present = np.flatnonzero(~np.isnan(values))
        if not len(present):
            raise InputError(f"{path}: line {number} has no value")
        refuse_names(str(path), [name])
        split = None if wide.split is None else cells[wide.split]
        if split not in (None, "train", "val", "test"):
            raise InputError(f"{path}: line {number} has the split {brief(split)!r}; allowed: train, val, test")
        group = None if wide.group is None else cells[wide.group]
        yield Recording(name, values[: present[-1] + 1, None], label, group, split, channels=("value",))
