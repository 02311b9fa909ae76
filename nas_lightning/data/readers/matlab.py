"""MATLAB's ``.mat`` files: numbers and text of version 5 to 7, and of 7.3, which is HDF5.

The arrays are unpacked here, because scipy's reader crashes on some damaged files.
"""

import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from nas_lightning.data.readers.hdf5 import load_hdf5, load_named_hdf5
from nas_lightning.data.readers.stored_arrays import NAMED_ARRAYS, check_letters, check_size, pick
from nas_lightning.data.readers.text import one_line
from nas_lightning.data.words import first_repeated
from nas_lightning.errors import InputError, brief

_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_UTF = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
_ENDS = {"<": "-le", ">": "-be"}
_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function", 17: "opaque"}
_NUMBERS = range(6, 16)
_COMPLEX = 0x0800
_HEAD = 1 << 12
_MOST_VARIABLES = 10_000
_MOST_AXES = 32


@dataclass(frozen=True)
class _Variable:
    """A variable of a file.

    Attributes:
        name: of the variable.
        shape: as its head says.
        kind: ``number``, ``char``, or a class of MATLAB that is not read.
        start: of its element in the file.
        size: of that element.
        data: first byte of its values, from the first of the (unpacked) element.
        order: of the bytes, ``<`` or ``>``.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    start: int
    size: int
    data: int
    order: str


def load_mat(path: Path, shown: str, array: str | None) -> np.ndarray:
    """The array of a recording.

    Args:
        path: the file.
        shown: its name in messages.
        array: the name of the array; None if there is one alone.

    Raises:
        InputError: if it is damaged, holds several arrays or none, or says that it is far larger than the file.
    """
    order = _order(path, shown)
    if order is None:
        return load_hdf5(path, shown, array)
    found = {variable.name: variable for variable in _variables(path, shown, order)}
    shapes = {name: variable.shape for name, variable in found.items() if variable.kind == "number"}
    return _load(path, shown, found[pick(shown, shapes, array)])


def load_named_mat(path: Path) -> dict[str, np.ndarray]:
    """The arrays that have a name of the npz format.

    Raises:
        InputError: as ``load_mat``.
    """
    shown = str(path)
    order = _order(path, shown)
    if order is None:
        return load_named_hdf5(path)
    found = {variable.name: variable for variable in _variables(path, shown, order)}
    named = [found[name] for name in NAMED_ARRAYS if name in found]
    for variable in named:
        if variable.kind not in ("number", "char"):
            raise InputError(
                f"{shown}: {variable.name} is of MATLAB's class {variable.kind}; allowed: numbers, or char with one "
                "row for each label"
            )
    return {variable.name: _load(path, shown, variable) for variable in named}


def _order(path: Path, shown: str) -> str | None:
    """The order of the bytes, or None for version 7.3; others than 5 to 7.3 are refused."""
    with path.open("rb") as file:
        head = file.read(128)
    order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
    version = struct.unpack(f"{order}H", head[124:126])[0] >> 8 if order else None
    if head.startswith(b"\x89HDF\r\n\x1a\n") or version == 2:
        return None
    if order is None or version != 1:
        raise InputError(f"{shown}: is no MAT-file of version 5 to 7.3; save it by save(..., '-v7')")
    return order


def _variables(path: Path, shown: str, order: str) -> list[_Variable]:
    """All variables, from a look at their heads."""
    found: list[_Variable] = []
    try:
        with path.open("rb") as file:
            place, end = 128, os.fstat(file.fileno()).st_size
            while place + 8 <= end and len(found) < _MOST_VARIABLES:
                file.seek(place)
                kind, size = struct.unpack(f"{order}II", file.read(8))
                if kind not in (_MATRIX, _COMPRESSED) or place + 8 + size > end:
                    raise ValueError(f"the element at byte {place} is no variable, or ends behind the file")
                content = _unpacked(file, place, size, _HEAD, order)
                found.append(_look_at(content, place, size, order))
                place += 8 + size
    except (ValueError, struct.error, zlib.error) as error:
        raise _unreadable(shown, error) from error
    if (twice := first_repeated([variable.name for variable in found])) is not None:
        raise InputError(f"{shown}: has two variables {brief(twice)!r}; allowed: each name once")
    return found


def _unpacked(file: IO[bytes], place: int, size: int, most: int, order: str) -> bytes:
    """Up to ``most`` bytes of the element at a place; of the one inside if it is compressed."""
    file.seek(place)
    head = file.read(8)
    if struct.unpack(f"{order}I", head[:4])[0] == _MATRIX:
        return head + file.read(min(size, most - 8))
    unpack, parts, count = zlib.decompressobj(), [], 0
    while count < most and not unpack.eof and (packed := file.read(min(size, 1 << 20))):
        size -= len(packed)
        parts.append(unpack.decompress(packed, most - count))
        count += len(parts[-1])
        while unpack.unconsumed_tail and count < most:
            parts.append(unpack.decompress(unpack.unconsumed_tail, most - count))
            count += len(parts[-1])
    return b"".join(parts)


def _look_at(content: bytes, start: int, size: int, order: str) -> _Variable:
    """The head of a variable: its class, its shape and its name."""
    (kind,) = struct.unpack_from(f"{order}I", content)
    if kind != _MATRIX:
        raise ValueError(f"the element at byte {start} is no variable")
    _, flags, _, place = _element(content, 8, order)
    (word,) = struct.unpack_from(f"{order}I", content, flags)
    code = word & 0xFF
    if code not in _CLASSES and code not in _NUMBERS:
        raise ValueError(f"the variable at byte {start} has the unknown class {code}")
    if code == 17:
        return _Variable(f"opaque at {start}", (), "opaque", start, size, 0, order)
    _, axes, count, place = _element(content, place, order)
    if not 0 < count // 4 <= _MOST_AXES:
        raise ValueError(f"the variable at byte {start} has {count // 4} axes")
    shape = struct.unpack_from(f"{order}{count // 4}i", content, axes)
    _, name, count, place = _element(content, place, order)
    if min(shape) < 0 or place > len(content) + 8:
        raise ValueError(f"the variable at byte {start} has the shape {list(shape)}, or a name that is too long")
    kind_of = "complex" if word & _COMPLEX else _CLASSES.get(code, "number")
    return _Variable(content[name : name + count].decode("latin-1"), shape, kind_of, start, size, place, order)


def _element(content: bytes, place: int, order: str) -> tuple[int, int, int, int]:
    """The type of an element within a variable, its first byte, how many it has, and where the next one begins."""
    kind, count = struct.unpack_from(f"{order}II", content, place)
    if kind >> 16:  # up to four bytes, within the head
        return kind & 0xFFFF, place + 4, min(kind >> 16, 4), place + 8
    return kind, place + 8, count, place + 8 + count + -count % 8


def _load(path: Path, shown: str, variable: _Variable) -> np.ndarray:
    """The values of one variable; the others, which may be objects of any kind, are not unpacked."""
    count = math.prod(variable.shape)
    check_size(path, shown, variable.name, 8 * count)
    if variable.kind == "char":
        check_letters(shown, variable.name, count)
    try:
        with path.open("rb") as file:
            most = variable.data + 8 + 8 * count
            content = _unpacked(file, variable.start, variable.size, most, variable.order)
        kind, start, size, _ = _element(content, variable.data, variable.order)
        if kind in _UTF and variable.kind == "char":
            letters = list(content[start : start + size].decode(_UTF[kind] + _ENDS[variable.order] * (kind > 16)))
        elif kind in _TYPES:
            numbers = np.frombuffer(content, f"{variable.order}{_TYPES[kind]}", count, start)
            letters = [chr(number) for number in numbers.tolist()] if variable.kind == "char" else []
            if variable.kind == "number":
                return numbers.reshape(variable.shape, order="F")
        else:
            raise ValueError(f"{variable.name} has values of the unknown type {kind}")
        rows = np.array(letters, dtype=object).reshape(variable.shape, order="F")
    except (ValueError, OverflowError, struct.error, zlib.error) as error:
        raise _unreadable(shown, error) from error
    return np.array(["".join(row).rstrip() for row in np.atleast_2d(rows)])


def _unreadable(shown: str, error: Exception) -> InputError:
    return InputError(f"{shown}: cannot be read as a MAT-file ({one_line(error)})")
