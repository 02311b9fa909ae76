"""MATLAB's ``.mat`` files: version 5 to 7 through scipy, 7.3 as the HDF5 that it is; numbers and text only."""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat, whosmat

from nas_lightning.data.readers.hdf5 import load_hdf5, load_named_hdf5, shape_of_hdf5
from nas_lightning.data.readers.stored_arrays import NAMED_ARRAYS, check_size, pick
from nas_lightning.data.readers.text import one_line
from nas_lightning.data.words import first_repeated
from nas_lightning.errors import InputError, brief

_WIDTHS = {
    "double": 8, "single": 4, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8,
    "uint64": 8, "logical": 1, "char": 4,
}  # fmt: skip


@dataclass(frozen=True)
class _Variable:
    """A variable as the head of its part of the file says: its name, shape and class."""

    name: str
    shape: tuple[int, ...]
    kind: str


def load_mat(path: Path, shown: str, array: str | None) -> np.ndarray:
    """The array of a recording.

    Args:
        path: the file.
        shown: its name in messages.
        array: the name of the array; None if there is one alone.

    Raises:
        InputError: if it is damaged, holds several arrays or none, or says that it is far larger than the file.
    """
    if _is_hdf5(path, shown):
        return load_hdf5(path, shown, array)
    return _load(path, shown, _picked(path, shown, array))


def shape_of_mat(path: Path, shown: str, array: str | None) -> tuple[int, ...]:
    """The shape of that array; arguments as in ``load_mat``."""
    if _is_hdf5(path, shown):
        return shape_of_hdf5(path, shown, array)
    return _picked(path, shown, array).shape


def load_named_mat(path: Path) -> dict[str, np.ndarray]:
    """The arrays that have a name of the npz format.

    Raises:
        InputError: as ``load_mat``.
    """
    shown = str(path)
    if _is_hdf5(path, shown):
        return load_named_hdf5(path)
    found = {variable.name: variable for variable in _variables(path, shown)}
    others = [name for name in NAMED_ARRAYS if name in found and found[name].kind not in _WIDTHS]
    if others:
        raise InputError(
            f"{shown}: {others[0]} is of MATLAB's class {found[others[0]].kind}; allowed: numbers, or char with one "
            "row for each label"
        )
    return {name: _load(path, shown, found[name]) for name in NAMED_ARRAYS if name in found}


def _is_hdf5(path: Path, shown: str) -> bool:
    """Whether it is of version 7.3; others than 5 to 7.3 are refused."""
    with path.open("rb") as file:
        head = file.read(128)
    order = {b"IM": "little", b"MI": "big"}.get(head[126:128])
    version = int.from_bytes(head[124:126], "little" if order == "little" else "big") >> 8 if order else None
    if head.startswith(b"\x89HDF\r\n\x1a\n") or version == 2:
        return True
    if version != 1:
        raise InputError(f"{shown}: is no MAT-file of version 5 to 7.3; save it by save(..., '-v7')")
    return False


def _variables(path: Path, shown: str) -> list[_Variable]:
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # of names that are there twice, which is said below
            found = [_Variable(name, tuple(shape), kind) for name, shape, kind in whosmat(file)]
    except Exception as error:  # scipy raises whatever its unpacking meets
        raise _unreadable(shown, error) from error
    if (twice := first_repeated([variable.name for variable in found])) is not None:
        raise InputError(f"{shown}: has two variables {brief(twice)!r}; allowed: each name once")
    return found


def _picked(path: Path, shown: str, array: str | None) -> _Variable:
    variables = _variables(path, shown)
    numbers = {v.name: v.shape for v in variables if v.kind in _WIDTHS and v.kind != "char"}
    name = pick(shown, numbers, array)
    return next(variable for variable in variables if variable.name == name)


def _load(path: Path, shown: str, variable: _Variable) -> np.ndarray:
    """One variable; the others, which may be objects of any kind, are not unpacked."""
    check_size(path, shown, variable.name, math.prod(variable.shape) * _WIDTHS[variable.kind])
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            values = loadmat(file, variable_names=[variable.name])[variable.name]
    except Exception as error:  # as above
        raise _unreadable(shown, error) from error
    return np.char.rstrip(values) if values.dtype.kind == "U" else values


def _unreadable(shown: str, error: Exception) -> InputError:
    return InputError(f"{shown}: cannot be read as a MAT-file ({one_line(error)})")
