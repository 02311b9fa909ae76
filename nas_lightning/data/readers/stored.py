"""Arrays of an ``.npz`` file that are read in parts, and never lie in memory as a whole."""

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.errors import said_of

_LARGEST = 1 << 30


@dataclass(frozen=True)
class StoredArray:
    """An array of an ``.npz`` file that is read in parts.

    Attributes:
        path: the file.
        member: its name in it.
        shape: as it says.
        dtype: of its values.
    """

    path: Path
    member: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def parts(self, rows: int) -> Iterator[np.ndarray]:
        """Up to ``rows`` entries of the first axis at a time.

        Raises:
            InputError: if the file is damaged.
        """
        bytes_of_one = math.prod(self.shape[1:]) * self.dtype.itemsize
        with (
            said_of(unreadable(self.path)),
            zipfile.ZipFile(self.path) as archive,
            archive.open(self.member) as stream,
        ):
            if _read_header(stream) != (self.shape, False, self.dtype):
                raise ValueError("it changed while it was read")
            for start in range(0, len(self), rows):
                count = min(rows, len(self) - start)
                content = stream.read(count * bytes_of_one)
                if len(content) < count * bytes_of_one:
                    raise ValueError(f"{self.member} ends after {start + len(content) // bytes_of_one} samples")
                yield np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])


def unreadable(path: Path) -> str:
    """What is said of a file that NumPy cannot read."""
    return f"`path`: {path} cannot be read as .npz without pickled objects"


def open_series(path: Path, content: Any, key: str) -> np.ndarray | StoredArray:
    """Series of an open file, to be read in parts unless they are stored by columns.

    Raises:
        ValueError: for Python objects.
    """
    member, shape, is_by_columns, dtype = _look_at(content, key)
    if dtype.hasobject:
        raise ValueError(
            f"{key} holds Python objects; save numbers of one type, {key}.astype('float32'); series that differ in "
            "length go into a .ts file, a table, or class folders"
        )
    if len(shape) in (2, 3) and not is_by_columns:
        return StoredArray(path, member, shape, dtype)
    return content[key]


def load_whole(content: Any, key: str) -> np.ndarray:
    """Another array of an open file.

    Raises:
        ValueError: for Python objects, or what is far too large for labels or names.
    """
    _, shape, _, dtype = _look_at(content, key)
    if dtype.hasobject:
        raise ValueError(f"{key} holds Python objects; save it by {key}.astype(str)")
    if math.prod(shape) * dtype.itemsize > _LARGEST:
        raise ValueError(f"{key} has shape {list(shape)}, which is more than 1 GiB")
    return content[key]


def _look_at(content: Any, key: str) -> tuple[str, tuple[int, ...], bool, np.dtype]:
    """The member of an array, its shape, whether it is stored by columns, and its type."""
    member = f"{key}.npy" if f"{key}.npy" in content.zip.namelist() else key
    with content.zip.open(member) as stream:
        return member, *_read_header(stream)


def _read_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the array is stored by columns, and type; the stream is then at the first value."""
    read = np.lib.format.read_array_header_1_0
    return (read if np.lib.format.read_magic(stream) == (1, 0) else np.lib.format.read_array_header_2_0)(stream)
