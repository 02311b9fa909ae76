"""Files of the UCR/UEA archive: ``.ts``, ``.tsv`` and ``.arff``, alone or as ``NAME_TRAIN`` and ``NAME_TEST``."""

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from nas_lightning.data.links import check_file
from nas_lightning.data.readers.arff import read_arff
from nas_lightning.data.readers.cells import LONGEST_LINE, Series, check_label, stack, to_numbers, whole
from nas_lightning.data.readers.text_layout import find_layout
from nas_lightning.data.readers.text_lines import MISSING, is_number, lines, split_line
from nas_lightning.data.reading import UNLABELLED, Findings, Reading
from nas_lightning.data.recordings import Recording, Source
from nas_lightning.errors import InputError, brief

_LABEL_WORDS = ("", "label", "labels", "class", "classes", "target", "y", "activity")
_NO_LABEL = "`columns.label`=null"
_PAIR = re.compile(r"(?P<name>.*)_(?P<split>TRAIN|TEST)", re.IGNORECASE)


def read_series(path: Path, reading: Reading) -> Source:
    """Read a file of the archive; with ``_TRAIN`` or ``_TEST`` in its name, also the other one of the pair.

    A series may be shorter than the others: missing values at the end of all its channels are no part of it.

    Raises:
        InputError: naming the file and the line, what was found and what is allowed.
    """
    files = (None if reading.is_for_use else find_pair(path)) or {None: path}
    for other in files.values():
        if other != path:  # which the user did not name
            check_file(other, path.parent, str(path.parent))
    findings = Findings()
    return Source(str(path), _recordings(files, reading, findings), findings=findings)


def find_pair(path: Path) -> dict[str | None, Path] | None:
    """The training and the test file that belong together, by split; None for a file without a partner."""
    match = _PAIR.fullmatch(path.stem)
    if match is None:
        return None
    found: dict[str | None, Path] = {}
    for candidate in sorted(path.parent.iterdir()):
        other = _PAIR.fullmatch(candidate.stem)
        if other and other["name"] == match["name"] and candidate.suffix.lower() == path.suffix.lower():
            found[other["split"].lower()] = candidate
    return {split: found[split] for split in ("train", "test")} if len(found) == 2 else None


def read_ts(path: Path, reading: Reading, findings: Findings) -> Iterator[Series]:
    """A ``.ts`` file: a head of ``@`` lines, then dimensions separated by colons and values by commas, label last.

    Where labels are not looked at there may be none, which the head or the user says.

    Raises:
        InputError: for time stamps, or a line of another form.
    """
    rows = _filled(lines(path, str(path), "utf-8-sig", LONGEST_LINE))
    said = _read_ts_head(path, rows, reading)
    num_dimensions = None
    for number, line in rows:
        dimensions, label = _ts_parts(path, number, line, said, reading)
        if num_dimensions not in (None, len(dimensions)):
            raise InputError(
                f"{path}: line {number} has {len(dimensions)} dimensions and the first has {num_dimensions}"
            )
        num_dimensions = len(dimensions)
        yield stack(path, number, [to_numbers(path, number, part.split(",")) for part in dimensions]), label


