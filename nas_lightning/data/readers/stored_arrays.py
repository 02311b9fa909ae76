"""Which of several named arrays is meant, and how large one may say that it is."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.data.readers.levels import names_of
from nas_lightning.errors import InputError, brief

NAMED_ARRAYS = (
    *(f"{name}{split}" for split in ("_train", "_val", "_test", "") for name in ("X", "y", "groups")),
    "class_names",
)
"""The arrays that one file holds in place of recordings; see ``arrays.read_npz``."""

_ALWAYS_ALLOWED = 1 << 30
_LARGEST_RATIO = 100
_MOST_LETTERS = 1 << 24


def pick(shown: str, shapes: Mapping[str, tuple[int, ...]], array: str | None) -> str:
    """The name of the array of a recording.

    Args:
        shown: the file, for messages.
        shapes: of the arrays of numbers, by name.
        array: what the user says.

    Raises:
        InputError: if there is no such array, or several and none is named.
    """
    found = names_of(f"{name} {list(shape)}" for name, shape in shapes.items()) or "none"
    if array is not None:
        if array not in shapes:
            raise InputError(f"{shown}: has no array of numbers {array!r}, which `array` names; found {found}")
        return array
    several = [name for name, shape in shapes.items() if len(shape) in (1, 2) and np.prod(shape, dtype=float) > 1]
    if not several:
        raise InputError(f"{shown}: has no array of shape [time] or [time, variables]; found {found}")
    if len(several) > 1:
        raise InputError(f"{shown}: has the arrays {found}; `array`={brief(several[0])} names the one to read")
    return several[0]


def check_size(path: Path, shown: str, name: str, size: int) -> None:
    """Refuse an array that says it is far larger than its file.

    Raises:
        InputError: naming the array.
    """
    most = max(_ALWAYS_ALLOWED, _LARGEST_RATIO * path.stat().st_size)
    if size > most:
        raise InputError(f"{shown}: {brief(name)} unpacks to {size:,} bytes; allowed for the file's size: {most:,}")


def check_letters(shown: str, name: str, count: int) -> None:
    """Refuse a text that is far larger than labels are, before each of its letters becomes a Python object.

    Raises:
        InputError: naming the array.
    """
    if count > _MOST_LETTERS:
        raise InputError(f"{shown}: {brief(name)} has more than {_MOST_LETTERS:,} letters; allowed: labels")


def import_extra(shown: str, package: str, extra: str) -> Any:
    """A package that not everybody needs.

    Raises:
        InputError: if it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"{shown}: needs the package {package}; install it with: pip install 'nas-lightning[{extra}]'"
        ) from error
