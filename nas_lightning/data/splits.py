"""The split of the training recordings into ``train`` and ``val``."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from nas_lightning.data.recordings import Recordings
from nas_lightning.errors import InputError


def split_train_val(recordings: Recordings, val_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of ``train`` and ``val``: stratified by class and, where groups are given, with no group in both.

    A class with a single sample stays in ``train``. With groups the fraction is rounded to 1 / n, because whole
    groups are dealt.

    Raises:
        InputError: if there are too few samples or groups for a split with every class.
    """
    y = recordings.y_train
    if recordings.groups_train is not None:
        train, val = _split_groups(y, recordings.groups_train, val_fraction, seed)
    else:
        train, val = _split_samples(y, val_fraction, seed)
    lost = sorted(set(y.tolist()) - set(y[train].tolist()))
    if lost:
        names = [recordings.class_names[label] for label in lost]
        raise InputError(f"dataset.val_fraction: {val_fraction} leaves no training sample of the classes {names}")
    return train, val


def _split_samples(y: np.ndarray, val_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    counts = np.bincount(y)
    single = np.flatnonzero(counts[y] == 1)
    rest = np.flatnonzero(counts[y] > 1)
    try:
        train, val = train_test_split(rest, test_size=val_fraction, stratify=y[rest], random_state=seed)
    except ValueError as error:
        raise InputError(
            f"dataset.val_fraction: {val_fraction} of {len(y)} training samples cannot hold every one of "
            f"{len(counts)} classes; give more samples or another fraction"
        ) from error
    return np.sort(np.concatenate([train, single])), np.sort(val)


def _split_groups(y: np.ndarray, groups: np.ndarray, val_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    num_folds = max(2, round(1 / val_fraction))
    num_groups = len(np.unique(groups))
    if num_groups < num_folds:
        raise InputError(
            f"groups_train: {num_groups} groups cannot be split at dataset.val_fraction {val_fraction}; "
            f"at least {num_folds} are needed"
        )
    folds = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    return next(folds.split(y, y, groups))