def _filled(rows: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Lines that are neither empty nor comments, without spaces around them."""
    return ((number, line) for number, text in rows if (line := text.strip()) and not line.startswith(("#", "%")))


def _read_ts_head(path: Path, rows: Iterator[tuple[int, str]], reading: Reading) -> bool | None:
    """Whether the head says that there are labels, or numbers in their place; None if it says nothing of that."""
    said = None
    for number, line in rows:
        words = line.lower().split()
        if not line.startswith("@"):
            raise InputError(f"{path}: line {number} stands before @data and does not start with @")
        if words[:2] == ["@timestamps", "true"]:
            raise InputError(f"{path}: line {number} announces time stamps; allowed: @timestamps false")
        if words[0] in ("@classlabel", "@targetlabel"):
            said = words[1:2] != ["false"]
            if reading.is_labelled and not (words[0] == "@classlabel" and said):
                raise InputError(f"{path}: line {number} says that there are no class labels; they are needed")
            if said and reading.has_no_label:
                raise InputError(
                    f"{path}: line {number} says that there are labels; {_NO_LABEL} says that there are none"
                )
        if words[0] == "@data":
            return said
    raise InputError(f"{path}: has no line @data; allowed: the .ts format of timeseriesclassification.com")


def _ts_parts(path: Path, number: int, line: str, said: bool | None, reading: Reading) -> tuple[list[str], str]:
    """The dimensions of a line, and its label."""
    if not reading.is_labelled and (said is False or reading.has_no_label):
        return line.split(":"), UNLABELLED
    *dimensions, label = line.split(":")
    if reading.is_labelled and (not dimensions or not label.strip()):
        raise InputError(f"{path}: line {number} has {len(dimensions) + 1} parts; allowed: dimensions:...:label")
    if not reading.is_labelled:
        if not dimensions or (said is None and "," in label):
            raise InputError(
                f"{path}: line {number} ends in no label; allowed where there are none: @classLabel false in the head "
                f"of the file, or {_NO_LABEL}"
            )
        return dimensions, UNLABELLED
    check_label(path, number, label.strip())
    return dimensions, label.strip()


def read_tsv(path: Path, reading: Reading, findings: Findings) -> Iterator[Series]:
    """A ``.tsv`` file: one series a line, its label first; tabs, commas or spaces between the values.

    Where labels are not looked at the user can say that there are none.

    Raises:
        InputError: for a file that is not text, or a cell that is no number.
    """
    layout = find_layout(path, str(path))
    filled = (row for row in lines(path, str(path), layout.encoding, LONGEST_LINE) if row[1].strip())
    rows = ((number, split_line(line, layout.delimiter)) for number, line in filled)
    held = list(itertools.islice(rows, 2))
    if _has_header(path, held, reading, findings):
        del held[0]
    for number, (label, *cells) in itertools.chain(held, rows):
        if not reading.is_labelled:
            _check_first(path, number, label, reading)
            own = [label, *cells] if reading.has_no_label else cells
            yield to_numbers(path, number, own)[:, None], UNLABELLED
            continue
        check_label(path, number, label)
        if cells and not is_number(label) and not is_number(cells[-1]) and all(map(is_number, cells[:-1])):
            raise InputError(
                f"{path}: line {number} has {brief(cells[-1])!r} as the last cell; allowed: the label first, then "
                "numbers"
            )
        yield to_numbers(path, number, cells)[:, None], whole(label)


def _check_first(path: Path, number: int, cell: str, reading: Reading) -> None:
    """Refuse a fraction in the place of the label, unless the user says what it is."""
    if reading.has_no_label or reading.column("label").strip() == "0" or cell in MISSING or not is_number(cell):
        return
    if not float(cell).is_integer():
        raise InputError(
            f"{path}: line {number} begins with {cell}, where the label stands in this format; allowed: "
            f"{_NO_LABEL} if there are no labels, 0 if that is one"
        )


def _has_header(path: Path, rows: list[tuple[int, list[str]]], reading: Reading, findings: Findings) -> bool:
    """Whether the first line names the columns: by its words, or because it counts up behind the name of the label."""
    if reading.header is not None or len(rows) < 2:
        return bool(reading.header)
    (_, (label, *cells)), (_, (next_label, *_)) = rows
    start = next((first for first in ("0", "1") if cells[:1] == [first]), None)
    counts = start is not None and cells == [str(int(start) + i) for i in range(len(cells))]
    is_word = label.lower() in _LABEL_WORDS or (not is_number(label) and is_number(next_label))
    is_header = bool(cells) and (
        (counts and is_word) or ((label == "" or not is_number(label)) and not any(map(is_number, cells)))
    )
    if is_header:
        findings.decide("the first line names the columns", f"{path}: {label!r}", "`header`")
    elif counts and len(cells) > 1:
        findings.warn("the first line counts up; is it a header?", f"{path}: {label!r}", "`header`")
    return is_header


READERS: dict[str, Callable[[Path, Reading, Findings], Iterator[Series]]] = {
    "ts": read_ts,
    "tsv": read_tsv,
    "arff": read_arff,
}
"""By the ending of a file's name, in lower case."""


def _recordings(files: dict[str | None, Path], reading: Reading, findings: Findings) -> Iterator[Recording]:
    for split, path in files.items():
        read = READERS[path.suffix[1:].lower()]
        for i, (values, label) in enumerate(read(path, reading, findings)):
            present = np.flatnonzero(~np.isnan(values).all(1))
            if not len(present):
                raise InputError(f"{path}: series {i} has no value")
            yield Recording(f"{split or 'all'}/{i}", values[: present[-1] + 1], label, split=split)
