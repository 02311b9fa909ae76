"""``.arff`` files: one numeric attribute a value, or one relational attribute, and the class."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_lightning.data.readers.cells import LONGEST_LINE, Series, check_label, stack, to_numbers, whole
from nas_lightning.data.readers.text_lines import lines
from nas_lightning.data.reading import UNLABELLED, Findings, Reading
from nas_lightning.errors import InputError, brief

_QUOTED = r"'[^'\\]*(?:\\.[^'\\]*)*'|\"[^\"\\]*(?:\\.[^\"\\]*)*\""
_ATTRIBUTE = re.compile(rf"@attribute\s+({_QUOTED}|[^\s{{]+)\s*(.*)", re.IGNORECASE | re.DOTALL)
_CELL = re.compile(rf"\s*((?:{_QUOTED})\s*|[^'\",\s][^,]*|)(,|\Z)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_NUMERIC = ("numeric", "real", "integer")
_KEY = "`columns.label`=null"
_CLASS_NAMES = ("class", "target", "label", "y")


@dataclass(frozen=True)
class _Attribute:
    """A column.

    Attributes:
        name: of it.
        kind: the first word of its type, or ``nominal``.
        labels: of a nominal one.
    """

    name: str
    kind: str
    labels: frozenset[str] = frozenset()


def read_arff(path: Path, reading: Reading, findings: Findings) -> Iterator[Series]:
    """Values ``[T, C]`` and labels; the class is the last attribute, or the one that has a list of names.

    Where labels are not looked at there may be no such attribute.

    Raises:
        InputError: naming the file and the line, what was found and what is allowed.
    """
    rows = lines(path, str(path), "utf-8-sig", LONGEST_LINE)
    attributes = _read_head(path, rows)
    place = _class_place(path, attributes, reading, findings)
    values = [attribute for i, attribute in enumerate(attributes) if i != place]
    is_nested = len(values) == 1 and values[0].kind == "relational"
    for attribute in values:
        if not (attribute.kind in _NUMERIC or is_nested):
            raise InputError(
                f"{path}: the attribute {brief(attribute.name)!r} is {attribute.kind}; allowed: numeric ones, or one "
                "relational, and the class"
            )
    for number, text in rows:
        line = text.strip()
        if not line or line.startswith("%"):
            continue
        cells = _cells(path, number, line)
        if len(cells) != len(attributes):
            raise InputError(f"{path}: line {number} has {len(cells)} cells and there are {len(attributes)} attributes")
        label = UNLABELLED
        if place is not None:
            cell = cells.pop(place)
            label = _label(path, number, cell, attributes[place]) if reading.is_labelled else UNLABELLED
        if is_nested:
            parts = [part.split(",") for part in cells[0].split("\n") if part.strip()]
            yield stack(path, number, [to_numbers(path, number, part) for part in parts]), label
        else:
            yield to_numbers(path, number, cells)[:, None], label


def _read_head(path: Path, rows: Iterator[tuple[int, str]]) -> list[_Attribute]:
    """The attributes; those of a relational one are counted where its values are read."""
    found: list[_Attribute] = []
    depth = 0
    for number, text in rows:
        line = text.strip()
        word = line.lower().split(None, 1)[0] if line else ""
        if not line or line.startswith("%") or word == "@relation":
            continue
        if word == "@data":
            return found
        if word == "@end":
            depth -= 1
        elif word == "@attribute":
            attribute = _attribute(path, number, line)
            if not depth:
                found.append(attribute)
            depth += attribute.kind == "relational"
        else:
            break
    raise InputError(f"{path}: has no recordings; it lacks the line @data, or another line stands before it")


def _attribute(path: Path, number: int, line: str) -> _Attribute:
    match = _ATTRIBUTE.fullmatch(line)
    name, kind = (match[1], match[2].strip()) if match else ("", "")
    if kind.startswith("{") and kind.endswith("}"):
        return _Attribute(_plain(name), "nominal", frozenset(_cells(path, number, kind[1:-1])))
    word = kind.lower().split(None, 1)[0] if kind else ""
    if word not in (*_NUMERIC, "string", "date", "relational"):
        raise InputError(f"{path}: line {number} is {brief(line)!r}; allowed: @attribute NAME numeric, or {{A,B}}")
    return _Attribute(_plain(name), word)


def _class_place(path: Path, attributes: Sequence[_Attribute], reading: Reading, findings: Findings) -> int | None:
    """The place of the class; None if there is none, and none is needed.

    Raises:
        InputError: if it is not clear.
    """
    if not reading.is_labelled and _are_values(attributes, reading):
        findings.warn("no attribute is the class, so all are values", str(path), "" if reading.has_no_label else _KEY)
        return None
    if len(attributes) < 2:
        raise InputError(f"{path}: has {len(attributes)} attributes; allowed: values, and the class as the last")
    named = [i for i, attribute in enumerate(attributes) if attribute.kind in ("nominal", "string")]
    last = len(attributes) - 1
    if last in named or (not named and attributes[last].name.lower() in _CLASS_NAMES):
        return last
    if len(named) == 1:
        findings.decide(
            "the class is the attribute that has names, and not the last", f"{path}: {attributes[named[0]].name}"
        )
        return named[0]
    found = " and ".join(brief(attributes[i].name) for i in named) or "none"
    raise InputError(
        f"{path}: the class must be the last attribute, or the only one with names in braces; found with names: "
        f"{found}, as the last: {brief(attributes[last].name)}"
    )


def _are_values(attributes: Sequence[_Attribute], reading: Reading) -> bool:
    """Whether no attribute can be the class: all are numbers, and none has its name; or there is one alone."""
    if reading.has_no_label or len(attributes) == 1:
        return True
    are_numbers = all(attribute.kind in _NUMERIC for attribute in attributes)
    return are_numbers and attributes[-1].name.lower() not in _CLASS_NAMES


def _cells(path: Path, number: int, line: str) -> list[str]:
    """The cells of a line; quotes and backslashes are taken away."""
    if "'" not in line and '"' not in line and "\\" not in line:
        return [cell.strip() for cell in line.split(",")] if "," in line else line.split()
    if line.startswith("{"):
        raise InputError(f"{path}: line {number} lists places and values; allowed: all values, separated by commas")
    cells, at, is_last = [], 0, False
    while not is_last:
        match = _CELL.match(line, at)
        if match is None:
            raise InputError(f"{path}: line {number} has a quote that does not end, or text behind one")
        cells.append(_plain(match[1].strip()).strip())
        at, is_last = match.end(), not match[2]
    return cells


def _label(path: Path, number: int, cell: str, attribute: _Attribute) -> str:
    is_declared = cell in attribute.labels
    if not is_declared:
        check_label(path, number, cell)
    if attribute.kind == "nominal" and not is_declared:
        allowed = brief(", ".join(sorted(attribute.labels)))
        raise InputError(f"{path}: line {number} has the label {brief(cell)!r}; allowed: {allowed}")
    return whole(cell) if attribute.kind in _NUMERIC else cell


def _plain(cell: str) -> str:
    """A cell without its quotes."""
    is_quoted = len(cell) > 1 and cell[0] in "'\"" and cell[-1] == cell[0]
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), cell[1:-1] if is_quoted else cell)
