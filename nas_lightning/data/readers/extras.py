"""Single files of formats that need more packages or scipy: arrays in ``.mat`` and HDF5, a long table in Excel."""

from pathlib import Path

import numpy as np

from nas_lightning.data.readers.arrays import from_arrays
from nas_lightning.data.readers.excel import read_frame_of_sheet
from nas_lightning.data.readers.hdf5 import load_named_hdf5
from nas_lightning.data.readers.matlab import load_named_mat
from nas_lightning.data.readers.stored_arrays import NAMED_ARRAYS
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.data.recordings import Source
from nas_lightning.errors import InputError


def read_stored(path: Path, reading: Reading) -> Source:
    """Read the arrays ``X_train``, ``y_train``, ``X_test``, ``y_test`` of a ``.mat`` or HDF5 file, as of ``.npz``.

    Raises:
        InputError: naming the file and what is wrong.
    """
    arrays = (load_named_mat if path.suffix.lower() == ".mat" else load_named_hdf5)(path)
    missing = [name for name in NAMED_ARRAYS[:4] if name not in arrays]
    if missing:
        raise InputError(
            f"{path}: lacks {', '.join(missing)}; allowed: a file with {', '.join(NAMED_ARRAYS[:4])}, or a folder with "
            "one file a recording in class folders"
        )
    arrays = {name: values if name.startswith("X_") else _flat(values) for name, values in arrays.items()}
    names = arrays.pop("class_names", None)
    return from_arrays(str(path), arrays, None if names is None else [str(name) for name in names.tolist()])


def _flat(values: np.ndarray) -> np.ndarray:
    """A list that MATLAB stores as one row or one column."""
    return values.ravel() if values.ndim == 2 and 1 in values.shape else values


def read_workbook(path: Path, reading: Reading) -> Source:
    """Read a long table from the first sheet of an Excel file.

    Raises:
        InputError: naming the file and what is wrong.
    """
    from nas_lightning.data.readers.table import read_frame

    findings = Findings()
    return read_frame(read_frame_of_sheet(path, findings), reading, str(path))
