"""The lists that say which recording is in which split: one a line, and its rows where it is not there as a whole."""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from nas_lightning.data.links import check_file
from nas_lightning.data.recordings import Lists
from nas_lightning.errors import InputError, brief
from nas_lightning.files import write_text

log = logging.getLogger("nas_lightning")

SPLITS = ("train", "val", "test")
FOLDER = "annotations"

_BOUNDS = re.compile(r"(?:\t(\d{1,18})\t(\d{1,18}))?\s*", re.ASCII)
_ENDS = re.compile(r"\r\n|\r|\n")
_PREFIXES = ("./", "classes/")


def asked_lists(folder: str) -> Lists:
    """The lists of ``dataset.annotations``.

    Raises:
        InputError: if there are none, or one cannot be read.
    """
    lists = read_lists(Path(folder), folder)
    if lists is None:
        raise InputError(
            f"`annotations`: {folder} has no lists of {', '.join(SPLITS)}; allowed: a folder with files named "
            "*train*_list.txt, *val*_list.txt and *test*_list.txt, or null"
        )
    return lists


def read_lists(folder: Path, shown: str) -> Lists | None:
    """Read ``*train*_list.txt``, ``*val*_list.txt`` and ``*test*_list.txt`` of a folder or of its ``annotations``.

    A line is the name of a recording, or the name, the first row and the row behind the last, separated by tabs. A name
    may be a JSON string in double quotes, which ``write_lists`` makes of one that would not be read back.

    Returns:
        The lists by split, or None unless there are three.

    Raises:
        InputError: for a line of another form.
    """
    lists: Lists = {}
    for split in SPLITS:
        paths = [path for place in (folder / FOLDER, folder) for path in sorted(place.glob(f"*{split}*_list.txt"))]
        if paths:
            check_file(paths[0], folder, shown)
            lists[split] = _read_list(paths[0], shown)
    if not lists:
        return None
    missing = [split for split in SPLITS if split not in lists]
    if missing:
        log.warning("data: %s has no list of %s; all splits are made anew", shown, " and ".join(missing))
        return None
    return lists


def write_lists(folder: Path, lists: Mapping[str, Iterable[tuple[str, int, int | None]]]) -> None:
    """Write ``instances_SPLIT_list.txt`` of each split into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in lists.items():
        lines = (
            f"{_written(name)}\n" if stop is None else f"{_written(name)}\t{start}\t{stop}\n"
            for name, start, stop in rows
        )
        write_text(folder / f"instances_{split}_list.txt", "".join(lines))


def _written(name: str) -> str:
    r"""A name as a list holds it: as it is, or as a JSON string where a reader would make something else of it.

    >>> print(_written("walk/1.csv"), _written("a\tb"), _written(" c"))
    walk/1.csv "a\tb" " c"
    """
    is_plain = name.isprintable() and "\\" not in name and name.strip() == name
    return name if is_plain and name and not name.startswith(('"', *_PREFIXES)) else json.dumps(name)


def _read_list(path: Path, shown: str) -> list[tuple[str, int, int | None]]:
    try:
        lines = _ENDS.split(path.read_bytes().decode("utf-8-sig"))
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{shown}: {path.name} cannot be read as UTF-8 text ({brief(error)})") from error
    rows: list[tuple[str, int, int | None]] = []
    for number, line in enumerate(lines, start=1):
        if (quoted := _read_quoted(line)) is not None:
            rows.append(quoted)
            continue
        name, *bounds = line.strip().replace("\\", "/").removeprefix("./").removeprefix("classes/").split("\t")
        if not name:
            continue
        if not bounds:
            rows.append((name, 0, None))
        elif len(bounds) == 2 and all(bound.isdecimal() and len(bound) <= 18 for bound in bounds):
            rows.append((name, int(bounds[0]), int(bounds[1])))
        else:
            raise InputError(
                f"{shown}: {path.name}, line {number}: found {line[:80]!r}; allowed: a name, or a name, a first row "
                "and the row behind the last, separated by tabs"
            )
    return rows


def _read_quoted(line: str) -> tuple[str, int, int | None] | None:
    """A line that begins with a JSON string; None for any other, also for a name that has quotes in it."""
    if not line.startswith('"'):
        return None
    try:
        name, end = json.JSONDecoder().raw_decode(line)
    except ValueError:
        return None
    bounds = _BOUNDS.fullmatch(line, end)
    if bounds is None:
        return None
    return (name, 0, None) if bounds[1] is None else (name, int(bounds[1]), int(bounds[2]))
