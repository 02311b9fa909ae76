"""Readers: one function per source, each returns ``Recordings``."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.data.recordings import Recordings, check_recordings
from nas_lightning.errors import InputError

_REQUIRED = ("X_train", "y_train", "X_test", "y_test")


def read(name: str | None, path: str | None, variables: Any = None) -> Recordings:
    """Read the file at ``path`` if given, else the UCR/UEA set ``name``; keep the chosen channels.

    Args:
        name: a UCR/UEA data set, for example ``BasicMotions``.
        path: a ``.npz`` file; see ``read_npz``.
        variables: None for all channels, n for the first n, or a list of channel numbers from 0.

    Raises:
        InputError: if there is nothing to read, or it is not what a reader expects.
    """
    recordings = read_npz(Path(path)) if path else read_archive(name)
    if variables is None:
        return recordings
    num_channels = recordings.x_train.shape[1]
    chosen = list(range(variables)) if type(variables) is int else variables
    is_list = isinstance(chosen, list) and all(type(channel) is int for channel in chosen)
    if not is_list or not chosen or min(chosen) < 0 or max(chosen) >= num_channels:
        raise InputError(
            f"data_processing_feature_extraction.variables: found {variables}; {path or name} has {num_channels} "
            f"channels: allowed are 1 to {num_channels}, or a list of numbers from 0 to {num_channels - 1}"
        )
    x_train, x_test = recordings.x_train[:, chosen], recordings.x_test[:, chosen]
    return Recordings(
        x_train, recordings.y_train, x_test, recordings.y_test, recordings.class_names, recordings.groups_train
    )


def read_npz(path: Path) -> Recordings:
    """Read ``X_train`` [N, C, L], ``y_train`` [N], ``X_test``, ``y_test``; ``groups_train``, ``class_names`` if there.

    Pickled arrays are refused: a file from elsewhere must not run code here.

    Raises:
        InputError: naming the file and what is wrong.
    """
    if not path.is_file():
        raise InputError(f"dataset.input_data_path: no file {path}; give the path of a .npz file")
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {key: content[key] for key in content.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"dataset.input_data_path: {path} cannot be read as .npz without pickled objects ({error})"
        ) from error
    missing = [key for key in _REQUIRED if key not in arrays]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; found {sorted(arrays)}, needed {list(_REQUIRED)}")
    names = arrays.pop("class_names", None)
    return check_recordings(str(path), arrays, None if names is None else [str(name) for name in names.tolist()])


def read_archive(name: str | None) -> Recordings:
    """Read a set of the UCR/UEA archive through aeon; some come inside the package, the others are downloaded once.

    Raises:
        InputError: if aeon does not know the name, cannot reach the archive, or the series differ in length.
    """
    from aeon.datasets import load_classification  # slow to import, and not needed for files

    try:
        (x_train, y_train), (x_test, y_test) = (load_classification(name, split=split) for split in ("train", "test"))
    except Exception as error:  # aeon raises ValueError, OSError or URLError, by the version and the cause
        raise InputError(
            f"dataset.dataset_name: cannot load {name!r} from the UCR/UEA archive ({error}); give a name of "
            "https://timeseriesclassification.com, or a file with dataset.input_data_path"
        ) from error
    if isinstance(x_train, list) or isinstance(x_test, list):
        raise InputError(
            f"dataset.dataset_name: the series of {name!r} differ in length; series of one length are needed"
        )
    arrays = {"X_train": x_train, "y_train": np.asarray(y_train), "X_test": x_test, "y_test": np.asarray(y_test)}
    return check_recordings(str(name), arrays)
