"""Recordings: labelled time series in memory, checked once, whatever they were read from."""

from dataclasses import dataclass

import numpy as np

from nas_lightning.errors import InputError


@dataclass(frozen=True)
class Recordings:
    """Labelled time series with a fixed test split.

    Attributes:
        x_train: float32 ``[N, C, L]``.
        y_train: int64 ``[N]``, labels 0 to K - 1.
        x_test: float32 ``[M, C, L]``.
        y_test: int64 ``[M]``.
        class_names: the K original labels, in the order of the new ones.
        groups_train: int64 ``[N]`` or None: samples of one group (a person, a recording) stay together in a split.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    groups_train: np.ndarray | None = None


def check_recordings(
    source: str,
    arrays: dict[str, np.ndarray],
    class_names: list[str] | None = None,
) -> Recordings:
    """Check arrays named as in the npz format and make ``Recordings`` of them; labels are mapped to 0..K-1.

    Args:
        source: the file or data set, for messages.
        arrays: ``X_train``, ``y_train``, ``X_test``, ``y_test`` and optionally ``groups_train``.
        class_names: names of the labels in increasing order; the labels themselves if None.

    Raises:
        InputError: naming the source, the array, what was found and what is allowed.
    """
    x = {split: _check_series(source, f"X_{split}", arrays[f"X_{split}"]) for split in ("train", "test")}
    if x["train"].shape[1:] != x["test"].shape[1:]:
        raise InputError(
            f"{source}: X_train has [channels, length] {list(x['train'].shape[1:])} and X_test "
            f"{list(x['test'].shape[1:])}; they must agree"
        )
    for split in ("train", "test"):
        shape = arrays[f"y_{split}"].shape
        if shape != (len(x[split]),):
            raise InputError(f"{source}: y_{split} has shape {list(shape)}; X_{split} asks for [{len(x[split])}]")
    y = {split: _check_labels(source, f"y_{split}", arrays[f"y_{split}"]) for split in ("train", "test")}
    labels, y_train = np.unique(y["train"], return_inverse=True)
    if len(labels) < 2:
        raise InputError(f"{source}: y_train has the one class {labels.tolist()}; at least 2 are needed")
    unseen = sorted(set(y["test"].tolist()) - set(labels.tolist()))
    if unseen:
        raise InputError(f"{source}: y_test has labels that y_train lacks: {unseen}; allowed: {labels.tolist()}")
    if class_names is not None and len(class_names) != len(labels):
        raise InputError(f"{source}: class_names has {len(class_names)} names for {len(labels)} labels in y_train")
    groups = arrays.get("groups_train")
    if groups is not None and (groups.shape != y_train.shape or not np.issubdtype(groups.dtype, np.integer)):
        raise InputError(
            f"{source}: groups_train has shape {list(groups.shape)} and type {groups.dtype}; "
            f"allowed: [{len(y_train)}] whole numbers"
        )
    return Recordings(
        x["train"],
        y_train.astype(np.int64),
        x["test"],
        np.searchsorted(labels, y["test"]).astype(np.int64),
        tuple(class_names or [str(label) for label in labels]),
        groups,
    )


def _check_series(source: str, name: str, x: np.ndarray) -> np.ndarray:
    if x.ndim != 3 or 0 in x.shape:
        raise InputError(
            f"{source}: {name} has shape {list(x.shape)}; allowed: [samples, channels, length], none of them 0"
        )
    if not (np.issubdtype(x.dtype, np.floating) or np.issubdtype(x.dtype, np.integer)):
        raise InputError(f"{source}: {name} has type {x.dtype}; allowed: numbers")
    with np.errstate(over="ignore"):  # what float32 cannot hold is named below
        x = np.ascontiguousarray(x, dtype=np.float32)
    bad = ~np.isfinite(x)
    if bad.any():
        raise InputError(
            f"{source}: {name} has {int(bad.sum())} values that are NaN or infinite, the first in sample "
            f"{int(np.argwhere(bad)[0][0])}; allowed: finite numbers"
        )
    return x


def _check_labels(source: str, name: str, y: np.ndarray) -> np.ndarray:
    """Strings as they are; whole numbers of any type, and booleans, as int64."""
    if y.dtype.kind in "US":
        return y
    if y.dtype.kind not in "iubf" or not np.array_equal(y.astype(np.float64) % 1, np.zeros(len(y))):
        raise InputError(f"{source}: {name} has type {y.dtype} and other values than allowed: whole numbers or strings")
    return y.astype(np.int64)
