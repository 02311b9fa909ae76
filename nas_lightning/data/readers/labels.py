"""Labels of files in a flat folder: from a part of their names, or from a table that lies beside them."""

import csv
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_lightning.data.links import check_file, kind_of
from nas_lightning.data.readers.levels import SPLIT_NAMES, Place, names_of, split_of
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.errors import InputError, brief

TABLES = ("labels.csv", "labels.tsv", "labels.txt", "info.labels")
"""Names of tables of labels, in lower case."""

_LARGEST = 1 << 28
_MOST_CELLS = 1 << 12
_LONGEST_NAME = 1 << 12
_DEEPEST = 64
_ROLES: Mapping[str, tuple[str, ...]] = {
    "recording": ("recording", "file", "filename", "file_name", "file name", "path", "name"),
    "label": ("label", "class", "labels", "category", "target"),
    "group": ("group",),
    "split": ("split",),
}
_PROPOSALS = (
    ("begin with", r"^[^._-]+", r"([^/._-]+)[^/]*$"),
    ("begin with", r"^[A-Za-z]+", r"([A-Za-z]+)[^/]*$"),
    ("end with", r"[^._-]+(?=\.[^.]+$)", r"[^/._-]+(?=\.[^./]+$)"),
)


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


def is_table(name: str) -> bool:
    """Whether a file of this name holds labels of others."""
    return name.lower() in TABLES


