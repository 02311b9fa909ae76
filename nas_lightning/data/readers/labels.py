"""Labels of files in a flat folder: from a part of their names, or from a table that lies beside them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from nas_lightning.data.links import check_file, kind_of
from nas_lightning.data.readers.labels_columns import Finder
from nas_lightning.data.readers.labels_rows import Row, rows_of
from nas_lightning.data.readers.levels import Place, names_of
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.errors import InputError, brief

TABLES = ("labels.csv", "labels.tsv", "labels.txt", "info.labels")
"""Names of tables of labels, in lower case."""

_PROPOSALS = (
    ("begin with", r"^[^._-]+", r"([^/._-]+)[^/]*$"),
    ("begin with", r"^[A-Za-z]+", r"([A-Za-z]+)[^/]*$"),
    ("end with", r"[^._-]+(?=\.[^.]+$)", r"[^/._-]+(?=\.[^./]+$)"),
)


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
        raise InputError(f"`label_pattern`: {pattern!r} is no regular expression ({error})") from error
    if "/" not in pattern:  # whoever writes ^ means the name of a file, whatever folder it lies in
        own = _found(compiled, {name: name.rpartition("/")[2] for name in names})
        if len(own) == len(names):
            return own
    labels = _found(compiled, {name: name for name in names})
    if len(labels) < len(names):
        lost = next(name for name in names if name not in labels)
        raise InputError(
            f"`label_pattern`: {pattern!r} finds nothing in the name {brief(lost)!r} of {shown}; allowed: a "
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
            return f"the names {where} {counts}; `label_pattern`='{pattern}' takes that as the class"
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
        raise InputError(f"`labels`: found {brief(given)!r}; allowed: a file in {shown}, or a whole path")
    path = next((place / given for place in (root, base) if (place / given).exists()), None)
    if path is None:
        raise InputError(f"`labels`: there is no {brief(given)} in {shown}; allowed: a file in it, or a whole path")
    if not Path(given).is_absolute():
        check_file(path, base, shown)
    elif (kind := kind_of(path)) is not None:
        raise InputError(f"`labels`: {path} is no regular file but {kind}; allowed: files")
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
    find = Finder(files)
    places: dict[str, Place] = {}
    first: dict[str, str] = {}
    lost = None
    for row in rows_of(path, shown, find, reading, findings):
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


def suffix_of(name: str) -> str:
    """The ending of a name, in lower case and without its dot."""
    last = name.rpartition("/")[2]
    return last.rpartition(".")[2].lower() if "." in last else ""
