"""HDF5 files: arrays of numbers that lie in the file itself."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.data.readers.stored_arrays import NAMED_ARRAYS, check_letters, check_size, import_extra, pick
from nas_lightning.errors import InputError, brief, said_of

_MOST_OBJECTS = 10_000
_MOST_TEXTS = 1 << 20
_LONGEST_TEXTS = 1 << 26
_TEXTS_TOGETHER = 256


def load_hdf5(path: Path, shown: str, array: str | None) -> np.ndarray:
    """The array of a recording.

    Args:
        path: the file.
        shown: its name in messages.
        array: the name of the array, with its groups; None if there is one alone.

    Raises:
        InputError: if it is damaged, holds several arrays or none, reaches other files, or says that it is far larger
            than the file.
    """
    with _datasets(path, shown) as found:
        name = pick(shown, _shapes(found), array)
        return _values(path, shown, name, found[name])


def load_named_hdf5(path: Path) -> dict[str, np.ndarray]:
    """The arrays that have a name of the npz format.

    Raises:
        InputError: as ``load_hdf5``.
    """
    with _datasets(path, str(path)) as found:
        return {name: _values(path, str(path), name, found[name]) for name in NAMED_ARRAYS if name in found}


@contextmanager
def _datasets(path: Path, shown: str) -> Iterator[dict[str, Any]]:
    h5py = import_extra(shown, "h5py", "hdf5")
    with said_of(f"{shown}: cannot be read as HDF5"), h5py.File(path, "r", locking=False) as file:
        yield _all_of(h5py, shown, file)


def _all_of(h5py: Any, shown: str, file: Any) -> dict[str, Any]:
    """The data sets of all groups by name; links that are no part of the tree are not followed."""
    found: dict[str, Any] = {}
    groups, seen = [("", file)], {h5py.h5o.get_info(file.id).addr}
    count = 0
    while groups:
        prefix, group = groups.pop()
        for name in group:
            count += 1
            if count > _MOST_OBJECTS:
                raise InputError(f"{shown}: has more than {_MOST_OBJECTS:,} objects; allowed: a few arrays")
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise InputError(
                    f"{shown}: {brief(prefix + name)} is a link to another file; allowed: arrays in the file"
                )
            if not isinstance(link, h5py.HardLink) or name.startswith("#"):
                continue
            item = group[name]
            if isinstance(item, h5py.Dataset):
                found[prefix + name] = item
            elif isinstance(item, h5py.Group) and (address := h5py.h5o.get_info(item.id).addr) not in seen:
                seen.add(address)
                groups.append((f"{prefix}{name}/", item))
    return dict(sorted(found.items()))


def _shapes(found: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Those of the arrays of numbers, as they are read."""
    numbers = {name: item for name, item in found.items() if item.shape is not None and item.dtype.kind in "fiub"}
    return {name: item.shape[::-1] if _is_matlab(item) else item.shape for name, item in numbers.items()}


def _is_matlab(item: Any) -> bool:
    """Whether MATLAB wrote it, which stores the last axis first."""
    return "MATLAB_class" in item.attrs


def _values(path: Path, shown: str, name: str, item: Any) -> np.ndarray:
    if item.is_virtual or item.external:
        raise InputError(f"{shown}: {brief(name)} lies in other files; allowed: arrays in the file")
    whole = math.prod(item.shape or (0,))
    for size in (whole, math.prod(item.chunks or (0,))):
        check_size(path, shown, name, size * item.dtype.itemsize)
    if item.dtype.kind in "fiub":
        is_text = _is_matlab(item) and bytes(item.attrs["MATLAB_class"]) == b"char"
        if is_text:
            check_letters(shown, name, whole)
        values = item[()]
        return _of_matlab(values, is_text) if _is_matlab(item) else values
    if whole > _MOST_TEXTS or item.dtype.kind not in "SO" or len(item.shape) != 1:
        raise InputError(f"{shown}: {brief(name)} has the type {item.dtype}; allowed: numbers, or a list of texts")
    return _texts(shown, name, item)


def _of_matlab(values: np.ndarray, is_text: bool) -> np.ndarray:
    """In MATLAB's order of the axes; text as one a row."""
    values = values.T
    if not is_text:
        return values
    return np.array(["".join(map(chr, row)).rstrip() for row in np.atleast_2d(values).tolist()])


def _texts(shown: str, name: str, item: Any) -> np.ndarray:
    """Few at a time, since each may name the same long text."""
    found: list[str] = []
    size, longest = 0, 0
    for start in range(0, len(item), _TEXTS_TOGETHER):
        part = [str(text) for text in item.asstr()[start : start + _TEXTS_TOGETHER]]
        longest = max(longest, *map(len, part))
        size += sum(map(len, part))
        if max(size, longest * len(item)) > _LONGEST_TEXTS:
            raise InputError(f"{shown}: {brief(name)} has more than {_LONGEST_TEXTS:,} letters; allowed: labels")
        found += part
    return np.array(found)
