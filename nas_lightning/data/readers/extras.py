"""Single files of formats that need scipy or more packages: arrays in ``.mat`` and HDF5, a long table in Excel."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nas_lightning.data.readers.excel import read_frame_of_sheet
from nas_lightning.data.readers.hdf5 import load_named_hdf5
from nas_lightning.data.readers.matlab import load_named_mat
from nas_lightning.data.readers.sets import ArraySet, Part, read_set
from nas_lightning.data.readers.table import read_frame
from nas_lightning.data.reading import UNLABELLED, Findings, Reading
from nas_lightning.data.recordings import Source
from nas_lightning.errors import InputError

_PARTS: tuple[str | None, ...] = ("train", "val", "test")
_ALLOWED = (
    "a file with X_train, y_train, X_test and y_test, or with X and y, or a folder with one file a recording in class "
    "folders"
)


def read_stored(path: Path, reading: Reading) -> Source:
    """Read the arrays ``X_train``, ``y_train``, ``X_test``, ``y_test`` of a ``.mat`` or HDF5 file, as of ``.npz``.

    Raises:
        InputError: naming the file and what is wrong.
    """
    arrays = (load_named_mat if path.suffix.lower() == ".mat" else load_named_hdf5)(path)
    splits = [split for split in _PARTS if f"X_{split}" in arrays] or [None]
    parts = [_part(path, arrays, split, reading.is_labelled) for split in splits]
    if splits != [None] and splits[0] != "train" and reading.is_labelled:
        raise InputError(f"{path}: lacks X_train; allowed: {_ALLOWED}")
    names = arrays.get("class_names") if reading.is_labelled else None
    label_names = None if names is None else [str(name) for name in _flat(names).tolist()]
    return read_set(ArraySet(str(path), parts, label_names=label_names), reading, Findings())


def _part(path: Path, arrays: Mapping[str, np.ndarray], split: str | None, is_labelled: bool) -> Part:
    suffix = "" if split is None else f"_{split}"
    needed = (f"X{suffix}", f"y{suffix}") if is_labelled else (f"X{suffix}",)
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; allowed: {_ALLOWED}")
    groups = arrays.get(f"groups{suffix}")
    y = _flat(arrays[f"y{suffix}"]) if is_labelled else np.full(len(arrays[f"X{suffix}"]), UNLABELLED)
    return Part(split, arrays[f"X{suffix}"], y, None if groups is None else _flat(groups), suffix)


def holds_series(path: Path) -> bool:
    """Whether a ``.mat`` or HDF5 file has arrays of these names, and not those of one recording."""
    arrays = (load_named_mat if path.suffix.lower() == ".mat" else load_named_hdf5)(path)
    return any(name in arrays for name in ("X", *(f"X_{split}" for split in _PARTS if split)))


def _flat(values: np.ndarray) -> np.ndarray:
    """A list that MATLAB stores as one row or one column."""
    return values.ravel() if values.ndim == 2 and 1 in values.shape else values


def read_workbook(path: Path, reading: Reading) -> Source:
    """Read a long table from the first sheet of an Excel file.

    Raises:
        InputError: naming the file and what is wrong.
    """
    findings = Findings()
    source = read_frame(read_frame_of_sheet(path, reading, findings), reading, str(path))
    for warning in findings.warnings:
        source.findings.warn(warning)
    return source
