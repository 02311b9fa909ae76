"""Sources that hold arrays ``[samples, channels, length]``: ``.npz`` files and the UCR/UEA archive through aeon."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from nas_lightning.data.recordings import Recording, Source
from nas_lightning.errors import InputError, brief

_SPLITS = ("train", "test")
_REQUIRED = ("X_train", "y_train", "X_test", "y_test")


def read_npz(path: Path) -> Source:
    """Read ``X_train`` [N, C, L], ``y_train`` [N], ``X_test``, ``y_test``; ``groups_train``, ``class_names`` if there.

    Pickled arrays are refused: a file from elsewhere must not run code here.

    Raises:
        InputError: naming the file and what is wrong.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = {key: content[key] for key in content.files}
    except Exception as error:  # NumPy and zipfile raise whatever they meet in a damaged file
        raise InputError(
            f"dataset.input_data_path: {path} cannot be read as .npz without pickled objects ({brief(error)})"
        ) from error
    missing = [key for key in _REQUIRED if key not in arrays]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; found {sorted(arrays)}, needed {list(_REQUIRED)}")
    names = arrays.pop("class_names", None)
    return from_arrays(str(path), arrays, None if names is None else [str(name) for name in names.tolist()])


def read_archive(name: str | None) -> Source:
    """Read a set of the UCR/UEA archive through aeon; some come inside the package, the others are downloaded once.

    Raises:
        InputError: if aeon does not know the name or cannot reach the archive.
    """
    from aeon.datasets import load_classification  # slow to import, and not needed for files

    try:
        loaded = {split: load_classification(name, split=split) for split in _SPLITS}
    except Exception as error:  # aeon raises ValueError, OSError or URLError, by the version and the cause
        raise InputError(
            f"dataset.dataset_name: cannot load {name!r} from the UCR/UEA archive ({brief(error)}); give a name of "
            "https://timeseriesclassification.com, or a file or folder with dataset.input_data_path"
        ) from error
    return Source(
        str(name), [recording for split in _SPLITS for recording in _series(loaded[split][0], loaded[split][1], split)]
    )


def _series(x: Sequence[np.ndarray], labels: Sequence[object], split: str | None) -> Iterator[Recording]:
    """Recordings of N series ``[C, L]``, named by the split and a number."""
    for i, (values, label) in enumerate(zip(x, labels, strict=True)):
        yield Recording(f"{split or 'all'}/{i}", values.T, str(label), split=split)


def from_arrays(source: str, arrays: dict[str, np.ndarray], class_names: list[str] | None = None) -> Source:
    """Check arrays named as in the npz format.

    Args:
        source: the file, for messages.
        arrays: ``X_train``, ``y_train``, ``X_test``, ``y_test`` and optionally ``groups_train``.
        class_names: names of the labels in increasing order; the labels themselves if None.

    Raises:
        InputError: naming the source, the array, what was found and what is allowed.
    """
    x = {split: _check_series(source, f"X_{split}", arrays[f"X_{split}"]) for split in _SPLITS}
    if x["train"].shape[1:] != x["test"].shape[1:]:
        raise InputError(
            f"{source}: X_train has [channels, length] {list(x['train'].shape[1:])} and X_test "
            f"{list(x['test'].shape[1:])}; they must agree"
        )
    for split in _SPLITS:
        shape = arrays[f"y_{split}"].shape
        if shape != (len(x[split]),):
            raise InputError(f"{source}: y_{split} has shape {list(shape)}; X_{split} asks for [{len(x[split])}]")
    y = {split: _check_labels(source, f"y_{split}", arrays[f"y_{split}"]) for split in _SPLITS}
    labels = np.unique(y["train"])
    unseen = sorted(set(y["test"].tolist()) - set(labels.tolist()))
    if unseen:
        raise InputError(f"{source}: y_test has labels that y_train lacks: {unseen}; allowed: {labels.tolist()}")
    if class_names is not None and len(class_names) != len(labels):
        raise InputError(f"{source}: class_names has {len(class_names)} names for {len(labels)} labels in y_train")
    names = [str(name) for name in (class_names or labels)]
    groups = _check_groups(source, arrays.get("groups_train"), len(x["train"]))
    return Source(source, _recordings(x, {s: np.searchsorted(labels, y[s]) for s in _SPLITS}, names, groups), names)


def _recordings(
    x: dict[str, np.ndarray], y: dict[str, np.ndarray], names: list[str], groups: np.ndarray | None
) -> Iterator[Recording]:
    for split in _SPLITS:
        for i, (values, label) in enumerate(zip(x[split], y[split], strict=True)):
            group = None if groups is None else str(groups[i]) if split == "train" else "test"
            yield Recording(f"{split}/{i}", values.T, names[label], group, split)


def _check_series(source: str, name: str, x: np.ndarray) -> np.ndarray:
    if x.ndim != 3 or 0 in x.shape:
        raise InputError(
            f"{source}: {name} has shape {list(x.shape)}; allowed: [samples, channels, length], none of them 0"
        )
    if not (np.issubdtype(x.dtype, np.floating) or np.issubdtype(x.dtype, np.integer)):
        raise InputError(f"{source}: {name} has type {x.dtype}; allowed: numbers")
    return x


def _check_labels(source: str, name: str, y: np.ndarray) -> np.ndarray:
    """Strings as they are; whole numbers of any type, and booleans, as int64."""
    if y.dtype.kind in "US":
        return y
    if y.dtype.kind not in "iubf" or not np.array_equal(y.astype(np.float64) % 1, np.zeros(len(y))):
        raise InputError(f"{source}: {name} has type {y.dtype} and other values than allowed: whole numbers or strings")
    return y.astype(np.int64)


def _check_groups(source: str, groups: np.ndarray | None, count: int) -> np.ndarray | None:
    if groups is not None and (groups.shape != (count,) or not np.issubdtype(groups.dtype, np.integer)):
        raise InputError(
            f"{source}: groups_train has shape {list(groups.shape)} and type {groups.dtype}; "
            f"allowed: [{count}] whole numbers"
        )
    return groups
