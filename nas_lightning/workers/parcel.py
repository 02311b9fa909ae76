"""What jobs share, and what comes back: pickled, with large arrays in files that all workers map.

A parcel passes between processes of one run only and lies in a folder that nobody else can write into, so nothing of a
stranger is unpickled.
"""

import io
import math
import pickle  # nosec B403 # between processes of one run
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor

LARGE = 1 << 16
"""Bytes from which an array is shared."""


class UnshareableError(ValueError):
    """What jobs need cannot be sent to another process; the text says what it is."""


class _Packer(pickle.Pickler):
    """Puts the bytes of arrays of at least so many bytes aside: ``arrays``, each once."""

    def __init__(self, file: io.BytesIO, least: float) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.least = least
        self.arrays: list[np.ndarray] = []
        self._known: dict[Any, int] = {}

    def persistent_id(self, obj: Any) -> tuple[str, int] | None:
        """Where a large array lies."""
        array = _array_of(obj)
        if array is None or array.nbytes < self.least:
            return None
        key = (array.ctypes.data, array.shape, array.strides, array.dtype.str)
        if key not in self._known:
            self._known[key] = len(self.arrays)
            self.arrays.append(array)
        return type(obj).__name__, self._known[key]

    def reducer_override(self, obj: Any) -> Any:
        """Refuse what only the program that runs has: a worker does not run it again."""
        if isinstance(obj, type | FunctionType) and obj.__module__ == "__main__":
            raise UnshareableError(f"{obj.__qualname__} is defined in the program itself, and not in a module")
        return NotImplemented


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, arrays: Sequence[np.ndarray]) -> None:
        super().__init__(file)
        self.arrays = arrays

    def persistent_load(self, pid: Any) -> Any:
        """An array, as it was."""
        kind, number = pid
        array = self.arrays[number]
        if kind != "Tensor":
            return array
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it cannot be written into: nobody does
            return torch.from_numpy(array)


def _array_of(obj: Any) -> np.ndarray | None:
    if type(obj) is Tensor and obj.device.type == "cpu" and not obj.requires_grad and obj.layout is torch.strided:
        try:
            return obj.numpy()
        except (TypeError, RuntimeError):  # a type that NumPy lacks
            return None
    is_plain = type(obj) in (np.ndarray, np.memmap) and not obj.dtype.hasobject
    return obj if is_plain else None


def pack(content: Any, least: float = math.inf) -> tuple[bytes, list[np.ndarray]]:
    """Pickled bytes, and the arrays of at least so many bytes that belong to them.

    Raises:
        UnshareableError: if something of it cannot be pickled.
    """
    file = io.BytesIO()
    packer = _Packer(file, least)
    try:
        packer.dump(content)
    except (pickle.PicklingError, AttributeError, TypeError, NotImplementedError) as error:
        raise UnshareableError(str(error)) from error
    return file.getvalue(), packer.arrays


def unpack(payload: bytes, arrays: Sequence[np.ndarray] = ()) -> Any:
    """What was packed."""
    return _Unpacker(io.BytesIO(payload), arrays).load()


def write(content: Any, folder: Path) -> None:
    """Leave a parcel in an empty folder.

    Raises:
        UnshareableError: if something of it cannot be pickled.
    """
    payload, arrays = pack(content, LARGE)
    for number, array in enumerate(arrays):
        np.save(folder / f"{number}.npy", array, allow_pickle=False)
    (folder / "payload").write_bytes(payload)


def read(folder: Path) -> Any:
    """The content of a parcel; its arrays are mapped, and a page that is written into becomes this process's own."""
    count = len(list(folder.glob("*.npy")))
    arrays = [np.load(folder / f"{number}.npy", mmap_mode="c", allow_pickle=False) for number in range(count)]
    return unpack((folder / "payload").read_bytes(), arrays)
