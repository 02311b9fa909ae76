"""Files of the UCR/UEA archive: ``.ts``, ``.tsv`` and ``.arff``, alone or as ``NAME_TRAIN`` and ``NAME_TEST``."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from nas_lightning.data.links import check_file
from nas_lightning.data.readers.text import MISSING, find_layout, is_number, lines, one_line, split_line
from nas_lightning.data.reading import Reading
from nas_lightning.data.recordings import Recording, Source
from nas_lightning.errors import InputError

_LONGEST_LINE = 1 << 28
_PAIR = re.compile(r"(?P<name>.*)_(?P<split>TRAIN|TEST)", re.IGNORECASE)

Series = tuple[np.ndarray, str]
"""Values ``[T, C]`` and the label."""


def read_series(path: Path, reading: Reading) -> Source:
    """Read a file of the archive; with ``_TRAIN`` or ``_TEST`` in its name, also the other one of the pair.

    A series may be shorter than the others: missing values at the end of all its channels are no part of it.

    Raises:
        InputError: naming the file and the line, what was found and what is allowed.
    """
    files = find_pair(path) or {None: path}
    for other in files.values():
        if other != path:  # which the user did not name
            check_file(other, path.parent, str(path.parent))
    return Source(str(path), _recordings(files))


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


def read_ts(path: Path) -> Iterator[Series]:
    """A ``.ts`` file: a head of ``@`` lines, then dimensions separated by colons and values by commas, label last.

    Raises:
        InputError: for time stamps, or a line of another form.
    """
    in_data = False
    num_dimensions = None
    for number, text in lines(path, str(path), "utf-8-sig", _LONGEST_LINE):
        line = text.strip()
        if not line or line.startswith(("#", "%")):
            continue
        if not in_data:
            words = line.lower().split()
            if not line.startswith("@"):
                raise InputError(f"{path}: line {number} stands before @data and does not start with @")
            if words[:2] == ["@timestamps", "true"]:
                raise InputError(f"{path}: line {number} announces time stamps; allowed: @timestamps false")
            if words[:2] == ["@classlabel", "false"] or words[0] == "@targetlabel":
                raise InputError(f"{path}: line {number} says that there are no class labels; they are needed")
            in_data = words[0] == "@data"
            continue
        *dimensions, label = line.split(":")
        if not dimensions or not label.strip():
            raise InputError(f"{path}: line {number} has {len(dimensions) + 1} parts; allowed: dimensions:...:label")
        if num_dimensions not in (None, len(dimensions)):
            raise InputError(
                f"{path}: line {number} has {len(dimensions)} dimensions and the first has {num_dimensions}"
            )
        num_dimensions = len(dimensions)
        yield _stack(path, number, [_numbers(path, number, part.split(",")) for part in dimensions]), label.strip()
    if not in_data:
        raise InputError(f"{path}: has no line @data; allowed: the .ts format of timeseriesclassification.com")


def read_tsv(path: Path) -> Iterator[Series]:
    """A ``.tsv`` file: one series a line, its label first; tabs, commas or spaces between the values.

    Raises:
        InputError: for a file that is not text, or a cell that is no number.
    """
    layout = find_layout(path, str(path))
    for number, line in lines(path, str(path), layout.encoding, _LONGEST_LINE):
        if line.strip():
            label, *cells = split_line(line, layout.delimiter)
            yield _numbers(path, number, cells)[:, None], _label(label)


def read_arff(path: Path) -> Iterator[Series]:
    """An ``.arff`` file, by aeon: one attribute a value and the class last, or one relational attribute.

    Raises:
        InputError: if aeon cannot read it.
    """
    from aeon.datasets import load_from_arff_file

    try:
        x, labels = load_from_arff_file(str(path))
    except Exception as error:  # aeon has no exception of its own
        raise InputError(f"{path}: cannot be read as .arff ({one_line(error)})") from error
    for values, label in zip(x, labels, strict=True):
        yield np.asarray(values, dtype=np.float64).T, str(label)


READERS: dict[str, Callable[[Path], Iterator[Series]]] = {"ts": read_ts, "tsv": read_tsv, "arff": read_arff}
"""By the ending of a file's name, in lower case."""


def _recordings(files: dict[str | None, Path]) -> Iterator[Recording]:
    for split, path in files.items():
        for i, (values, label) in enumerate(READERS[path.suffix[1:].lower()](path)):
            present = np.flatnonzero(~np.isnan(values).all(1))
            if not len(present):
                raise InputError(f"{path}: series {i} has no value")
            yield Recording(f"{split or 'all'}/{i}", values[: present[-1] + 1], label, split=split)


def _numbers(path: Path, number: int, cells: list[str]) -> np.ndarray:
    cells = [cell.strip() for cell in cells]
    bad = next((cell for cell in cells if not is_number(cell)), None)
    if bad is not None or not cells:
        raise InputError(f"{path}: line {number} has {(bad or '')[:40]!r} among its values; allowed: numbers")
    return np.array([np.nan if cell in MISSING else float(cell) for cell in cells])


def _stack(path: Path, number: int, dimensions: list[np.ndarray]) -> np.ndarray:
    lengths = {len(values) for values in dimensions}
    if len(lengths) > 1:
        raise InputError(f"{path}: line {number} has dimensions of {sorted(lengths)} values; they must agree")
    return np.stack(dimensions, axis=1)


def _label(cell: str) -> str:
    """Whole numbers without decimals: 1.0000000e+00 is the class 1."""
    try:
        return str(int(float(cell))) if float(cell).is_integer() else cell
    except (ValueError, OverflowError):
        return cell
