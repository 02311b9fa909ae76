"""The rows of a table of labels: text of cells, or JSON."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_lightning.data.readers.labels_columns import Finder, columns_of
from nas_lightning.data.readers.levels import SPLIT_NAMES, Place, split_of
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.errors import InputError, brief

_LARGEST = 1 << 28
_MOST_CELLS = 1 << 12


@dataclass(frozen=True)
class Row:
    """What a table says of one file.

    Attributes:
        where: the row, for messages.
        file: its name.
        place: its label, group and split.
    """

    where: str
    file: str
    place: Place


def rows_of(path: Path, shown: str, find: Finder, reading: Reading, findings: Findings) -> list[Row]:
    """The rows of a table, whichever form it has.

    Raises:
        InputError: naming the table and the row, what was found and what is allowed.
    """
    text = _text(path, shown)
    if path.suffix.lower() in (".labels", ".json") or text.lstrip()[:1] == "{":
        return list(_rows_of_json(text, shown, findings))
    return list(_rows_of_cells(text, shown, find, reading, findings))


def _text(path: Path, shown: str) -> str:
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{shown}: has more than {_LARGEST:,} bytes; allowed: a table of files and their labels")
    content = path.read_bytes()
    for encoding in ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise InputError(f"{shown}: is not text; allowed: a table of files and their labels, as UTF-8")


def _rows_of_json(text: str, shown: str, findings: Findings) -> Iterator[Row]:
    """The rows of an ``info.labels`` of Edge Impulse."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{shown}: cannot be read as JSON ({brief(error)})") from error
    entries = content.get("files") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError(f'{shown}: has no list "files" with entries; allowed: as Edge Impulse writes info.labels')
    for number, entry in enumerate(entries, start=1):
        where = f"entry {number}"
        file, label = (entry.get("path"), entry.get("label")) if isinstance(entry, dict) else (None, None)
        kind = label.get("type", "label") if isinstance(label, dict) else None
        if kind == "unlabeled" and isinstance(file, str):
            findings.warn("a recording that info.labels calls unlabeled is left out", file)
            continue
        if not isinstance(file, str) or not isinstance(label, dict) or kind != "label" or _is_nested(label):
            raise InputError(f"{shown}: {where} has no path, or no one label; allowed: one label a file")
        split = entry.get("category")
        yield Row(
            where, file, Place(_word(label.get("label")), None, split_of(split) if isinstance(split, str) else None)
        )


def _is_nested(label: dict[str, Any]) -> bool:
    return isinstance(label.get("label"), dict | list)


def _word(cell: Any) -> str | None:
    text = "" if cell is None else str(cell).strip()
    return text or None


def _rows_of_cells(text: str, shown: str, find: Finder, reading: Reading, findings: Findings) -> Iterator[Row]:
    table = [(number, cells) for number, cells in _cells(text, shown) if any(cells)]
    if not table:
        raise InputError(f"{shown}: is empty; allowed: a table of files and their labels")
    columns, has_header = columns_of(shown, [cells for _, cells in table], find, reading, findings)
    for number, cells in table[1 if has_header else 0 :]:
        where = f"line {number}"
        if max(columns.values()) >= len(cells):
            raise InputError(f"{shown}: {where} has {len(cells)} cells, and {max(columns.values()) + 1} are needed")
        found = {role: cells[i] for role, i in columns.items()}
        split = found.get("split") or None
        if split is not None and split_of(split) is None:
            raise InputError(f"{shown}: {where} has the split {brief(split)!r}; allowed: {', '.join(SPLIT_NAMES)}")
        place = Place(found["label"] or None, found.get("group") or None, split_of(split) if split else None)
        yield Row(where, found["recording"], place)


def _cells(text: str, shown: str) -> Iterator[tuple[int, list[str]]]:
    """Numbers from 1 and cells of the lines, without spaces around them."""
    lines = text.splitlines()
    delimiter = None
    if lines and (match := re.fullmatch(r"sep=([,;\t|])", lines[0].strip(), re.IGNORECASE)):
        delimiter, lines[0] = match[1], ""
    delimiter = delimiter or _delimiter([line for line in lines if line.strip() and line[0] != "#"][:2])
    if delimiter is None:
        yield from ((i, line.split()) for i, line in enumerate(lines, start=1) if line[:1] != "#")
        return
    try:
        for number, line in enumerate(lines, start=1):
            if line[:1] != "#":
                cells = next(csv.reader(io.StringIO(line), delimiter=delimiter, skipinitialspace=True), [])
                yield number, [cell.strip() for cell in cells[:_MOST_CELLS]]
    except csv.Error as error:
        raise InputError(f"{shown}: line {number} cannot be read as cells ({brief(error)})") from error


def _delimiter(lines: Sequence[str]) -> str | None:
    """The sign that divides the first two lines into as many cells, at least two; None for spaces."""
    for sign in "\t;,|":
        counts = {line.count(sign) for line in lines}
        if len(counts) == 1 and counts != {0}:
            return sign
    return next((sign for sign in "\t;,|" if any(sign in line for line in lines)), None)