def by_pattern(shown: str, names: Sequence[str], pattern: str) -> dict[str, str]:
    """The class of each name: the first group of a pattern, or its whole match.

    Raises:
        InputError: for a pattern that is none, or that finds nothing in a name.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"dataset.label_pattern: {pattern!r} is no regular expression ({error})") from error
    if "/" not in pattern:  # whoever writes ^ means the name of a file, whatever folder it lies in
        own = _found(compiled, {name: name.rpartition("/")[2] for name in names})
        if len(own) == len(names):
            return own
    labels = _found(compiled, {name: name for name in names})
    if len(labels) < len(names):
        lost = next(name for name in names if name not in labels)
        raise InputError(
            f"dataset.label_pattern: {pattern!r} finds nothing in the name {brief(lost)!r} of {shown}; allowed: a "
            "pattern that is found in every name"
        )
    return labels


def _found(pattern: re.Pattern[str], texts: Mapping[str, str]) -> dict[str, str]:
    """By name, what a pattern finds in its text, without the names in whose text it finds nothing."""
    found = {}
    for name, text in texts.items():
        match = pattern.search(text)
        label = next((part for part in (match.groups() or (match[0],)) if part), None) if match else None
        if label is not None:
            found[name] = label
    return found


def proposal(names: Sequence[str]) -> str | None:
    """What the names have in common, and the pattern that takes it as the class; None if nothing is evident."""
    is_deep = any("/" in name for name in names)
    for where, flat, deep in _PROPOSALS:
        pattern = deep if is_deep else flat
        matches = [re.search(pattern, name.rpartition("/")[2]) for name in names]  # no pattern goes beyond a slash
        found = Counter((match.groups() or (match[0],))[0] for match in matches if match)
        if None not in matches and 2 <= len(found) <= len(names) / 2:
            counts = names_of(f"{label} ({count})" for label, count in sorted(found.items()))
            return f"the names {where} {counts}; dataset.label_pattern='{pattern}' takes that as the class"
    return None


def find_table(root: Path, base: Path, given: str, shown: str) -> Path:
    """The table that the user names: in the folder of the data, or anywhere if the whole path is given.

    Args:
        root: the folder of the recordings.
        base: the folder that the user names; the same or above it.
        given: the path of the table.
        shown: the folder's name in messages.

    Raises:
        InputError: if there is none, or it lies elsewhere.
    """
    if ".." in Path(given).parts:
        raise InputError(f"dataset.labels: found {brief(given)!r}; allowed: a file in {shown}, or a whole path")
    path = next((place / given for place in (root, base) if (place / given).exists()), None)
    if path is None:
        raise InputError(
            f"dataset.labels: there is no {brief(given)} in {shown}; allowed: a file in it, or a whole path"
        )
    if not Path(given).is_absolute():
        check_file(path, base, shown)
    elif (kind := kind_of(path)) is not None:
        raise InputError(f"dataset.labels: {path} is no regular file but {kind}; allowed: files")
    return path


def by_table(path: Path, shown: str, files: Sequence[str], reading: Reading, findings: Findings) -> dict[str, Place]:
    """What a table says of each file; files that it does not name are left out.

    Args:
        path: of the table.
        shown: its name in messages.
        files: names of the recordings, relative to the folder of the data.
        reading: what is known of its columns.
        findings: keeps what is decided here.

    Raises:
        InputError: naming the table and the row, what was found and what is allowed.
    """
    find = _Finder(files)
    text = _text(path, shown)
    rows = list(
        _rows_of_json(text, shown, findings) if _is_json(path, text) else _rows(text, shown, find, reading, findings)
    )
    places: dict[str, Place] = {}
    first: dict[str, str] = {}
    lost = None
    for row in rows:
        file = find(row.file, f"{shown}, {row.where}")
        if file is None:
            lost = lost or row
            continue
        if file in places:
            raise InputError(f"{shown}: {first[file]} and {row.where} both name {brief(file)}; allowed: one row a file")
        if row.place.label is None:
            raise InputError(f"{shown}: {row.where} has no label for {brief(row.file)}; allowed: a label for each file")
        places[file], first[file] = row.place, row.where
    _check_found(shown, files, places, lost)
    absent = [file for file in files if file not in places]
    if absent:
        findings.warn("a file that the table of labels does not name is left out", absent[0], count=len(absent))
    return places


def _check_found(shown: str, files: Sequence[str], places: Mapping[str, Place], lost: Row | None) -> None:
    if not places:
        example = "" if lost is None else f" such as {brief(lost.file)!r} in {lost.where}"
        raise InputError(
            f"{shown}: names none of the files{example}; allowed: names of files such as {brief(files[0])!r}, with or "
            "without their folder and their ending"
        )
    if lost is not None:
        raise InputError(
            f"{shown}: {lost.where} names {brief(lost.file)!r}, which is not there; allowed: files of the data"
        )


class _Finder:
    """Finds files by their names, with or without folder and ending."""

    def __init__(self, files: Sequence[str]) -> None:
        self._maps: list[dict[str, list[str]]] = []
        forms: tuple[Callable[[str], str], ...] = (
            str,
            _without_ending,
            lambda file: file.rpartition("/")[2],
            lambda file: _without_ending(file.rpartition("/")[2]),
        )
        for form in forms:
            found = defaultdict(list)
            for file in files:
                found[form(file)].append(file)
            self._maps.append(found)

    def has(self, name: str) -> bool:
        """Whether there is at least one."""
        return any(self._all(name))

    def __call__(self, name: str, where: str) -> str | None:
        """The file of a name, if there is one.

        Raises:
            InputError: if there are several.
        """
        found = self._all(name)
        if len(found) > 1:
            raise InputError(
                f"{where}: {brief(name)!r} can be {brief(found[0])} or {brief(found[1])}; allowed: names with their "
                "folder"
            )
        return found[0] if found else None

    def _all(self, name: str) -> list[str]:
        if len(name) > _LONGEST_NAME:
            return []
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")][-_DEEPEST:]
        tails = ["/".join(parts[i:]) for i in range(len(parts))]
        forms = [*tails, *(_without_ending(tail) for tail in tails)]
        return next((found[form] for found in self._maps for form in forms if form in found), [])


def _without_ending(file: str) -> str:
    folder, slash, name = file.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


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


def _is_json(path: Path, text: str) -> bool:
    return path.suffix.lower() in (".labels", ".json") or text.lstrip()[:1] == "{"


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


def _rows(text: str, shown: str, find: _Finder, reading: Reading, findings: Findings) -> Iterator[Row]:
    table = [(number, cells) for number, cells in _cells(text, shown) if any(cells)]
    if not table:
        raise InputError(f"{shown}: is empty; allowed: a table of files and their labels")
    columns, has_header = _columns(shown, [cells for _, cells in table], find, reading, findings)
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


def _columns(
    shown: str, rows: Sequence[Sequence[str]], find: _Finder, reading: Reading, findings: Findings
) -> tuple[dict[str, int], bool]:
    """The place of each role, and whether the first row names the columns."""
    first = [cell.lower() for cell in rows[0]]
    if any(find.has(cell) for cell in rows[0] if cell) and not _is_named(first):
        return _nameless(shown, rows[0], find, findings), False
    columns = {}
    for role, words in _ROLES.items():
        given = reading.columns.get(role)
        if given is not None and given != role:
            if given.strip().lower() not in first:
                raise InputError(
                    f"{shown}: has no column {given!r}, which dataset.columns.{role} names; found {names_of(rows[0])}"
                )
            columns[role] = first.index(given.strip().lower())
        elif (place := next((first.index(word) for word in words if word in first), None)) is not None:
            columns[role] = place
    filled = [i for i, cell in enumerate(first) if cell]
    if len(filled) == 2 and len(set(columns) & {"recording", "label"}) < 2:
        columns = _of_two(rows, filled, columns, find)
    for role in ("recording", "label"):
        if role not in columns:
            raise InputError(
                f"{shown}: has no column of {'files' if role == 'recording' else 'labels'}; found {names_of(rows[0])}; "
                f"dataset.columns.{role} names it"
            )
    files, labels = rows[0][columns["recording"]], rows[0][columns["label"]]
    findings.decide(
        f"the classes are the column {labels!r} of the table, for the files in {files!r}", shown, "dataset.columns"
    )
    others = [rows[0][i] for i in filled if i not in columns.values()]
    if others:
        example = f"{shown}: {names_of(others)}"
        findings.decide("other columns of the table of labels are not looked at", example, "dataset.columns.group")
    return columns, True


def _is_named(first: Sequence[str]) -> bool:
    """Whether a first row names both columns, whatever files there are."""
    return all(any(word in first for word in _ROLES[role]) for role in ("recording", "label"))


def _nameless(shown: str, row: Sequence[str], find: _Finder, findings: Findings) -> dict[str, int]:
    if len(row) != 2:
        raise InputError(
            f"{shown}: has no row that names its {len(row)} columns; allowed: names such as file,label in the first "
            "row, or two columns"
        )
    file = 0 if find.has(row[0]) else 1
    findings.decide(f"column {file + 1} of the table of labels has the files, and column {2 - file} the classes", shown)
    return {"recording": file, "label": 1 - file}


def _of_two(rows: Sequence[Sequence[str]], filled: list[int], known: dict[str, int], find: _Finder) -> dict[str, int]:
    """Two columns, of which one at most has a name that is known."""
    one, other = filled
    if "recording" in known:
        file = known["recording"]
    elif "label" in known:
        file = other if known["label"] == one else one
    else:
        found = [i for i in filled if any(i < len(row) and find.has(row[i]) for row in rows[1:])]
        if not found:
            return known
        file = found[0]
    return {"recording": file, "label": other if file == one else one}


def suffix_of(name: str) -> str:
    """The ending of a name, in lower case and without its dot."""
    last = name.rpartition("/")[2]
    return last.rpartition(".")[2].lower() if "." in last else ""
